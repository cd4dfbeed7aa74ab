package dockerwatch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
	"github.com/dockerlb/dockerlb/topology"
)

// TestConnection is what happens between the engine and us. The engine has
// "web" running when we come.
func TestConnection(t *testing.T) {
	for name, play := range map[string]struct {
		change func(o *Options)
		play   func(t *testing.T, e *fakeengine.Engine, w *watching)
	}{
		"the engine restarts, containers live on": {play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			before := w.until("web", is("web", running))
			e.Away()
			poll(t, "not connected", func() bool { return !w.Status().Connected })
			if m, _ := w.Latest(); m.Generation != before.Generation {
				t.Errorf("a lost engine made generation %d of %d", m.Generation, before.Generation)
			}
			if w.Status().Error == "" {
				t.Error("status does not tell why")
			}
			e.Run(app("meanwhile"))
			e.Die("web", 0)
			if err := e.Back(); err != nil {
				t.Fatal(err)
			}
			w.until("what came meanwhile", is("meanwhile", running))
			w.until("what ended meanwhile", is("web", exited))
			if s := w.Status(); !s.Connected || s.Reconnects == 0 || s.Error != "" {
				t.Errorf("status %+v", s)
			}
		}},
		"the stream is cut in the middle of a message": {play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.CutStreams(true)
			e.Kill("web", 15) // before we are back: the buffer has it
			w.until("stopping", is("web", stopping))
		}},
		"a socket proxy ends the stream": {play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			for i := range 5 {
				e.CutStreams(false)
				name := fmt.Sprintf("web-%d", i)
				e.Run(app(name))
				m := w.until(name, is(name, running))
				if named(m, name).StartEvent.IsZero() {
					t.Errorf("%s: the start event of the gap is lost", name)
				}
			}
		}},
		"a stop in progress when we come back is not forgotten": {play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Kill("web", 15)
			at := named(w.until("stopping", is("web", stopping)), "web").StoppingAt
			lists := w.Status().Lists
			e.CutStreams(false)
			poll(t, "another list", func() bool { return w.Status().Lists > lists })
			e.Pause("web")
			m := w.until("paused", is("web", func(c *topology.Container) bool { return c.State == topology.StatePaused }))
			if c := named(m, "web"); !c.Stopping || !c.StoppingAt.Equal(at) {
				t.Errorf("after a list: %+v", *c)
			}
		}},
		"events dropped in silence": {change: resync(50 * time.Millisecond), play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.DropEvents(true)
			e.Run(app("unheard"))
			e.DropEvents(false)
			w.until("found by the list", is("unheard", running))
			poll(t, "the stream taken for dead", func() bool { s := w.Status(); return s.Dropped == 1 && s.Reconnects == 1 && s.Connected })
		}},
		"the stream is silently dead": {change: resync(50 * time.Millisecond), play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.DeafStreams()
			e.Die("web", 0)
			w.until("found by the list", is("web", exited))
			poll(t, "a new stream", func() bool { s := w.Status(); return s.Reconnects > 0 && s.Connected })
			e.Start("web")
			m := w.until("heard again", is("web", running))
			if named(m, "web").StartEvent.IsZero() {
				t.Error("the start was not heard")
			}
		}},
		"a half-open connection": {change: func(o *Options) { o.knobs.silence, o.knobs.pingLimit = 50*time.Millisecond, 50*time.Millisecond }, play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Freeze()
			poll(t, "noticed", func() bool { return !w.Status().Connected })
			e.Die("web", 0)
			e.Thaw()
			w.until("what happened meanwhile", is("web", exited))
		}},
		// What was open at one moment is silently dead, the pool as well as the
		// stream: a list over one of these would wait for half a minute.
		"every connection is silently dead, found by the list": {change: resync(50 * time.Millisecond), play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web looked at", is("web", looked))
			e.Silence()
			e.Run(app("next"))
			w.within(5*time.Second).until("next", is("next", running))
			poll(t, "a new stream", func() bool { s := w.Status(); return s.Reconnects > 0 && s.Connected })
		}},
		"every connection is silently dead, found by the ping": {change: func(o *Options) { o.knobs.silence, o.knobs.pingLimit = 50*time.Millisecond, 500*time.Millisecond }, play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web looked at", is("web", looked))
			e.Silence()
			e.Die("web", 0)
			w.within(5*time.Second).until("what no event told", is("web", exited))
		}},
		"silence, but the engine is well": {change: func(o *Options) { o.knobs.silence = 20 * time.Millisecond }, play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			pings := e.Calls("ping")
			poll(t, "pings", func() bool { return e.Calls("ping") > pings+2 })
			if s := w.Status(); !s.Connected || s.Reconnects != 0 {
				t.Errorf("status %+v", s)
			}
		}},
		"the list fails": {change: resync(20 * time.Millisecond), play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Fail("list", 500)
			lists := e.Calls("list")
			poll(t, "failing lists", func() bool { return e.Calls("list") > lists+2 })
			if m, _ := w.Latest(); named(m, "web") == nil {
				t.Error("a failed list took web away")
			}
			e.Run(app("next"))
			w.until("events still count", is("next", running))
		}},
		"inspect fails for a while": {play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.Fail("inspect", 500)
			calls := e.Calls("inspect")
			e.Run(app("next"))
			poll(t, "a failing look", func() bool { return e.Calls("inspect") > calls })
			e.Fail("inspect", 0)
			w.until("next", is("next", running))
		}},
		"the engine is downgraded and upgraded under us": {play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			for _, v := range [][3]string{{"20.10.24", "1.12", "1.41"}, {"29.0.0", "1.44", "1.52"}} {
				e.SetVersion(v[0], v[1], v[2])
				if err := e.Restart(); err != nil {
					t.Fatal(err)
				}
				poll(t, "engine "+v[0], func() bool { return w.Status().Connected && w.Status().Version == v[0] })
			}
			if got := w.Status().APIVersion; got != "1.51" {
				t.Errorf("API %s, want ours again after the upgrade", got)
			}
		}},
		"an engine that is too new for us": {play: func(t *testing.T, e *fakeengine.Engine, w *watching) {
			w.until("web", is("web", running))
			e.SetVersion("35.0", "1.60", "1.70")
			if err := e.Restart(); err != nil {
				t.Fatal(err)
			}
			poll(t, "a message that says what to do", func() bool { return strings.Contains(w.Status().Error, "update this program") })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := fakeengine.New(t)
			e.Run(app("web"))
			var change []func(o *Options)
			if play.change != nil {
				change = append(change, play.change)
			}
			play.play(t, e, watch(t, e, change...))
			if foreign := e.Foreign(); len(foreign) > 0 {
				t.Errorf("only GET and HEAD may be sent, but: %v", foreign)
			}
		})
	}
}

