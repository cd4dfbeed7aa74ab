package balancer

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// A hold piles up more requests than max_requests: they get in one after the
// other, and so do those that come meanwhile.
func TestHeldRequestsWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		spec := func(endpoints ...topology.Endpoint) *topology.Table {
			c := holding(endpoints...)
			c.Breakers = topology.Breakers{MaxRequests: 10, MaxPending: 10, MaxConnections: 10}
			return tableOf(c)
		}
		b.Apply(spec(endpoint("a")))
		b.Apply(spec())
		r := routeTo(b, "web")
		const all, took = 100, 100 * time.Millisecond
		answers := make(chan error, all)
		var in, most atomic.Int64
		request := func() {
			l, err := b.Acquire(r, &Request{})
			if err == nil {
				at := in.Add(1)
				for before := most.Load(); at > before && !most.CompareAndSwap(before, at); before = most.Load() {
				}
				time.Sleep(took)
				in.Add(-1)
				l.Done(Outcome{Status: 200})
			}
			answers <- err
		}
		for range all - 1 {
			go request()
		}
		time.Sleep(time.Second)
		b.Apply(spec(endpoint("b")))
		back := time.Now()
		synctest.Wait()
		go request() // never held for a member
		for range all {
			if err := <-answers; err != nil {
				t.Fatal(err)
			}
		}
		if n := most.Load(); n != 10 {
			t.Errorf("%d requests at once, want max_requests, 10", n)
		}
		if d := time.Since(back); d != all/10*took {
			t.Errorf("all were served after %s, want %s", d, all/10*took)
		}
		if s := b.Snapshot().Clusters[0]; s.Held != 0 || s.Counters.RqPendingOverflow != 0 {
			t.Errorf("held %d, overflow %d, want none", s.Held, s.Counters.RqPendingOverflow)
		}
	})
}

// The wait for room is the hold's: later the breaker answers at once, and it
// does always where holding is off.
func TestNoRoom(t *testing.T) {
	for _, test := range []struct {
		name  string
		hold  time.Duration
		since time.Duration // the cluster has its member
		after time.Duration
	}{
		{"just back", 5 * time.Second, 2 * time.Second, 3 * time.Second},
		{"long back", 5 * time.Second, 6 * time.Second, 0},
		{"no hold", 0, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(Options{})
				c := holding(endpoint("a"))
				c.Hold, c.Breakers = test.hold, topology.Breakers{MaxRequests: 1}
				b.Apply(tableOf(c))
				r := routeTo(b, "web")
				l, err := b.Acquire(r, &Request{})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.since)
				wantAnswer(t, acquireLater(b, r, &Request{}), ErrOverflow.Error(), test.after)
				l.Done(Outcome{Status: 200})
			})
		})
	}
}
