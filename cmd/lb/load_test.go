package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is clients that ask all the time: half of them on kept connections,
// which they give up when told to, half on a new one for each request; every
// second request is a POST, which nothing sends twice.
type load struct {
	t          *testing.T
	address    string
	cancel     context.CancelFunc
	wg         sync.WaitGroup
	kept, made atomic.Int64 // requests answered
	told       atomic.Int64 // responses with Connection: close on kept ones
	mu         sync.Mutex
	failures   []string
	// until, where set, ends a client when it returns true: it has learnt that
	// it must go elsewhere.
	until func() bool
}

func startLoad(t *testing.T, address string, clients int, until func() bool) *load {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &load{t: t, address: address, cancel: cancel, until: until}
	for i := range clients {
		l.wg.Go(func() { l.client(ctx, i) })
	}
	t.Cleanup(func() { cancel(); l.wg.Wait() })
	return l
}

// wait ends the load and reports what failed.
func (l *load) wait() {
	l.t.Helper()
	l.cancel()
	l.wg.Wait()
	if n := len(l.failures); n > 0 {
		l.t.Errorf("%d of %d requests failed: %s", n, int64(n)+l.kept.Load()+l.made.Load(), strings.Join(l.failures[:min(n, 5)], "; "))
	}
}

func (l *load) client(ctx context.Context, i int) {
	keeps := i%2 == 0
	var c net.Conn // kept; nil: none
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for n := 0; ctx.Err() == nil && (l.until == nil || !l.until()); n++ {
		method := http.MethodGet
		if n%2 == 1 {
			method = http.MethodPost
		}
		keep, err := l.ask(&c, method, fmt.Sprintf("/%d/%d", i, n))
		if err != nil {
			l.mu.Lock()
			l.failures = append(l.failures, fmt.Sprintf("%s /%d/%d: %v", method, i, n, err))
			l.mu.Unlock()
		}
		switch {
		case err == nil && keeps:
			l.kept.Add(1)
			if !keep {
				l.told.Add(1)
			}
		case err == nil:
			l.made.Add(1)
		}
		if c != nil && (err != nil || !keep || !keeps) {
			c.Close()
			c = nil
		}
		// A think time, so that connections are idle as well as busy.
		select {
		case <-time.After(time.Duration(1+i%4) * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// ask sends one request, once: net/http's client would send some again by
// itself, which is what this is not to hide.
func (l *load) ask(c *net.Conn, method, path string) (keep bool, err error) {
	if *c == nil {
		if *c, err = net.DialTimeout("tcp", l.address, 10*time.Second); err != nil {
			return false, err
		}
	}
	if err := (*c).SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return false, err
	}
	body := ""
	if method == http.MethodPost {
		body = "once"
	}
	if _, err := fmt.Fprintf(*c, "%s %s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body); err != nil {
		return false, err
	}
	res, err := http.ReadResponse(bufio.NewReader(*c), nil)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return false, err
	}
	if res.StatusCode != http.StatusOK || string(b) != path {
		return false, fmt.Errorf("%s %q", res.Status, b)
	}
	return !res.Close, nil
}
