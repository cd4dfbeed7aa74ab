package proxy

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

func TestPipelinedInOrder(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) {
		for {
			head, err := c.ReadHead()
			if err != nil {
				return
			}
			path := strings.Fields(head)[1]
			switch {
			case strings.Contains(head, "chunked"):
				body, _ := c.ReadUntil("0\r\n\r\n")
				path += body[3:6]
			case strings.HasPrefix(head, "POST"):
				body, _ := c.ReadN(3)
				path += body
			}
			c.Play("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: " + string(rune('0'+len(path))) + "\r\n\r\n" + path)
		}
	})
	r := newRig(t, setup{}, b.Addr())
	got := r.exchange(crlf("GET /1 HTTP/1.1$Host: a$$POST /2 HTTP/1.1$Host: a$Content-Length: 3$$abc" +
		"POST /3 HTTP/1.1$Host: a$Transfer-Encoding: chunked$$3$def$0$$GET /4 HTTP/1.1$Host: a$Connection: close$$"))
	var bodies []string
	for _, part := range strings.Split(got, "HTTP/1.1 200 OK\r\n")[1:] {
		bodies = append(bodies, part[strings.Index(part, "\r\n\r\n")+4:])
	}
	if s := strings.Join(bodies, " "); s != "/1 /2abc /3def /4" {
		t.Errorf("answered %q", s)
	}
}

// An event stream is passed on event by event.
func TestEventsFlowWithoutDelay(t *testing.T) {
	next := make(chan string)
	for _, framing := range []string{"Transfer-Encoding: chunked\r\n", ""} {
		b := wire.Listen(t, func(c *wire.Conn) {
			c.ReadHead()
			c.Play("HTTP/1.1 200 OK\r\nDate: x\r\n" + framing + "\r\n")
			for s := range next {
				if s == "" {
					return
				}
				if framing != "" {
					s = "5\r\n" + s + "\r\n"
				}
				c.Play(s)
			}
		})
		r := newRig(t, setup{}, b.Addr())
		c := r.dial()
		c.send(crlf(get))
		c.head() // arrives before there is any body
		for _, ev := range []string{"one\n\n", "two\n\n", "tre\n\n"} {
			next <- ev
			if got, want := c.readN(10), "5\r\n"+ev+"\r\n"; got != want {
				t.Fatalf("event %q, want %q", got, want)
			}
		}
		next <- ""
		c.Close()
	}
}

// Both ways at once: each piece is answered before the next is sent.
func TestBodiesBothWaysAtOnce(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) {
		c.ReadHead()
		c.Play("HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			piece, err := c.ReadUntil("\n\r\n")
			if err != nil {
				return
			}
			c.Play(piece)
			if strings.HasPrefix(piece, "4\r\nend") {
				c.Play("0\r\n\r\n")
				c.ReadUntil("0\r\n\r\n")
				return
			}
		}
	})
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	for i, p := range []string{"4\r\none\n\r\n", "4\r\ntwo\n\r\n", "4\r\nend\n\r\n"} {
		c.send(p)
		if i == 0 {
			c.head()
		}
		if got := c.readN(len(p)); got != p {
			t.Fatalf("echo %q, want %q", got, p)
		}
	}
	c.send("0\r\n\r\n")
	if got := c.readN(5); got != "0\r\n\r\n" {
		t.Fatalf("end %q", got)
	}
}

// An endpoint that answers without waiting for the body is heard at once.
func TestEarlyResponse(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) {
		c.ReadHead()
		c.Play("HTTP/1.1 413 Too Large\r\nDate: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		io.Copy(io.Discard, c.Conn)
	})
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nsome of it")
	head := c.head()
	if status(head) != "413" || !strings.Contains(head, "connection: close\r\n") {
		t.Fatalf("answered %q", head)
	}
	if got := c.readN(2); got != "no" {
		t.Fatalf("body %q", got)
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("after the response: %v, want the end", err)
	}
}

func TestExpectContinue(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) {
		for {
			head, err := c.ReadHead()
			if err != nil {
				return
			}
			if strings.Contains(strings.ToLower(head), "expect") {
				t.Errorf("Expect was forwarded: %q", head)
			}
			if body, err := c.ReadN(5); err != nil || body != "hello" {
				t.Errorf("body %q, %v", body, err)
				return
			}
			c.Play(ok200)
		}
	})
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n")
	if got := c.head(); got != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("got %q", got)
	}
	c.send("hello")
	if got := status(c.head()); got != "200" {
		t.Fatalf("status %s", got)
	}
	c.readN(5)
	// With the body already there the 100 is superfluous.
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
	if got := status(c.head()); got != "200" {
		t.Errorf("status %s, want 200 at once", got)
	}
}

