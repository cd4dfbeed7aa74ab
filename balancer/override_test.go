package balancer

import (
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

func TestOverride(t *testing.T) {
	yes, no, five := true, false, uint32(5)
	b := New(Options{NewSlot: newPool})
	b.Apply(tableOf(cluster(endpoint("a"), endpoint("b"))))
	r := routeTo(b, "web")
	status := func() EndpointStatus { return b.Snapshot().Clusters[0].Endpoints[0] }

	if err := b.Override(Override{Container: "a", Drain: &yes}); err != nil {
		t.Fatal(err)
	}
	if got := tally(b, r, 4); got["b"] != 4 {
		t.Errorf("drained: %v, want b alone", got)
	}
	if s := status(); s.State != StateDraining || !s.OverrideDrain || member(t, b, "a").DrainDeadline().IsZero() {
		t.Errorf("drained: %s, %t", s.State, s.OverrideDrain)
	}
	// It lasts through tables.
	b.Apply(tableOf(cluster(endpoint("a"), endpoint("b"), endpoint("c"))))
	if got := tally(b, r, 4); got["a"] != 0 {
		t.Errorf("after a table: %v", got)
	}
	b.Apply(tableOf(cluster(endpoint("a"), endpoint("b"))))
	if err := b.Override(Override{Container: member(t, b, "a").Spec().Container[:12], Drain: &no, Weight: &five}); err != nil {
		t.Fatal(err)
	}
	if got := tally(b, r, 6); got["a"] != 5 || got["b"] != 1 {
		t.Errorf("weight 5 to 1: %v", got)
	}
	if s := status(); s.EffectiveWeight != 5 || s.OverrideWeight == nil || s.Weight != 1 || !member(t, b, "a").DrainDeadline().IsZero() {
		t.Errorf("undrained with a weight: %+v", s)
	}
	if err := b.Override(Override{Container: "a", DefaultWeight: true}); err != nil {
		t.Fatal(err)
	}
	if s := status(); s.EffectiveWeight != 1 || s.OverrideWeight != nil {
		t.Errorf("the weight was lifted: %+v", s)
	}
	if err := b.Override(Override{Container: "a", Weight: &five}); err != nil {
		t.Fatal(err)
	}
	// It ends with the incarnation.
	b.Apply(tableOf(cluster(endpoint("a2", func(e *topology.Endpoint) {
		e.Container, e.ContainerName, e.StartedAt = member(t, b, "a").Spec().Container, "a", time.Unix(2, 0)
	}), endpoint("b"))))
	if s := status(); s.EffectiveWeight != 1 || s.OverrideWeight != nil {
		t.Errorf("the next incarnation has inherited: %+v", s)
	}
}

func TestOverrideReachesLaterServices(t *testing.T) {
	yes := true
	b := New(Options{})
	of := func(id string) topology.Endpoint {
		return endpoint(id, func(e *topology.Endpoint) { e.Container, e.ContainerName = "cafe01", "web-1" })
	}
	b.Apply(tableOf(cluster(of("one"))))
	if err := b.Override(Override{Container: "web-1", Drain: &yes}); err != nil {
		t.Fatal(err)
	}
	other := cluster(of("two"))
	other.Name = "other"
	b.Apply(tableOf(other, cluster(of("one"))))
	if s := b.Snapshot().Clusters[0].Endpoints[0]; s.State != StateDraining {
		t.Errorf("a service that came later is %s", s.State)
	}
}

// A container that loses its network, or is on another one, has another endpoint,
// or none for a while: it is the same run, which an operator has drained.
func TestOverrideOutlivesTheEndpoint(t *testing.T) {
	yes := true
	b := New(Options{})
	of := func(id string, started int64) topology.Endpoint {
		return endpoint(id, func(e *topology.Endpoint) {
			e.Container, e.ContainerName, e.StartedAt = "cafe01", "web-1", time.Unix(started, 0)
		})
	}
	traced := func(t *topology.Table) *topology.Table {
		t.Traces = []*topology.Trace{{Container: "cafe01", Name: "web-1"}}
		return t
	}
	state := func() EndpointState {
		return b.Snapshot().Clusters[0].Endpoints[0].State
	}
	b.Apply(traced(tableOf(cluster(of("one", 1)))))
	if err := b.Override(Override{Container: "web-1", Drain: &yes}); err != nil {
		t.Fatal(err)
	}
	b.Apply(traced(tableOf(cluster())))
	b.Apply(traced(tableOf(cluster(of("two", 1)))))
	if s := state(); s != StateDraining {
		t.Errorf("on another network it is %s", s)
	}
	b.Apply(traced(tableOf(cluster(of("three", 2)))))
	if s := state(); s != StateHealthy {
		t.Errorf("started anew it is %s", s)
	}
	b.Apply(traced(tableOf(cluster(of("two", 1)))))
	if s := state(); s != StateHealthy {
		t.Errorf("the run that is over was not forgotten: %s", s)
	}
	if err := b.Override(Override{Container: "web-1", Drain: &yes}); err != nil {
		t.Fatal(err)
	}
	b.Apply(tableOf(cluster()))
	b.Apply(tableOf(cluster(of("two", 1))))
	if s := state(); s != StateHealthy {
		t.Errorf("a container that was removed was not forgotten: %s", s)
	}
	if len(b.overrides) != 0 {
		t.Errorf("kept: %v", b.overrides)
	}
}

func TestOverrideErrors(t *testing.T) {
	weight := uint32(1<<20 + 1)
	b := New(Options{})
	b.Apply(tableOf(cluster(
		endpoint("web-1", func(e *topology.Endpoint) { e.Container = "abcdef01" }),
		endpoint("web-2", func(e *topology.Endpoint) { e.Container = "abcdef02" }))))
	for _, test := range []struct {
		o    Override
		want []string
	}{
		{Override{Container: "nobody"}, []string{`"nobody"`, "web-1, web-2"}},
		{Override{Container: "abcdef"}, []string{"web-1", "web-2", "more of the id"}},
		{Override{Container: "web-1", Weight: &weight}, []string{"1048577", "1048576"}},
	} {
		err := b.Override(test.o)
		if err == nil {
			t.Errorf("%+v: no error", test.o)
			continue
		}
		for _, part := range test.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: %q does not say %s", test.o, err, part)
			}
		}
	}
}
