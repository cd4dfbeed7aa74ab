package proxy

import "time"

// Where a connection stands, for those who want to end it while it waits.
const (
	connBusy   uint32 = iota
	connFresh         // waits for its first request
	connIdle          // waits for another
	connCalled        // was told by lastCall to wait no longer
	connParked        // waits without a goroutine: park.go
)

// freshGrace is what a connection that has not sent its first request gets at
// the end: it may come from the accept queue, and its client has been told
// nothing.
const freshGrace = time.Second

// await waits for the first octet of a request, for at most limit.
func (c *conn) await(limit time.Duration) after {
	waits := connIdle
	if c.requests == 0 {
		waits = connFresh
	}
	wait, parks := c.parkAfter(limit)
	c.arm(wait)
	c.state.Store(waits)
	if c.srv.stopping.Load() { // else LastCall comes after the store, and sees it
		c.lastCall()
	}
	err := c.fill(smallBuffer)
	called := !c.state.CompareAndSwap(waits, connBusy)
	if called {
		err = c.answerCall(err)
	}
	if err != nil {
		if isTimeout(err) && !called {
			switch {
			case !parks || c.aborted.Load():
			case c.park(limit - wait):
				return connParks
			case limit > 0:
				return c.await(limit - wait)
			default:
				return c.await(limit)
			}
			c.ln.counters.cxIdle.Add(1)
		}
		return connEnds
	}
	c.ln.counters.rx.Add(uint64(c.readN))
	return connGoesOn
}

// lastCall makes the connection end if it waits for a request: at once if it
// has had one, else after a grace. A request that has arrived is served: see
// answerCall. Any goroutine.
func (c *conn) lastCall() {
	if c.wake() {
		return // and its new goroutine finds out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.aborted.Load() {
		return
	}
	at := longAgo
	switch {
	case c.state.CompareAndSwap(connIdle, connCalled):
	case c.state.CompareAndSwap(connFresh, connCalled):
		at = time.Now().Add(freshGrace)
	default:
		return
	}
	_ = c.tcp.SetReadDeadline(at)
}

// answerCall ends the wait that lastCall has cut short. err is what the wait
// came to; a deadline is reported though a request is there, so look again.
func (c *conn) answerCall(err error) error {
	c.mu.Lock()
	c.state.Store(connBusy)
	gone := c.closed || c.aborted.Load()
	if !gone {
		_ = c.tcp.SetReadDeadline(time.Time{})
	}
	c.mu.Unlock()
	if isTimeout(err) && !gone {
		return c.fillNow(smallBuffer)
	}
	return err
}
