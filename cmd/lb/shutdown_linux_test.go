package main

import (
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The end as a balancer in front sees it: it polls /ready and sends nothing
// more once that is not 200; until then it uses kept connections, which it
// gives up when told to, and new ones. Nothing is lost.
func TestEndLosesNothing(t *testing.T) {
	f := newFront(t, backend(t, nil))
	p := f.run(t, "--drain-delay", "500ms")
	eventually(t, "ready", func() bool { return f.ready(t) == http.StatusOK })
	var away atomic.Bool
	l := startLoad(t, f.listen, 12, away.Load)
	eventually(t, "traffic", func() bool { return l.kept.Load() > 300 && l.made.Load() > 300 })
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for f.ready(t) == http.StatusOK {
		<-poll.C
	}
	// The front may hear of it before any request was made meanwhile.
	eventually(t, "a kept connection told to close", func() bool { return l.told.Load() > 0 })
	away.Store(true)
	l.wg.Wait()
	l.wait()
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Without any delay: every client that could connect is served, and what is in
// flight finishes.
func TestEndServesWhoConnected(t *testing.T) {
	held := newSlow()
	f := newFront(t, backend(t, held))
	p := f.run(t)
	eventually(t, "ready", func() bool { return f.ready(t) == http.StatusOK })
	slow := dialRaw(t, f.listen)
	slow.send(t, "/slow")
	held.begun(t)
	results := make(chan error, 8)
	var served atomic.Int64
	for range cap(results) {
		go func() {
			for {
				nc, err := net.DialTimeout("tcp", f.listen, 500*time.Millisecond)
				if err != nil {
					results <- nil // refused, or not heard any more: it is elsewhere's
					return
				}
				if _, err := (&load{address: f.listen}).ask(&nc, http.MethodPost, "/"); err != nil {
					nc.Close()
					results <- err
					return
				}
				nc.Close()
				served.Add(1)
			}
		}()
	}
	eventually(t, "traffic", func() bool { return served.Load() > 200 })
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	for range cap(results) {
		if err := <-results; err != nil {
			t.Errorf("connected and not served: %v", err)
		}
	}
	close(held.release)
	if res := slow.answer(t); res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("in flight: %s, close=%t", res.Status, res.Close)
	}
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// post asks the admin port for a change.
func (f *front) post(t *testing.T, path string) {
	t.Helper()
	res, err := http.Post("http://"+f.admin+path, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, res.Status)
	}
}

// /healthcheck/fail tells a balancer in front, and every connection, to go
// away; /healthcheck/ok takes it back.
func TestHealthcheckFail(t *testing.T) {
	f := newFront(t, backend(t, nil))
	p := f.run(t)
	eventually(t, "ready", func() bool { return f.ready(t) == http.StatusOK })
	for range 2 {
		f.post(t, "/healthcheck/fail")
		if res := dialRaw(t, f.listen).ask(t, "/"); f.ready(t) != http.StatusServiceUnavailable || res.StatusCode != http.StatusOK || !res.Close {
			t.Errorf("failed: /ready %d, %s, close=%t", f.ready(t), res.Status, res.Close)
		}
		f.post(t, "/healthcheck/ok")
		if res := dialRaw(t, f.listen).ask(t, "/"); f.ready(t) != http.StatusOK || res.Close {
			t.Errorf("well again: /ready %d, close=%t", f.ready(t), res.Close)
		}
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.exit(t)
}

// /drain_listeners closes the port for good and leaves connections alone.
func TestDrainListeners(t *testing.T) {
	for query, graceful := range map[string]bool{"": false, "?graceful": true} {
		f := newFront(t, backend(t, nil))
		p := f.run(t, "--drain-delay", "300ms")
		eventually(t, "ready", func() bool { return f.ready(t) == http.StatusOK })
		kept := dialRaw(t, f.listen)
		kept.ask(t, "/")
		f.post(t, "/drain_listeners"+query)
		if graceful {
			if res := dialRaw(t, f.listen).ask(t, "/"); !res.Close {
				t.Error("graceful: a connection is not told to close")
			}
		}
		closed := func() bool {
			c, err := net.DialTimeout("tcp", f.listen, 100*time.Millisecond)
			if err == nil {
				c.Close()
			}
			return err != nil
		}
		eventually(t, "the port is closed", closed)
		if res := kept.ask(t, "/"); res.StatusCode != http.StatusOK || res.Close != graceful {
			t.Errorf("%q: kept connection: %s, close=%t", query, res.Status, res.Close)
		}
		_ = p.cmd.Process.Signal(syscall.SIGHUP) // the file is read again: a new table
		p.says(t, "read again")
		if !closed() {
			t.Errorf("%q: a new table has opened the port again", query)
		}
		f.post(t, "/drain_listeners"+query) // again: nothing
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		if code := p.exit(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}
