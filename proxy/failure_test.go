package proxy

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/freeport"
	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// refusing is an address that refuses connections.
func refusing(t *testing.T) netip.AddrPort {
	t.Helper()
	a, err := freeport.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRefusedGoesToAnother(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{}, refusing(t), b.Addr())
	for range 4 {
		for _, method := range []string{"GET", "POST"} { // never sent: any method
			if got := r.exchange(method + " / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); status(got) != "200" {
				t.Errorf("%s answered %q", method, got)
			}
		}
	}
}

// Many are told to stop at once, and refuse before it is known: one that is
// well is found all the same.
func TestRefusedByManyAtOnce(t *testing.T) {
	addrs := []netip.AddrPort{wire.Listen(t, wire.Answer(ok200)).Addr()}
	for range 6 {
		addrs = append(addrs, refusing(t))
	}
	r := newRig(t, setup{cluster: func(c *topology.Cluster) { c.Hold = wire.Patience }}, addrs...)
	for range len(addrs) {
		if got := r.exchange("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"); status(got) != "200" {
			t.Errorf("answered %q", got)
		}
	}
}

func TestRefusalPause(t *testing.T) {
	for n, want := range map[int]time.Duration{-3: 0, 0: 0, 1: refusedFirst, 2: 2 * refusedFirst, 12: refusedMost, 100: refusedMost} {
		if got := refusalPause(n); got != want {
			t.Errorf("refusal %d: %v, want %v", n, got, want)
		}
	}
}

func TestRefusedByAll(t *testing.T) {
	r := newRig(t, setup{}, refusing(t))
	got := r.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	want := "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused"
	if status(got) != "503" || !strings.HasSuffix(got, want) {
		t.Errorf("answered %q", got)
	}
}

// The only member is recreated: the request waits, and is answered.
func TestRefusedByTheOnlyMemberIsHeld(t *testing.T) {
	addr := refusing(t)
	r := newRig(t, setup{cluster: func(c *topology.Cluster) { c.Hold = wire.Patience }}, addr)
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
	eventually(t, "a try was refused", func() bool {
		for _, s := range r.b.Snapshot().Clusters {
			if s.Counters.CxConnectFail >= 2 {
				return true
			}
		}
		return false
	})
	ln, err := net.Listen("tcp", addr.String())
	if err != nil {
		t.Fatalf("the address was taken by another: %v", err)
	}
	defer ln.Close()
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		buf := make([]byte, 4096)
		nc.Read(buf)
		io.WriteString(nc, ok200)
	}()
	if got := c.head(); status(got) != "200" {
		t.Errorf("answered %q", got)
	}
}

// serveThenClose answers n requests on each connection, and then closes it
// without a word when the next arrives.
func serveThenClose(n int, requests *atomic.Int32) func(*wire.Conn) {
	return func(c *wire.Conn) {
		for range n {
			if _, err := c.ReadHead(); err != nil {
				return
			}
			requests.Add(1)
			c.Play(ok200)
		}
		if _, err := c.ReadHead(); err == nil {
			requests.Add(1)
		}
	}
}

// A kept connection that the endpoint closes under a request.
func TestStaleConnection(t *testing.T) {
	for _, tt := range []struct{ method, status string }{
		{"GET", "200"},  // sent again on a fresh connection
		{"POST", "503"}, // may have been processed: once, and clearly
	} {
		t.Run(tt.method, func(t *testing.T) {
			var n atomic.Int32
			b := wire.Listen(t, serveThenClose(1, &n))
			r := newRig(t, setup{}, b.Addr())
			c := r.dial()
			req := tt.method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
			c.send(req)
			c.head()
			c.readN(5)
			c.send(req)
			if got := status(c.head()); got != tt.status {
				t.Errorf("status %s, want %s", got, tt.status)
			}
			if want := map[string]int32{"200": 3, "503": 2}[tt.status]; n.Load() != want {
				t.Errorf("the backend saw %d requests, want %d", n.Load(), want)
			}
		})
	}
}

// A kept connection that the endpoint has closed before is not used for a
// request that cannot be sent twice.
func TestClosedConnectionIsNotUsed(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) {
		c.ReadHead()
		c.Play(ok200) // and close
	})
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	for range 20 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
		if got := status(c.head()); got != "200" {
			t.Fatalf("status %s", got)
		}
		c.readN(5)
		n := b.Conns()
		eventually(t, "the backend's close arrives", func() bool { return idle(r) == 0 })
		if b.Conns() != n {
			t.Fatal("connected without need")
		}
	}
}

