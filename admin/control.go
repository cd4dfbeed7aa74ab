package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/balancer"
)

// maxWeight is the label's.
const maxWeight = 1000

func (s *Server) drain(w http.ResponseWriter, r *http.Request)   { s.setDrain(w, r, true) }
func (s *Server) undrain(w http.ResponseWriter, r *http.Request) { s.setDrain(w, r, false) }

func (s *Server) setDrain(w http.ResponseWriter, r *http.Request, drain bool) {
	s.override(w, r, balancer.Override{Drain: &drain})
}

func (s *Server) weight(w http.ResponseWriter, r *http.Request) {
	text := r.Form.Get("weight")
	if text == "default" {
		s.override(w, r, balancer.Override{DefaultWeight: true})
		return
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > maxWeight {
		s.fail(w, http.StatusBadRequest, fmt.Sprintf("weight %q: want a number from 0 to %d, or default\n", text, maxWeight))
		return
	}
	weight := uint32(n)
	s.override(w, r, balancer.Override{Weight: &weight})
}

func (s *Server) override(w http.ResponseWriter, r *http.Request, o balancer.Override) {
	o.Container = r.Form.Get("container")
	if o.Container == "" {
		s.fail(w, http.StatusBadRequest, "container: give its name, id or short id\n")
		return
	}
	if err := s.o.Balancer.Override(o); err != nil {
		s.fail(w, http.StatusNotFound, err.Error()+"\n")
		return
	}
	s.o.Log.WithFields(logrus.Fields{"container": o.Container, "peer": r.RemoteAddr}).Infof("operator: %s", r.URL.Path)
	s.writeJSON(w, s.inFlight(o.Container))
}

func (s *Server) apiInFlight(w http.ResponseWriter, r *http.Request) {
	container := r.Form.Get("container")
	if container == "" {
		s.fail(w, http.StatusBadRequest, "container: give its name, id or short id\n")
		return
	}
	s.writeJSON(w, s.inFlight(container))
}

func (s *Server) inFlight(container string) InFlight {
	out := InFlight{Container: container, InFlight: s.o.Balancer.InFlight(container), Process: s.process}
	if at := s.o.Balancer.DrainDeadline(container); !at.IsZero() {
		out.DrainLeftMS = max(milliseconds(time.Until(at)), 0)
	}
	return out
}

func (s *Server) healthcheckFail(w http.ResponseWriter, r *http.Request) { s.setFailed(w, r, true) }
func (s *Server) healthcheckOK(w http.ResponseWriter, r *http.Request)   { s.setFailed(w, r, false) }

func (s *Server) setFailed(w http.ResponseWriter, r *http.Request, fail bool) {
	s.failed.Store(fail)
	if s.o.FailHealth != nil {
		s.o.FailHealth(fail)
	}
	s.o.Log.WithField("peer", r.RemoteAddr).Warnf("operator: %s", r.URL.Path)
	fmt.Fprintln(w, "OK")
}

func (s *Server) drainListeners(w http.ResponseWriter, r *http.Request) {
	if s.o.DrainListeners == nil {
		s.notHere(w, r)
		return
	}
	graceful, skipExit := r.Form.Has("graceful"), r.Form.Has("skip_exit")
	switch {
	case skipExit && !graceful:
		s.fail(w, http.StatusBadRequest, "skip_exit requires graceful\n")
		return
	case r.Form.Has("inboundonly"):
		s.fail(w, http.StatusBadRequest, "inboundonly: listeners have no traffic_direction here\n")
		return
	}
	s.o.Log.WithField("peer", r.RemoteAddr).Warn("operator: /drain_listeners")
	s.o.DrainListeners(graceful, skipExit)
	fmt.Fprintln(w, "OK")
}

func (s *Server) quit(w http.ResponseWriter, r *http.Request) {
	if s.o.Quit == nil {
		s.notHere(w, r)
		return
	}
	s.o.Log.WithField("peer", r.RemoteAddr).Warn("operator: /quitquitquit")
	fmt.Fprintln(w, "OK")
	s.o.Quit()
}

func (s *Server) notHere(w http.ResponseWriter, r *http.Request) {
	s.fail(w, http.StatusNotImplemented, r.URL.Path+" is not available here\n")
}

// logLevels are Envoy's words, and what they are in logrus.
var logLevels = []struct{ envoy, logrus string }{
	{"trace", "trace"}, {"debug", "debug"}, {"info", "info"}, {"warning", "warning"},
	{"error", "error"}, {"critical", "fatal"}, {"off", "panic"},
}

// logging is Envoy's; there is one logger, named lb.
func (s *Server) logging(w http.ResponseWriter, r *http.Request) {
	if s.o.LogLevel == nil || s.o.SetLogLevel == nil {
		s.notHere(w, r)
		return
	}
	level := r.Form.Get("level")
	if level == "" {
		level = r.Form.Get("lb")
	}
	if level != "" {
		i := slices.IndexFunc(logLevels, func(l struct{ envoy, logrus string }) bool { return l.envoy == level })
		if i < 0 {
			s.fail(w, http.StatusBadRequest, "usage: /logging?level=<trace|debug|info|warning|error|critical|off>\n")
			return
		}
		if err := s.o.SetLogLevel(logLevels[i].logrus); err != nil {
			s.fail(w, http.StatusBadRequest, err.Error()+"\n")
			return
		}
	}
	now := s.o.LogLevel()
	for _, l := range logLevels {
		if l.logrus == now {
			now = l.envoy
		}
	}
	fmt.Fprintf(w, "active loggers:\n  lb: %s\n", now)
}
