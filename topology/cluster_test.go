package topology

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

func TestLabelClusterHasTheSchemasDefaults(t *testing.T) {
	s := newScene(t)
	s.add("web-1", "lb.cluster=web")
	table := s.build()
	c := clusterOf(t, table, "web")
	if c.Type != Labels || c.Source != FromLabels || !c.Warm || c.Policy != "round_robin" || c.Hash != nil || c.Sticky != "" {
		t.Errorf("%+v", c)
	}
	if c.Hold != 5*time.Second || c.HoldMax != 4096 || c.Tombstone != 10*time.Minute || c.PanicPercent != 0 {
		t.Errorf("hold %s/%d, tombstone %s, panic %d", c.Hold, c.HoldMax, c.Tombstone, c.PanicPercent)
	}
	if c.ConnectTimeout != 2*time.Second || c.IdleTimeout != time.Minute || c.SlowStart.Window != 0 {
		t.Errorf("connect %s, idle %s, slow start %s", c.ConnectTimeout, c.IdleTimeout, c.SlowStart.Window)
	}
	if b := c.Breakers; b.MaxConnections != 1024 || b.MaxPending != 1024 || b.MaxRequests != 1024 || b.MaxRetries != 1024 {
		t.Errorf("breakers %+v", b)
	}
	if o := c.Outlier; o == nil || o.Consecutive5xx != 5 || o.BaseEjection != 30*time.Second || o.MaxPercent != 50 || !o.KeepLast || o.Enforce5xx != 100 {
		t.Errorf("outlier %+v", c.Outlier)
	}
	if h := c.HealthChecks; len(h) != 1 || h[0].Kind != "tcp" || !h[0].Quick || h[0].Interval != 2*time.Second || h[0].Limit != time.Second || h[0].Rise != 1 || h[0].Fall != 3 {
		t.Errorf("checks %+v", h)
	}
	r := table.Listeners[0].VirtualHosts[0].Routes[0]
	if r.HeadTimeout != time.Minute || r.Timeout != 0 || !slices.Equal(r.Upgrades, []string{"websocket"}) || r.Match.Path.Kind != PathSegmentPrefix {
		t.Errorf("route %+v", r)
	}
	if p := r.Retry; p.Max != 2 || !slices.Equal(p.On, []string{"connect-failure", "reset"}) || !p.IdempotentOnly || !p.OtherMembers {
		t.Errorf("retry %+v", p)
	}
}

func TestClusterKeysReachTheCluster(t *testing.T) {
	for _, tt := range []struct {
		labels string
		ok     func(*Cluster, *Route) bool
	}{
		{"lb.policy=ring_hash lb.hash=header:x-user", func(c *Cluster, r *Route) bool {
			return c.Policy == "ring_hash" && slices.Equal(c.Hash, []HashSource{{Kind: "header", Name: "x-user"}}) && slices.Equal(r.Hash, c.Hash)
		}},
		{"lb.sticky=lb_id", func(c *Cluster, _ *Route) bool { return c.Sticky == "lb_id" }},
		{"lb.health.path=/healthz lb.health.port=81 lb.health.status=200", func(c *Cluster, _ *Route) bool {
			h := c.HealthChecks[0]
			return h.Kind == "http" && h.Path == "/healthz" && h.Port == 81 && h.Method == "GET" && slices.Equal(h.Statuses, []labels.StatusRange{{From: 200, To: 200}})
		}},
		{"lb.slow_start=20s", func(c *Cluster, _ *Route) bool {
			return c.SlowStart == SlowStart{Window: 20 * time.Second, Aggression: 1, MinPercent: 10}
		}},
		{"lb.outlier=off", func(c *Cluster, _ *Route) bool { return c.Outlier == nil }},
		{"lb.outlier=2 lb.outlier.time=10m", func(c *Cluster, _ *Route) bool {
			return c.Outlier.Consecutive5xx == 2 && c.Outlier.BaseEjection == 10*time.Minute && c.Outlier.MaxEjection == 10*time.Minute
		}},
		{"lb.retry=0", func(_ *Cluster, r *Route) bool { return len(r.Retry.On) == 0 && r.Retry.Max == 0 }},
		{"lb.retry.on=503,connect", func(_ *Cluster, r *Route) bool {
			return slices.Equal(r.Retry.On, []string{"retriable-status-codes", "connect-failure"}) && slices.Equal(r.Retry.Codes, []uint32{503})
		}},
		{"lb.timeout=3s lb.timeout.connect=1s", func(c *Cluster, r *Route) bool {
			return r.HeadTimeout == 3*time.Second && c.ConnectTimeout == time.Second
		}},
		// A member that hangs is then a failure that another may make good.
		{"lb.timeout=3s lb.retry.on=connect,5xx", func(_ *Cluster, r *Route) bool {
			return r.HeadTimeout == 0 && r.Retry.PerTry == 3*time.Second && r.Timeout == 0
		}},
		{"lb.hold=0s lb.panic=50 lb.max_conn=7", func(c *Cluster, _ *Route) bool {
			return c.Hold == 0 && c.PanicPercent == 50 && c.Breakers.MaxConnections == 7
		}},
	} {
		t.Run(tt.labels, func(t *testing.T) {
			s := newScene(t)
			web := s.add("web-1", "lb.cluster=web "+tt.labels)
			if len(web.Problems) > 0 {
				t.Fatalf("problems %+v", web.Problems)
			}
			table := s.build()
			c, r := clusterOf(t, table, "web"), table.Listeners[0].VirtualHosts[0].Routes[0]
			if !tt.ok(c, &r) {
				t.Errorf("cluster %+v\nroute %+v", c, r)
			}
		})
	}
}

