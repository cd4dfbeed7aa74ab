package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/realengine"
)

// soon is how long a change may take on a busy machine. What is normal is some
// milliseconds: make bench-discovery.
const soon = 5 * time.Second

// pair is a proxy with two backends in rotation on one network.
type pair struct {
	*realengine.Scope
	*realengine.Front
	network    string
	one, two   string // containers
	idOne, id2 string
}

func newPair(t *testing.T, args ...string) *pair {
	t.Helper()
	p := &pair{Scope: newScope(t)}
	p.network = p.Network("net")
	p.one = p.Backend("one", p.network, args...)
	p.two = p.Backend("two", p.network)
	p.Front = p.Proxy("lb", p.network)
	p.idOne, p.id2 = p.ID(p.one), p.ID(p.two)
	p.Serves(soon, p.idOne, p.id2)
	return p
}

// why waits until the proxy gives a reason for a container that is not routed.
func why(t *testing.T, f *realengine.Front, container string, words ...string) {
	t.Helper()
	realengine.Eventually(t, soon, func() error {
		a, err := f.Endpoints()
		if err != nil {
			return err
		}
		for _, n := range a.NotRouted {
			if n.Container != container {
				continue
			}
			for _, word := range words {
				if !strings.Contains(n.Reason, word) {
					return fmt.Errorf("%s is not routed because %q, want a word of %q", container, n.Reason, word)
				}
			}
			return nil
		}
		return fmt.Errorf("%s is not among the not routed: %+v", container, a.NotRouted)
	})
}

func TestPause(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.Docker("pause", p.one)
	p.Serves(soon, p.id2)
	p.Docker("unpause", p.one)
	p.Serves(soon, p.idOne, p.id2)
}

func TestRenameKeepsTheEndpoint(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	requests := func(container string) uint64 {
		a, err := p.Endpoints()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range a.Endpoints {
			if e.Container == container {
				return e.Requests
			}
		}
		return 0
	}
	before := requests(p.one)
	if before == 0 {
		t.Fatalf("no requests on record for %s", p.one)
	}
	l := startLoad(p.Front)
	renamed := p.one + "-renamed"
	p.Docker("rename", p.one, renamed)
	realengine.Eventually(t, soon, func() error {
		if after := requests(renamed); after < before {
			return fmt.Errorf("%s has %d requests on record, %s had %d", renamed, after, p.one, before)
		}
		return nil
	})
	l.stop(t)
	p.Serves(soon, p.idOne, p.id2)
}

func TestRestart(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	l := startLoad(p.Front)
	p.Docker("restart", p.one)
	again := p.ID(p.one)
	realengine.Eventually(t, soon, func() error {
		if again = p.ID(p.one); again == p.idOne {
			return fmt.Errorf("%s has not started again", p.one)
		}
		return nil
	})
	realengine.Eventually(t, soon, func() error {
		turns, err := p.Turns(2)
		if err == nil && !slices.Contains(turns, again) {
			err = fmt.Errorf("%q answer, not the new %s", turns, again)
		}
		return err
	})
	l.stop(t)
	p.Serves(soon, again, p.id2)
}

func TestHangUpIsNoStop(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.Docker("kill", "-s", "HUP", p.one)
	// The event is there at the latest when that of a later pause has had its
	// effect: events come in order.
	p.Docker("pause", p.two)
	p.Serves(soon, p.idOne)
	p.Docker("unpause", p.two)
	p.Serves(soon, p.idOne, p.id2)
}

