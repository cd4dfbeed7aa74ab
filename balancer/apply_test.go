package balancer

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// pool is a Slot that counts.
type pool struct{ drained, closed atomic.Int32 }

func (p *pool) Drain() { p.drained.Add(1) }
func (p *pool) Close() { p.closed.Add(1) }

func newPool(*Endpoint) Slot { return new(pool) }

func poolOf(e *Endpoint) *pool { return e.Slot().(*pool) }

// member finds a living endpoint.
func member(t testing.TB, b *Balancer, id string) *Endpoint {
	t.Helper()
	var found *Endpoint
	b.View().Endpoints(func(e *Endpoint) {
		if e.ID() == id {
			found = e
		}
	})
	if found == nil {
		t.Fatalf("no endpoint %s", id)
	}
	return found
}

func TestIncarnationLivesThroughTables(t *testing.T) {
	b := New(Options{NewSlot: newPool})
	b.Apply(tableOf(cluster(endpoint("a"), endpoint("b"))))
	r := routeTo(b, "web")
	take(b, r, &Request{})
	a := member(t, b, "a")
	b.Apply(tableOf(cluster(endpoint("a"), endpoint("ab"), endpoint("c"))))
	if member(t, b, "a") != a || a.count.rqTotal.Load() != 1 || poolOf(a).closed.Load() != 0 {
		t.Error("a is another endpoint, or lost what it had, after b went and c came")
	}
	moved := endpoint("a", func(e *topology.Endpoint) { e.Weight = 7 })
	b.Apply(tableOf(cluster(moved)))
	if got := member(t, b, "a"); got != a || got.Spec().Weight != 7 {
		t.Errorf("a has weight %d, want the new table's 7 on the same endpoint", got.Spec().Weight)
	}
}

// The engine gives an address to another container within milliseconds: that
// is another endpoint, and the old one's slot is closed.
func TestSameAddressIsAnotherEndpoint(t *testing.T) {
	b := New(Options{NewSlot: newPool})
	b.Apply(tableOf(cluster(endpoint("a"))))
	a := member(t, b, "a")
	heir := endpoint("b", func(e *topology.Endpoint) { e.Address = a.Address() })
	b.Apply(tableOf(cluster(heir)))
	if member(t, b, "b") == a || poolOf(a).closed.Load() != 1 {
		t.Error("the address's new owner has the old one's connections")
	}
}

func TestSlotClosesAfterTheLastLease(t *testing.T) {
	b := New(Options{NewSlot: newPool})
	b.Apply(tableOf(cluster(endpoint("a"))))
	r := routeTo(b, "web")
	one, err := b.Acquire(r, &Request{})
	if err != nil {
		t.Fatal(err)
	}
	two, _ := b.Acquire(r, &Request{})
	p := poolOf(one.Endpoint)
	b.Apply(tableOf(cluster(endpoint("b"))))
	one.Done(Outcome{Status: 200})
	if p.closed.Load() != 0 {
		t.Fatal("closed while a request was in flight")
	}
	if n := b.InFlight("a"); n != 1 {
		t.Errorf("in flight on a: %d, want 1", n)
	}
	two.Done(Outcome{Status: 200})
	if p.closed.Load() != 1 {
		t.Errorf("closed %d times after the last lease, want once", p.closed.Load())
	}
	if s := b.Snapshot(); s.Clusters[0].Counters.RqTotal != 2 || s.Clusters[0].Counters.Rq2xx != 2 {
		t.Errorf("the counters of an endpoint that left are lost: %+v", s.Clusters[0].Counters)
	}
}

// A request that matched in an old View goes to the endpoints of now.
func TestOldRouteUsesTheNewestTable(t *testing.T) {
	b := New(Options{})
	b.Apply(tableOf(cluster(endpoint("a"))))
	r := routeTo(b, "web")
	b.Apply(tableOf(cluster(endpoint("b"))))
	if got := take(b, r, &Request{}); got != "b" {
		t.Errorf("went to %s, want b", got)
	}
	b.Apply(tableOf())
	if got := take(b, r, &Request{}); got != ErrNoCluster.Error() {
		t.Errorf("after the cluster went: %s", got)
	}
	b.Apply(tableOf(cluster(endpoint("c"))))
	if got := take(b, r, &Request{}); got != "c" {
		t.Errorf("after a cluster of that name came: %s, want c", got)
	}
	if got := take(b, routeTo(b, "nobody"), &Request{}); got != ErrNoCluster.Error() {
		t.Errorf("a route to nowhere: %s", got)
	}
}

func TestChangedAfterEveryView(t *testing.T) {
	var seen []uint64
	b := New(Options{Changed: func(v *View) { seen = append(seen, v.Generation()) }})
	for g := range uint64(3) {
		b.Apply(&topology.Table{Generation: g + 1})
	}
	if fmt.Sprint(seen) != "[1 2 3]" {
		t.Errorf("saw generations %v", seen)
	}
}