// The newest member whose value is good wins; a disagreement is shown.
func TestMembersDisagree(t *testing.T) {
	s := newScene(t)
	s.add("old", "lb.cluster=web lb.policy=random lb.sticky=a")
	s.add("new", "lb.cluster=web lb.policy=least_request lb.sticky=a")
	s.add("silent", "lb.cluster=web")
	s.add("wrong", "lb.cluster=web lb.policy=best")
	s.add("exited", "lb.cluster=web lb.policy=maglev", is(StateExited))
	table := s.build()
	c := clusterOf(t, table, "web")
	if c.Policy != "least_request" || c.Sticky != "a" {
		t.Errorf("policy %s, sticky %s", c.Policy, c.Sticky)
	}
	if len(table.Conflicts) != 1 || len(c.Disagree) != 1 {
		t.Fatalf("conflicts %+v, of the cluster %+v", table.Conflicts, c.Disagree)
	}
	got := table.Conflicts[0]
	if got.Kind != "setting" || got.What != "cluster web: lb.policy" || got.Winner != "new: least_request" || !slices.Equal(got.Losers, []string{"old: random"}) {
		t.Errorf("%+v", got)
	}
	want := "+ setting: lb.policy is least_request for cluster web: new, the newest member that says it, has not random"
	if tr := traceOf(t, table, "old"); !strings.Contains(steps(tr), want) {
		t.Errorf("no step %q in:\n%s", want, steps(tr))
	}
	for _, name := range []string{"new", "silent"} {
		if tr := traceOf(t, table, name); strings.Contains(steps(tr), "setting") {
			t.Errorf("%s is told of a disagreement:\n%s", name, steps(tr))
		}
	}
}

func TestOneAddressIsOneEndpoint(t *testing.T) {
	s := newScene(t)
	s.add("leaving", "lb.cluster=web", on("backend 172.20.0.9"), stopping)
	s.add("here", "lb.cluster=web", on("backend 172.20.0.9"))
	table := s.build()
	c := clusterOf(t, table, "web")
	if len(c.Endpoints) != 1 || c.Endpoints[0].ContainerName != "here" {
		t.Errorf("endpoints %+v", c.Endpoints)
	}
	tr := traceOf(t, table, "leaving")
	if tr.Verdict != Quarantined || len(tr.Endpoints) != 0 || !strings.Contains(tr.Reason, "172.20.0.9:8080 in cluster web is here already") {
		t.Errorf("verdict %s, reason %q, endpoints %v", tr.Verdict, tr.Reason, tr.Endpoints)
	}
}

func TestEndpointsAreSortedByID(t *testing.T) {
	s := newScene(t)
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		s.add(name, "lb.cluster=web")
	}
	ends := clusterOf(t, s.build(), "web").Endpoints
	if len(ends) != 6 || !slices.IsSortedFunc(ends, func(a, b *Endpoint) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("%+v", ends)
	}
}

// A cluster of the file: members of labels join it, and its values win.
func TestLabelMembersJoinAFilesCluster(t *testing.T) {
	s := newScene(t)
	s.in.Static.Clusters = []StaticCluster{{
		Cluster: Cluster{Name: "web", Type: StrictDNS, Policy: "random", ConnectTimeout: 5 * time.Second},
		Hosts:   []StaticHost{{Name: "daemon1", Port: 8080, Template: Endpoint{Weight: 1}}},
	}}
	s.add("web-1", "lb.cluster=web lb.policy=maglev lb.host=web.test", feels(HealthStarting))
	s.dns("daemon1", OutcomeFound, "172.20.0.3", "172.20.0.8")
	table := s.build()
	c := clusterOf(t, table, "web")
	if c.Source != FromFile || c.Policy != "random" || c.ConnectTimeout != 5*time.Second || len(c.HealthChecks) != 0 {
		t.Errorf("%+v", c)
	}
	if got := addresses(c); got != "172.20.0.3:8080 172.20.0.8:8080" {
		t.Errorf("addresses %s", got)
	}
	for _, e := range c.Endpoints {
		mine := e.Address == netip.MustParseAddrPort("172.20.0.3:8080")
		if mine != (e.ContainerName == "web-1") || mine != (e.Source == FromLabels) {
			t.Errorf("%s is %s of %s", e.Address, e.ContainerName, e.Source)
		}
		if mine && (e.NeedsProbe || e.DockerHealth != HealthStarting) {
			t.Errorf("probe %t, docker %s", e.NeedsProbe, e.DockerHealth)
		}
	}
	tr := traceOf(t, table, "web-1")
	if !strings.Contains(steps(tr), "+ cluster: web, defined in the file: its settings and routes hold") {
		t.Errorf("steps:\n%s", steps(tr))
	}
	if len(tr.Problems) != 2 || tr.Problems[0].Label != "lb.policy" || tr.Problems[0].Severity != labels.Warning {
		t.Errorf("problems %+v", tr.Problems)
	}
	if got := routes(t, table, "default"); len(got) != 0 {
		t.Errorf("routes %v", got)
	}
}
