package proxy

import "time"

// A kept connection's requests are served within one wait of the runtime's
// poller. What arrives once a wait has been made ready ends it, even if it comes
// before anybody waits; so after a response the wait goes on without a look,
// which would come too early: the client has not even read the response. Were
// each request a wait of its own, each would begin with such a read for nothing.
//
// Two rules come with it. Within the wait nobody else may read from the
// connection, or it would wait for itself: so what is served there is here to its
// last octet and asks for no other protocol (request.whole). And since the poller
// tells of a change only once, not to look is right only where all was read that
// there was, and where somebody else tells of a FIN that came with it: the
// watcher, which watches a connection once it has lasted (watchAge). (A read is
// also cut short by TCP's urgent mark, RFC 9293 section 3.8.5: what follows such
// a mark may wait until the connection is parked, and looked at again.)

// await waits for the first octet of a request, for at most limit (not positive:
// for ever), and serves what can be served within the wait. connGoesOn: a request
// is there that cannot.
func (c *conn) await(limit time.Duration) after {
	c.waits = connIdle
	if c.requests == 0 {
		c.waits = connFresh
	}
	c.rest(limit)
	c.readNow = false
	err := c.readBy(c.turnFn)
	if c.state.Load() == connBusy {
		return c.turn
	}
	called := !c.state.CompareAndSwap(c.waits, connBusy)
	if called {
		err = c.answerCall(err)
	}
	if err == nil {
		c.ln.counters.rx.Add(uint64(c.readN))
		return connGoesOn
	}
	if isTimeout(err) && !called && !c.aborted.Load() {
		switch {
		case !c.parks:
		case c.park(c.idleFor - c.wait):
			return connParks
		case c.idleFor > 0:
			return c.await(c.idleFor - c.wait)
		default:
			return c.await(c.idleFor)
		}
		c.ln.counters.cxIdle.Add(1)
	}
	return connEnds
}

// rest is where a wait for a request begins: from here on others may end it.
func (c *conn) rest(limit time.Duration) {
	c.idleFor = limit
	c.wait, c.parks = c.parkAfter(limit)
	c.arm(c.wait)
	c.state.Store(c.waits)
	if c.srv.stopping.Load() { // else LastCall comes after the store, and sees it
		c.lastCall()
	}
}

// tryTurn is called by the runtime's poller, at once and whenever the socket has
// become readable, as tryRead is.
func (c *conn) tryTurn(fd uintptr) bool {
	for {
		if !c.tryRead(fd) {
			return false
		}
		if c.readErr != nil || !c.state.CompareAndSwap(c.waits, connBusy) {
			return true // await finds out
		}
		c.ln.counters.rx.Add(uint64(c.readN))
		all := c.in.w < len(c.in.b)
		for len(c.unread()) > 0 {
			ex := c.open()
			keep, left := ex.serveH1(true)
			if left {
				c.ex, c.turn = ex, connGoesOn
				return true
			}
			if c.turn = c.finished(ex, keep); c.turn != connGoesOn {
				return true
			}
		}
		c.waits = connIdle
		c.rest(c.idleLimit())
		// gone is set before the state is looked at that rest has set: either it
		// is seen here, or the wait is ended by call.
		if all && c.watched.Load() == watchOn && !c.gone.Load() {
			return false
		}
	}
}
