package admin

import (
	"fmt"
	"net/http"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ReasonHeader carries what is missing where /ready answers 503: the body is
// Envoy's one word.
const ReasonHeader = "X-Lb-Reason"

// state is Envoy's ServerInfo.State and, where it is not LIVE, why.
func (s *Server) state() (adminv3.ServerInfo_State, string) {
	switch {
	case s.draining.Load():
		return adminv3.ServerInfo_DRAINING, "the process is ending"
	case s.failed.Load():
		return adminv3.ServerInfo_DRAINING, "POST /healthcheck/fail was called; /healthcheck/ok undoes it"
	}
	if s.o.Ready != nil {
		if ok, why := s.o.Ready(); !ok {
			return adminv3.ServerInfo_INITIALIZING, why
		}
	}
	return adminv3.ServerInfo_LIVE, ""
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	st, why := s.state()
	if st != adminv3.ServerInfo_LIVE {
		w.Header().Set(ReasonHeader, oneLine(why))
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, st)
}

// serverInfo is Envoy's, every field of it. What stands for a thing that we do
// not have (base ids, hot restart) keeps its zero value.
func (s *Server) serverInfo(w http.ResponseWriter, _ *http.Request) {
	st, _ := s.state()
	up := durationpb.New(time.Since(s.o.Start).Truncate(time.Second))
	c, v := s.o.CommandLine, s.o.Version
	tree := "Clean"
	if v.Modified {
		tree = "Modified"
	}
	level := c.LogLevel
	if s.o.LogLevel != nil {
		level = s.o.LogLevel()
	}
	s.writeProto(w, &adminv3.ServerInfo{
		// Envoy's: <revision>/<version>/<tree>/<build>/<TLS library>.
		Version:            fmt.Sprintf("%s/%s/%s/RELEASE/%s", v.Revision, v.Version, tree, v.Go),
		State:              st,
		UptimeCurrentEpoch: up,
		UptimeAllEpochs:    up,
		HotRestartVersion:  "disabled",
		CommandLineOptions: &adminv3.CommandLineOptions{
			Concurrency:        uint32(c.Concurrency),
			ConfigPath:         c.ConfigPath,
			LogLevel:           level,
			LogFormat:          c.LogFormat,
			ServiceNode:        c.Node,
			FileFlushInterval:  durationpb.New(0),
			DrainTime:          durationpb.New(c.DrainTime),
			DrainStrategy:      adminv3.CommandLineOptions_Immediate,
			ParentShutdownTime: durationpb.New(c.Shutdown),
			DisableHotRestart:  true,
		},
		Node: &corev3.Node{
			Id:                   c.Node,
			UserAgentName:        "dockerlb",
			UserAgentVersionType: &corev3.Node_UserAgentVersion{UserAgentVersion: v.Version},
		},
	}, true)
}
