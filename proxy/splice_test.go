package proxy

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
)

// A peer that is slow but moves octets is not idle, though it needs longer than
// the limit for what passes at once, and for making a socket's buffer writable.
func TestSlowIsNotIdle(t *testing.T) {
	if testing.Short() {
		t.Skip("slow is six seconds: too long for make check; make test tries it")
	}
	const limit = exactBelow // the shortest that the clock looks after
	piece := strings.Repeat("x", 1<<20)
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("client reads, chunked %v", chunked), func(t *testing.T) {
			t.Parallel()
			const length = 24 << 20 // more than the sockets hold
			b := wire.Listen(t, func(c *wire.Conn) {
				head, end := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length), ""
				if chunked {
					head, end = fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", length), "\r\n0\r\n\r\n"
				}
				_, err := c.ReadHead()
				if err == nil {
					err = c.Play(head)
				}
				for n := 0; n < length && err == nil; n += len(piece) {
					err = c.Play(piece)
				}
				_ = c.Play(end)
			})
			r := newRig(t, setup{log: true, limits: Limits{StreamIdle: limit}}, b.Addr())
			c := r.dial()
			c.send(getClose)
			c.head()
			for range 18 { // 4.5 s of 64 KiB a second
				time.Sleep(250 * time.Millisecond) // so slow is the peer
				c.readN(16 << 10)
			}
			got, err := io.Copy(io.Discard, c.r)
			if err != nil || got < length-18*16<<10 {
				t.Errorf("%d octets of %d, %v", got, length, err)
			}
			if rec := <-r.log.lines; rec.Flags != 0 || rec.BytesSent != length {
				t.Errorf("logged %v, %d octets", rec.Flags, rec.BytesSent)
			}
		})
	}
	t.Run("client sends", func(t *testing.T) {
		t.Parallel()
		const length = 2 << 20
		b := wire.Listen(t, func(c *wire.Conn) {
			if _, err := c.ReadHead(); err != nil {
				return
			}
			if _, err := c.ReadN(length); err == nil {
				_ = c.Play(ok200)
			}
			_, _ = c.ReadHead()
		})
		r := newRig(t, setup{limits: Limits{StreamIdle: limit / 4}}, b.Addr())
		c := r.dial()
		c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", length))
		for range 8 {
			c.send(piece[:length/16])
			time.Sleep(limit / 10) // so slow is the peer
			c.send(piece[:length/16])
		}
		if h := c.head(); status(h) != "200" {
			t.Errorf("answered %q", h)
		}
	})
}

// Pipes that have not been needed for a while are closed, and never more made
// than the budget has.
func TestPipes(t *testing.T) {
	var s pipes
	first := s.get()
	if first == nil {
		t.Skip("no pipes here: bodies are copied")
	}
	second := s.get()
	s.put(first)
	s.put(second)
	if s.get() != second {
		t.Error("not last in, first out")
	}
	s.trim()
	if s.trim(); s.made != 1 || len(s.idle) != 0 {
		t.Errorf("%d pipes, %d idle, want the one in use", s.made, len(s.idle))
	}
	second.n = 1 // octets that belong to nobody
	if s.put(second); s.made != 0 || len(s.idle) != 0 {
		t.Errorf("a pipe with octets in it was kept")
	}
	s.made = maxPipes
	if s.get() != nil {
		t.Error("more pipes than the budget has")
	}
}
