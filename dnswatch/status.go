package dnswatch

import (
	"cmp"
	"io"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/topology"
)

// Status is how the watcher does: plain values, a copy.
type Status struct {
	Servers    []netip.AddrPort
	Generation uint64
	Names      []NameStatus // sorted by name, then cluster
	Counters   Counters
}

// NameStatus is how one name does.
type NameStatus struct {
	Query  topology.Query
	Answer topology.Answer // its At is right even where Latest has an older one
	Asked  time.Time       // zero: not yet
	Next   time.Time       // zero: being asked now
}

// Counters count since start; those with Now are gauges.
type Counters struct {
	Lookups              uint64 // names asked about; each is one or two questions
	Found, Empty, Failed uint64 // what lookups ended in
	UDP, TCP             uint64 // questions sent
	Truncated            uint64 // answers cut over UDP
	Timeouts             uint64
	Strangers            uint64 // datagrams that answered no question of ours
	Published            uint64 // generations of Latest
	NowAsking, NowWanted int
}

// Status copies what is, for admin.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Status{
		Servers:    slices.Clone(w.servers),
		Generation: w.draft.generation,
		Names:      make([]NameStatus, 0, len(w.entries)),
		Counters:   w.counts.read(),
	}
	s.Counters.NowAsking = w.members.inFlight + w.others.inFlight
	s.Counters.NowWanted = len(w.entries)
	for _, e := range w.entries {
		n := NameStatus{Query: e.query, Answer: e.answer, Asked: e.asked, Next: e.due}
		if e.asking() {
			n.Next = time.Time{}
		}
		s.Names = append(s.Names, n)
	}
	slices.SortFunc(s.Names, func(a, b NameStatus) int {
		return cmp.Or(cmp.Compare(a.Query.Name, b.Query.Name), cmp.Compare(a.Query.Cluster, b.Query.Cluster))
	})
	return s
}

type counters struct {
	lookups, found, empty, failed            atomic.Uint64
	udp, tcp, truncated, timeouts, strangers atomic.Uint64
	published                                atomic.Uint64
}

func (c *counters) outcome(o topology.Outcome) {
	switch o {
	case topology.OutcomeFound:
		c.found.Add(1)
	case topology.OutcomeEmpty:
		c.empty.Add(1)
	case topology.OutcomeFailed:
		c.failed.Add(1)
	}
}

func (c *counters) read() Counters {
	return Counters{
		Lookups: c.lookups.Load(),
		Found:   c.found.Load(), Empty: c.empty.Load(), Failed: c.failed.Load(),
		UDP: c.udp.Load(), TCP: c.tcp.Load(),
		Truncated: c.truncated.Load(), Timeouts: c.timeouts.Load(), Strangers: c.strangers.Load(),
		Published: c.published.Load(),
	}
}

// silent is a log that goes nowhere.
func silent() *logrus.Entry {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return logrus.NewEntry(l)
}
