package dnswatch

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// draft is the next Answers. Changes are collected for a while before the map
// is copied: five thousand answers of one burst are not five thousand copies.
type draft struct {
	names      map[topology.Query]topology.Answer
	wanted     int // how many names there are to be
	generation uint64
	dirty      bool
	tell       bool      // a change that matters to readers
	ripe       time.Time // when to publish, where dirty
}

// patienceFor is how long changes among n names are collected: 5 ms, growing
// with what a copy and the Build after it cost.
func patienceFor(n int) time.Duration {
	return min(max(5*time.Millisecond, time.Duration(n)*50*time.Microsecond), 250*time.Millisecond)
}

// put takes an answer in. One that is not changed (only its age is) waits for
// the next change to be seen.
func (d *draft) put(q topology.Query, a topology.Answer, changed bool) {
	d.names[q] = a
	if changed {
		d.soil()
		d.tell = true
	}
}

// drop forgets a name. Who stopped wanting it need not be told.
func (d *draft) drop(q topology.Query) {
	delete(d.names, q)
	d.soil()
}

func (d *draft) soil() {
	if !d.dirty {
		d.dirty, d.ripe = true, time.Now().Add(patienceFor(d.wanted))
	}
}

func (d *draft) publish() (a topology.Answers, tell bool) {
	d.generation++
	tell = d.tell
	d.dirty, d.tell = false, false
	return topology.Answers{Generation: d.generation, Names: maps.Clone(d.names)}, tell
}

// merge makes the new last word on a name from the old one and a lookup's
// result, and tells whether it differs in what readers act upon.
//
// An empty answer empties the set; a failed one leaves it in force. For
// LOGICAL_DNS (FirstTTL) an empty answer leaves it too, and the first address
// matters, not only the set. Where one of two families failed and the other
// answered, the addresses of the failed one stay.
func merge(q topology.Query, old topology.Answer, r result, now time.Time) (topology.Answer, bool) {
	a := old
	a.Outcome = r.outcome
	switch {
	case r.outcome == topology.OutcomeFailed:
		a.Error, a.FailedAt = r.err, now
	case r.outcome == topology.OutcomeEmpty && q.Refresh.FirstTTL:
		a.Error = ""
	default:
		addrs := slices.Clone(r.addrs)
		for _, ip := range old.Addresses {
			if ip.Is4() && r.lost4 || !ip.Is4() && r.lost6 {
				addrs = append(addrs, ip)
			}
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		a.Addresses = slices.Compact(addrs)
		a.First = r.first()
		a.TTL, a.At, a.Error = r.ttl, now, ""
		if slices.Equal(a.Addresses, old.Addresses) {
			a.Addresses = old.Addresses // the readers' copy; the new one is garbage
			if !q.Refresh.FirstTTL && old.First.IsValid() {
				a.First = old.First // a shuffle is no news
			}
		}
	}
	changed := a.Outcome != old.Outcome || a.First != old.First || a.Error != old.Error ||
		!slices.Equal(a.Addresses, old.Addresses)
	return a, changed
}
