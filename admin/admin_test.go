package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/internal/leakcheck"
	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const testToken = "0123456789abcdef-token"

// fakeBalancer answers with a fixed snapshot and remembers overrides.
type fakeBalancer struct {
	snap balancer.Snapshot

	mu        sync.Mutex
	overrides []balancer.Override
	inFlight  int
	drainBy   time.Time
}

func (f *fakeBalancer) Snapshot() balancer.Snapshot { return f.snap }

func (f *fakeBalancer) Override(o balancer.Override) error {
	if o.Container != "web-1" {
		return fmt.Errorf("no container %q has an endpoint; there are: web-1", o.Container)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.overrides = append(f.overrides, o)
	return nil
}

func (f *fakeBalancer) InFlight(string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inFlight
}

func (f *fakeBalancer) DrainDeadline(string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drainBy
}

// example is a balancer with one cluster of labels, one of a file, and every
// kind of text that is not for a shell.
func example() *fakeBalancer {
	weight := uint32(7)
	table := topology.Table{Generation: 42, Listeners: []topology.Listener{{
		Name: "default", Address: netip.MustParseAddrPort("0.0.0.0:10000"), Source: topology.FromDefault,
		VirtualHosts: []topology.VirtualHost{{Domains: []string{"*"}, Routes: []topology.Route{{
			Key: "default * /", Source: topology.FromLabels, AskedBy: []string{"web-1", "web-2"},
			Match:    topology.Match{Path: topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/"}},
			Clusters: []topology.WeightedCluster{{Name: "web", Weight: 1}},
		}}}},
	}}}
	return &fakeBalancer{snap: balancer.Snapshot{
		Table:     table,
		Listeners: []balancer.ListenerStatus{{Name: "default", Address: netip.MustParseAddrPort("0.0.0.0:10000"), Source: topology.FromDefault, Routes: 1}},
		Clusters: []balancer.ClusterStatus{{
			Name: "service1", Type: "STRICT_DNS", Policy: "round_robin", Source: topology.FromFile, Warm: true, Total: 1, Ready: 1,
			Breakers: topology.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3},
			Endpoints: []balancer.EndpointStatus{{
				Endpoint: topology.Endpoint{ID: "service1/a", Address: netip.MustParseAddrPort("172.20.0.3:8000"), Hostname: "service1", Source: topology.FromDNS},
				State:    balancer.StateHealthy, Flags: "healthy", EffectiveWeight: 1,
				CxTotal: 1, CxActive: 1, RqTotal: 5, RqSuccess: 5,
			}},
			Counters: balancer.ClusterCounters{RqTotal: 5, Rq2xx: 5, CxTotal: 1, CxActive: 1},
		}, {
			Name: "web", Type: "LABELS", Policy: "round_robin", Source: topology.FromLabels, Warm: true, Total: 2, Ready: 1, Held: 3,
			Breakers: topology.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3},
			Outlier:  &topology.Outlier{},
			Endpoints: []balancer.EndpointStatus{{
				Endpoint: topology.Endpoint{
					ID: "web/1", Address: netip.MustParseAddrPort("[fd00::1]:80"), Hostname: "web-1", Source: topology.FromLabels,
					Container: "0123456789abcdef", ContainerName: "web-1", Weight: 1,
				},
				State: balancer.StateHealthy, Flags: "healthy", EffectiveWeight: 7, OverrideWeight: &weight, JoinTook: 12 * time.Millisecond,
			}, {
				Endpoint: topology.Endpoint{
					ID: "web/2", Address: netip.MustParseAddrPort("10.0.0.2:80"), Hostname: "<b>web-2</b>", Source: topology.FromLabels,
					Container: "fedcba9876543210", ContainerName: "web-2", Weight: 1,
				},
				State: balancer.StateWaiting, Why: "waiting for Docker's first check, about 12s",
				Flags: "/failed_active_hc/pending_active_hc", EffectiveWeight: 1,
			}},
			Counters: balancer.ClusterCounters{RqTotal: 9, Rq2xx: 7, Rq5xx: 2, HeldTotal: 4},
		}},
	}}
}

func exampleTable() *topology.Table {
	return &topology.Table{
		Generation: 42,
		Traces: []*topology.Trace{
			{Container: "0123456789abcdef", Name: "web-1", Verdict: topology.Routed, Endpoints: []string{"web/1"},
				Problems: []labels.Problem{{Severity: labels.Warning, Label: "lb.prot", Value: "80", Reason: "unknown label", Hint: "did you mean lb.port?"}}},
			{Container: "aaaabbbbccccdddd", Name: "shop-1", Verdict: topology.Quarantined, Reason: "it exposes no port: set lb.port",
				Steps: []topology.Step{{Rule: "port", OK: false, Text: "it exposes no port: set lb.port"}}},
		},
		Conflicts: []topology.Conflict{{Kind: "route", What: "default * /", Winner: "web", Losers: []string{"shop"}}},
	}
}

// newServer is a Server over example, changed as the test wants; nothing
// serves on its listener.
func newServer(t *testing.T, change func(*Options)) (*Server, *fakeBalancer) {
	t.Helper()
	b := example()
	o := Options{
		Address: netip.MustParseAddrPort("127.0.0.1:0"), Balancer: b, Token: testToken,
		Table: exampleTable,
		Ready: func() (bool, string) { return true, "" },
		Docker: func() []topology.EngineStatus {
			return []topology.EngineStatus{{Name: "unix:///var/run/docker.sock", Version: "20.10.24", Connected: true, Events: 17}}
		},
		DNS: func() DNSStatus { return DNSStatus{Servers: []string{"127.0.0.11:53"}, Names: 2} },
		Proxy: func() []ListenerCounters {
			return []ListenerCounters{
				{Name: "default", StatPrefix: "ingress_http", Address: netip.MustParseAddrPort("0.0.0.0:10000"), CxTotal: 3, RqTotal: 14, Rq2xx: 12, Rq5xx: 2, CxActive: 1},
				{Name: "other", StatPrefix: "ingress_http", Address: netip.MustParseAddrPort("0.0.0.0:10001"), CxTotal: 1, RqTotal: 1, Rq2xx: 1},
			}
		},
		Joins:   &JoinHistogram{},
		Version: Version{Version: "v1.2.3", Revision: "abc", Go: "go1.26"},
		Start:   time.Now().Add(-188 * time.Second),
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, b
}

// ask sends one request to the handler, from loopback unless changed.
func ask(t *testing.T, s *Server, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	target, form, isForm := strings.Cut(target, " ")
	var r *http.Request
	if isForm {
		r = httptest.NewRequest(method, target, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r = httptest.NewRequest(method, target, nil)
	}
	r.Host = "127.0.0.1:9901"
	r.RemoteAddr = "127.0.0.1:40000"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// serve runs s until the test ends and returns its address.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s.Addr().String()
}
