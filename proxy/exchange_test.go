package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

func TestGetKeptOnBothSides(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	for range 3 {
		c.send("GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n")
		if got, want := c.head(), "HTTP/1.1 200 OK\r\nDate: now\r\ncontent-length: 5\r\n\r\n"; got != want {
			t.Fatalf("head %q, want %q", got, want)
		}
		if got := c.readN(5); got != "hello" {
			t.Fatalf("body %q", got)
		}
	}
	if n := b.Conns(); n != 1 {
		t.Errorf("%d upstream connections, want 1", n)
	}
	if got := b.Received(0); !strings.HasPrefix(got, "GET /x?y=1 HTTP/1.1\r\nhost: a.example\r\nAccept: */*\r\n") {
		t.Errorf("forwarded %q", got)
	}
}

func TestPostWithLength(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 16<<10)
	b := wire.Listen(t, func(c *wire.Conn) {
		for {
			if _, err := c.ReadHead(); err != nil {
				return
			}
			got, err := c.ReadN(len(body))
			if err != nil || got != body {
				t.Errorf("backend: body differs, %v", err)
				return
			}
			c.Play(ok200)
		}
	})
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	for range 3 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 262144\r\n\r\n" + body)
		if got := status(c.head()); got != "200" {
			t.Fatalf("status %s", got)
		}
		c.readN(5)
	}
	if n := b.Conns(); n != 1 {
		t.Errorf("%d upstream connections, want 1", n)
	}
}

// steady returns a function that serves one GET on kept connections. Client
// and backend are raw and allocate nothing themselves.
func steady(tb testing.TB) func() {
	be := wire.Listen(tb, func(c *wire.Conn) {
		buf := make([]byte, 4096)
		resp := []byte(ok200)
		_ = c.Conn.SetDeadline(time.Time{})
		for {
			if _, err := c.Conn.Read(buf); err != nil {
				return
			}
			if _, err := c.Conn.Write(resp); err != nil {
				return
			}
		}
	})
	r := newRig(tb, setup{http: topology.HTTPOptions{GenerateRequestID: true}}, be.Addr())
	c := r.dial()
	_ = c.SetDeadline(time.Time{})
	req := []byte("GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, 4096)
	return func() {
		if _, err := c.TCPConn.Write(req); err != nil {
			tb.Fatal(err)
		}
		if _, err := c.TCPConn.Read(buf); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestSteadyGetAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and empties pools on purpose")
	}
	one := steady(t)
	for range 100 {
		one()
	}
	// The whole process is counted: an average below one half is none per
	// request, and leaves room for the clocks' own.
	if n := testing.AllocsPerRun(2000, one); n >= 0.5 {
		t.Errorf("%v allocations per request, want 0", n)
	}
}

func BenchmarkGet(b *testing.B) {
	one := steady(b)
	b.ReportAllocs()
	for b.Loop() {
		one()
	}
}