// Without anywhere to send it, the client is not asked for its body.
func TestExpectContinueWithoutEndpoint(t *testing.T) {
	r := newRig(t, setup{})
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if head := c.head(); status(head) != "503" {
		t.Errorf("answered %q, want 503", head)
	}
}

// The client closes its side and waits: it gets its response within the grace.
func TestHalfClosedClientIsServed(t *testing.T) {
	release := make(chan struct{})
	b := wire.Listen(t, func(c *wire.Conn) {
		c.ReadHead()
		<-release
		c.Play(ok200)
	})
	r := newRig(t, setup{limits: Limits{HalfClose: wire.Patience}}, b.Addr())
	c := r.dial()
	c.send(crlf(get))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request is upstream", func() bool { return b.Conns() == 1 })
	close(release)
	if got := c.all(); status(got) != "200" {
		t.Errorf("answered %q", got)
	}
}

// A client that goes away cancels its upstream request: by RST at once, by FIN
// after the grace.
func TestDepartureCancels(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits Limits
		leave  func(*client)
	}{
		{"reset", Limits{HalfClose: time.Hour}, func(c *client) { c.SetLinger(0); c.Close() }},
		{"close, no grace", Limits{HalfCloseGone: true}, func(c *client) { c.Close() }},
		{"close, short grace", Limits{HalfClose: 10 * time.Millisecond}, func(c *client) { c.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gone := make(chan error, 1)
			arrived := make(chan struct{}, 1)
			b := wire.Listen(t, func(c *wire.Conn) {
				if _, err := c.ReadHead(); err != nil {
					return
				}
				arrived <- struct{}{}
				_, err := c.ReadN(1)
				gone <- err
			})
			r := newRig(t, setup{limits: tt.limits}, b.Addr())
			c := r.dial()
			c.send(crlf(get))
			<-arrived
			tt.leave(c)
			select {
			case err := <-gone:
				if err == nil {
					t.Error("the backend got more")
				}
			case <-time.After(wire.Patience):
				t.Error("the upstream request goes on")
			}
		})
	}
}

// A client that leaves within its body must not leave the endpoint waiting.
func TestDepartureWithinBody(t *testing.T) {
	gone := make(chan error, 1)
	b := wire.Listen(t, func(c *wire.Conn) {
		c.ReadHead()
		_, err := c.ReadN(100)
		gone <- err
	})
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
	eventually(t, "the body's beginning is upstream", func() bool { return strings.HasSuffix(b.Received(0), "hello") })
	c.Close()
	if err := <-gone; !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the backend saw %v", err)
	}
}

func TestLargeResponses(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB
	for _, tt := range []struct{ name, head string }{
		{"length", "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2097152\r\n\r\n"},
		{"until close", "HTTP/1.1 200 OK\r\nDate: x\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := wire.Listen(t, func(c *wire.Conn) {
				for {
					if _, err := c.ReadHead(); err != nil {
						return
					}
					c.Play(tt.head + body)
					if tt.name != "length" {
						return
					}
				}
			})
			r := newRig(t, setup{}, b.Addr())
			c := r.dial()
			for range 3 {
				c.send(crlf("GET / HTTP/1.0$Host: a$$"))
				c.head()
				if got := c.all(); got != body {
					t.Fatalf("body differs, %d octets", len(got))
				}
				c = r.dial()
			}
			if tt.name == "length" && b.Conns() != 1 {
				t.Errorf("%d upstream connections, want 1", b.Conns())
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) { io.Copy(io.Discard, c.Conn) })
	r := newRig(t, setup{http: topology.HTTPOptions{MaxBodyBytes: 10}}, b.Addr())
	for _, req := range []string{
		"POST / HTTP/1.1$Host: a$Content-Length: 11$$hello",
		"POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked$$6$hello!$5$hello$0$$",
	} {
		if got := r.exchange(crlf(req)); status(got) != "413" {
			t.Errorf("answered %q, want 413", got)
		}
	}
}