func TestUnchangedClusterKeepsItsPicker(t *testing.T) {
	b := New(Options{})
	b.Apply(tableOf(cluster(endpoint("a"))))
	before := b.View().Cluster("web").picker.Load()
	b.Apply(tableOf(cluster(endpoint("a"))))
	if b.View().Cluster("web").picker.Load() != before {
		t.Error("an equal cluster was rebuilt")
	}
}

// Envoy keeps a host that DNS no longer names for as long as its check passes.
func TestPendingDynamicRemoval(t *testing.T) {
	dns := func(endpoints ...topology.Endpoint) topology.Cluster {
		c := cluster(endpoints...)
		c.Type, c.Source, c.HealthChecks = topology.StrictDNS, topology.FromFile, []topology.HealthCheck{{Kind: "tcp"}}
		return c
	}
	host := func(id string) topology.Endpoint {
		return endpoint(id, func(e *topology.Endpoint) {
			e.Source, e.NeedsProbe, e.Container = topology.FromDNS, true, ""
		})
	}
	views := 0
	b := New(Options{NewSlot: newPool, Changed: func(*View) { views++ }})
	b.Apply(tableOf(dns(host("a"), host("b"))))
	r := routeTo(b, "web")
	b.Report(Verdict{Endpoint: "a", Healthy: true})
	a := member(t, b, "a")
	b.Apply(tableOf(dns(host("b"))))
	if got := take(b, r, &Request{}); got != "a" {
		t.Fatalf("absent from discovery, passing: went to %s, want a", got)
	}
	if got := b.Snapshot().Clusters[0].Endpoints[0].Flags; got != "/pending_dynamic_removal" {
		t.Errorf("flags %s", got)
	}
	b.Apply(tableOf(dns(host("a"), host("b"))))
	if got := b.Snapshot().Clusters[0].Endpoints[0].Flags; got != "healthy" || member(t, b, "a") != a {
		t.Errorf("back in discovery: flags %s", got)
	}
	b.Apply(tableOf(dns(host("b"))))
	before := views
	b.Report(Verdict{Endpoint: "a", Healthy: false})
	if n := len(b.Snapshot().Clusters[0].Endpoints); n != 1 || poolOf(a).closed.Load() != 1 || views != before+1 {
		t.Errorf("absent and failing: %d endpoints, slot closed %d times, told %d times", n, poolOf(a).closed.Load(), views-before)
	}
	if b.Report(Verdict{Endpoint: "a", Healthy: true}); len(b.Snapshot().Clusters[0].Endpoints) != 1 {
		t.Error("a verdict on an incarnation that is gone was taken")
	}
}

// A file that no longer names the host is no DNS that does not: it goes at once.
func TestHostDroppedByTheFile(t *testing.T) {
	dns := func(names []string, endpoints ...topology.Endpoint) topology.Cluster {
		c := cluster(endpoints...)
		c.Type, c.Source, c.HealthChecks = topology.StrictDNS, topology.FromFile, []topology.HealthCheck{{Kind: "tcp"}}
		c.Names = names
		return c
	}
	host := func(id string) topology.Endpoint {
		return endpoint(id, func(e *topology.Endpoint) { e.Source, e.NeedsProbe, e.Container = topology.FromDNS, true, "" })
	}
	b := New(Options{})
	b.Apply(tableOf(dns([]string{"a:80", "b:80"}, host("a"), host("b"))))
	for _, id := range []string{"a", "b"} {
		b.Report(Verdict{Endpoint: id, Healthy: true})
	}
	b.Apply(tableOf(dns([]string{"b:80"}, host("b"))))
	if all := b.Snapshot().Clusters[0].Endpoints; len(all) != 1 || all[0].ID != "b" {
		t.Errorf("endpoints %+v, want b alone", all)
	}
}

// With ignore_health_on_host_removal, a host that DNS no longer names goes at
// once, passing or not.
func TestRemovalIgnoresHealth(t *testing.T) {
	c := cluster(endpoint("a", func(e *topology.Endpoint) { e.Source, e.NeedsProbe, e.Container = topology.FromDNS, true, "" }))
	c.Type, c.Source, c.HealthChecks = topology.StrictDNS, topology.FromFile, []topology.HealthCheck{{Kind: "tcp"}}
	c.IgnoreHealthOnRemoval = true
	b := New(Options{})
	b.Apply(tableOf(c))
	b.Report(Verdict{Endpoint: "a", Healthy: true})
	c.Endpoints = nil
	b.Apply(tableOf(c))
	if all := b.Snapshot().Clusters[0].Endpoints; len(all) != 0 {
		t.Errorf("still there: %+v", all)
	}
}

func TestJoinIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		b := New(Options{OnJoin: func(e *Endpoint, took time.Duration) { told = append(told, fmt.Sprint(e.ID(), " ", took)) }})
		started := endpoint("a", func(e *topology.Endpoint) { e.NeedsProbe, e.StartEvent = true, time.Now() })
		b.Apply(tableOf(cluster(started, endpoint("b"))))
		time.Sleep(12 * time.Millisecond)
		b.Report(Verdict{Endpoint: "a", Healthy: true, First: true})
		b.Report(Verdict{Endpoint: "a", Healthy: false})
		b.Report(Verdict{Endpoint: "a", Healthy: true})
		if got := fmt.Sprint(told); got != "[b 0s a 12ms]" {
			t.Errorf("joins: %s", got)
		}
	})
}

// run runs b's Run until the returned function is called. Use it inside of a
// synctest bubble.
func run(b *Balancer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	return func() { cancel(); <-done }
}

func TestGoneAfterTheDrainTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{NewSlot: newPool})
		defer run(b)()
		spec := endpoint("a", func(e *topology.Endpoint) { e.Drain = 10 * time.Second })
		b.Apply(tableOf(cluster(spec, endpoint("b"))))
		a := member(t, b, "a")
		if !a.DrainDeadline().IsZero() {
			t.Fatal("draining from the start")
		}
		spec.Stopping, spec.StoppingAt = true, time.Now()
		b.Apply(tableOf(cluster(spec, endpoint("b"))))
		if poolOf(a).drained.Load() != 1 {
			t.Errorf("slot drained %d times when it began to stop, want once", poolOf(a).drained.Load())
		}
		time.Sleep(10*time.Second - 1)
		if isClosed(a.Gone()) {
			t.Fatal("cut before the drain time was over")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if !isClosed(a.Gone()) {
			t.Fatal("not cut when the drain time was over")
		}
		// It ignored its stop signal, and is admitted again.
		spec.Stopping = false
		b.Apply(tableOf(cluster(spec, endpoint("b"))))
		if isClosed(a.Gone()) || !a.DrainDeadline().IsZero() {
			t.Error("admitted again, but its new connections would be cut")
		}
		b.Apply(tableOf(cluster(endpoint("b"))))
		if isClosed(a.Gone()) {
			t.Error("cut at once when it left the table")
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if !isClosed(a.Gone()) || len(b.leaving) != 0 {
			t.Error("not cut, or not forgotten, after it left the table")
		}
	})
}

// Envoy gives what is in flight to a host that was removed no limit.
func TestNoDrainTimeOfTheFile(t *testing.T) {
	b := New(Options{})
	b.Apply(tableOf(cluster(endpoint("a", func(e *topology.Endpoint) { e.Source = topology.FromFile }))))
	a := member(t, b, "a")
	b.Apply(tableOf(cluster()))
	b.reap(time.Now())
	if isClosed(a.Gone()) || !a.DrainDeadline().IsZero() {
		t.Error("cut")
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// many is a table of one cluster with n members.
func many(n int) *topology.Table {
	var list []topology.Endpoint
	for i := range n {
		list = append(list, endpoint(fmt.Sprintf("e%06d", i)))
	}
	return tableOf(cluster(list...))
}

// A table of 5,000 endpoints in which one changed.
func BenchmarkApplyOneOf5000(b *testing.B) {
	lb := New(Options{})
	one, two := many(5000), many(5000)
	two.Clusters[0].Endpoints[2500].Paused = true
	for b.Loop() {
		lb.Apply(one)
		lb.Apply(two)
	}
}

// The same, in 1,000 clusters of five.
func BenchmarkApplyOneOf1000Clusters(b *testing.B) {
	lb := New(Options{})
	table := func(paused bool) *topology.Table {
		t := &topology.Table{}
		for i := range 1000 {
			c := cluster()
			c.Name = fmt.Sprintf("c%04d", i)
			for j := range 5 {
				e := endpoint(fmt.Sprintf("%s-%d", c.Name, j))
				c.Endpoints = append(c.Endpoints, &e)
			}
			t.Clusters = append(t.Clusters, &c)
		}
		t.Clusters[500].Endpoints[0].Paused = paused
		return t
	}
	one, two := table(false), table(true)
	for b.Loop() {
		lb.Apply(one)
		lb.Apply(two)
	}
}

// 5,000 members that become ready one after the other, while Run runs.
func BenchmarkJoinOf5000(b *testing.B) {
	table := many(5000)
	for i := range table.Clusters[0].Endpoints {
		table.Clusters[0].Endpoints[i].NeedsProbe = true
	}
	for b.Loop() {
		lb := New(Options{})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); lb.Run(ctx) }()
		lb.Apply(table)
		for i := range table.Clusters[0].Endpoints {
			lb.Report(Verdict{Endpoint: table.Clusters[0].Endpoints[i].ID, Healthy: true})
		}
		cancel()
		<-done
	}
}
