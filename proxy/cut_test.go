package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

const getClose = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// halfBody answers with five octets of ten, and keeps the connection.
func halfBody(c *wire.Conn) {
	if _, err := c.ReadHead(); err != nil {
		return
	}
	_ = c.Play("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nDate: now\r\n\r\nhello")
	_, _ = c.ReadHead() // until the proxy closes
}

// A response that a time limit cuts short: the client sees it incomplete, and
// the log says which limit it was.
func TestTimeCutsBody(t *testing.T) {
	const limit = 50 * time.Millisecond
	for _, test := range []struct {
		name    string
		s       setup
		flag    Flags
		details string
	}{
		{"the route's timeout", setup{route: func(r *topology.Route) { r.Timeout = limit }}, FlagUT, "response_timeout"},
		{"the route's idle timeout", setup{route: func(r *topology.Route) { r.IdleTimeout = limit }}, FlagSI, "stream_idle_timeout"},
		{"the stream's", setup{limits: Limits{StreamIdle: limit}}, FlagSI, "stream_idle_timeout"},
		{"the shorter one of both", setup{limits: Limits{StreamIdle: limit}, route: func(r *topology.Route) { r.Timeout = time.Hour }}, FlagSI, "stream_idle_timeout"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.s.log = true
			r := newRig(t, test.s, wire.Listen(t, halfBody).Addr())
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if got, want := c.all(), "HTTP/1.1 200 OK\r\nDate: now\r\ncontent-length: 10\r\n\r\nhello"; got != want {
				t.Errorf("got %q, want %q and the end", got, want)
			}
			rec := <-r.log.lines
			if rec.Status != 200 || rec.Flags != test.flag || rec.Details != test.details {
				t.Errorf("logged %d %v %s, want 200 %v %s", rec.Status, rec.Flags, rec.Details, test.flag, test.details)
			}
			wantTimeouts := uint64(0)
			if test.flag == FlagUT {
				wantTimeouts = 1
			}
			if e := r.b.Snapshot().Clusters[0].Endpoints[0]; e.RqTimeout != wantTimeouts || e.CxActive != 0 {
				t.Errorf("rq_timeout %d, cx_active %d", e.RqTimeout, e.CxActive)
			}
		})
	}
}

// A client that is there but takes nothing is idle, and not the endpoint's fault.
func TestClientTakesNothing(t *testing.T) {
	const length = 64 << 20 // more than the sockets hold
	piece := strings.Repeat("x", 64<<10)
	for _, chunked := range []bool{false, true} {
		head := "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n"
		if chunked {
			head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n"
		}
		b := wire.Listen(t, func(c *wire.Conn) {
			_, err := c.ReadHead()
			if err == nil {
				err = c.Play(head)
			}
			for n := 0; n < length && err == nil; n += len(piece) {
				err = c.Play(piece)
			}
		})
		r := newRig(t, setup{log: true, limits: Limits{StreamIdle: 100 * time.Millisecond}}, b.Addr())
		c := r.dial()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		rec := <-r.log.lines
		if rec.Flags != FlagSI || rec.Details != "stream_idle_timeout" {
			t.Errorf("chunked %v: logged %v %s, want SI", chunked, rec.Flags, rec.Details)
		}
		if e := r.b.Snapshot().Clusters[0].Endpoints[0]; e.RqError != 0 {
			t.Errorf("chunked %v: %d errors of the endpoint", chunked, e.RqError)
		}
	}
}

// RFC 9110 section 15.5.22: a 426 must say what to upgrade to.
func TestUpgradeRequired(t *testing.T) {
	b := wire.Listen(t, wire.Answer("HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\nDate: now\r\n\r\n"))
	r := newRig(t, setup{}, b.Addr())
	for _, test := range []struct{ request, want string }{
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\nDate: now\r\ncontent-length: 0\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"},
		{getClose, "HTTP/1.1 426 Upgrade Required\r\nDate: now\r\ncontent-length: 0\r\nupgrade: websocket\r\nconnection: close, upgrade\r\n\r\n"},
		{"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\nDate: now\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"},
	} {
		c := r.dial()
		c.send(test.request)
		if got := c.head(); got != test.want {
			t.Errorf("%q: got\n%q, want\n%q", test.request, got, test.want)
		}
	}
	// Other statuses keep it to themselves.
	b = wire.Listen(t, wire.Answer("HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"))
	r = newRig(t, setup{}, b.Addr())
	if got := r.exchange(getClose); strings.Contains(strings.ToLower(got), "upgrade") {
		t.Errorf("got %q", got)
	}
}