func idle(r *rig) (n int) {
	for _, p := range r.pools.all() {
		p.mu.Lock()
		n += len(p.idle)
		p.mu.Unlock()
	}
	return n
}

func TestResetBeforeResponse(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		retry        topology.RetryPolicy
		status       string
		requests     int32
	}{
		{"no policy", "GET", topology.RetryPolicy{}, "503", 1},
		{"reset", "GET", topology.RetryPolicy{On: []string{"reset"}, Max: 2, OtherMembers: true, IdempotentOnly: true}, "200", 2},
		{"reset, POST", "POST", topology.RetryPolicy{On: []string{"reset"}, Max: 2, OtherMembers: true, IdempotentOnly: true}, "503", 1},
		{"reset, POST, as Envoy", "POST", topology.RetryPolicy{On: []string{"reset"}, Max: 2, OtherMembers: true}, "200", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int32
			handler := func(c *wire.Conn) {
				for {
					if _, err := c.ReadHead(); err != nil {
						return
					}
					if n.Add(1) == 1 {
						c.Reset()
						return
					}
					c.Play(ok200)
				}
			}
			b1, b2 := wire.Listen(t, handler), wire.Listen(t, handler)
			r := newRig(t, setup{route: func(rt *topology.Route) { rt.Retry = tt.retry }}, b1.Addr(), b2.Addr())
			got := r.exchange(tt.method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			if status(got) != tt.status || n.Load() != tt.requests {
				t.Errorf("answered %.40q after %d requests, want %s after %d", got, n.Load(), tt.status, tt.requests)
			}
		})
	}
}

func TestRetryByStatus(t *testing.T) {
	for _, tt := range []struct {
		name   string
		retry  topology.RetryPolicy
		body   string
		status string
		n      int32
	}{
		{"5xx", topology.RetryPolicy{On: []string{"5xx"}, Max: 2}, "hello", "200", 3},
		{"exhausted passes the last", topology.RetryPolicy{On: []string{"5xx"}, Max: 1}, "hello", "503", 2},
		{"gateway-error", topology.RetryPolicy{On: []string{"gateway-error"}, Max: 2}, "", "200", 3},
		{"codes", topology.RetryPolicy{On: []string{"retriable-status-codes"}, Codes: []uint32{503}, Max: 2}, "", "200", 3},
		{"other codes", topology.RetryPolicy{On: []string{"retriable-status-codes"}, Codes: []uint32{500}, Max: 2}, "", "503", 1},
		{"body too large to send again", topology.RetryPolicy{On: []string{"5xx"}, Max: 2}, strings.Repeat("x", 100<<10), "503", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int32
			b := wire.Listen(t, func(c *wire.Conn) {
				for {
					if _, err := c.ReadHead(); err != nil {
						return
					}
					if body, err := c.ReadN(len(tt.body)); err != nil || body != tt.body {
						t.Errorf("body of %d octets, %v", len(body), err)
					}
					if n.Add(1) <= 2 {
						c.Play("HTTP/1.1 503 Busy\r\nDate: x\r\nContent-Length: 4\r\n\r\nbusy")
					} else {
						c.Play(ok200)
					}
				}
			})
			r := newRig(t, setup{route: func(rt *topology.Route) { rt.Retry = tt.retry }}, b.Addr())
			c := r.dial()
			c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: " + string(appendDecimal(nil, int64(len(tt.body)))) + "\r\n\r\n" + tt.body)
			if got := status(c.head()); got != tt.status || n.Load() != tt.n {
				t.Errorf("status %s after %d requests, want %s after %d", got, n.Load(), tt.status, tt.n)
			}
		})
	}
}