func TestStopIsOutAtOnceAndLosesNothing(t *testing.T) {
	t.Parallel()
	// It never ends by itself: for three seconds it is only the signal that
	// says that it is going.
	p := newPair(t, "-e", "DAEMON_ON_TERM=ignore")
	l := startLoad(p.Front)
	stopped := make(chan error, 1)
	go func() {
		_, err := p.Engine.Docker("stop", "-t", "3", p.one)
		stopped <- err
	}()
	p.Serves(2*time.Second, p.id2)
	select {
	case err := <-stopped:
		t.Errorf("the container ended before the proxy took it out: %v", err)
	default:
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	p.Serves(soon, p.id2)
	l.stop(t)
}

func TestIgnoredStopIsAdmittedAgain(t *testing.T) {
	t.Parallel()
	p := newPair(t, "-e", "DAEMON_ON_TERM=ignore", "--stop-timeout", "1")
	l := startLoad(p.Front)
	p.Docker("kill", "-s", "TERM", p.one)
	p.Serves(soon, p.id2)
	p.ServedBy(15*time.Second, p.idOne, p.id2)
	l.stop(t)
	p.Serves(soon, p.idOne, p.id2)
}

func TestBackendChangesNetworks(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	ours, theirs := s.Network("ours"), s.Network("theirs")
	f := s.Proxy("lb", ours)
	backend := s.Backend("one", theirs)
	id := s.ID(backend)
	why(t, f, backend, ours, theirs)
	s.Docker("network", "connect", ours, backend)
	f.Serves(soon, id)
	s.Docker("network", "disconnect", ours, backend)
	why(t, f, backend, ours, theirs)
}

func TestProxyChangesNetworks(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	ours, theirs := s.Network("ours"), s.Network("theirs")
	f := s.Proxy("lb", ours)
	near, far := s.Backend("near", ours), s.Backend("far", theirs)
	idNear, idFar := s.ID(near), s.ID(far)
	f.Serves(soon, idNear)
	s.Docker("network", "connect", theirs, f.Container)
	f.Serves(soon, idNear, idFar)
	s.Docker("network", "disconnect", theirs, f.Container)
	f.Serves(soon, idNear)
	why(t, f, far, theirs)
}

func TestAddressTakenOver(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	address := func(container string) string {
		return p.Docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)
	}
	old := address(p.one)
	p.Docker("rm", "-f", p.one)
	// Another service, which must get none of the old one's traffic.
	other := p.Run("other", "--network", p.network, "--label", p.Prefix+".cluster=other", "--label", p.Prefix+".host=other.test", p.Daemon)
	if now := address(other); now != old {
		t.Fatalf("the new container has %s, not the freed %s: nothing was tried", now, old)
	}
	p.ID(other)
	realengine.Eventually(t, soon, func() error {
		a, err := p.Endpoints()
		if err != nil {
			return err
		}
		for _, e := range a.Endpoints {
			if e.Container == other && e.Cluster == "other" && strings.HasPrefix(e.Address, old) && e.State == "healthy" {
				return nil
			}
		}
		return fmt.Errorf("%s is not ready: %+v", other, a.Endpoints)
	})
	p.Serves(soon, p.id2)
}

func TestHealthcheckIsObeyed(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	network := s.Network("net")
	s.WriteCompose(`
services:
  one:
    image: ` + s.Daemon + `
    labels: {` + s.Prefix + `.cluster: web}
    healthcheck: {test: [CMD, /daemon, healthcheck], interval: 2s, retries: 1}
networks:
  default: {external: true, name: ` + network + `}
`)
	f := s.Proxy("lb", network, "-e", "LB_LOG_LEVEL=debug")
	s.Compose("up", "-d")
	one := s.Compose("ps", "-q", "one")
	health := func() string { return s.Docker("inspect", "-f", "{{.State.Health.Status}}", one) }
	id := s.ID(one)

	// It listens, and Docker has not looked yet.
	state, ask := health(), func() bool { _, body, _ := f.Get(f.Address, "/"); return strings.Contains(body, id) }
	if answered := ask(); state == "starting" && answered && health() == "starting" {
		t.Error("a container whose health is starting takes traffic")
	}
	f.Serves(10*time.Second, id)
	if got := health(); got != "healthy" {
		t.Errorf("it takes traffic while it is %s", got)
	}

	s.Docker("exec", one, "/daemon", "sick")
	realengine.Eventually(t, 10*time.Second, func() error {
		a, err := f.Endpoints()
		if err != nil {
			return err
		}
		for _, e := range a.Endpoints {
			if e.State == "healthy" {
				return fmt.Errorf("%s is healthy, Docker says %s", e.Container, health())
			}
		}
		return nil
	})
	s.Docker("exec", one, "/daemon", "well")
	f.Serves(10*time.Second, id)
}

