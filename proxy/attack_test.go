package proxy

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// An endpoint that sends more than its response, after the response: the rest
// must not be taken for the answer to somebody else's request.
func TestUnaskedResponseIsNotBelieved(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			sent := make(chan struct{})
			ask := make(chan struct{})
			b := wire.Listen(t, func(c *wire.Conn) {
				if _, err := c.ReadHead(); err != nil {
					return
				}
				c.Play(ok200)
				if c.Index == 0 {
					<-ask
					c.Play("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 6\r\n\r\npoison")
					close(sent)
				}
				io.Copy(io.Discard, c.Conn)
			})
			r := newRig(t, setup{}, b.Addr())
			c := r.dial()
			c.send(crlf(get))
			c.head()
			c.readN(5)
			eventually(t, "the connection is idle", func() bool { return idle(r) == 1 })
			close(ask)
			<-sent
			other := r.dial()
			other.send(method + " /other HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
			if h := other.head(); status(h) != "200" || other.readN(5) != "hello" {
				t.Errorf("answered %q", h)
			}
		})
	}
}

// RFC 9112 section 9.6: who closes says so, and takes care that the response
// arrives. A request that is answered without its body has been read.
func TestLocalReplyWithTheBodyStillComing(t *testing.T) {
	r := newRig(t, setup{route: func(rt *topology.Route) { rt.Match.Path.Text = "/elsewhere" }})
	t.Run("all of it is here", func(t *testing.T) {
		r := *r
		r.tb = t
		c := r.dial()
		for range 3 {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
			if h := c.head(); status(h) != "404" {
				t.Fatalf("answered %q", h)
			} else if strings.Contains(h, "connection: close") {
				break // allowed, though a pity
			}
		}
	})
	t.Run("some of it is here", func(t *testing.T) {
		r := *r
		r.tb = t
		got := r.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello")
		if status(got) != "404" || !strings.Contains(got, "connection: close\r\n") {
			t.Errorf("answered %q", got)
		}
	})
	t.Run("it goes on", func(t *testing.T) {
		r := *r
		r.tb = t
		c := r.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello")
		h := c.head()
		// The client that has not noticed yet must not be reset.
		c.send("more")
		time.Sleep(10 * time.Millisecond)
		if _, err := c.Write([]byte("more")); err != nil {
			t.Errorf("after %q: %v", h, err)
		}
		if _, err := c.r.ReadByte(); err != io.EOF {
			t.Errorf("after %q: %v, want the end", h, err)
		}
	})
}

// The client of a refused request may still be sending: a reset would take the
// answer from it.
func TestRefusedClientIsNotReset(t *testing.T) {
	r := newRig(t, setup{})
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 61<<10))
	h := c.head()
	for range 3 {
		if _, err := c.Write([]byte("more")); err != nil {
			t.Fatalf("after %q: %v", h, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("after %q: %v, want the end", h, err)
	}
}

// h2c is not spoken, and nobody may be talked into it behind our back: an
// endpoint that accepted it would take further requests that nobody has read.
func TestH2CIsNotForwarded(t *testing.T) {
	heads := make(chan string, 1)
	b := wire.Listen(t, func(c *wire.Conn) {
		for {
			h, err := c.ReadHead()
			if err != nil {
				return
			}
			heads <- h
			c.Play(ok200)
		}
	})
	for _, up := range []string{"h2c", "websocket, h2c", "h2c, websocket", "h2c,websocket", "WebSocket,H2C"} {
		t.Run(up, func(t *testing.T) {
			r := newRig(t, setup{http: topology.HTTPOptions{Upgrades: []string{"websocket"}}}, b.Addr())
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " + up + "\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
			if h := c.head(); status(h) != "200" {
				t.Fatalf("answered %q: a client that offers h2c is served without (RFC 9110 section 7.8)", h)
			}
			if h := strings.ToLower(<-heads); strings.Contains(h, "h2c") || strings.Contains(h, "http2-settings") {
				t.Errorf("forwarded %q", h)
			}
		})
	}
}

// RFC 9110 section 7.8: a server must not switch to what the client has not
// asked for.
func TestSwitchToAnotherProtocolIsRefused(t *testing.T) {
	for _, up := range []string{"Upgrade: h2c\r\n", "", "Upgrade: websocket, h2c\r\n", "Upgrade: websocket\r\nUpgrade: h2c\r\n"} {
		t.Run(up, func(t *testing.T) {
			b := wire.Listen(t, func(c *wire.Conn) {
				c.ReadHead()
				c.Play("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n" + up + "\r\n")
			})
			r := newRig(t, setup{http: topology.HTTPOptions{Upgrades: []string{"websocket"}}}, b.Addr())
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
			if h := c.head(); status(h) != "502" {
				t.Errorf("answered %q, want 502", h)
			}
		})
	}
}

// A 101 says Connection: upgrade and nothing else, also while draining.
func TestSwitchWhileDraining(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) {
		c.ReadHead()
		c.Play("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c.Conn, c.Conn)
	})
	r := newRig(t, setup{http: topology.HTTPOptions{Upgrades: []string{"websocket"}}}, b.Addr())
	r.srv.Drain()
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nping")
	if h := c.head(); status(h) != "101" || strings.Contains(h, "close") {
		t.Errorf("answered %q", h)
	}
	if got := c.readN(4); got != "ping" {
		t.Errorf("echo %q", got)
	}
}

