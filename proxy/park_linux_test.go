package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
)

// parked is how many connections wait without a goroutine.
func parked(r *rig) (n int) {
	r.srv.mu.Lock()
	defer r.srv.mu.Unlock()
	for c := range r.srv.conns {
		if c.state.Load() == connParked {
			n++
		}
	}
	return n
}

// parkedClient has had a request answered and is parked.
func parkedClient(t *testing.T, limits Limits) (*rig, *client) {
	t.Helper()
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{limits: limits, park: 10 * time.Millisecond}, b.Addr())
	c := r.dial()
	c.send(crlf(get))
	c.head()
	c.readN(5)
	eventually(t, "the connection is parked", func() bool { return parked(r) == 1 })
	return r, c
}

func TestParkedConnectionIsServed(t *testing.T) {
	r, c := parkedClient(t, Limits{})
	for range 5 {
		c.send(crlf(get))
		if got := status(c.head()); got != "200" {
			t.Fatalf("status %s", got)
		}
		c.readN(5)
		eventually(t, "it is parked again", func() bool { return parked(r) == 1 })
	}
}

// The first request may be the one that wakes it.
func TestParkedBeforeItsFirstRequest(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{park: 10 * time.Millisecond}, b.Addr())
	c := r.dial()
	eventually(t, "the connection is parked", func() bool { return parked(r) == 1 })
	c.send(crlf(get))
	if got := status(c.head()); got != "200" {
		t.Errorf("status %s", got)
	}
}

func TestParkedConnectionEnds(t *testing.T) {
	t.Run("FIN", func(t *testing.T) {
		r, c := parkedClient(t, Limits{})
		c.Close()
		eventually(t, "it has ended", func() bool { return r.srv.active.Load() == 0 })
	})
	t.Run("RST", func(t *testing.T) {
		r, c := parkedClient(t, Limits{})
		c.SetLinger(0)
		c.Close()
		eventually(t, "it has ended", func() bool { return r.srv.active.Load() == 0 })
	})
	t.Run("idle timeout", func(t *testing.T) {
		r, c := parkedClient(t, Limits{IdleTimeout: 300 * time.Millisecond})
		if got := c.all(); got != "" {
			t.Errorf("was told %q", got)
		}
		if n := r.srv.Counters()[0].CxIdleTimeout; n != 1 {
			t.Errorf("%d idle timeouts counted, want 1", n)
		}
	})
	t.Run("shutdown", func(t *testing.T) {
		r, c := parkedClient(t, Limits{})
		ctx, cancel := context.WithTimeout(context.Background(), wire.Patience)
		defer cancel()
		if err := r.srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if _, err := c.r.ReadByte(); err != io.EOF {
			t.Errorf("the client sees %v, want the end", err)
		}
	})
	t.Run("cut", func(t *testing.T) {
		r, _ := parkedClient(t, Limits{})
		r.srv.mu.Lock()
		for c := range r.srv.conns {
			c.cut()
		}
		r.srv.mu.Unlock()
		eventually(t, "it has ended", func() bool { return r.srv.active.Load() == 0 })
	})
}

// Requests that meet the parking itself are served.
func TestParkingMeetsRequests(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{park: time.Millisecond}, b.Addr())
	c := r.dial()
	for i := range 300 {
		c.send(crlf(get))
		if got := status(c.head()); got != "200" {
			t.Fatalf("status %s", got)
		}
		c.readN(5)
		for end := time.Now().Add(time.Duration(800+i) * time.Microsecond); time.Now().Before(end); {
			// until about when it is parked, to the microsecond: sleeping is coarser
		}
	}
}

// Clients that leave at the moment of parking: the watcher and the connection
// want each other's locks then.
func TestClientsThatLeaveAsTheyAreParked(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{park: 2 * time.Millisecond}, b.Addr())
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 25 {
				c, err := net.Dial("tcp", r.addr.String())
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(1500+(i*25+j)*3) * time.Microsecond) // until about parkTime: the moment is what is tested
				c.Close()
			}
		})
	}
	wg.Wait()
	eventually(t, "all have ended", func() bool { return r.srv.active.Load() == 0 })
}