func TestHostNetworkBackend(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	network := s.Network("net")
	f := s.Proxy("lb", network)
	_, port, _ := strings.Cut(realengine.FreeAddress(t), ":")
	backend := s.Run("host", "--network", "host", "-e", "DAEMON_LISTEN=:"+port,
		"--label", s.Prefix+".cluster=web", "--label", s.Prefix+".port="+port, s.Daemon)
	f.Serves(soon, s.ID(backend))
}

func TestBorrowedNetwork(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	network := s.Network("net")
	f := s.Proxy("lb", network)
	lender := s.Run("lender", "--network", network, "-e", "DAEMON_LISTEN=:8081", s.Daemon)
	borrower := s.Run("borrower", "--network", "container:"+lender, "--label", s.Prefix+".cluster=web", s.Daemon)
	f.Serves(soon, s.ID(borrower))
}

func TestProxyOnTheHost(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	network := s.Network("net")
	f := s.HostProxy()
	one, two := s.Backend("one", network), s.Backend("two", network)
	idOne, id2 := s.ID(one), s.ID(two)
	f.Serves(soon, idOne, id2)
	l := startLoad(f)
	s.Docker("stop", one)
	f.Serves(soon, id2)
	l.stop(t)
}

func TestTwoProjectsOnOneNetwork(t *testing.T) {
	t.Parallel()
	first, second := newScope(t), newScope(t)
	edge := first.Network("edge")
	file := func(s *realengine.Scope) string {
		return `
services:
  web:
    image: ` + s.Daemon + `
    networks: [edge, default]
    labels:
      ` + first.Prefix + `.cluster: shop
networks:
  edge: {external: true, name: ` + edge + `}
`
	}
	f := first.Proxy("lb", edge)
	var ids []string
	for _, s := range []*realengine.Scope{first, second} {
		s.WriteCompose(file(s))
		s.Compose("up", "-d")
		ids = append(ids, s.ID(s.Compose("ps", "-q", "web")))
	}
	f.Serves(soon, ids...)
	// The second project's containers must leave the network before the first
	// test's part, which made it, is removed.
	second.Compose("down", "-t", "2")
	f.Serves(soon, ids[0])
}

func TestGracefulEnd(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	network := s.Network("net")
	f := s.Proxy("lb", network)
	f.Serves(soon, s.ID(s.Backend("one", network)))

	type answer struct {
		code int
		body string
		err  error
	}
	slow := make(chan answer, 1)
	go func() {
		code, body, err := f.Get(f.Address, "/slow?ms=3000")
		slow <- answer{code, body, err}
	}()
	realengine.Eventually(t, soon, func() error {
		a, err := f.Endpoints()
		if err == nil && (len(a.Endpoints) != 1 || a.Endpoints[0].RequestsActive != 1) {
			err = fmt.Errorf("the slow request is not in flight: %+v", a.Endpoints)
		}
		return err
	})
	s.Docker("kill", "-s", "TERM", f.Container)
	realengine.Eventually(t, 2*time.Second, func() error {
		if _, err := f.Ask(); err == nil {
			return fmt.Errorf("it still takes requests")
		}
		return nil
	})
	select {
	case a := <-slow:
		t.Errorf("the slow request ended early: %+v", a)
	default:
	}
	if a := <-slow; a.err != nil || a.code != 200 || !regexp.MustCompile(`^My id is `).MatchString(a.body) {
		t.Errorf("the slow request: %+v", a)
	}
	if code := s.Docker("wait", f.Container); code != "0" {
		t.Errorf("exit code %s, want 0", code)
	}
}
