package proxy

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
)

// Connections that are in a listener's queue when it closes are served.
func TestQueueIsServedBeforeClosing(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{limits: Limits{CloseLinger: 50 * time.Millisecond}}, b.Addr())
	r.srv.mu.Lock() // track, and so accept, stands still
	var clients []*client
	for range 50 {
		c := r.dial()
		c.send(crlf(get))
		clients = append(clients, c)
	}
	late := make(chan error, 1)
	for _, l := range r.srv.listeners {
		r.srv.retire(l)
	}
	go func() {
		c, err := net.DialTimeout("tcp", r.addr.String(), 20*time.Millisecond)
		if err == nil {
			c.Close()
		}
		late <- err
	}()
	if <-late == nil {
		t.Error("a connection is accepted after the queue was stopped")
	}
	r.srv.mu.Unlock()
	for i, c := range clients {
		if got := status(c.head()); got != "200" {
			t.Fatalf("connection %d: status %s", i, got)
		}
	}
	eventually(t, "the socket is closed", func() bool {
		c, err := net.DialTimeout("tcp", r.addr.String(), time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// The same through Shutdown, with clients that come all the time: each is
// either refused or served.
func TestShutdownRefusesOrServes(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{limits: Limits{CloseLinger: 50 * time.Millisecond}}, b.Addr())
	type result struct {
		served int
		err    error
	}
	results := make(chan result, 8)
	for range cap(results) {
		go func() {
			var got result
			defer func() { results <- got }()
			for {
				c, err := net.DialTimeout("tcp", r.addr.String(), 500*time.Millisecond)
				if err != nil {
					return // refused, or its SYN is not heard any more
				}
				_ = c.SetDeadline(time.Now().Add(wire.Patience))
				_, err = c.Write([]byte(crlf(get)))
				if err == nil {
					_, err = c.Read(make([]byte, 100))
				}
				c.Close()
				if err != nil {
					got.err = err
					return
				}
				got.served++
			}
		}()
	}
	eventually(t, "traffic flows", func() bool { return r.srv.Counters()[0].RqTotal > 200 })
	ctx, cancel := context.WithTimeout(context.Background(), wire.Patience)
	defer cancel()
	if err := r.srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	for range cap(results) {
		if got := <-results; got.err != nil {
			t.Errorf("after %d requests: %v", got.served, got.err)
		}
	}
}
