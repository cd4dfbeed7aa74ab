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
	s := c.srv
	if len(c.unread()) == 0 {
		limit := s.limits.IdleTimeout
		if v := s.b.View().Listener(c.ln.name); v != nil && v.Spec.HTTP.IdleTimeout != 0 {
			limit = v.Spec.HTTP.IdleTimeout
		}
		if a := c.await(limit); a != connGoesOn {
			return a
		}
	}
	ex := exchanges.Get().(*exchange)
	keep := ex.serveH1(c)
	linger := ex.h1.close && !keep && ex.h1.complete && !ex.h1.ended
	ex.release()
	exchanges.Put(ex)
	c.requests++
	if linger {
		c.linger()
	}
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
	c.wakeLocked()
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

// serveH1 reads a request's head and runs its exchange; false: the connection
// is to end.
func (ex *exchange) serveH1(c *conn) (keep bool) {
	s := c.srv
	ex.begin(s, c.ln, c.peer)
	o := ex.http
	limits := headLimits{bytes: s.limits.HeadBytes, fields: s.limits.HeadFields}
	maxTarget, headTime := s.limits.TargetBytes, s.limits.HeadTimeout
	c.streamIdle = s.limits.StreamIdle
	if o != nil {
		override(&limits.bytes, o.MaxHeadBytes)
		override(&limits.fields, o.MaxHeadFields)
		override(&maxTarget, o.MaxTargetBytes)
		override(&headTime, o.HeadTimeout)
		override(&c.streamIdle, o.StreamIdleTimeout)
	}
	for armed := false; ; {
		done, f := ex.req.parse(c.unread(), limits, maxTarget)
		if f != nil {
			ex.h1.begin(c, &ex.req)
			ex.h1.ended, ex.h1.lost = false, true // the client may still be sending: linger
			return ex.refuse(f)
		}
		if done {
			break
		}
		if !armed {
			c.arm(headTime)
			armed = true
		}
		if err := c.fill(limits.bytes + 1); err != nil {
			ex.h1.begin(c, &ex.req)
			return ex.headFailed(err)
		}
		c.ln.counters.rx.Add(uint64(c.readN))
	}
	c.disarm()
	c.in.r += ex.req.size
	ex.h1.begin(c, &ex.req)
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
	return !ex.h1.close && ex.h1.complete && ex.h1.ended && !c.aborted.Load()
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
