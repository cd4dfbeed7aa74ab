package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/realengine"
)

// relayed is a proxy on the host that reaches the engine through a relay, and a
// network for its backends.
func relayed(t *testing.T, args ...string) (s *realengine.Scope, relay *realengine.Relay, f *realengine.Front, network string) {
	t.Helper()
	s = newScope(t)
	network = s.Network("net")
	relay = s.Relay()
	relay.Up()
	return s, relay, s.HostProxy(append([]string{"--docker", "unix://" + relay.Socket}, args...)...), network
}

// The engine is not there when the proxy starts: it waits, says so, and goes on
// when the engine comes.
func TestEngineAwayAtStart(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	network := s.Network("net")
	id := s.ID(s.Backend("one", network))
	relay := s.Relay()
	f := s.StartHostProxy("--docker", "unix://"+relay.Socket)
	realengine.Eventually(t, soon, func() error {
		code, body, err := f.Get(f.Admin, "/ready")
		if err == nil && code != 503 {
			err = fmt.Errorf("/ready: %d %s, want 503", code, body)
		}
		if err == nil && !strings.Contains(f.Log(), relay.Socket) {
			err = fmt.Errorf("the log does not name %s", relay.Socket)
		}
		return err
	})
	relay.Up()
	f.Serves(10*time.Second, id)
}

// While the engine cannot be asked, what is known stays in force; what happened
// meanwhile is found when it is back.
func TestEngineGoneForAWhile(t *testing.T) {
	t.Parallel()
	s, relay, f, network := relayed(t)
	one, two := s.Backend("one", network), s.Backend("two", network)
	idOne, id2 := s.ID(one), s.ID(two)
	f.Serves(soon, idOne, id2)

	l := startLoad(f)
	relay.Down()
	realengine.Eventually(t, soon, func() error {
		a, err := f.Endpoints()
		if err == nil && (len(a.Engines) != 1 || a.Engines[0].Connected || a.Engines[0].Error == "") {
			err = fmt.Errorf("it does not say that the engine is away: %+v", a.Engines)
		}
		return err
	})
	three := s.Backend("three", network)
	id3 := s.ID(three)
	f.ServedBy(soon, idOne, id2)
	relay.Up()
	f.ServedBy(10*time.Second, idOne, id2, id3)
	l.stop(t)
	f.Serves(soon, idOne, id2, id3)
}

func TestStreamCut(t *testing.T) {
	t.Parallel()
	s, relay, f, network := relayed(t)
	idOne := s.ID(s.Backend("one", network))
	f.Serves(soon, idOne)
	for i := range 3 {
		relay.Cut()
		next := s.Backend(fmt.Sprint("next", i), network)
		id := s.ID(next)
		f.Serves(2*soon, idOne, id)
		s.Docker("rm", "-f", next)
		f.Serves(2*soon, idOne)
	}
}

// A stream that says nothing more, though its connection is open: the next full
// list finds what it hid.
func TestStreamSilentlyDead(t *testing.T) {
	t.Parallel()
	s, relay, f, network := relayed(t, "--docker-resync", "2s")
	idOne := s.ID(s.Backend("one", network))
	f.Serves(soon, idOne)
	relay.SilenceStreams()
	id2 := s.ID(s.Backend("two", network))
	f.Serves(20*time.Second, idOne, id2)
}

// Every connection that is open dies in silence, the idle ones as well as the
// stream. The list connects anew and finds what they hid; where no list is due,
// the ping after ten seconds of silence finds the pool dead, and all is made anew.
func TestEveryConnectionSilentlyDead(t *testing.T) {
	t.Parallel()
	for name, resync := range map[string]string{"list": "2s", "ping": "1h"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, relay, f, network := relayed(t, "--docker-resync", resync)
			idOne := s.ID(s.Backend("one", network))
			f.Serves(soon, idOne)
			relay.SilenceAll()
			id2 := s.ID(s.Backend("two", network))
			f.Serves(25*time.Second, idOne, id2)
		})
	}
}

// What cannot get better by waiting is an error and an exit, which names the
// cause.
func TestSocketThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	missing := filepath.Join(t.TempDir(), "missing.sock")
	for name, test := range map[string]struct {
		args []string
		says []string
	}{
		// Without --group-add the proxy's user may not open it.
		"forbidden": {[]string{"-v", s.Socket + ":/var/run/docker.sock"}, []string{"no permission", "group"}},
		// Docker makes a folder of a path that does not exist.
		"folder": {[]string{"-v", missing + ":/var/run/docker.sock"}, []string{"is a directory", "Docker creates"}},
	} {
		container := s.Run(name, append(test.args, s.LB)...)
		if code := s.Docker("wait", container); code == "0" {
			t.Errorf("%s: exit code 0", name)
		}
		log := s.Log(container)
		for _, word := range append(test.says, "/var/run/docker.sock") {
			if !strings.Contains(log, word) {
				t.Errorf("%s: the log does not say %q:\n%s", name, word, log)
			}
		}
	}
}
