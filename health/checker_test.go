package health

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/topology"
)

// fleet is a prober for bubbles: what it finds at an address can be changed,
// each check takes took and is recorded with its time.
type fleet struct {
	took time.Duration

	mu       sync.Mutex
	start    time.Time
	found    map[string]result // by endpoint id; else success
	checked  map[string][]time.Duration
	address  map[string]netip.AddrPort // last checked
	verdicts []balancer.Verdict
	now      int
	most     int
	events   map[Event]int
}

func newFleet() *fleet {
	return &fleet{
		start: time.Now(), found: map[string]result{}, checked: map[string][]time.Duration{},
		address: map[string]netip.AddrPort{}, events: map[Event]int{},
	}
}

func (f *fleet) set(id string, r result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found[id] = r
}

func (f *fleet) probe(ctx context.Context, t target) result {
	f.mu.Lock()
	f.checked[t.id] = append(f.checked[t.id], time.Since(f.start))
	f.address[t.id] = t.address
	f.now++
	f.most = max(f.most, f.now)
	f.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(f.took):
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now--
	if ctx.Err() != nil {
		return result{kind: timeout}
	}
	return f.found[t.id]
}

func (f *fleet) times(id string) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.checked[id])
}

func (f *fleet) count(e Event) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.events[e]
}

// news takes the verdicts that came since, in one line each.
func (f *fleet) news() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, v := range f.verdicts {
		s := v.Endpoint + " unhealthy"
		if v.Healthy {
			s = v.Endpoint + " healthy"
		}
		for word, on := range map[string]bool{" first": v.First, " degraded": v.Degraded, " timeout": v.TimedOut} {
			if on {
				s += word
			}
		}
		out = append(out, s)
	}
	f.verdicts = nil
	return out
}

func start(t *testing.T, f *fleet, o Options) *Checker {
	t.Helper()
	o.Report = func(v balancer.Verdict) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.verdicts = append(f.verdicts, v)
	}
	o.Count = func(_ string, e Event) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events[e]++
	}
	c := newChecker(o, f.probe)
	c.random = least
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return c
}

var labelCheck = topology.HealthCheck{Kind: "tcp", Interval: 2 * time.Second, Limit: time.Second, Rise: 1, Fall: 3, Quick: true}

// of makes endpoints of a cluster of labels that need a probe.
func of(hc topology.HealthCheck, ids ...string) []endpoint {
	cl := &topology.Cluster{Name: "c", Type: topology.Labels, HealthChecks: []topology.HealthCheck{hc}}
	var all []endpoint
	for i, id := range ids {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)
		all = append(all, endpoint{spec: &topology.Endpoint{ID: id, Address: a, NeedsProbe: true}, cluster: cl, address: a})
	}
	return all
}

// apply is Apply of a View with these endpoints, of one cluster or none.
func (c *Checker) apply(all []endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mark++
	if len(all) > 0 {
		c.applyCluster(all[0].cluster, all)
	}
	c.sweep()
	c.kick()
}

func at(ms ...int) []time.Duration {
	var out []time.Duration
	for _, n := range ms {
		out = append(out, time.Duration(n)*time.Millisecond)
	}
	return out
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func check[T comparable](t *testing.T, what string, got []T, want ...T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

var refused = result{kind: network, reason: "connection refused"}

func TestQuickStartThenInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.set("a", refused)
		c := start(t, f, Options{})
		c.apply(of(labelCheck, "a"))
		pass(300 * time.Millisecond)
		check(t, "news", f.news(), "a unhealthy")
		f.set("a", result{})
		pass(5 * time.Second)
		check(t, "times", f.times("a"), at(0, 5, 10, 20, 40, 140, 240, 340, 2340, 4340)...)
		check(t, "news", f.news(), "a healthy first")
	})
}

func TestOneThatListensIsReadyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		c := start(t, f, Options{})
		c.apply(of(labelCheck, "a"))
		synctest.Wait() // no time goes by
		check(t, "news", f.news(), "a healthy first")
		check(t, "times", f.times("a"), at(0)...)
	})
}

func TestQuickStartNeedsRise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		hc := labelCheck
		hc.Rise = 3
		c := start(t, f, Options{})
		c.apply(of(hc, "a"))
		pass(time.Second)
		check(t, "times", f.times("a"), at(0, 5, 10)...)
		check(t, "news", f.news(), "a unhealthy", "a healthy first")
	})
}

func TestFallAndReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		c := start(t, f, Options{})
		c.apply(of(labelCheck, "a"))
		pass(time.Second)
		f.news()
		f.set("a", result{kind: timeout})
		pass(4 * time.Second) // two failures
		check(t, "news", f.news())
		pass(2 * time.Second)
		check(t, "news", f.news(), "a unhealthy timeout")
		pass(10 * time.Second) // not quick again
		check(t, "news", f.news())
		f.set("a", result{kind: success, degraded: true})
		pass(2 * time.Second)
		check(t, "news", f.news(), "a healthy degraded")
		if n := len(f.times("a")); n != 10 {
			t.Errorf("checked %d times in 19 s, every 2 s", n)
		}
		for e, want := range map[Event]int{Attempt: 10, Success: 2, Failure: 8, NetworkFailure: 8} {
			if got := f.count(e); got != want {
				t.Errorf("event %d counted %d times, want %d", e, got, want)
			}
		}
	})
}

func TestApplyDoesNotDisturb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		c := start(t, f, Options{})
		c.apply(of(labelCheck, "a"))
		pass(time.Second)
		for range 10 { // equal, not identical: each View has its own values
			c.apply(of(labelCheck, "a", "b"))
			pass(50 * time.Millisecond)
		}
		pass(700 * time.Millisecond)
		check(t, "times", f.times("a"), at(0, 2000)...)
		check(t, "news", f.news(), "a healthy first", "b healthy first")
		c.apply(of(labelCheck, "b"))
		pass(10 * time.Second)
		check(t, "times of the one that is gone", f.times("a"), at(0, 2000)...)
	})
}

func TestChangedCheckAndAddressAreCheckedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		c := start(t, f, Options{})
		c.apply(of(labelCheck, "a"))
		pass(time.Second)
		hc := labelCheck
		hc.Interval = 10 * time.Second
		c.apply(of(hc, "a"))
		pass(time.Second)
		moved := of(hc, "a")
		moved[0].address = netip.MustParseAddrPort("10.9.9.9:80")
		c.apply(moved)
		pass(20 * time.Second)
		check(t, "times", f.times("a"), at(0, 1000, 2000, 12000, 22000)...)
		check(t, "news: the state stays", f.news(), "a healthy first")
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.address["a"] != moved[0].address {
			t.Errorf("checked at %v", f.address["a"])
		}
	})
}

// A check of an old address that is still out when the address changes says
// nothing about the new one.
func TestChangedWhileChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.took = 500 * time.Millisecond
		f.set("a", refused)
		c := start(t, f, Options{})
		c.apply(of(labelCheck, "a"))
		pass(100 * time.Millisecond)
		f.set("a", result{})
		moved := of(labelCheck, "a")
		moved[0].address = netip.MustParseAddrPort("10.9.9.9:80")
		c.apply(moved)
		pass(time.Second)
		check(t, "times", f.times("a"), at(0, 100)...)
		check(t, "news", f.news(), "a healthy first")
	})
}

func TestPausedIsNotChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		c := start(t, f, Options{})
		c.apply(of(labelCheck, "a"))
		pass(time.Second)
		paused := of(labelCheck, "a")
		paused[0].spec.Paused = true
		c.apply(paused)
		pass(time.Minute)
		c.apply(of(labelCheck, "a"))
		pass(time.Second)
		check(t, "times", f.times("a"), at(0, 61000)...)
	})
}

func TestGoneWhileChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.took = 500 * time.Millisecond
		c := start(t, f, Options{})
		c.apply(of(labelCheck, "a"))
		pass(100 * time.Millisecond)
		c.apply(nil)
		pass(time.Second)
		check(t, "news", f.news())
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.sessions)+len(c.clusters)+c.waiting+int(c.load)+c.joining.inFlight+c.steady.inFlight != 0 {
			t.Errorf("left behind: %d sessions, %d clusters, %d waiting, %d and %d in flight",
				len(c.sessions), len(c.clusters), c.waiting, c.joining.inFlight, c.steady.inFlight)
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.took = time.Hour
		c := start(t, f, Options{})
		c.apply(of(labelCheck, "a"))
		pass(1100 * time.Millisecond)
		check(t, "news", f.news(), "a unhealthy timeout")
		// From the end of the check: 1 s of timeout, 5 ms of rest.
		check(t, "times", f.times("a"), at(0, 1005)...)
	})
}

