package proxy

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a downstream connection that speaks HTTP/1.1. Its goroutine runs
// serve; the watcher and the server reach in through hangup, lastCall and cut.
type conn struct {
	sock
	srv        *Server
	ln         *listener
	peer       netip.AddrPort
	token      watchToken // written by whoever sets watched
	watched    atomic.Uint32
	age        uint8 // in ticks, as far as watchAge; the clock's
	requests   uint32
	state      atomic.Uint32
	streamIdle time.Duration // of the current exchange

	// Of the wait for requests that is on, or was last: turn.go.
	turnFn  func(uintptr) bool
	turn    after         // what the last request that was served within it asks for
	ex      *exchange     // begun within it, to be served outside; nil: none
	lingers bool          // linger comes before the end
	waits   uint32        // connFresh or connIdle
	idleFor time.Duration // the connection's idle time; not positive: no limit
	wait    time.Duration // what of it the wait may take
	parks   bool          // after which the connection is parked
	gone    atomic.Bool   // fin or rst, for whoever does not hold cmu

	// What others do to the current exchange.
	cmu      sync.Mutex
	exchange uint64  // counts exchanges: a grace timer of an earlier one is void
	up       *upConn // cut off when the client goes away
	held     chan struct{}
	busy     bool // an exchange is on: up or held may be set
	fin      bool // the client has closed its side
	rst      bool // the connection is gone
	cancel   bool // the current exchange was canceled
	tunnel   bool // half-close is passed on and cancels nothing
}

func newConn(l *listener, tcp *net.TCPConn) (*conn, error) {
	c := &conn{srv: l.srv, ln: l, peer: tcp.RemoteAddr().(*net.TCPAddr).AddrPort()}
	c.peer = netip.AddrPortFrom(c.peer.Addr().Unmap(), c.peer.Port())
	if err := c.init(tcp, l.srv.clk, c); err != nil {
		return nil, err
	}
	c.turnFn = c.tryTurn
	l.counters.cxActive.Add(1)
	return c, nil
}

// end closes the connection.
func (c *conn) end() {
	c.node.leave() // no tick comes any more: the token is what it is
	c.srv.watch.remove(c.token)
	c.close()
	c.ln.counters.cxActive.Add(-1)
	c.srv.active.Add(-1)
}

// serve serves requests until the connection ends, or is parked: then another
// goroutine goes on when there is something to do.
func (c *conn) serve() {
	for {
		switch c.next() {
		case connParks:
			return
		case connEnds:
			if c.lingers {
				c.linger()
			}
			c.end()
			c.srv.untrack(c)
			return
		}
	}
}

// after is what comes after a wait or a request.
type after uint8

const (
	connGoesOn after = iota
	connEnds
	connParks
)

// next waits for a request and serves it.
func (c *conn) next() after {
	if len(c.unread()) == 0 {
		if a := c.await(c.idleLimit()); a != connGoesOn {
			return a // after connParks c is another goroutine's
		}
	}
	ex := c.ex
	if c.ex = nil; ex == nil {
		ex = c.open()
	}
	keep, _ := ex.serveH1(false)
	return c.finished(ex, keep)
}

// freshIdle is how long a client may wait with its first request, where its idle
// time is longer: who only ever connects must not keep others out for an hour.
// Browsers connect before they know what to ask for, and wait less.
const freshIdle = time.Minute

// idleLimit is how long a client may wait with its next request; not positive:
// for ever.
func (c *conn) idleLimit() time.Duration {
	limit := c.keptLimit()
	if c.requests == 0 && (limit <= 0 || limit > freshIdle) {
		return freshIdle
	}
	return limit
}

func (c *conn) keptLimit() time.Duration {
	if v := c.srv.b.View().Listener(c.ln.name); v != nil && v.Spec.HTTP.IdleTimeout != 0 {
		return v.Spec.HTTP.IdleTimeout
	}
	return c.srv.limits.IdleTimeout
}

// open begins an exchange for a request of which something has come.
func (c *conn) open() *exchange {
	ex := exchanges.Get().(*exchange)
	ex.begin(c.srv, c.ln, c.peer)
	ex.h1.open(c, ex.http)
	return ex
}

// finished ends it.
func (c *conn) finished(ex *exchange, keep bool) after {
	c.lingers = ex.h1.close && !keep && ex.h1.complete && !ex.h1.ended
	ex.release()
	exchanges.Put(ex)
	c.requests++
	if !keep {
		return connEnds
	}
	return connGoesOn
}

// linger reads what the client is still sending, for a while, after our side is
// closed: a reset would take the response from it (RFC 9112 section 9.6).
func (c *conn) linger() {
	if c.srv.limits.Linger < 0 || c.aborted.Load() {
		return
	}
	if c.tcp.CloseWrite() != nil {
		return
	}
	c.disarm()
	end := time.Now().Add(c.srv.limits.Linger)
	_ = c.tcp.SetReadDeadline(end)
	b := getBuffer(smallBuffer)
	defer putBuffer(b)
	for {
		if _, err := c.tcp.Read(b.b); err != nil || time.Now().After(end) {
			return
		}
	}
}

// attach makes up the connection that ends when the client goes away.
func (c *conn) attach(up *upConn) {
	c.cmu.Lock()
	if up != nil && c.up == nil && !c.busy {
		c.begin()
	}
	c.up = up
	if up != nil && c.cancel {
		up.abort()
	}
	c.cmu.Unlock()
}

