package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dockerlb/dockerlb/internal/wire"
)

// watchedClient has had a request answered, waits for the next one, and would be
// parked in an hour: who misses what arrives, misses it for good.
func watchedClient(t *testing.T) *client {
	t.Helper()
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // cut short: the client is told by what it gets
		_, _ = io.WriteString(w, "hello")
	}))
	t.Cleanup(b.Close)
	r := newRig(t, setup{park: time.Hour}, netip.MustParseAddrPort(b.Listener.Addr().String()))
	c := r.dial()
	c.send(crlf(get))
	c.head()
	c.readN(5)
	eventually(t, "the connection is watched", func() bool {
		r.srv.mu.Lock()
		defer r.srv.mu.Unlock()
		for c := range r.srv.conns {
			if c.watched.Load() == watchOn && c.state.Load() == connIdle {
				return true
			}
		}
		return false
	})
	return c
}

// What is served within the wait, and what leaves it, in any order, on one
// connection.
func TestTurns(t *testing.T) {
	c := watchedClient(t)
	const (
		post = "POST / HTTP/1.1$Host: a$Content-Length: 4$$"
		big  = "POST / HTTP/1.1$Host: a$Content-Length: 100000$$"
	)
	for _, tt := range []struct {
		name    string
		pieces  []string
		answers int
	}{
		{"one", []string{crlf(get)}, 1},
		{"another", []string{crlf(get)}, 1},
		{"two at once", []string{crlf(get + get)}, 2},
		{"one and a half", []string{crlf(get + "GET / HTTP/1.1$Ho"), crlf("st: a$$")}, 2},
		{"a head in three pieces", []string{"G", crlf("ET / HTTP/1.1$Host: a$"), "\r\n"}, 1},
		{"a body with its head", []string{crlf(post) + "body"}, 1},
		{"a body after its head", []string{crlf(post), "bo", "dy" + crlf(get)}, 2},
		{"a body and half of one", []string{crlf(post) + "body" + crlf(post) + "b", "ody"}, 2},
		{"chunks", []string{crlf("POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked$$4$body$0$$" + get)}, 2},
		{"a body larger than a buffer", []string{crlf(big) + strings.Repeat("x", 100000), crlf(get)}, 2},
		{"many at once, more than a buffer", []string{strings.Repeat(crlf(get), 2000)}, 2000},
		{"the last", []string{crlf(get)}, 1},
	} {
		go func() {
			for _, p := range tt.pieces {
				if _, err := c.TCPConn.Write([]byte(p)); err != nil {
					return // the reads below say so
				}
				time.Sleep(2 * time.Millisecond) // a packet of its own, most times
			}
		}()
		for range tt.answers {
			if got := status(c.head()); got != "200" {
				t.Fatalf("%s: status %s", tt.name, got)
			}
			c.readN(5)
		}
	}
}

// A FIN that comes with a request, or while it is served, is seen, though nothing
// more comes that would tell of it.
func TestTurnSeesFIN(t *testing.T) {
	t.Run("with the request", func(t *testing.T) {
		c := watchedClient(t)
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		// Both in one segment, so that the poller tells of both at once.
		if err := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1)
		}); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.send(crlf(get))
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := c.all(); status(got) != "200" {
			t.Errorf("answered %q", got)
		}
	})
	t.Run("in the wait", func(t *testing.T) {
		c := watchedClient(t)
		c.send(crlf(get))
		c.head()
		c.readN(5)
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := c.all(); got != "" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("while it is served", func(t *testing.T) {
		asked, answer := make(chan struct{}, 2), make(chan struct{}, 2)
		b := wire.Listen(t, func(c *wire.Conn) {
			for {
				if _, err := c.ReadHead(); err != nil {
					return
				}
				asked <- struct{}{}
				<-answer
				c.Play(ok200)
			}
		})
		r := newRig(t, setup{park: time.Hour, limits: Limits{HalfClose: wire.Patience}}, b.Addr())
		c := r.dial()
		for n := range 2 {
			c.send(crlf(get))
			<-asked
			if n == 1 {
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "the connection is watched, and its FIN known", func() bool {
				r.srv.mu.Lock()
				defer r.srv.mu.Unlock()
				for c := range r.srv.conns {
					if c.watched.Load() == watchOn && c.gone.Load() == (n == 1) {
						return true
					}
				}
				return false
			})
			answer <- struct{}{}
			c.head()
			c.readN(5)
		}
		if got := c.all(); got != "" {
			t.Errorf("got %q", got)
		}
	})
}
