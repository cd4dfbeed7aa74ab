package control

import (
	"fmt"
	"slices"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// history is how many generations are remembered.
const history = 64

// Status is how control does: a plain value, never written again.
type Status struct {
	Table  *topology.Table
	Ready  bool
	Why    string // where it is not ready, or a listener is not open
	Builds uint64
	// LastBuild is how long Build took the last time; LastAt when it began.
	LastBuild time.Duration
	LastAt    time.Time
	Sources   []SourceStatus
	History   []Generation // newest last
	once      bool         // has been ready
}

// SourceStatus is one source. Age it by At: a source that fails gives nothing
// new, and the last stays in force.
type SourceStatus struct {
	Name       string // docker, dns, file
	Known      bool
	Generation uint64
	At         time.Time // of the value in force; zero: none yet
}

// Generation is one table that was applied.
type Generation struct {
	Number                         uint64
	Cause                          string // start, docker, dns, file, rebuild, time
	At                             time.Time
	Took                           time.Duration // of Build
	Clusters, Endpoints, Listeners int
	Conflicts                      int
}

// record adds a generation.
func (s *Status) record(t *topology.Table, cause string, at time.Time, took time.Duration) {
	s.Table, s.LastAt, s.LastBuild = t, at, took
	s.Builds++
	g := Generation{
		Number: t.Generation, Cause: cause, At: at, Took: took,
		Clusters: len(t.Clusters), Listeners: len(t.Listeners), Conflicts: len(t.Conflicts),
	}
	for i := range t.Clusters {
		g.Endpoints += len(t.Clusters[i].Endpoints)
	}
	s.History = append(slices.Clone(s.History[max(0, len(s.History)-history+1):]), g)
}

// Status is the newest. Any goroutine.
func (c *Control) Status() Status { return *c.status.Load() }

// Table is the newest table. Any goroutine; it is not to be written.
func (c *Control) Table() *topology.Table { return c.status.Load().Table }

// Ready is what /ready answers, and what is missing. Once ready it stays so: a
// source that fails later leaves its last value in force.
func (c *Control) Ready() (bool, string) {
	s := c.status.Load()
	return s.Ready, s.Why
}

// publish makes the status that others see.
func (c *Control) publish(change func(*Status)) {
	var s Status
	if old := c.status.Load(); old != nil {
		s = *old
	}
	change(&s)
	s.Sources = c.sources()
	why := c.waiting()
	switch {
	case why != "":
	case c.options.Proxy != nil && !c.opened:
		why = "listeners are not open yet"
		if c.listenErr != nil {
			why = c.listenErr.Error()
		}
	default:
		s.once = true
		if c.listenErr != nil {
			why = c.listenErr.Error()
		}
	}
	s.Ready, s.Why = s.once, why
	c.status.Store(&s)
}

// waiting says what the first table still waits for; empty: nothing.
func (c *Control) waiting() string {
	switch {
	case c.options.File != nil && !c.known.file:
		return "waiting for the configuration file"
	case c.options.Docker != nil && !c.known.docker:
		return "waiting for the Docker Engine's first answer"
	}
	for i := range c.table.Clusters {
		if !c.table.Clusters[i].Warm {
			return fmt.Sprintf("waiting for the first DNS answer of cluster %s", c.table.Clusters[i].Name)
		}
	}
	if old := c.status.Load(); c.options.Health == nil || old != nil && old.once {
		return "" // a cluster that comes later keeps nobody waiting
	}
	// Envoy's clusters initialise with the first check of every host. Set before
	// the look, so that a result that comes after it is told.
	c.checking.Store(true)
	if name := c.options.Balancer.Unchecked(); name != "" {
		return fmt.Sprintf("waiting for the first health checks of cluster %s", name)
	}
	c.checking.Store(false)
	return ""
}

func (c *Control) sources() []SourceStatus {
	var all []SourceStatus
	if c.options.Docker != nil {
		all = append(all, SourceStatus{"docker", c.known.docker, c.membership.Generation, c.membership.ObservedAt})
	}
	if c.options.DNS != nil {
		all = append(all, SourceStatus{"dns", !c.answered.IsZero(), c.answers.Generation, c.answered})
	}
	if c.options.File != nil {
		all = append(all, SourceStatus{"file", c.known.file, c.static.Generation, c.static.LoadedAt})
	}
	return all
}
