package control

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

// source is a source of any kind, whose values the test sets.
type source[T any] struct {
	mu      sync.Mutex
	value   T
	known   bool
	updates chan struct{}
	wanted  [][]topology.Query
}

func newSource[T any]() *source[T] { return &source[T]{updates: make(chan struct{}, 1)} }

func (s *source[T]) set(v T) {
	s.mu.Lock()
	s.value, s.known = v, true
	s.mu.Unlock()
	select {
	case s.updates <- struct{}{}:
	default:
	}
}

func (s *source[T]) Updates() <-chan struct{} { return s.updates }

func (s *source[T]) Latest() (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.known
}

// fakeDNS differs in that its first value is known at once.
type fakeDNS struct{ *source[topology.Answers] }

func (d fakeDNS) Latest() topology.Answers { v, _ := d.source.Latest(); return v }

func (d fakeDNS) Want(q []topology.Query) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = append(d.wanted, q)
}

// stage is a Control with fakes all around.
type stage struct {
	t      *testing.T
	docker *source[topology.Membership]
	file   *source[topology.Static]
	dns    fakeDNS
	logs   *logtest.Hook
	o      Options
	c      *Control
	ended  chan error
	stop   context.CancelFunc

	mu         sync.Mutex
	tables     []*topology.Table
	incumbents topology.Incumbents
	unchecked  string
	slow       chan struct{} // Apply waits for it, if set
	listens    int
	listenErr  error
	checked    int
}

func (s *stage) Apply(t *topology.Table) {
	s.mu.Lock()
	s.tables = append(s.tables, t)
	slow := s.slow
	s.mu.Unlock()
	if slow != nil {
		<-slow
	}
}

func (s *stage) View() *balancer.View { return nil }

func (s *stage) Unchecked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unchecked
}

func (s *stage) check(unchecked string) {
	s.mu.Lock()
	s.unchecked = unchecked
	s.mu.Unlock()
	s.c.Checked()
	synctest.Wait()
}

func (s *stage) Incumbents() topology.Incumbents {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.incumbents
}

func (s *stage) Listen([]topology.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listens++
	return s.listenErr
}

type healthOf struct{ *stage }

func (h healthOf) Apply(*balancer.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checked++
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, docker: newSource[topology.Membership](), dns: fakeDNS{newSource[topology.Answers]()}, ended: make(chan error, 1)}
	l := logrus.New()
	l.SetOutput(io.Discard)
	s.logs = logtest.NewLocal(l)
	s.o = Options{
		Docker: s.docker, DNS: s.dns, Balancer: s, Proxy: s, Health: healthOf{s}, Log: logrus.NewEntry(l),
		Defaults: topology.Defaults{
			Prefix: "lb", Policy: labels.DefaultClusterPolicy(),
			Listeners: []topology.Listener{{Name: "default", Address: netip.MustParseAddrPort("0.0.0.0:10000")}},
		},
	}
	return s
}

// run starts it, inside a synctest bubble; the test's end stops it.
func (s *stage) run() {
	s.c = New(s.o)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.ended <- s.c.Run(ctx) }()
	synctest.Wait()
}

func (s *stage) end() {
	s.t.Helper()
	s.stop()
	if err := <-s.ended; err != nil {
		s.t.Errorf("Run: %v", err)
	}
}

func (s *stage) applied() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tables)
}

func (s *stage) listened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listens
}

func container(name, text string) *topology.Container {
	m := map[string]string{}
	for _, l := range strings.Fields(text) {
		k, v, _ := strings.Cut(l, "=")
		m[k] = v
	}
	c := &topology.Container{
		ID: name + strings.Repeat("0", 64-len(name)), Name: name, State: topology.StateRunning, Health: topology.HealthNone,
		Networks: []topology.Attachment{{Name: "backend", NetworkID: "n", EndpointID: "e-" + name, IPv4: netip.MustParseAddr("10.0.0.9")}},
		Ports:    []topology.Port{{Number: 80, Protocol: "tcp"}},
	}
	c.Spec, c.Problems = labels.Parse("lb", m)
	return c
}