func TestTimeouts(t *testing.T) {
	silent := func(c *wire.Conn) { c.ReadHead(); io.Copy(io.Discard, c.Conn) }
	const short = 50 * time.Millisecond
	for _, tt := range []struct {
		name    string
		s       setup
		request string
		status  string
		body    string
	}{
		{"route timeout", setup{route: func(r *topology.Route) { r.Timeout = short }}, get, "504", "upstream request timeout"},
		{"head timeout", setup{route: func(r *topology.Route) { r.HeadTimeout = short }}, get, "504", "upstream request timeout"},
		{"per try", setup{route: func(r *topology.Route) { r.Retry.PerTry = short }}, get, "504", "upstream request timeout"},
		{"stream idle", setup{limits: Limits{StreamIdle: short}}, get, "504", "stream timeout"},
		{"body stalls", setup{limits: Limits{StreamIdle: short}}, "POST / HTTP/1.1$Host: a$Content-Length: 5$$h", "408", "stream timeout"},
		{"request timeout", setup{http: topology.HTTPOptions{RequestTimeout: short}}, "POST / HTTP/1.1$Host: a$Content-Length: 5$$h", "408", "request timeout"},
		{"head stalls", setup{limits: Limits{HeadTimeout: short}}, "GET / HTTP/1.1$Ho", "408", "request header timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := wire.Listen(t, silent)
			r := newRig(t, tt.s, b.Addr())
			c := r.dial()
			c.send(crlf(tt.request))
			head := c.head()
			if status(head) != tt.status {
				t.Fatalf("answered %q, want %s", head, tt.status)
			}
			if got := c.readN(len(tt.body)); got != tt.body {
				t.Errorf("body %q", got)
			}
		})
	}
}

func TestIdleTimeouts(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{limits: Limits{IdleTimeout: 50 * time.Millisecond}}, b.Addr())
	c := r.dial()
	if got := c.all(); got != "" {
		t.Errorf("an idle connection was told %q", got)
	}
	c = r.dial()
	c.send(crlf(get))
	c.head()
	c.readN(5)
	if got := c.all(); got != "" {
		t.Errorf("an idle kept connection was told %q", got)
	}
}

// A deadline longer than exactBelow is the clock's.
func TestCoarseDeadline(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) { c.ReadHead(); io.Copy(io.Discard, c.Conn) })
	r := newRig(t, setup{route: func(r *topology.Route) { r.Timeout = exactBelow + tick }}, b.Addr())
	begin := time.Now()
	got := r.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if took := time.Since(begin); status(got) != "504" || took < exactBelow {
		t.Errorf("answered %q after %v", got, took)
	}
}

// The endpoint resets while the body is still coming: what has come goes again,
// and the rest follows.
func TestRetryWithinBody(t *testing.T) {
	var n atomic.Int32
	got := make(chan string, 1)
	retry := make(chan struct{})
	handler := func(c *wire.Conn) {
		head, err := c.ReadHead()
		if err != nil {
			return
		}
		if n.Add(1) == 1 {
			c.ReadUntil("first")
			c.Reset()
			return
		}
		close(retry)
		body := ""
		if strings.Contains(head, "chunked") {
			body, _ = c.ReadUntil("0\r\n\r\n")
		} else {
			body, _ = c.ReadN(11)
		}
		got <- body
		c.Play(ok200)
	}
	for _, tt := range []struct{ framing, first, rest, want string }{
		{"Content-Length: 11", "first", "second", "firstsecond"},
		{"Transfer-Encoding: chunked", "5\r\nfirst\r\n", "6\r\nsecond\r\n0\r\n\r\n", "5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"},
	} {
		t.Run(tt.framing, func(t *testing.T) {
			n.Store(0)
			retry = make(chan struct{})
			b1, b2 := wire.Listen(t, handler), wire.Listen(t, handler)
			r := newRig(t, setup{route: func(rt *topology.Route) {
				rt.Retry = topology.RetryPolicy{On: []string{"reset"}, Max: 1, OtherMembers: true}
			}}, b1.Addr(), b2.Addr())
			c := r.dial()
			c.send("PUT / HTTP/1.1\r\nHost: a\r\n" + tt.framing + "\r\n\r\n")
			eventually(t, "the head is upstream", func() bool { return b1.Conns()+b2.Conns() == 1 })
			c.send(tt.first)
			<-retry
			c.send(tt.rest)
			if h := c.head(); status(h) != "200" {
				t.Fatalf("answered %q", h)
			}
			if g := <-got; g != tt.want {
				t.Errorf("body %q, want %q", g, tt.want)
			}
		})
	}
}

