package control

import (
	"cmp"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

// reporter writes into the log what changed from one table to the next: a line
// per container that leaves or is kept out, each problem once per container,
// each conflict once. That one joins is told where it takes traffic.
type reporter struct {
	log       *logrus.Entry
	traces    []*topology.Trace
	conflicts []topology.Conflict
}

// report logs what is new in t.
func (r *reporter) report(t *topology.Table) {
	old := r.traces
	for _, now := range t.Traces {
		if len(old) > 0 && old[0] == now {
			old = old[1:]
			continue
		}
		for len(old) > 0 && compareTraces(old[0], now) < 0 {
			r.left(old[0])
			old = old[1:]
		}
		var was *topology.Trace
		if len(old) > 0 && compareTraces(old[0], now) == 0 {
			was, old = old[0], old[1:]
		}
		if was != now {
			r.container(was, now)
		}
	}
	for _, gone := range old {
		r.left(gone)
	}
	r.traces = t.Traces
	r.disagree(t.Conflicts)
}

func compareTraces(a, b *topology.Trace) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Container, b.Container))
}

// container logs what changed about one; was is nil where it is new.
func (r *reporter) container(was, now *topology.Trace) {
	if was == nil {
		was = &topology.Trace{}
	}
	log := r.fields(now)
	if was.Verdict != now.Verdict || was.Reason != now.Reason {
		log := log
		if now.Reason != "" {
			log = log.WithField("reason", now.Reason)
		}
		switch now.Verdict {
		case topology.Quarantined:
			log.Warn("container is quarantined")
		case topology.Routed:
			log.Debug("container is routed") // "in rotation" follows when it takes traffic
		case topology.NotRunning:
			if was.Verdict == topology.Routed {
				log.Info("container is not running") // nobody had told it to stop
			} else {
				log.Debug("container is not running")
			}
		default:
			log.Infof("container is %s", now.Verdict)
		}
	}
	for _, p := range now.Problems {
		if !contains(was.Problems, p) {
			r.problem(log, p)
		}
	}
	for _, s := range now.Steps {
		if !s.OK && s.String() != now.Reason && !contains(was.Steps, s) && !ofProblem(now.Problems, s) {
			log.WithField("reason", s.String()).Warn("container asks for what it does not get")
		}
	}
}

// ofProblem reports whether the step only repeats a problem, which is logged
// by itself.
func ofProblem(problems []labels.Problem, s topology.Step) bool {
	for _, p := range problems {
		if p.Reason != "" && strings.Contains(s.Text, p.Reason) {
			return true
		}
	}
	return false
}

func (r *reporter) problem(log *logrus.Entry, p labels.Problem) {
	log = log.WithFields(logrus.Fields{"label": p.Label, "value": p.Value, "reason": p.Reason})
	if p.Hint != "" {
		log = log.WithField("hint", p.Hint)
	}
	log.Warn("label is wrong or has no effect")
}

func (r *reporter) left(t *topology.Trace) { r.fields(t).Info("container is gone") }

func (r *reporter) fields(t *topology.Trace) *logrus.Entry {
	return r.log.WithFields(logrus.Fields{"cluster": strings.Join(t.Clusters, ","), "container": t.Name})
}

// disagree logs conflicts that were not there before, and those that ended.
func (r *reporter) disagree(now []topology.Conflict) {
	for _, c := range now {
		if !containsConflict(r.conflicts, c) {
			r.log.WithFields(logrus.Fields{"conflict": c.What, "winner": c.Winner, "losers": strings.Join(c.Losers, ", ")}).
				Warnf("%s is asked for in two ways", c.Kind)
		}
	}
	for _, c := range r.conflicts {
		if !containsConflict(now, c) {
			r.log.WithField("conflict", c.What).Infof("%s conflict has changed or ended", c.Kind)
		}
	}
	r.conflicts = now
}

func contains[T comparable](all []T, one T) bool {
	for _, x := range all {
		if x == one {
			return true
		}
	}
	return false
}

func containsConflict(all []topology.Conflict, one topology.Conflict) bool {
	for _, c := range all {
		if c.Kind == one.Kind && c.What == one.What && c.Winner == one.Winner && strings.Join(c.Losers, ",") == strings.Join(one.Losers, ",") {
			return true
		}
	}
	return false
}
