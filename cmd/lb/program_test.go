package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/admin"
	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/internal/freeport"
	"github.com/dockerlb/dockerlb/internal/leakcheck"
	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

func TestMain(m *testing.M) {
	if os.Getenv(asLB) != "" {
		main()
	}
	// The tests say themselves what the environment is.
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "LB_") || strings.HasPrefix(name, "DOCKER_") {
			os.Unsetenv(name)
		}
	}
	leakcheck.Main(m)
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// lb runs a command line, words parted by spaces.
func lb(t *testing.T, line string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs buffer
	p := Program{Stdout: &out, Stderr: &errs}
	code = p.Run(t.Context(), append([]string{"lb"}, strings.Fields(line)...))
	return out.String(), errs.String(), code
}

// fakeBalancer is what a running lb would say.
type fakeBalancer struct {
	mu       sync.Mutex
	snap     balancer.Snapshot
	log      []string // of overrides
	inFlight []int    // answers, the last one again and again
	drainBy  time.Time
}

func (f *fakeBalancer) Snapshot() balancer.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snap
}

func (f *fakeBalancer) Override(o balancer.Override) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.Container != "demo-daemon-1" {
		return fmt.Errorf("no container %q has an endpoint; there are: demo-daemon-1, demo-daemon-2", o.Container)
	}
	switch {
	case o.Drain != nil:
		f.log = append(f.log, fmt.Sprintf("%s drain=%v", o.Container, *o.Drain))
	case o.Weight != nil:
		f.log = append(f.log, fmt.Sprintf("%s weight=%d", o.Container, *o.Weight))
	case o.DefaultWeight:
		f.log = append(f.log, o.Container+" weight=default")
	}
	return nil
}

func (f *fakeBalancer) InFlight(string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.inFlight[0]
	if len(f.inFlight) > 1 {
		f.inFlight = f.inFlight[1:]
	}
	return n
}

func (f *fakeBalancer) DrainDeadline(string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drainBy
}

// demo is the example of the README: two daemons, one of them not yet ready,
// and a container whose label is wrong.
func demo() *fakeBalancer {
	endpoint := func(n int, state balancer.EndpointState, why string, requests uint64) balancer.EndpointStatus {
		return balancer.EndpointStatus{
			Endpoint: topology.Endpoint{
				ID: fmt.Sprint("rust_daemons/", n), Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 20, 0, byte(2 + n)}), 8080),
				Container: fmt.Sprintf("%012d", n), ContainerName: fmt.Sprint("demo-daemon-", n), Source: topology.FromLabels,
			},
			State: state, Why: why, EffectiveWeight: 1, RqTotal: requests, RqActive: int64(n - 1),
		}
	}
	return &fakeBalancer{
		inFlight: []int{0},
		snap: balancer.Snapshot{
			Table: topology.Table{Listeners: []topology.Listener{{
				Name: "default", Address: netip.MustParseAddrPort("0.0.0.0:10000"),
				VirtualHosts: []topology.VirtualHost{{Domains: []string{"*"}, Routes: []topology.Route{{
					Key: "default * /", Source: topology.FromLabels, AskedBy: []string{"demo-daemon-1", "demo-daemon-2"},
					Match:    topology.Match{Path: topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/"}},
					Clusters: []topology.WeightedCluster{{Name: "rust_daemons", Weight: 1}},
				}}}},
			}}},
			Listeners: []balancer.ListenerStatus{{Name: "default", Address: netip.MustParseAddrPort("0.0.0.0:10000"), Source: topology.FromDefault, Routes: 1}},
			Clusters: []balancer.ClusterStatus{{
				Name: "rust_daemons", Type: "LABELS", Source: topology.FromLabels, Policy: "round_robin", Warm: true, Total: 2, Ready: 1,
				Endpoints: []balancer.EndpointStatus{
					endpoint(1, balancer.StateHealthy, "", 1234),
					endpoint(2, balancer.StateWaiting, "waiting for Docker's first check, about 12s", 0),
				},
				Counters: balancer.ClusterCounters{RqTotal: 1234, RqActive: 1},
			}},
		},
	}
}

// running serves demo's admin port and points LB_ADMIN at it.
func running(t *testing.T, change func(*admin.Options)) *fakeBalancer {
	t.Helper()
	b := demo()
	o := admin.Options{
		Address: netip.MustParseAddrPort("127.0.0.1:0"), Balancer: b,
		Ready: func() (bool, string) { return true, "" },
		Table: func() *topology.Table {
			return &topology.Table{
				Generation: 7,
				Traces: []*topology.Trace{
					{Name: "demo-daemon-1", Verdict: topology.Routed, Problems: []labels.Problem{
						{Severity: labels.Warning, Label: "lb.wieght", Value: "2", Reason: "unknown label", Hint: "did you mean lb.weight?"}}},
					{Name: "shop-web-1", Verdict: topology.Quarantined, Reason: "no port is exposed: set lb.port"},
					{Name: "old-1", Verdict: topology.NotRunning, Reason: "exited"},
				},
				Conflicts: []topology.Conflict{{Kind: "route", What: "default * /", Winner: "rust_daemons", Losers: []string{"shop"}}},
			}
		},
	}
	if change != nil {
		change(&o)
	}
	s, err := admin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Setenv("LB_ADMIN", s.Addr().String())
	return b
}

// nobody is an address where nothing answers.
func nobody(t *testing.T) string {
	t.Helper()
	a, err := freeport.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	return a.String()
}

// eventually waits for something that another goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}