// A long upload that its client gives up, and one that its endpoint gives up.
func TestLongUploadBreaksOff(t *testing.T) {
	piece := strings.Repeat("x", 1<<20)
	t.Run("client", func(t *testing.T) {
		ended := make(chan error, 1)
		b := wire.Listen(t, func(c *wire.Conn) {
			c.ReadHead()
			_, err := io.Copy(io.Discard, c.Conn)
			ended <- err
		})
		r := newRig(t, setup{}, b.Addr())
		c := r.dial()
		c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + piece)
		c.Close()
		<-ended // bounded by the backend's own deadline
		eventually(t, "the exchange has ended", func() bool { return r.srv.active.Load() == 0 })
	})
	t.Run("endpoint", func(t *testing.T) {
		b := wire.Listen(t, func(c *wire.Conn) {
			c.ReadHead()
			c.ReadN(1 << 20)
			c.Reset()
		})
		r := newRig(t, setup{}, b.Addr())
		c := r.dial()
		c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + piece)
		if head := c.head(); status(head) != "503" {
			t.Errorf("answered %q, want 503", head)
		}
	})
}

// A long response that breaks off on either side.
func TestLongResponseBreaksOff(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 10000000\r\n\r\n"
	t.Run("endpoint", func(t *testing.T) {
		b := wire.Listen(t, func(c *wire.Conn) {
			c.ReadHead()
			c.Play(head + strings.Repeat("x", 1<<20))
		})
		r := newRig(t, setup{log: true}, b.Addr())
		c := r.dial()
		c.send(crlf(get))
		c.head()
		if n := len(c.all()); n != 1<<20 {
			t.Errorf("%d octets, want %d", n, 1<<20)
		}
		if rec := <-r.log.lines; rec.Flags.String() != "UC" {
			t.Errorf("flags %s, want UC", rec.Flags)
		}
	})
	t.Run("client", func(t *testing.T) {
		b := wire.Listen(t, func(c *wire.Conn) {
			c.ReadHead()
			c.Play(strings.Replace(head, "10000000", "64000000", 1) + strings.Repeat("x", 64000000))
		})
		r := newRig(t, setup{log: true}, b.Addr())
		c := r.dial()
		c.send(crlf(get))
		c.readN(100)
		c.SetLinger(0)
		c.Close()
		if rec := <-r.log.lines; rec.Flags.String() != "DC" {
			t.Errorf("flags %s, want DC", rec.Flags)
		}
	})
}

// Over max_connections a request waits until another gives its connection back.
func TestPendingForAConnection(t *testing.T) {
	release := make(chan struct{})
	b := wire.Listen(t, func(c *wire.Conn) {
		for {
			head, err := c.ReadHead()
			if err != nil {
				return
			}
			if strings.HasPrefix(head, "GET /slow") {
				<-release
			}
			c.Play(ok200)
		}
	})
	r := newRig(t, setup{cluster: func(c *topology.Cluster) { c.Breakers.MaxConnections, c.Breakers.MaxPending = 1, 1 }}, b.Addr())
	slow := r.dial()
	slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "the slow request is upstream", func() bool { return strings.Contains(b.Received(0), "/slow") })
	waits := r.dial()
	waits.send(crlf(get))
	eventually(t, "the second waits", func() bool { return r.b.Snapshot().Clusters[0].Counters.RqPendingActive == 1 })
	third := r.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if status(third) != "503" || !strings.Contains(third, "x-envoy-overloaded: true") || !strings.HasSuffix(third, "reset reason: overflow") {
		t.Errorf("beyond max_pending answered %q", third)
	}
	close(release)
	for _, c := range []*client{slow, waits} {
		if got := status(c.head()); got != "200" {
			t.Errorf("status %s", got)
		}
	}
	if b.Conns() != 1 {
		t.Errorf("%d connections, want 1", b.Conns())
	}
}

// A client that leaves while its request is held is forgotten.
func TestDepartureWhileHeld(t *testing.T) {
	r := newRig(t, setup{cluster: func(c *topology.Cluster) { c.Hold = time.Minute }})
	c := r.dial()
	c.send(crlf(get))
	held := func(n int) func() bool {
		return func() bool { return r.b.Snapshot().Clusters[0].Held == n }
	}
	eventually(t, "the request is held", held(1))
	c.SetLinger(0)
	c.Close()
	eventually(t, "it is forgotten", held(0))
}

func TestSchemeWithoutCodec(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{cluster: func(c *topology.Cluster) { c.Endpoints[0].Scheme = "https" }}, b.Addr())
	got := r.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if status(got) != "503" || b.Conns() != 0 {
		t.Errorf("answered %q with %d connections", got, b.Conns())
	}
}
