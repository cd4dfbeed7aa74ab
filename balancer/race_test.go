package balancer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// Requests, tables, verdicts, overrides and readers at once. What must hold
// under all of it: no request gets an endpoint whose slot is closed, every
// slot is closed once, and no count is left over.
func TestConcurrently(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy, func(t *testing.T) { concurrently(t, policy) })
	}
}

func concurrently(t *testing.T, policy string) {
	var closedEarly atomic.Int32
	b := New(Options{NewSlot: newPool})
	ctx, cancel := context.WithCancel(t.Context())
	var running, asking sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	var pools sync.Map
	table := func(n int) *topology.Table {
		var list []topology.Endpoint
		for i := range 2 + n%4 {
			list = append(list, endpoint(fmt.Sprintf("%d-%02d", i, (n+i)/5%7)))
		}
		list[0].Paused = n%3 == 0
		c := holding(list...)
		c.Policy, c.Sticky, c.MaglevSize = policy, "id", 251
		c.Outlier = &topology.Outlier{Consecutive5xx: 2, Enforce5xx: 100, MaxPercent: 50, BaseEjection: time.Millisecond, Interval: time.Millisecond}
		return tableOf(c)
	}
	b.Apply(table(1))
	r := routeTo(b, "web")
	for g := range 3 {
		asking.Go(func() {
			for i := range 2000 {
				q := &Request{Random: uint64(i*g + 1), HasHash: i%2 == 0, Hash: mix(uint64(i))}
				for try := range 2 {
					l, err := b.Acquire(r, q)
					if err != nil {
						break
					}
					p := poolOf(l.Endpoint)
					pools.Store(p, true)
					if p.closed.Load() != 0 {
						closedEarly.Add(1)
					}
					q.Tried[try], q.Sticky = l.Endpoint, []byte(l.Endpoint.StickyValue())
					l.Done(Outcome{Status: 200 + i%4*100})
				}
			}
		})
	}
	done := make(chan struct{})
	running.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			b.Apply(table(n))
			b.Report(Verdict{Endpoint: fmt.Sprintf("1-%02d", n/5%7), Healthy: n%2 == 0})
			name := fmt.Sprintf("0-%02d", n/5%7)
			drain := n%4 == 0
			_ = b.Override(Override{Container: name, Drain: &drain}) // it may be gone
			b.Snapshot()
			b.InFlight(name)
		}
	})
	asking.Wait()
	close(done)
	cancel()
	running.Wait()
	b.Apply(&topology.Table{})
	b.Snapshot()
	if n := closedEarly.Load(); n != 0 {
		t.Errorf("%d requests got an endpoint whose slot was closed", n)
	}
	pools.Range(func(p, _ any) bool {
		if n := p.(*pool).closed.Load(); n != 1 {
			t.Errorf("a slot was closed %d times", n)
			return false
		}
		return true
	})
}
