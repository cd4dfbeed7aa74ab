package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

func TestListenByDifference(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	c.send(crlf(get))
	c.head()
	c.readN(5)

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	want := append([]topology.Listener{}, r.table.Listeners...)
	want = append(want,
		topology.Listener{Name: "bad", Address: taken.Addr().(*net.TCPAddr).AddrPort()},
		topology.Listener{Name: "more", Address: netip.MustParseAddrPort("127.0.0.1:0")})
	err = r.srv.Listen(want)
	if err == nil || !strings.Contains(err.Error(), `listener "bad"`) || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("error %v, want one that names the listener and its address", err)
	}
	if r.srv.Addr("default") != r.addr {
		t.Error("an unchanged listener was touched")
	}
	if !r.srv.Addr("more").IsValid() || r.srv.Addr("bad").IsValid() {
		t.Error("the others must run, and only they")
	}
	more := r.srv.Addr("more")
	if err := r.srv.Listen(r.table.Listeners); err != nil {
		t.Fatal(err)
	}
	if nc, err := net.Dial("tcp", more.String()); err == nil {
		nc.Close()
		t.Error("a removed listener still accepts")
	}
	c.send(crlf(get)) // the connection has lived through it all
	if got := status(c.head()); got != "200" {
		t.Errorf("status %s", got)
	}
}

// TestListenFamilies: what is asked for is what is bound.
func TestListenFamilies(t *testing.T) {
	r := newRig(t, setup{}, netip.MustParseAddrPort("127.0.0.1:1"))
	for asked, want := range map[string]bool{"0.0.0.0:0": true, "[::]:0": false} {
		with := append(append([]topology.Listener{}, r.table.Listeners...),
			topology.Listener{Name: "any", Address: netip.MustParseAddrPort(asked)})
		if err := r.srv.Listen(with); err != nil {
			t.Fatal(err)
		}
		if got := r.srv.Addr("any").Addr(); got.Is4() != want {
			t.Errorf("%s is bound as %s", asked, got)
		}
		if err := r.srv.Listen(r.table.Listeners); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDrainAndShutdown(t *testing.T) {
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
	r := newRig(t, setup{}, b.Addr())
	idle := r.dial()
	idle.send(crlf(get))
	idle.head()
	idle.readN(5)

	r.srv.Drain()
	c := r.dial() // still accepted
	c.send(crlf(get))
	if head := c.head(); status(head) != "200" || !strings.Contains(head, "connection: close\r\n") {
		t.Errorf("draining answered %q", head)
	}
	slow := r.dial()
	slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "the slow request is upstream", func() bool { return strings.Contains(b.Received(0)+b.Received(1), "/slow") })

	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), wire.Patience)
		defer cancel()
		ended <- r.srv.Shutdown(ctx)
	}()
	if got := idle.all(); got != "" { // closed at once
		t.Errorf("the idle connection was told %q", got)
	}
	select {
	case err := <-ended:
		t.Fatalf("shut down with a request in flight: %v", err)
	default:
	}
	close(release)
	if got := slow.all(); status(got) != "200" {
		t.Errorf("in flight: answered %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if nc, err := net.Dial("tcp", r.addr.String()); err == nil {
		nc.Close()
		t.Error("a shut down server accepts")
	}
}

func TestShutdownCutsAtTheLimit(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) { c.ReadHead(); io.Copy(io.Discard, c.Conn) })
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	c.send(crlf(get))
	eventually(t, "the request is upstream", func() bool { return b.Conns() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := r.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
}

func TestConnectionCap(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{limits: Limits{Connections: 1}}, b.Addr())
	first := r.dial()
	first.send(crlf(get))
	first.head()
	if got := r.dial().allOrReset(); got != "" {
		t.Errorf("over the cap: answered %q", got)
	}
	first.Close()
	eventually(t, "the first is gone", func() bool { return r.srv.active.Load() == 0 })
	c := r.dial()
	c.send(crlf(get))
	if got := status(c.head()); got != "200" {
		t.Errorf("status %s", got)
	}
	if n := r.srv.Counters()[0]; n.CxOverflow != 1 || n.CxTotal != 3 {
		t.Errorf("counters %+v", n)
	}
}

func (c *client) allOrReset() string {
	b, _ := io.ReadAll(c.r)
	return string(b)
}

func TestMaxRequestsPerConnection(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{http: topology.HTTPOptions{MaxRequestsPerConn: 2}}, b.Addr())
	c := r.dial()
	c.send(crlf(get + get + get))
	got := c.all()
	if strings.Count(got, "HTTP/1.1 200") != 2 || strings.Count(got, "connection: close") != 1 {
		t.Errorf("answered %q", got)
	}
}

