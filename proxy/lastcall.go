package proxy

import "time"

// Where a connection stands, for those who want to end it while it waits.
const (
	connBusy   uint32 = iota
	connFresh         // waits for its first request
	connIdle          // waits for another
	connCalled        // was told to look again, and to wait no longer
	connParked        // waits without a goroutine: park.go
)

// freshGrace is what a connection that has not sent its first request gets at
// the end: it may come from the accept queue, and its client has been told
// nothing.
const freshGrace = time.Second

// lastCall makes the connection end if it waits for a request: at once if it
// has had one, else after a grace. A request that has arrived is served: see
// answerCall. Any goroutine.
func (c *conn) lastCall() {
	if c.wake() {
		return // and its new goroutine finds out
	}
	if !c.call(longAgo, connIdle) {
		c.call(time.Now().Add(freshGrace), connFresh)
	}
}

// call ends the wait, if it is of that kind, at a time, for a last look.
func (c *conn) call(at time.Time, waits uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.aborted.Load() || !c.state.CompareAndSwap(waits, connCalled) {
		return false
	}
	_ = c.tcp.SetReadDeadline(at)
	return true
}

// answerCall ends the wait that call has cut short. err is what the wait
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
