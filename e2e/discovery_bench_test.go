package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/realengine"
)

// pollPause is between two requests of the one who watches the rotation: half
// the resolution of what is seen from outside, since two take turns.
const pollPause = 500 * time.Microsecond

// BenchmarkDiscovery starts and stops one container after the other beside one
// that stays, and measures how long the rotation takes to follow, from the
// engine's own time of its event:
//
//   - join, as the proxy exports it: until the endpoint takes traffic;
//   - join, from outside: until a request through the proxy has its answer;
//   - leave, from outside: until the last request that it was given was sent.
//
// Run by make bench-discovery.
func BenchmarkDiscovery(b *testing.B) {
	if engine == nil {
		b.Skip("no engine:", engineErr)
	}
	s := engine.Scope(b)
	network := s.Network("net")
	f := s.Proxy("lb", network)
	stays := s.ID(s.Backend("stays", network))
	f.Serves(soon, stays)
	events := s.Events()
	poll := newPoller(b, f.Address)
	defer poll.client.CloseIdleConnections()

	var exported, joined, left []time.Duration
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("%s-%d", s.Name, i)
		s.Docker("create", "--name", name, "--label", "dockerlb.test="+s.Name, "--network", network,
			"--label", s.Prefix+".cluster=web", s.Daemon)

		seen := poll.until(func() { try(b, s, "start", name) }, func(id string) bool { return id != stays })
		joined = append(joined, seen.answered.Sub(events.Latest(s, "start", name)))
		exported = append(exported, joinTime(b, f, name))

		last := poll.lastOf(seen.id, func() { try(b, s, "stop", name) })
		left = append(left, max(0, last.Sub(events.Latest(s, "kill", name))))
		s.Docker("rm", name)
	}
	b.ReportMetric(0, "ns/op") // the loop's own time means nothing
	b.Log(figures("join, exported", exported))
	b.Log(figures("join, from outside", joined))
	b.Log(figures("leave, from outside", left))
}

func figures(what string, all []time.Duration) string {
	slices.Sort(all)
	at := func(q float64) float64 {
		return float64(all[min(len(all)-1, int(q*float64(len(all))))].Microseconds()) / 1000
	}
	return fmt.Sprintf("%-20s of %d: median %.1f ms, p99 %.1f ms, max %.1f ms", what, len(all), at(0.5), at(0.99), at(1))
}

// joinTime is what the proxy says of an endpoint that is in rotation.
func joinTime(b *testing.B, f *realengine.Front, container string) (took time.Duration) {
	b.Helper()
	realengine.Eventually(b, soon, func() error {
		a, err := f.Endpoints()
		if err != nil {
			return err
		}
		for _, e := range a.Endpoints {
			if e.Container == container && e.JoinMS > 0 {
				took = time.Duration(e.JoinMS * float64(time.Millisecond))
				return nil
			}
		}
		return fmt.Errorf("no join time of %s", container)
	})
	return took
}

// poller asks through the proxy again and again, on one kept connection.
type poller struct {
	b      *testing.B
	url    string
	client *http.Client
}

// seen is one answer.
type seen struct {
	id             string
	sent, answered time.Time
}

func newPoller(b *testing.B, address string) *poller {
	return &poller{b, "http://" + address + "/", &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}}
}

func (p *poller) ask() seen {
	p.b.Helper()
	x := seen{sent: time.Now()}
	response, err := p.client.Get(p.url)
	if err != nil {
		p.b.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		p.b.Fatalf("%s, %v", response.Status, err)
	}
	x.id, x.answered = response.Header.Get("X-Daemon-Id"), time.Now()
	return x
}

// until asks while something is done, until an answer is as wanted and it is
// done.
func (p *poller) until(do func(), wanted func(id string) bool) seen {
	p.b.Helper()
	done := background(do)
	defer func() { <-done }()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(pollPause) {
		if x := p.ask(); wanted(x.id) {
			return x
		}
		if time.Now().After(end) {
			p.b.Fatal("it does not come into rotation")
		}
	}
}

// lastOf asks while something is done, and returns when the last request was
// sent that this one answered.
func (p *poller) lastOf(id string, do func()) (last time.Time) {
	p.b.Helper()
	done := background(do)
	for ; ; time.Sleep(pollPause) {
		if x := p.ask(); x.id == id {
			last = x.sent
		}
		select {
		case <-done:
			return last
		default:
		}
	}
}

// try runs a docker command outside of the benchmark's goroutine, which alone
// may end it.
func try(b *testing.B, s *realengine.Scope, args ...string) {
	if _, err := s.Engine.Docker(args...); err != nil {
		b.Error(err)
	}
}

func background(do func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	return done
}