// Many backends make one variable of X-Forwarded-For and X_Forwarded_For (CGI,
// RFC 3875 section 4.1.18, and all that follow it): a stranger must not say by
// the one what it may not by the other.
func TestStrangersFieldsWithUnderscores(t *testing.T) {
	heads := make(chan string, 1)
	b := wire.Listen(t, func(c *wire.Conn) {
		for {
			h, err := c.ReadHead()
			if err != nil {
				return
			}
			heads <- h
			c.Play(ok200)
		}
	})
	r := newRig(t, setup{}, b.Addr())
	for _, name := range []string{
		"X_Forwarded_For", "X-Forwarded_For", "x_forwarded-proto", "X_Forwarded_Host", "X_Request_Id", "X-Real-IP", "X_Real_Ip",
		"X-Forwarded-Prefix", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Forwarded-Server", "X-Forwarded-Client-Cert", "X-Forwarded-Uri", "X-Forwarded",
		"Content_Length", "Transfer_Encoding", "Transfer-Encoding_", "Client-IP", "True-Client-IP", "X-Client-IP", "X-Cluster-Client-Ip", "Front-End-Https", "X-Url-Scheme", "Proxy",
	} {
		t.Run(name, func(t *testing.T) {
			r := *r
			r.tb = t
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\n" + name + ": sesame\r\n\r\n")
			c.head()
			if h := <-heads; strings.Contains(h, "sesame") {
				t.Errorf("forwarded %q", h)
			}
		})
	}
}

// RFC 9110 section 6.5.1: what controls, authenticates or frames must not come
// in a trailer, where no rule of ours has seen it.
func TestTrailersDoNotSmuggleFields(t *testing.T) {
	bodies := make(chan string, 1)
	b := wire.Listen(t, func(c *wire.Conn) {
		for {
			if _, err := c.ReadHead(); err != nil {
				return
			}
			body, _ := c.ReadUntil("\r\n\r\n")
			bodies <- body
			c.Play(ok200)
		}
	})
	r := newRig(t, setup{route: func(rt *topology.Route) {
		rt.RequestHeaders.Remove = []string{"X-Internal"}
	}}, b.Addr())
	for _, name := range []string{
		"Host", "Content-Length", "Transfer-Encoding", "Connection", "TE", "Upgrade", "Expect", "Cookie", "Authorization", "Proxy-Authorization",
		"Content-Type", "Content-Encoding", "Content-Range", "Cache-Control", "If-Match", "Range", "Max-Forwards", "X-Forwarded-For", "Forwarded",
		"X-Real-Ip", "X-Request-Id", "X_Forwarded_For", "Content_Length", "Set-Cookie", "X-Internal", "X-Envoy-Internal", "Keep-Alive", "Trailer",
	} {
		t.Run(name, func(t *testing.T) {
			r := *r
			r.tb = t
			c := r.dial()
			c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + name + ": sesame\r\nX-Sum: 1\r\n\r\n")
			if h := c.head(); status(h) != "200" {
				t.Fatalf("answered %q", h)
			}
			if got, want := <-bodies, "1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n"; got != want {
				t.Errorf("forwarded %q, want %q", got, want)
			}
		})
	}
}

// What is no HTTP at all is refused by its first octet: a TLS client must not
// wait for a timeout.
func TestNotHTTP(t *testing.T) {
	r := newRig(t, setup{})
	for _, tt := range []string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x00", "SSH-2.0-x\x01", "\xff\xfb", "GET\x00", "{\"json\"", "\r\r"} {
		t.Run(tt, func(t *testing.T) {
			r := *r
			r.tb = t
			begin := time.Now()
			if got := r.exchange(tt); status(got) != "400" {
				t.Errorf("answered %q", got)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("only after %v", took)
			}
		})
	}
}

