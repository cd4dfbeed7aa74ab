package dockerwatch

import (
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// script drives members without I/O, on a clock of its own.
type script struct {
	*members
	now time.Time
}

func newScript() *script {
	return &script{newMembers("lb", "unix:///fake"), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (s *script) list(all ...listed) {
	s.listed(all, s.now.Add(-time.Millisecond), s.now, true)
	for {
		id, ok := s.nextLook(s.now)
		if !ok {
			return
		}
		s.answer(id, 0)
	}
}

// answer is an inspect of a running container with a StopTimeout in seconds.
func (s *script) answer(id string, stopTimeout int) {
	in := &inspected{ID: id, Name: "/web"}
	in.State.Status, in.State.StartedAt = "running", time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	in.NetworkSettings.Networks = webListed().NetworkSettings.Networks
	in.Config.Labels = map[string]string{"lb.cluster": "web", "lb.drain": "20s"}
	if stopTimeout != 0 {
		in.Config.StopTimeout = &stopTimeout
	}
	s.inspected(id, in, nil, s.now)
}

func (s *script) send(action string, attrs map[string]string) {
	s.event(event{action: action, id: id64, nano: s.now.UnixNano(), attrs: attrs}, s.now, true)
}

func (s *script) sleep(d time.Duration) { s.now = s.now.Add(d); s.tick(s.now) }

func (s *script) web(t *testing.T) *topology.Container {
	t.Helper()
	all := s.take()
	if len(all) != 1 {
		t.Fatalf("%d containers, want one", len(all))
	}
	return all[0]
}

var id64 = strings.Repeat("a", 64)

func webListed() listed {
	l := listed{ID: id64, Names: []string{"/web"}, State: "running", Status: "Up 1 hour", Labels: map[string]string{"lb.cluster": "web", "lb.drain": "20s"}}
	l.HostConfig.NetworkMode = "bridge"
	l.NetworkSettings.Networks = map[string]*endpoint{"bridge": {NetworkID: "n", EndpointID: "e", IPAddress: "172.17.0.2"}}
	return l
}

var sigTERM = map[string]string{"signal": "15"}

func TestIgnoredStop(t *testing.T) {
	s := newScript()
	s.list(webListed())
	s.send("kill", sigTERM)
	// max(StopTimeout 10 s, lb.drain 20 s) + 5 s.
	s.sleep(25*time.Second - time.Nanosecond)
	if c := s.web(t); !c.Stopping || c.IgnoredStop {
		t.Fatalf("before its time: %+v", *c)
	}
	s.sleep(time.Nanosecond)
	c := s.web(t)
	if c.Stopping || !c.IgnoredStop || c.StoppingAt.IsZero() {
		t.Fatalf("at its time: %+v", *c)
	}
	if len(s.notes) != 1 {
		t.Errorf("notes for the log: %v", s.notes)
	}
	s.list(webListed())
	if c := s.web(t); c.Stopping || !c.IgnoredStop {
		t.Errorf("after a list: %+v", *c)
	}
	// A second signal counts anew.
	s.send("kill", sigTERM)
	if c := s.web(t); !c.Stopping || c.IgnoredStop {
		t.Errorf("after a second signal: %+v", *c)
	}
	s.sleep(25 * time.Second)
	if c := s.web(t); c.Stopping {
		t.Errorf("ignored again: %+v", *c)
	}
}

func TestSignalAfterTheStopSignal(t *testing.T) {
	s := newScript()
	s.list(webListed())
	s.send("kill", sigTERM)
	at := s.web(t).StoppingAt
	s.sleep(10 * time.Second)
	s.send("kill", map[string]string{"signal": "1"})
	s.send("kill", map[string]string{"signal": "9"})
	if c := s.web(t); !c.Stopping || !c.StoppingAt.Equal(at) {
		t.Errorf("%+v", *c)
	}
	s.sleep(24 * time.Second)
	if c := s.web(t); !c.Stopping {
		t.Error("SIGKILL does not count anew")
	}
}

func TestReplayedKillIsOlderThanTheStart(t *testing.T) {
	s := newScript()
	s.list(webListed())
	kill := event{action: "kill", id: id64, nano: s.now.UnixNano(), attrs: sigTERM}
	s.sleep(time.Second)
	s.send("start", nil)
	s.event(kill, s.now, true)
	if c := s.web(t); c.Stopping {
		t.Error("a replayed stop signal of the run before counts")
	}
}

func TestKilledByUnknownContainer(t *testing.T) {
	s := newScript()
	s.send("kill", map[string]string{"signal": "15"})
	s.send("destroy", nil)
	if len(s.byID) != 0 {
		t.Errorf("follows %v, which has no label of ours", s.byID)
	}
}

// TestLooksAreCoalesced: the first event is looked at after 8 ms, together with
// those that come meanwhile.
func TestLooksAreCoalesced(t *testing.T) {
	s := newScript()
	s.list(webListed())
	for range 5 {
		s.send("update", nil)
		s.sleep(time.Millisecond)
	}
	if id, ok := s.nextLook(s.now); ok {
		t.Fatalf("looks at %s before the events are gathered", id)
	}
	s.sleep(3 * time.Millisecond)
	looks := 0
	for {
		id, ok := s.nextLook(s.now)
		if !ok {
			break
		}
		looks++
		s.answer(id, 0)
	}
	if s.sleep(time.Second); looks != 1 {
		t.Errorf("%d looks, want 1", looks)
	}
	if id, ok := s.nextLook(s.now); ok {
		t.Errorf("looks at %s again", id)
	}
}

// TestStartIsLookedAtAtOnce, and before all that is only refined.
func TestStartIsLookedAtAtOnce(t *testing.T) {
	s := newScript()
	other := webListed()
	other.ID = strings.Repeat("b", 64)
	s.listed([]listed{webListed(), other}, s.now, s.now, true)
	s.send("start", nil)
	if id, ok := s.nextLook(s.now); !ok || id != id64 {
		t.Errorf("looks at %q first", id)
	}
}

func TestDifferenceWithoutEvent(t *testing.T) {
	s := newScript()
	s.list(webListed())
	s.listed(nil, s.now.Add(time.Millisecond), s.now.Add(2*time.Millisecond), false)
	if s.sleep(suspicion); s.missed != "" {
		t.Fatalf("too early: %s", s.missed)
	}
	if s.sleep(2 * time.Millisecond); !strings.Contains(s.missed, "web is gone") {
		t.Errorf("missed %q", s.missed)
	}

	s = newScript()
	s.list(webListed())
	s.listed(nil, s.now.Add(time.Millisecond), s.now.Add(2*time.Millisecond), false)
	s.send("destroy", map[string]string{"lb.cluster": "web"})
	if s.sleep(time.Minute); s.missed != "" {
		t.Errorf("the event came, but: %s", s.missed)
	}
}

// TestListOlderThanEvent: what an event said after the list was asked for wins.
func TestListOlderThanEvent(t *testing.T) {
	s := newScript()
	s.list(webListed())
	asked := s.now
	s.sleep(time.Millisecond)
	s.send("die", nil)
	s.listed([]listed{webListed()}, asked, s.now, false)
	if c := s.web(t); c.State != topology.StateExited {
		t.Errorf("%+v", *c)
	}
	if s.sleep(time.Minute); s.missed != "" {
		t.Errorf("suspects the stream: %s", s.missed)
	}
}

func TestHealthIsLookedAtAgainWhileStarting(t *testing.T) {
	s := newScript()
	s.list(webListed())
	in := &inspected{ID: id64, Name: "/web"}
	in.State.Status, in.State.StartedAt = "running", s.now
	in.Config.Labels = map[string]string{"lb.cluster": "web"}
	in.Config.Healthcheck = &healthcheck{Interval: 5 * time.Second}
	in.State.Health = &struct {
		Status string
		Log    []struct{ End time.Time }
	}{Status: "starting"}
	s.send("start", nil)
	id, _ := s.nextLook(s.now)
	s.inspected(id, in, nil, s.now)
	if c := s.web(t); c.Health != topology.HealthStarting || !c.HealthNext.Equal(s.now.Add(5*time.Second)) {
		t.Fatalf("%+v", *c)
	}
	s.sleep(5*time.Second + healthLook)
	if _, ok := s.nextLook(s.now); !ok {
		t.Error("does not look whether the probe failed")
	}
}

// Who borrows a network is shown with its lender, not some milliseconds before
// it as unreachable.
func TestLenderIsWaitedFor(t *testing.T) {
	s := newScript()
	s.list()
	s.take()
	s.send("start", map[string]string{"lb.cluster": "web"})
	look := func(want string) {
		t.Helper()
		if id, ok := s.nextLook(s.now); !ok || id != want {
			t.Fatalf("looks at %q, want %q", id, want)
		}
	}
	running := func(id, mode string, labels map[string]string) {
		in := &inspected{ID: id, Name: "/" + id[:4]}
		in.State.Status, in.State.StartedAt = "running", s.now
		in.HostConfig.NetworkMode = mode
		in.Config.Labels = labels
		s.inspected(id, in, nil, s.now)
	}
	lender := strings.Repeat("b", 64)
	look(id64)
	running(id64, "container:"+lender, map[string]string{"lb.cluster": "web"})
	if s.hurry {
		t.Error("shown without its lender")
	}
	look(lender)
	running(lender, "bridge", nil)
	if !s.hurry {
		t.Error("not shown at once with its lender")
	}
	if all := s.take(); len(all) != 2 || all[0].NetworkOf != lender {
		t.Errorf("%+v", all)
	}
}