func TestStopInProgressWhenWeCome(t *testing.T) {
	e := fakeengine.New(t)
	e.Run(app("web"))
	e.Run(app("restarted"))
	e.Run(app("nginx")) // its stop signal turns out by inspect only
	quit := app("quit")
	quit.StopSignal = "QUIT"
	e.Run(quit)
	e.Kill("web", 15)
	e.RestartContainer("restarted")
	e.Kill("quit", 3)
	e.Kill("nginx", 3)
	w := watch(t, e)
	m := w.until("all looked at, and the two stops known", func(m topology.Membership) bool {
		n := 0
		if !is("web", stopping)(m) || !is("quit", stopping)(m) {
			return false
		}
		for _, c := range m.Containers {
			if c.Inspected {
				n++
			}
		}
		return n == 4
	})
	for name, want := range map[string]bool{"web": true, "restarted": false, "quit": true, "nginx": false} {
		if got := named(m, name).Stopping; got != want {
			t.Errorf("%s: stopping %v, want %v", name, got, want)
		}
	}
}

// TestFirstListIsEnough: the first Membership does not wait for any inspect,
// nor do replayed events of before stand in its way.
func TestFirstListIsEnough(t *testing.T) {
	e := fakeengine.New(t)
	for i := range 20 {
		e.Run(app(fmt.Sprintf("web-%d", i)))
	}
	e.Pause("web-3")
	e.Fail("inspect", 500)
	w := watch(t, e)
	m := w.until("anything", func(topology.Membership) bool { return true })
	if len(m.Containers) != 20 {
		t.Fatalf("%s", show(m))
	}
	for _, c := range m.Containers {
		want := topology.StateRunning
		if c.Name == "web-3" {
			want = topology.StatePaused
		}
		if c.State != want || ip(c, "bridge") == "" || c.Networks[0].EndpointID == "" || len(c.Ports) != 1 || len(c.Spec.Services) != 1 || c.Inspected {
			t.Errorf("%+v", *c)
		}
	}
}

func TestOurOwnNetworks(t *testing.T) {
	e := fakeengine.New(t)
	id := e.Run(fakeengine.Container{Name: "lb", Networks: []string{"front"}})
	e.Run(app("web"))
	w := watch(t, e, func(o *Options) { o.knobs.place = &place{hostname: id[:12], container: true, resolver: true} })
	m := w.until("ourselves", func(m topology.Membership) bool { return m.Self.ContainerID == id })
	if s := m.Self; !s.InContainer || s.HostNetwork || !s.EmbeddedDNS || len(s.Networks) != 1 || s.Networks[0].Name != "front" {
		t.Errorf("self %+v", s)
	}
	e.Connect("lb", "back")
	w.until("on back", func(m topology.Membership) bool { return len(m.Self.Networks) == 2 })
	e.Disconnect("lb", "back")
	w.until("off back", func(m topology.Membership) bool { return len(m.Self.Networks) == 1 })
}

func TestEngineAwayAtStart(t *testing.T) {
	dir, err := os.MkdirTemp("", "dw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "docker.sock")
	var text lockedBuffer
	log := logrus.New()
	log.SetOutput(&text)
	w, err := New(Options{Host: "unix://" + socket, Log: logrus.NewEntry(log), knobs: knobs{backoff: time.Millisecond, place: &place{}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	defer func() { cancel(); <-done }()
	poll(t, "several attempts", func() bool { return w.Status().Reconnects > 20 })
	if _, ok := w.Latest(); ok {
		t.Error("a Membership without an engine")
	}
	if got := w.Status().Error; !strings.Contains(got, "does not exist") {
		t.Errorf("status says %q", got)
	}
	if n := strings.Count(text.String(), "does not exist"); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, text.String())
	}
	e, err := fakeengine.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.Run(app("web"))
	(&watching{Watcher: w, t: t}).until("web", is("web", running))
}

func TestWhatCannotHeal(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{dir, "is a directory, not a socket"},
		{file, "is not a socket"},
	} {
		w, err := New(Options{Host: "unix://" + c.path, knobs: knobs{backoff: time.Millisecond, goodbye: 5 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.path, err, c.want)
		}
	}
}

func TestHost(t *testing.T) {
	for host, ok := range map[string]bool{
		"unix:///var/run/docker.sock": true, "tcp://10.0.0.1:2375": true, "tcp://[::1]:2375": true,
		"tcp://10.0.0.1": false, "ssh://me@host": false, "/var/run/docker.sock": false, "npipe:////./pipe/x": false,
	} {
		if _, err := New(Options{Host: host}); (err == nil) != ok {
			t.Errorf("%s: error %v", host, err)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