func members(generation uint64, cs ...*topology.Container) topology.Membership {
	return topology.Membership{Generation: generation, ObservedAt: time.Now(), Containers: cs, Self: topology.Self{
		InContainer: true, EmbeddedDNS: true, Networks: []topology.Attachment{{Name: "backend", NetworkID: "n"}},
	}}
}

func TestAnEventIsAppliedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		defer s.end()
		began := time.Now()
		s.docker.set(members(1, container("web-1", "lb.cluster=web")))
		synctest.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
		table := s.c.Table()
		if len(table.Clusters) != 1 || table != s.tables[len(s.tables)-1] || s.checked != len(s.tables) {
			t.Errorf("%d clusters; %d tables, %d of them checked", len(table.Clusters), len(s.tables), s.checked)
		}
		last := s.dns.wanted[len(s.dns.wanted)-1]
		if len(last) != 1 || last[0].Name != "web-100000000"[:12] {
			t.Errorf("DNS is asked for %v", last)
		}
	})
}

func TestEventsDuringABuildBecomeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		defer s.end()
		before := s.applied()
		slow := make(chan struct{})
		s.mu.Lock()
		s.slow = slow
		s.mu.Unlock()
		for i := range uint64(20) {
			s.docker.set(members(i+1, container("web-1", "lb.cluster=web")))
			s.dns.set(topology.Answers{Generation: i + 1})
			synctest.Wait()
		}
		close(slow)
		synctest.Wait()
		if n := s.applied() - before; n != 2 {
			t.Errorf("%d builds for one event and 39 that came meanwhile, want 2", n)
		}
	})
}

func TestReadyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.file = newSource[topology.Static]()
		s.o.File = s.file
		s.run()
		defer s.end()
		waits := func(why string) {
			t.Helper()
			synctest.Wait()
			if ok, got := s.c.Ready(); ok || !strings.Contains(got, why) {
				t.Errorf("ready %t (%s), want it to wait: %s", ok, got, why)
			}
			if s.listened() != 0 {
				t.Errorf("listeners were opened")
			}
		}
		waits("configuration file")
		s.file.set(topology.Static{Generation: 1, Clusters: []topology.StaticCluster{{
			Cluster: topology.Cluster{Name: "web", Type: topology.StrictDNS}, WaitForWarm: true, Hosts: []topology.StaticHost{{Name: "daemon1", Port: 80}}}}})
		waits("Docker Engine")
		s.docker.set(members(1))
		waits("first DNS answer of cluster web")
		q := topology.Names(topology.Membership{}, s.file.value)[0]
		s.dns.set(topology.Answers{Generation: 1, Names: map[topology.Query]topology.Answer{q: {Outcome: topology.OutcomeFailed}}})
		synctest.Wait()
		if ok, why := s.c.Ready(); !ok || why != "" || s.listened() != 1 {
			t.Errorf("ready %t (%s), %d times listened", ok, why, s.listened())
		}
		st := s.c.Status()
		if len(st.Sources) != 3 || !st.Sources[0].Known || st.Sources[0].Generation != 1 || st.Sources[0].At.IsZero() {
			t.Errorf("sources %+v", st.Sources)
		}
		if n := len(st.History); uint64(n) != st.Builds || st.History[n-1].Cause != "dns" || st.History[n-1].Number != s.c.Table().Generation {
			t.Errorf("history %+v", st.History)
		}
	})
}

func TestListenersWaitForTheFirstChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.unchecked = "web"
		s.docker.set(members(1))
		s.run()
		defer s.end()
		synctest.Wait()
		for range 2 {
			if ok, why := s.c.Ready(); ok || !strings.Contains(why, "first health checks of cluster web") || s.listened() != 0 {
				t.Fatalf("ready %t (%s), %d times listened", ok, why, s.listened())
			}
			s.check("web") // of another host
		}
		s.check("")
		if ok, why := s.c.Ready(); !ok || s.listened() != 1 {
			t.Errorf("ready %t (%s), %d times listened", ok, why, s.listened())
		}
		builds := s.c.Status().Builds
		s.check("later")
		if ok, why := s.c.Ready(); !ok || s.c.Status().Builds != builds {
			t.Errorf("ready %t (%s), %d more builds", ok, why, s.c.Status().Builds-builds)
		}
	})
}

func TestWithoutDockerNothingWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.o.Docker = nil
		s.run()
		defer s.end()
		if ok, why := s.c.Ready(); !ok {
			t.Errorf("not ready: %s", why)
		}
	})
}

func TestListenersOpenThoughTheEngineIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		defer s.end()
		time.Sleep(openAfter - time.Millisecond)
		synctest.Wait()
		if s.listened() != 0 {
			t.Error("they opened too early")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if s.listened() != 1 {
			t.Error("they did not open")
		}
		if ok, why := s.c.Ready(); ok || !strings.Contains(why, "Docker Engine") {
			t.Errorf("ready %t (%s)", ok, why)
		}
	})
}

func TestATakenPortEndsTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.listenErr = errors.New("listener default: 0.0.0.0:10000 is taken")
		s.docker.set(members(1))
		s.run()
		if err := <-s.ended; !errors.Is(err, s.listenErr) {
			t.Errorf("Run: %v", err)
		}
		s.stop()
	})
}

func TestATakenPortLaterIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.docker.set(members(1))
		s.run()
		defer s.end()
		taken := errors.New("listener edge: 0.0.0.0:443 is taken")
		s.mu.Lock()
		s.listenErr = taken
		s.mu.Unlock()
		s.docker.set(members(2))
		synctest.Wait()
		if ok, why := s.c.Ready(); !ok || why != taken.Error() {
			t.Errorf("ready %t (%s): it stays ready and says what is missing", ok, why)
		}
		time.Sleep(3 * listenAgain)
		synctest.Wait()
		s.mu.Lock()
		tries := s.listens
		s.listenErr = nil
		s.mu.Unlock()
		if tries < 4 {
			t.Errorf("listened %d times", tries)
		}
		time.Sleep(listenAgain)
		synctest.Wait()
		if _, why := s.c.Ready(); why != "" {
			t.Errorf("still: %s", why)
		}
		if n := s.count("could not be opened"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
	})
}

// count is how many lines of the log contain text, in message or fields.
func (s *stage) count(text string) int {
	n := 0
	for _, e := range s.logs.AllEntries() {
		line, err := e.String()
		if err == nil && strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func TestRebuildAsksForANewTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.docker.set(members(1))
		s.mu.Lock()
		s.incumbents.Previous = &topology.Table{Clusters: []*topology.Cluster{{Name: "gone", Source: topology.FromLabels, Warm: true, Tombstone: time.Minute}}}
		s.mu.Unlock()
		s.run()
		defer s.end()
		if n := len(s.c.Table().Clusters); n != 1 {
			t.Fatalf("%d clusters, want the one that is remembered", n)
		}
		s.mu.Lock()
		s.incumbents = topology.Incumbents{}
		s.mu.Unlock()
		s.c.Rebuild()
		s.c.Rebuild() // never blocks
		synctest.Wait()
		if n := len(s.c.Table().Clusters); n != 0 {
			t.Errorf("%d clusters after its end", n)
		}
	})
}

func TestEachThingIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		good := container("web-1", "lb.cluster=web lb.weigth=2")
		bad := container("web-2", "lb.cluster=web lb.port=eighty")
		s.docker.set(members(1, good, bad))
		s.run()
		defer s.end()
		for i := range uint64(3) {
			s.docker.set(members(i+2, good, bad))
			synctest.Wait()
		}
		for text, want := range map[string]int{
			`msg="container is routed"`:       0, // "in rotation" says it
			`msg="container is quarantined"`:  1,
			"label=lb.weigth":                 1,
			"label=lb.port":                   1,
			"cluster=web container=web-2":     2, // the verdict and the problem
			"container asks for what it does": 0,
		} {
			if n := s.count(text); n != want {
				t.Errorf("%q is logged %d times, want %d", text, n, want)
			}
		}
		stopped := *good
		stopped.State = topology.StateExited
		s.docker.set(members(9, &stopped, bad))
		synctest.Wait()
		s.docker.set(members(10, bad))
		synctest.Wait()
		if s.count(`msg="container is not running"`) != 1 || s.count(`msg="container is gone"`) != 1 {
			t.Error("stopping or leaving was not logged once")
		}
	})
}
