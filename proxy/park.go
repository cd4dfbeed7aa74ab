package proxy

import "time"

// A connection that has waited for a request for parkTime is parked: its
// goroutine ends, whose stack is most of what an idle connection costs, and the
// watcher starts another when something arrives. That is two system calls each
// way, on a connection that is in no hurry.
const parkTime = 5 * time.Second

// parkAfter cuts a wait to the time after which the connection is parked.
func (c *conn) parkAfter(limit time.Duration) (wait time.Duration, parks bool) {
	if t := c.srv.parkTime; c.watched.Load() != unwatchable && (limit <= 0 || limit > t) {
		return t, true
	}
	return limit, false
}

// watchAge, in ticks of the clock, is when a connection begins to be watched for
// its client's departure, which is then told also if it was before. A connection
// that carries one request and ends does not pay for it.
const watchAge = 2

const (
	unwatched uint32 = iota
	watchBegins
	watchOn
	unwatchable // epoll's limits, or no epoll
)

// watch has the connection watched from now on; false: it is not. A departure is
// noticed later then, by reading or writing.
func (c *conn) watch() bool {
	if c.watched.CompareAndSwap(unwatched, watchBegins) {
		t, err := c.srv.watch.add(&c.sock, c)
		c.token = t
		if err != nil || t.none() {
			c.watched.Store(unwatchable)
		} else {
			c.watched.Store(watchOn)
		}
	}
	return c.watched.Load() == watchOn
}

// park gives the connection to whoever wakes it: the caller must not touch it
// after true. False: it cannot be parked, now or ever. left is what is left of its idle timeout; not positive: no limit.
func (c *conn) park(left time.Duration) bool {
	s := c.srv
	c.disarm()
	if !c.watch() {
		return false
	}
	// With cmu held nobody wakes the connection before it is complete: an event
	// comes as soon as readiness is asked for, if there is something already.
	c.cmu.Lock()
	if c.aborted.Load() || !s.watch.readiness(c.token, true) {
		c.cmu.Unlock()
		return false
	}
	if left > 0 {
		c.deadline.Store(c.clk.now() + int64(left))
	}
	s.o.Pools.parks.Add(1)
	c.state.Store(connParked)
	gone := c.fin || c.rst
	c.cmu.Unlock()
	if gone || s.stopping.Load() {
		c.wake() // who set it may have come before the store
	}
	return true
}

// wake gives a parked connection a goroutine; false: it is not parked. Any
// goroutine.
func (c *conn) wake() bool {
	c.cmu.Lock()
	defer c.cmu.Unlock()
	return c.wakeLocked()
}

// wakeLocked is wake where cmu is held.
func (c *conn) wakeLocked() bool {
	if !c.state.CompareAndSwap(connParked, connBusy) {
		return false
	}
	go func() {
		c.disarm()
		c.srv.watch.readiness(c.token, false)
		c.serve()
	}()
	return true
}

// readable is the watcher's.
func (c *conn) readable() { c.wake() }

// tick is the clock's: a parked connection whose time is up ends.
func (c *conn) tick(now int64) {
	if c.age < watchAge {
		if c.age++; c.age == watchAge {
			c.watch()
		}
	}
	if c.state.Load() != connParked {
		c.sock.tick(now)
		return
	}
	d := c.deadline.Load()
	if d <= 0 || d > now {
		return
	}
	// Not from here, where the clock's lock is held.
	go func() {
		c.cmu.Lock()
		mine := c.state.CompareAndSwap(connParked, connBusy)
		c.cmu.Unlock()
		if mine {
			c.ln.counters.cxIdle.Add(1)
			c.end()
			c.srv.untrack(c)
		}
	}()
}
