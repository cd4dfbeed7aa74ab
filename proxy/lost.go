package proxy

import (
	"time"

	"github.com/dockerlb/dockerlb/balancer"
)

// lostGrace is how long a request that could as well be sent to another endpoint
// still waits for the answer of one that is lost (balancer.Endpoint.Lost). One
// that has died has closed its connections at once; what comes from one that
// cannot be reached any more comes now or never.
const lostGrace = time.Second

// What the clock may do to a wait: upConn.wait.
const (
	waitsOn    uint32 = iota // nothing but its own limits
	waitsMoves               // end it, where the endpoint is lost
	waitsMoved               // and has
)

// movable lets the clock end the wait for the response's head, which is about to
// begin, where the request may be sent again. Not while its body is going up:
// that has limits of its own.
func (ex *exchange) movable(up *upConn) {
	if ex.q.Idempotent && !ex.body.running && ex.replayed && ex.retry.left > 0 &&
		ex.policyWants(&failure{result: balancer.Reset}) {
		up.wait.Store(waitsMoves)
	}
}

// settle ends what movable began. moved: the clock has ended the wait, which is
// undone.
func (u *upConn) settle() (moved bool) {
	if u.wait.Load() == waitsOn || u.wait.Swap(waitsOn) == waitsMoves {
		return false
	}
	u.mu.Lock()
	if !u.aborted.Load() {
		_ = u.tcp.SetDeadline(time.Time{}) // fails where it is closed
	}
	u.mu.Unlock()
	return true
}

// tick is the sock's, and moves a request away from an endpoint that is lost.
func (u *upConn) tick(now int64) {
	u.sock.tick(now)
	switch {
	case !u.pool.endpoint.Lost():
		u.lostAt = 0
	case u.lostAt == 0:
		u.lostAt = now
	case now-u.lostAt >= int64(lostGrace):
		u.mu.Lock()
		if !u.closed && u.wait.CompareAndSwap(waitsMoves, waitsMoved) {
			_ = u.tcp.SetDeadline(longAgo)
		}
		u.mu.Unlock()
	}
}
