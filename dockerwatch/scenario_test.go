package dockerwatch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
	"github.com/dockerlb/dockerlb/topology"
)

// limit is how long a test waits for what must come; far above what it takes.
const limit = 20 * time.Second

// watching is a Watcher under test.
type watching struct {
	*Watcher
	t     testing.TB
	stop  func() error  // ends Run and returns its error; may be called again
	limit time.Duration // of until; 0: limit
}

// within is w with another patience.
func (w *watching) within(limit time.Duration) *watching {
	other := *w
	other.limit = limit
	return &other
}

// watch runs a Watcher on a fake engine until the test ends.
func watch(t testing.TB, e *fakeengine.Engine, change ...func(o *Options)) *watching {
	t.Helper()
	o := Options{Host: e.Host(), Resync: time.Hour, knobs: knobs{backoff: 5 * time.Millisecond, place: &place{}}}
	for _, c := range change {
		c(&o)
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var runErr error
	go func() {
		defer close(done)
		runErr = w.Run(ctx)
	}()
	stop := func() error { cancel(); <-done; return runErr }
	t.Cleanup(func() { _ = stop() })
	return &watching{Watcher: w, t: t, stop: stop}
}

func resync(d time.Duration) func(o *Options) { return func(o *Options) { o.Resync = d } }

// until waits for a Membership for which ok holds.
func (w *watching) until(what string, ok func(m topology.Membership) bool) topology.Membership {
	w.t.Helper()
	late := time.After(cmp.Or(w.limit, limit))
	for {
		m, full := w.Latest()
		if full && ok(m) {
			return m
		}
		select {
		case <-w.Updates():
		case <-late:
			w.t.Fatalf("never came: %s\nlast: %s\nstatus: %+v", what, show(m), w.Status())
		}
	}
}

// poll waits for something that no Membership tells.
func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

func show(m topology.Membership) string {
	var b strings.Builder
	fmt.Fprintf(&b, "generation %d, self %+v", m.Generation, m.Self)
	for i, c := range m.Containers {
		if i == 10 {
			fmt.Fprintf(&b, "\n  and %d more", len(m.Containers)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %+v", *c)
	}
	return b.String()
}

func named(m topology.Membership, name string) *topology.Container {
	for _, c := range m.Containers {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// is makes a condition of one container; a missing one fulfils none.
func is(name string, ok func(c *topology.Container) bool) func(m topology.Membership) bool {
	return func(m topology.Membership) bool {
		c := named(m, name)
		return c != nil && ok(c)
	}
}

func gone(name string) func(m topology.Membership) bool {
	return func(m topology.Membership) bool { return named(m, name) == nil }
}

func running(c *topology.Container) bool {
	return c.State == topology.StateRunning && c.Inspected && !c.Stopping
}
func looked(c *topology.Container) bool   { return c.Inspected }
func stopping(c *topology.Container) bool { return c.Stopping }
func exited(c *topology.Container) bool   { return c.State == topology.StateExited }

// ip is a container's address on a network.
func ip(c *topology.Container, network string) string {
	for _, n := range c.Networks {
		if n.Name == network && n.IPv4.IsValid() {
			return n.IPv4.String()
		}
	}
	return ""
}

func app(name string) fakeengine.Container {
	return fakeengine.Container{Name: name, Labels: map[string]string{"lb.cluster": "web"}, Ports: []string{"8000/tcp"}, Env: []string{"PASSWORD=geheim"}}
}

// TestScenario is what happens to containers while we watch; each is named by
// what a user would call it. The engine has "web" running when we come.
func TestScenario(t *testing.T) {
	for name, play := range map[string]func(t *testing.T, e *fakeengine.Engine, w *watching){
		"it was running before we came": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			m := w.until("web inspected", is("web", running))
			c := named(m, "web")
			if c.StartEvent != (time.Time{}) {
				t.Errorf("start event %v of a container that ran when we came", c.StartEvent)
			}
			if got, want := ip(c, "bridge"), e.Address("web", "bridge"); got != want || want == "" {
				t.Errorf("address %q, want %q", got, want)
			}
			if len(c.Ports) != 1 || c.Ports[0].Number != 8000 || c.Ports[0].Protocol != "tcp" {
				t.Errorf("ports %v", c.Ports)
			}
			if !c.Networks[0].Gateway.IsValid() {
				t.Errorf("no gateway: %+v", c.Networks)
			}
		},
		"scale up": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			before := named(w.until("web", is("web", running)), "web")
			for i := range 20 {
				e.Run(app(fmt.Sprintf("web-%d", i)))
			}
			m := w.until("all of them", func(m topology.Membership) bool {
				n := 0
				for _, c := range m.Containers {
					if running(c) && ip(c, "bridge") != "" {
						n++
					}
				}
				return n == 21
			})
			if named(m, "web") != before {
				t.Error("web is another value though nothing of it changed")
			}
			if !slices.IsSortedFunc(m.Containers, func(a, b *topology.Container) int { return strings.Compare(a.ID, b.ID) }) {
				t.Error("not sorted by id")
			}
			if named(m, "web-3").StartEvent.IsZero() {
				t.Error("no start event of a container that started before our eyes")
			}
			if n := e.MaxInspects(); n > maxInspects {
				t.Errorf("%d inspects at once, want at most %d", n, maxInspects)
			}
			if n := e.Calls("list"); n != 1 {
				t.Errorf("%d lists for 20 containers, want the first one only", n)
			}
		},
		"docker stop": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Kill("web", 15)
			m := w.until("stopping", is("web", stopping))
			if named(m, "web").StoppingAt.IsZero() {
				t.Error("no time of the stop signal")
			}
			e.Die("web", 0)
			m = w.until("exited", is("web", exited))
			if c := named(m, "web"); c.Stopping || ip(c, "bridge") != "" {
				t.Errorf("after its end: %+v", *c)
			}
			e.Remove("web")
			w.until("gone", gone("web"))
		},
		"docker kill -s HUP is not a stop": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Kill("web", 1)
			e.Rename("web", "web2") // comes after it
			m := w.until("renamed", is("web2", running))
			if named(m, "web2").Stopping {
				t.Error("SIGHUP is taken for a stop")
			}
		},
		"its own stop signal": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			c := app("nginx")
			c.StopSignal = "SIGQUIT"
			e.Run(c)
			w.until("nginx", is("nginx", running))
			e.Kill("nginx", 3)
			w.until("stopping", is("nginx", stopping))
		},
		"docker kill": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Kill("web", 9)
			e.Die("web", 137)
			w.until("exited", is("web", exited))
		},
		"docker restart": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			before := named(w.until("web", is("web", running)), "web")
			e.RestartContainer("web")
			m := w.until("running again", is("web", func(c *topology.Container) bool { return running(c) && c.StartedAt.After(before.StartedAt) }))
			if c := named(m, "web"); c.Stopping || c.StartEvent.IsZero() || c.Networks[0].EndpointID == before.Networks[0].EndpointID {
				t.Errorf("after the restart: %+v", *c)
			}
		},
		"crash loop": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Crash("web", 1)
			w.until("restarting", is("web", func(c *topology.Container) bool { return c.State == topology.StateRestarting && ip(c, "bridge") == "" }))
			e.Start("web")
			w.until("running again", is("web", func(c *topology.Container) bool { return running(c) && ip(c, "bridge") != "" }))
		},
		"pause and unpause": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Pause("web")
			w.until("paused", is("web", func(c *topology.Container) bool { return c.State == topology.StatePaused }))
			e.Unpause("web")
			w.until("running", is("web", running))
		},
		"health turns": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			c := app("slow")
			c.Health = &fakeengine.Healthcheck{Interval: time.Hour}
			e.Run(c)
			m := w.until("starting", is("slow", func(c *topology.Container) bool { return running(c) && c.Health == topology.HealthStarting }))
			if c := named(m, "slow"); !c.HealthNext.Equal(c.StartedAt.Add(time.Hour)) {
				t.Errorf("next check %v, started %v", c.HealthNext, c.StartedAt)
			}
			e.SetHealth("slow", "healthy")
			m = w.until("healthy", is("slow", func(c *topology.Container) bool { return c.Health == topology.HealthHealthy }))
			if !named(m, "slow").HealthNext.IsZero() {
				t.Error("next check is kept though it is not starting")
			}
			e.SetHealth("slow", "unhealthy")
			w.until("unhealthy", is("slow", func(c *topology.Container) bool { return c.Health == topology.HealthUnhealthy }))
		},
		"network attached and detached while it runs": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Connect("web", "edge")
			w.until("on edge", is("web", func(c *topology.Container) bool { return ip(c, "edge") != "" }))
			e.Disconnect("web", "edge")
			w.until("off edge", is("web", func(c *topology.Container) bool { return len(c.Networks) == 1 }))
		},
		"an address is taken over at once": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			address := e.Address("web", "bridge")
			e.DropEvents(true)
			e.Die("web", 1)
			e.DropEvents(false)
			e.Run(app("other"))
			m := w.until("other", is("other", func(c *topology.Container) bool { return ip(c, "bridge") == address }))
			if c := named(m, "web"); ip(c, "bridge") == address {
				t.Errorf("web and other both have %s", address)
			}
			w.until("web seen to be gone", is("web", exited))
		},
		"dies between event and inspect": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			id := e.Create(app("short"))
			w.until("created", is("short", func(c *topology.Container) bool { return c.State == topology.StateCreated }))
			e.Vanish(id)
			e.Start(id)
			w.until("gone", gone("short"))
		},
		"dies while its inspect is under way": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			calls := e.Calls("inspect")
			e.Delay("answer", 30*time.Millisecond) // the answer is older than what follows
			e.Run(app("short"))
			poll(t, "the look at short", func() bool { return e.Calls("inspect") > calls })
			e.Die("short", 1)
			w.until("exited", is("short", func(c *topology.Container) bool {
				if c.State == topology.StateRunning {
					t.Errorf("shown as running by an answer that is older than its end")
				}
				return c.State == topology.StateExited && c.Inspected
			}))
		},
		"compose recreate": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Create(app("0123456789ab_web"))
			e.Stop("web")
			e.Remove("web")
			e.Rename("0123456789ab_web", "web")
			e.Start("web")
			m := w.until("the new one", is("web", running))
			if len(m.Containers) != 1 {
				t.Errorf("want one container, have %s", show(m))
			}
		},
		"without our labels": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			calls := e.Calls("inspect")
			e.Run(fakeengine.Container{Name: "database", Labels: map[string]string{"lbx.cluster": "no", "com.docker.compose.project": "p"}})
			e.Pause("web")
			m := w.until("web paused", is("web", func(c *topology.Container) bool { return c.State == topology.StatePaused }))
			if named(m, "database") != nil {
				t.Error("database is none of ours")
			}
			if n := e.Calls("inspect"); n > calls+1 {
				t.Errorf("%d inspects since, want that of web at most", n-calls)
			}
		},
		"behind a VPN container": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			vpn := e.Run(fakeengine.Container{Name: "vpn"})
			c := app("torrent")
			c.NetworkMode = "container:vpn"
			e.Run(c)
			w.until("torrent", is("torrent", func(c *topology.Container) bool { return running(c) && c.NetworkOf == vpn }))
			m := w.until("vpn", is("vpn", func(c *topology.Container) bool { return running(c) && ip(c, "bridge") != "" }))
			if named(m, "vpn").Spec.Managed {
				t.Error("the lender has no labels of ours")
			}
			e.Crash("vpn", 1)
			w.until("vpn restarting", is("vpn", func(c *topology.Container) bool { return c.State == topology.StateRestarting }))
		},
		"docker update": func(t *testing.T, e *fakeengine.Engine, w *watching) {
			before := named(w.until("web", is("web", running)), "web")
			calls := e.Calls("inspect")
			e.Update("web")
			poll(t, "a look", func() bool { return e.Calls("inspect") > calls })
			e.Run(app("next"))
			m := w.until("next", is("next", running))
			if named(m, "web") != before {
				t.Error("web is another value though nothing of it changed")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := fakeengine.New(t)
			e.Run(app("web"))
			play(t, e, watch(t, e))
			if foreign := e.Foreign(); len(foreign) > 0 {
				t.Errorf("only GET and HEAD may be sent, but: %v", foreign)
			}
		})
	}
}
