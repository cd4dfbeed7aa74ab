package balancer

import (
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

func TestSnapshotCounts(t *testing.T) {
	b := New(Options{})
	b.Apply(routed("web-1", cluster(endpoint("a"))))
	r := routeTo(b, "web")
	for _, o := range []Outcome{
		{Status: 200}, {Status: 204}, {Status: 301}, {Status: 404}, {Status: 503},
		{Result: ConnectFail}, {Result: Reset}, {Result: Timeout}, {Result: Timeout, PerTry: true}, {Result: Canceled}, {Result: Overflow},
	} {
		l, err := b.Acquire(r, &Request{})
		if err != nil {
			t.Fatal(err)
		}
		l.Done(o)
	}
	for range 2 {
		b.CountCheck("web", CheckAttempt)
	}
	b.CountCheck("web", CheckSuccess)
	b.CountCheck("web", CheckFailure)
	b.CountCheck("web", CheckNetworkFailure)
	b.CountCheck("nobody", CheckAttempt)
	out, err := b.Acquire(r, &Request{})
	if err != nil {
		t.Fatal(err)
	}
	s := b.Snapshot()
	out.Done(Outcome{Status: 200})
	if len(s.Listeners) != 1 || s.Listeners[0].Name != "default" || s.Listeners[0].Routes != 2 {
		t.Errorf("listeners: %+v", s.Listeners)
	}
	c := s.Clusters[0]
	want := ClusterCounters{
		RqTotal: 12, RqCompleted: 5, RqTimeout: 1, RqPerTryTimeout: 1, RqCancelled: 1,
		Rq2xx: 2, Rq3xx: 1, Rq4xx: 1, Rq5xx: 1, RqActive: 1, MembershipChange: 1,
		HealthAttempt: 2, HealthSuccess: 1, HealthFailure: 1, HealthNetwork: 1,
	}
	if c.Counters != want {
		t.Errorf("cluster counters:\n%+v, want\n%+v", c.Counters, want)
	}
	if c.Name != "web" || c.Type != string(topology.Labels) || c.Total != 1 || c.Ready != 1 || c.Breakers.MaxRetries != 3 {
		t.Errorf("cluster: %+v", c)
	}
	e := c.Endpoints[0]
	if e.RqTotal != 12 || e.RqSuccess != 4 || e.RqError != 5 || e.RqTimeout != 2 || e.RqActive != 1 || e.State != StateHealthy {
		t.Errorf("endpoint: %+v", e)
	}
}
