package balancer

import (
	"errors"
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

// broken is a cluster with these breakers.
func broken(k topology.Breakers, endpoints ...topology.Endpoint) *topology.Table {
	c := cluster(endpoints...)
	c.Breakers = k
	return tableOf(c)
}

func TestMaxRequests(t *testing.T) {
	b := New(Options{})
	b.Apply(broken(topology.Breakers{MaxRequests: 2}, endpoint("a"), endpoint("b")))
	r := routeTo(b, "web")
	one, _ := b.Acquire(r, &Request{})
	two, _ := b.Acquire(r, &Request{})
	if _, err := b.Acquire(r, &Request{}); !errors.Is(err, ErrOverflow) {
		t.Fatalf("a third of two: %v", err)
	}
	one.Done(Outcome{Status: 200})
	if got := take(b, r, &Request{}); got == ErrOverflow.Error() {
		t.Error("one came back, and still closed")
	}
	two.Done(Outcome{Status: 200})
	if c := b.Snapshot().Clusters[0].Counters; c.RqPendingOverflow != 1 || c.RqActive != 0 {
		t.Errorf("overflow %d, active %d", c.RqPendingOverflow, c.RqActive)
	}
}

func TestMaxConnections(t *testing.T) {
	b := New(Options{})
	b.Apply(broken(topology.Breakers{MaxConnections: 2, MaxRequests: 9}, endpoint("a"), endpoint("b")))
	a, other := member(t, b, "a"), member(t, b, "b")
	if b.HadTraffic("web") {
		t.Error("had traffic before the first connection")
	}
	for range 2 {
		if !a.ConnOpen() {
			t.Fatal("refused within the limit")
		}
	}
	if a.ConnOpen() {
		t.Error("a third of two")
	}
	if !other.ConnOpen() {
		t.Error("an endpoint without a connection gets one all the same")
	}
	if other.ConnOpen() {
		t.Error("but not a second one")
	}
	a.ConnClosed()
	other.ConnFailed(true)
	if !a.ConnOpen() {
		t.Error("two were closed, and still none is free")
	}
	c := b.Snapshot().Clusters[0].Counters
	if c.CxActive != 2 || c.CxTotal != 4 || c.CxOverflow != 2 || c.CxConnectFail != 1 || c.CxConnectTimeout != 1 || !b.HadTraffic("web") {
		t.Errorf("counters: %+v", c)
	}
}

func TestRetryBreaker(t *testing.T) {
	for _, test := range []struct {
		name     string
		breakers topology.Breakers
		out      int // requests
		want     int // retries at once
	}{
		{"max_retries", topology.Breakers{MaxRequests: 1000, MaxRetries: 3}, 500, 3},
		{"budget's least", topology.Breakers{MaxRequests: 1000, BudgetPercent: 20}, 1, 3},
		{"a least of its own", topology.Breakers{MaxRequests: 1000, BudgetPercent: 20, BudgetMin: 5}, 1, 5},
		{"20 % of 100", topology.Breakers{MaxRequests: 1000, BudgetPercent: 20}, 100, 20},
		{"Envoy's default", topology.Breakers{}, 1, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := New(Options{})
			b.Apply(broken(test.breakers, endpoint("a")))
			r := routeTo(b, "web")
			for range test.out {
				if _, err := b.Acquire(r, &Request{}); err != nil {
					t.Fatal(err)
				}
			}
			c, n := b.View().Cluster("web"), 0
			for c.TryRetry() {
				n++
			}
			if n != test.want {
				t.Errorf("%d retries at once, want %d", n, test.want)
			}
			c.RetryDone(true)
			if !c.TryRetry() {
				t.Error("one came back, and still closed")
			}
			k := b.Snapshot().Clusters[0].Counters
			if k.RqRetry != uint64(n+1) || k.RqRetrySuccess != 1 || k.RqRetryOverflow != 1 {
				t.Errorf("counters: %+v", k)
			}
		})
	}
}

func TestMaxPending(t *testing.T) {
	b := New(Options{})
	b.Apply(broken(topology.Breakers{MaxPending: 1}, endpoint("a")))
	c := b.View().Cluster("web")
	if !c.TryPending() || c.TryPending() {
		t.Error("not one of one")
	}
	c.PendingDone()
	if !c.TryPending() {
		t.Error("one came back, and still closed")
	}
}