// begin starts an exchange's time in which the client's departure counts; cmu
// is held.
func (c *conn) begin() {
	c.busy = true
	if c.fin || c.rst {
		c.departed()
	}
}

// finish ends it.
func (c *conn) finish() {
	c.cmu.Lock()
	c.busy, c.cancel, c.up, c.held = false, false, nil, nil
	c.exchange++
	c.cmu.Unlock()
}

func (c *conn) isCanceled() bool {
	c.cmu.Lock()
	defer c.cmu.Unlock()
	return c.cancel
}

// hold is the channel for a request that waits for an endpoint.
func (c *conn) hold() <-chan struct{} {
	c.cmu.Lock()
	defer c.cmu.Unlock()
	if !c.busy {
		c.begin()
	}
	if c.held == nil {
		c.held = make(chan struct{})
		if c.cancel {
			close(c.held)
		}
	}
	return c.held
}

// hangup is the watcher's.
func (c *conn) hangup(reset bool) (last func()) {
	c.cmu.Lock()
	c.fin = true
	c.rst = c.rst || reset
	c.gone.Store(true)
	if !c.wakeLocked() {
		c.call(longAgo, connIdle) // it may wait without having looked
	}
	if c.busy && !c.tunnel {
		c.departed()
	}
	c.cmu.Unlock()
	return nil
}

// departed decides what the client's FIN or RST means for the exchange that is
// on; cmu is held. FIN may be a half-close: the request goes on for a while.
func (c *conn) departed() {
	grace := c.srv.limits.HalfClose
	switch {
	case c.rst || grace == 0:
		c.cancelNow()
	case grace > 0:
		n := c.exchange
		time.AfterFunc(grace, func() {
			c.cmu.Lock()
			if c.exchange == n && c.busy && !c.tunnel {
				c.cancelNow()
			}
			c.cmu.Unlock()
		})
	}
}

func (c *conn) cancelNow() {
	if c.cancel {
		return
	}
	c.cancel = true
	if c.up != nil {
		c.up.abort()
	}
	if c.held != nil {
		close(c.held)
	}
}

// cut ends the connection and what it is at.
func (c *conn) cut() {
	c.cmu.Lock()
	c.tunnel = false
	c.cancelNow()
	c.abort()
	c.wakeLocked()
	c.cmu.Unlock()
}

// abortRead makes a waiting read return; writes go on.
func (c *conn) abortRead() {
	c.mu.Lock()
	_ = c.tcp.SetReadDeadline(longAgo)
	c.mu.Unlock()
}

// resume undoes abortRead.
func (c *conn) resume() {
	c.mu.Lock()
	if !c.aborted.Load() {
		_ = c.tcp.SetReadDeadline(time.Time{})
	}
	c.mu.Unlock()
}

// serveH1 reads a request's head and runs its exchange. keep: the connection may
// carry another. within: inside the wait for the request, where only a request
// that is here to its last octet is served (turn.go); another is left, and a
// later call goes on with it.
func (ex *exchange) serveH1(within bool) (keep, left bool) {
	s, c, o := ex.srv, ex.h1.c, ex.http
	for armed := false; !ex.h1.headDone; {
		done, f := ex.req.parse(c.unread(), ex.h1.limits, ex.h1.maxTarget)
		if f != nil {
			ex.h1.begin(&ex.req)
			ex.h1.ended, ex.h1.lost = false, true // the client may still be sending: linger
			return ex.refuse(f), false
		}
		if done {
			ex.h1.headDone = true
			break
		}
		if within {
			return false, true
		}
		if !armed {
			c.arm(ex.h1.headTime)
			armed = true
		}
		if err := c.fill(ex.h1.limits.bytes + 1); err != nil {
			ex.h1.begin(&ex.req)
			return ex.headFailed(err), false
		}
		c.ln.counters.rx.Add(uint64(c.readN))
		ex.came = time.Now()
	}
	if within && !ex.req.whole(len(c.unread())) {
		return false, true
	}
	c.disarm()
	c.in.r += ex.req.size
	ex.h1.begin(&ex.req)
	ex.maxBody = s.limits.BodyBytes
	if o != nil {
		override(&ex.maxBody, o.MaxBodyBytes)
		if o.RequestTimeout > 0 {
			ex.h1.until = ex.start.Add(o.RequestTimeout)
		}
		if o.MaxRequestsPerConn > 0 && c.requests+1 >= o.MaxRequestsPerConn {
			c.ln.counters.cxMaxRequests.Add(1)
			ex.h1.close = true
		}
	}
	ex.h1.maxBody = ex.maxBody
	if s.draining.Load() && !ex.h1.close {
		c.ln.counters.cxDrain.Add(1)
		ex.h1.close = true
	}
	ex.run()
	c.finish()
	return !ex.h1.close && ex.h1.complete && ex.h1.ended && !c.aborted.Load(), false
}

// headFailed: the connection ended, or time did, within a head.
func (ex *exchange) headFailed(err error) bool {
	if isTimeout(err) && !ex.h1.c.aborted.Load() {
		ex.ln.counters.headerTimeout.Add(1)
		ex.h1.c.disarm()
		ex.h1.close = true
		ex.local(408, "request header timeout", 0, "request_header_timeout")
		return false
	}
	if err == io.EOF {
		ex.ln.counters.cxProtocolError.Add(1)
	}
	return false
}

func override[T int | int64 | time.Duration](v *T, o T) {
	if o != 0 {
		*v = o
	}
}