// An endpoint that ends its connection within a head has begun to answer: the
// request is not sent again behind the client's back.
func TestPartOfAHeadIsAResponse(t *testing.T) {
	heads := make(chan string, 10)
	b := wire.Listen(t, func(c *wire.Conn) {
		for n := 0; ; n++ {
			h, err := c.ReadHead()
			if err != nil {
				return
			}
			heads <- h
			if n == 0 {
				c.Play(ok200)
				continue
			}
			c.Play("HTTP/1.1 200 OK\r\nX-Begun: ")
			time.Sleep(20 * time.Millisecond) // a segment of its own
			return
		}
	})
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	c.send(crlf(get))
	c.head()
	c.readN(5)
	c.send("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n")
	if h := c.head(); status(h)[0] != '5' {
		t.Errorf("answered %q", h)
	}
	if n := len(heads); n != 2 {
		t.Errorf("the endpoint saw %d requests, want 2", n)
	}
}

// The beginning of a long body can be sent again: none of it is lost in a pipe
// of the kernel while a retry may still need it.
func TestRetryWithinTheBeginningOfALongBody(t *testing.T) {
	const size = 300_000
	body := make([]byte, size)
	for i := range body {
		body[i] = byte('a' + i%26)
	}
	var first sync.Once
	reset := make(chan struct{})
	got := make(chan string, 1)
	backend := func(c *wire.Conn) {
		if _, err := c.ReadHead(); err != nil {
			return
		}
		again := true
		first.Do(func() { again = false })
		if !again {
			c.ReadN(50_000)
			c.Reset()
			close(reset)
			return
		}
		all, _ := c.ReadN(size)
		got <- all
		c.Play(ok200)
	}
	b1, b2 := wire.Listen(t, backend), wire.Listen(t, backend)
	r := newRig(t, setup{route: func(rt *topology.Route) {
		rt.Retry = topology.RetryPolicy{On: []string{"reset"}, Max: 1, OtherMembers: true}
	}}, b1.Addr(), b2.Addr())
	c := r.dial()
	c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + string(body[:10_000]))
	eventually(t, "the beginning is upstream", func() bool { return len(b1.Received(0))+len(b2.Received(0)) > 10_000 })
	c.send(string(body[10_000:50_000]))
	<-reset
	eventually(t, "it is sent again", func() bool { return b1.Conns() > 0 && b2.Conns() > 0 })
	c.send(string(body[50_000:]))
	if h := c.head(); status(h) != "200" {
		t.Fatalf("answered %q", h)
	}
	if <-got != string(body) {
		t.Error("the body that was sent again differs")
	}
}

// A request whose own X-Request-Id is hop-by-hop gets one of ours.
func TestRequestIDNominatedAway(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{log: true, http: topology.HTTPOptions{XFFTrustedHops: 1}}, b.Addr())
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\nConnection: x-request-id\r\n\r\n")
	c.head()
	if id := fieldOf(b.Received(0), "x-request-id"); id == "mine" || len(id) != 36 {
		t.Errorf("forwarded X-Request-Id %q", id)
	}
	c.readN(5)
	if rec := <-r.log.lines; rec.id != fieldOf(b.Received(0), "x-request-id") {
		t.Errorf("logged %q", rec.id)
	}
}

func TestBodyLimitOfTheServer(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) { io.Copy(io.Discard, c.Conn) })
	r := newRig(t, setup{limits: Limits{BodyBytes: 10}}, b.Addr())
	for _, req := range []string{
		"POST / HTTP/1.1$Host: a$Content-Length: 11$$hello",
		"POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked$$6$hello!$5$hello$0$$",
	} {
		if got := r.exchange(crlf(req)); status(got) != "413" {
			t.Errorf("answered %q, want 413", got)
		}
	}
}

// What a route takes out of its responses does not come back as a trailer.
func TestResponseTrailersAreRemovedToo(t *testing.T) {
	b := wire.Listen(t, wire.Answer("HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Internal: 1\r\nX-Sum: 2\r\n\r\n"))
	r := newRig(t, setup{route: func(r *topology.Route) { r.ResponseHeaders.Remove = []string{"x-internal"} }}, b.Addr())
	got := r.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if !strings.HasSuffix(got, "\r\n0\r\nX-Sum: 2\r\n\r\n") {
		t.Errorf("answered %q", got)
	}
}

// RFC 9112 section 9.3: close wins, in whatever order.
func TestCloseWins(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{}, b.Addr())
	for _, fields := range []string{
		"Connection: close\r\nConnection: keep-alive\r\n", "Connection: keep-alive\r\nConnection: close\r\n", "Connection: keep-alive, close\r\n",
	} {
		for _, version := range []string{"1.0", "1.1"} {
			if got := r.exchange("GET / HTTP/" + version + "\r\nHost: a\r\n" + fields + "\r\n"); status(got) != "200" || !strings.Contains(got, "connection: close") {
				t.Errorf("HTTP/%s, %q: answered %q", version, fields, got)
			}
		}
	}
}