func TestUpgrade(t *testing.T) {
	for _, tt := range []struct {
		name   string
		route  func(*topology.Route)
		http   topology.HTTPOptions
		status string
	}{
		{"not configured", nil, topology.HTTPOptions{}, "403"},
		{"by the listener", nil, topology.HTTPOptions{Upgrades: []string{"websocket"}}, "101"},
		{"by the route", func(r *topology.Route) { r.Upgrades = []string{"websocket"} }, topology.HTTPOptions{}, "101"},
		{"another protocol", func(r *topology.Route) { r.Upgrades = []string{"h2c"} }, topology.HTTPOptions{}, "403"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := wire.Listen(t, func(c *wire.Conn) {
				head, err := c.ReadHead()
				if err != nil {
					return
				}
				if fieldOf(head, "connection") != "upgrade" || fieldOf(head, "upgrade") != "WebSocket" || fieldOf(head, "sec-websocket-key") != "k" {
					t.Errorf("forwarded %q", head)
				}
				c.Play("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nDate: x\r\n\r\nearly")
				for {
					piece, err := c.ReadN(4)
					if err != nil {
						c.Play("end of you") // half-closed: still served
						return
					}
					c.Play(piece)
				}
			})
			r := newRig(t, setup{http: tt.http, route: tt.route, limits: Limits{HalfCloseGone: true}}, b.Addr())
			c := r.dial()
			c.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\nping")
			head := c.head()
			if status(head) != tt.status {
				t.Fatalf("answered %q, want %s", head, tt.status)
			}
			if tt.status != "101" {
				return
			}
			if fieldOf(head, "connection") != "upgrade" || fieldOf(head, "upgrade") != "websocket" {
				t.Errorf("answered %q", head)
			}
			if got := c.readN(9); got != "earlyping" {
				t.Errorf("got %q", got)
			}
			c.send("pong")
			if got := c.readN(4); got != "pong" {
				t.Errorf("got %q", got)
			}
			c.CloseWrite()
			if got := c.all(); got != "end of you" {
				t.Errorf("after our end: %q", got)
			}
		})
	}
}

// Draining does not touch the fields of a 101.
func TestUpgradeWhileDraining(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) {
		c.ReadHead()
		c.Play("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	})
	r := newRig(t, setup{http: topology.HTTPOptions{Upgrades: []string{"websocket"}}}, b.Addr())
	r.srv.Drain()
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if head := c.head(); status(head) != "101" || fieldOf(head, "connection") != "upgrade" {
		t.Errorf("answered %q", head)
	}
}

// The endpoint declines: an ordinary response, and the connection goes on.
func TestUpgradeDeclined(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{http: topology.HTTPOptions{Upgrades: []string{"websocket"}}}, b.Addr())
	c := r.dial()
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if got := status(c.head()); got != "200" {
			t.Fatalf("status %s", got)
		}
		c.readN(5)
	}
}

func TestAccessRecord(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{log: true}, b.Addr())
	r.exchange("GET /x?y HTTP/1.1\r\nHost: a\r\nUser-Agent: me\r\nConnection: close\r\n\r\n")
	got := <-r.log.lines
	for what, ok := range map[string]bool{
		"method":   got.method == "GET",
		"target":   got.target == "/x?y",
		"agent":    got.agent == "me",
		"status":   got.Status == 200,
		"sent":     got.BytesSent == 5,
		"cluster":  got.Cluster == "app",
		"upstream": got.Upstream == b.Addr(),
		"route":    got.Route == "default|*|prefix:/",
		"flags":    got.Flags.String() == "-",
		"details":  got.Details == "via_upstream",
		"attempts": got.Attempts == 1,
		"duration": got.Duration > 0 && got.UpstreamTime > 0,
		"id":       len(got.id) == 36,
	} {
		if !ok {
			t.Errorf("%s is wrong in %+v", what, got)
		}
	}
	r.exchange("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
	if got := <-r.log.lines; got.Status != 400 || got.Flags.String() != "DPE" || got.Details != "malformed_host" {
		t.Errorf("refused: %+v", got)
	}
}

func TestFlags(t *testing.T) {
	for f, want := range map[Flags]string{0: "-", FlagUH: "UH", FlagUF | FlagURX: "URX,UF", FlagUC | FlagDC: "UC,DC"} {
		if got := f.String(); got != want {
			t.Errorf("%d: %s, want %s", f, got, want)
		}
	}
}
