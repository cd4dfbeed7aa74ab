// Package topology holds the values that cross between the rooms of the load
// balancer, and the pure functions over them.
//
// Three sources speak: dockerwatch (Membership), dnswatch (Answers) and config
// (Static). Build joins the latest of each into a Table, which the balancer
// brings to life. Every value is the full set, immutable and sorted; nothing
// here knows Docker, DNS or Envoy's file format, does I/O, or reads a clock.
//
// "Stale beats partial": a source that fails sends no new value, and the last
// one stays in force.
package topology

import (
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

// Inputs is all that Build looks at.
type Inputs struct {
	Generation uint64    // of the Table to be built
	At         time.Time // of now
	Membership Membership
	Answers    Answers
	Static     Static
	Defaults   Defaults
	Incumbents Incumbents
}

// Defaults is what flags say for all containers.
type Defaults struct {
	Prefix   string // of the labels: "lb"
	Instance string // ours; containers with another lb.instance are left alone
	// Listeners are those of the flags, by name; "default" is --listen. A
	// listener of the same name in the file replaces it.
	Listeners []Listener
	// Policy is what a cluster of labels starts from.
	Policy labels.ClusterPolicy
}

// Incumbents is the history that Build needs, as an explicit input. The
// balancer gives it.
type Incumbents struct {
	// Previous is the table in force; nil: none yet. Who holds a contested
	// route there keeps it, and a cluster of labels that
	// has lost its last member keeps its routes, so that requests are held or
	// get 503, not 404.
	Previous *Table
	// Expired are clusters without members that have kept their routes for
	// long enough (lb.tombstone); sorted.
	Expired []string
}

// Table is what is to be: the join of all sources, in full.
type Table struct {
	Generation uint64
	At         time.Time  // when it was built; zero: not said
	Listeners  []Listener // sorted by name; each carries its routes
	Clusters   []*Cluster // sorted by name; an unchanged one is the same pointer
	Traces     []*Trace   // one per labelled container, sorted by container name
	Conflicts  []Conflict
}

// Source is where a thing came from.
type Source uint8

const (
	FromLabels  Source = iota + 1
	FromFile           // the bootstrap file
	FromDefault        // flags
	FromDNS            // an endpoint: the answer to a file cluster's name
)

func (s Source) String() string {
	switch s {
	case FromLabels:
		return "labels"
	case FromFile:
		return "file"
	case FromDefault:
		return "default"
	case FromDNS:
		return "dns"
	}
	return "unknown"
}

// Verdict is where a container ended up.
type Verdict string

const (
	Routed      Verdict = "routed"      // at least one endpoint
	Stopping    Verdict = "stopping"    // an endpoint, draining
	NotRunning  Verdict = "not running" // created, exited, …
	Out         Verdict = "out"         // its own wish, or not ours
	Quarantined Verdict = "quarantined" // a label or the network keeps it out
)

// Trace is how Build decided about one container. explain, the page's "not
// routed" list and the log print it; nobody re-implements the rules.
type Trace struct {
	Container string // id
	Name      string
	Image     string
	Compose   ComposeRef
	Verdict   Verdict
	Reason    string // the deciding step in one line; empty where routed
	Steps     []Step
	Clusters  []string // that it asks for, sorted
	Endpoints []string // Endpoint.ID of those it became
	Problems  []labels.Problem
}

// Step is one decision.
type Step struct {
	Rule string // "enable", "state", "port", "network", "address", "route"
	OK   bool   // false: this step kept the container, or this service, out
	Text string // what was decided, and why
}

// Conflict is a disagreement that Build settled: a route that two clusters ask
// for, or a cluster key on which members differ.
type Conflict struct {
	Kind   string // "route" or "setting"
	What   string // the route's Key, or "cluster rust_daemons: lb.policy"
	Winner string // cluster, or container and its value
	Losers []string
}