func TestWhoIsChecked(t *testing.T) {
	hc := []topology.HealthCheck{{Kind: "http", Path: "/"}}
	for _, tt := range []struct {
		name    string
		e       topology.Endpoint
		cluster topology.Cluster
		want    bool
	}{
		{"label that needs it", topology.Endpoint{NeedsProbe: true}, topology.Cluster{Type: topology.Labels}, true},
		{"label that does not (lb.ready: running)", topology.Endpoint{}, topology.Cluster{Type: topology.Labels, HealthChecks: hc}, false},
		{"file with health_checks", topology.Endpoint{}, topology.Cluster{Type: topology.StrictDNS, HealthChecks: hc}, true},
		{"file without", topology.Endpoint{}, topology.Cluster{Type: topology.StaticType}, false},
		{"disable_active_health_check", topology.Endpoint{NoHealthCheck: true}, topology.Cluster{Type: topology.StrictDNS, HealthChecks: hc}, false},
		{"label member of a file's cluster without", topology.Endpoint{NeedsProbe: true}, topology.Cluster{Type: topology.StrictDNS}, true},
		{"Docker's starting", topology.Endpoint{NeedsProbe: true, DockerHealth: topology.HealthStarting}, topology.Cluster{Type: topology.Labels}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := wanted(endpoint{spec: &tt.e, cluster: &tt.cluster}); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestTargetHostAndPort(t *testing.T) {
	addr := netip.MustParseAddrPort("10.0.0.1:8080")
	for _, tt := range []struct {
		name       string
		e          topology.Endpoint
		hc         topology.HealthCheck
		typ        topology.ClusterType
		host, port string
	}{
		{"labels: the address", topology.Endpoint{}, topology.HealthCheck{}, topology.Labels, "10.0.0.1:8080", "8080"},
		{"labels: with lb.health.port", topology.Endpoint{}, topology.HealthCheck{Port: 80}, topology.Labels, "10.0.0.1", "80"},
		{"file: the cluster's name", topology.Endpoint{}, topology.HealthCheck{}, topology.StaticType, "c", "8080"},
		{"file: host", topology.Endpoint{}, topology.HealthCheck{Host: "h"}, topology.StaticType, "h", "8080"},
		{"file: health_check_config", topology.Endpoint{HealthHost: "e", HealthPort: 81}, topology.HealthCheck{Host: "h", Port: 80}, topology.StaticType, "e", "81"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cl := &topology.Cluster{Name: "c", Type: tt.typ, HealthChecks: []topology.HealthCheck{tt.hc}}
			got := targetOf(endpoint{&tt.e, cl, addr}, checkOf(cl, nil))
			if got.host != tt.host || fmt.Sprint(got.address.Port()) != tt.port {
				t.Errorf("got host %q, port %d", got.host, got.address.Port())
			}
		})
	}
}

func TestNoTrafficInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		var mu sync.Mutex
		had := false
		c := start(t, f, Options{HadTraffic: func(cluster string) bool {
			mu.Lock()
			defer mu.Unlock()
			return had && cluster == "c"
		}})
		hc := topology.HealthCheck{Kind: "tcp", Interval: time.Second, Limit: time.Second, Rise: 1, Fall: 1, NoTraffic: 60 * time.Second}
		c.apply(of(hc, "a"))
		pass(30 * time.Second)
		mu.Lock()
		had = true
		mu.Unlock()
		pass(31 * time.Second)
		check(t, "times", f.times("a"), at(0, 60000, 61000)...)
	})
}

// Thousands that never listen cost a bounded number of connects, and do not
// delay one that comes.
func TestManyDeadOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.took = time.Millisecond
		var ids []string
		for i := range 2000 {
			id := fmt.Sprintf("dead%d", i)
			f.set(id, refused)
			ids = append(ids, id)
		}
		c := start(t, f, Options{MaxConcurrent: 64})
		c.apply(of(labelCheck, ids...))
		pass(10 * time.Second)
		before := f.count(Attempt)
		pass(4 * time.Second)
		if n := f.count(Attempt) - before; n < 3500 || n > 4500 {
			t.Errorf("%d connects in 4 s, want about 1000 per second", n)
		}
		f.mu.Lock()
		atOnce := f.most
		f.mu.Unlock()
		if atOnce > 64 {
			t.Errorf("%d checks at once", atOnce)
		}
		f.news()
		c.apply(of(labelCheck, append(ids, "new")...))
		pass(20 * time.Millisecond)
		check(t, "news", f.news(), "new healthy first")
	})
}
