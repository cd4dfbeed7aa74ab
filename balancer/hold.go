package balancer

import (
	"time"
)

const (
	// deadAfter is how long after a cluster lost its last member requests are
	// still held for it; later they are answered at once.
	deadAfter = 30 * time.Second
	// lastSecond is how long before its kill a Stopping member takes no more
	// requests that could not be sent again.
	lastSecond = time.Second
	// refusedFirst and refusedMost bound the pause before a request goes again
	// to the only member, which refused it.
	refusedFirst = 10 * time.Millisecond
	refusedMost  = 100 * time.Millisecond
)

// unready decides for a request that found nobody ready, or only members that
// refused it, of which only is one: the last resort, a wait, or an error. It
// returns neither endpoint nor error where something has changed, and the
// newest picker is to be asked again.
func (c *Cluster) unready(p *picker, q *Request, only *Endpoint) (*Endpoint, error) {
	now := time.Now()
	if e := p.resort(q, now); e != nil {
		return e, nil
	}
	if only != nil && p.spec.Hold <= 0 {
		return only, nil // holding is off: the proxy's own tries are the limit
	}
	until, ok := c.holdUntil(p, q, only, now)
	if !ok {
		c.count.noneHealthy.Add(1)
		return nil, ErrNoEndpoint
	}
	if err := c.beginHold(p, q); err != nil {
		return nil, err
	}
	defer c.use.held.Add(-1)
	wait, again := until.Sub(now), false
	if pause := q.pause(); only != nil && pause < wait {
		wait, again = pause, true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.changed:
		return nil, nil
	case <-q.Cancel:
		return nil, ErrCanceled
	case <-timer.C:
	}
	if again {
		return only, nil
	}
	c.count.heldTimeout.Add(1)
	c.count.noneHealthy.Add(1)
	return nil, ErrNoEndpoint
}

// beginHold counts a request that waits, unless too many do. HoldMax alone
// bounds them, not max_pending_requests: that one is for requests whose member
// is known and slow to connect, and a restart of seconds at a few hundred
// requests a second is more than its 1,024.
func (c *Cluster) beginHold(p *picker, q *Request) error {
	if c.use.held.Add(1) > int64(p.spec.HoldMax) {
		c.use.held.Add(-1)
		c.count.noneHealthy.Add(1)
		c.count.pendingOverflow.Add(1)
		return ErrNoEndpoint
	}
	if q.held++; q.held == 1 {
		c.count.held.Add(1)
		c.count.pendingTotal.Add(1)
		if q.OnHold != nil {
			q.OnHold(q)
		}
	}
	return nil
}

// pause is how long a refused request waits before the same member is tried
// again; it doubles.
func (q *Request) pause() time.Duration {
	return min(refusedFirst<<min(max(q.held-1, 0), 10), refusedMost)
}

// holdUntil tells whether a request may wait, and until when. The time is
// fixed when the request first waits, and holds for all of its tries.
func (c *Cluster) holdUntil(p *picker, q *Request, only *Endpoint, now time.Time) (time.Time, bool) {
	if p.spec.Hold <= 0 || c.removed.Load() {
		return time.Time{}, false
	}
	if q.holdUntil.IsZero() {
		until := now.Add(p.spec.Hold)
		switch {
		case only != nil:
			if long(only.refusedSince.Load(), now) {
				return time.Time{}, false
			}
		case p.accepting():
			// A Stopping member that takes only idempotent requests by now:
			// who else came here is early, not late.
		case c.lostAt.Load() == 0:
			// Never had a member: only so long after its birth.
			until = c.born.Add(p.spec.Hold)
		case long(c.lostAt.Load(), now):
			return time.Time{}, false
		}
		if !q.Deadline.IsZero() && q.Deadline.Before(until) {
			until = q.Deadline
		}
		q.holdUntil = until
	}
	return q.holdUntil, now.Before(q.holdUntil)
}

// long tells whether a cluster, or an only member, that was lost at a time
// counts as dead.
func long(lost int64, now time.Time) bool {
	return lost != 0 && now.Sub(time.Unix(0, lost)) > deadAfter
}

// accepting tells whether a Stopping member is there that has not refused.
func (p *picker) accepting() bool {
	for _, e := range p.lastResort {
		if !e.refusing.Load() {
			return true
		}
	}
	return false
}

// resort returns a Stopping member that still accepts connections, for a
// cluster where nobody is ready: a process that ignores SIGTERM must not cause
// errors that a peer would not have had.
func (p *picker) resort(q *Request, now time.Time) *Endpoint {
	n := len(p.lastResort)
	if n == 0 {
		return nil
	}
	i := int((p.rotation.next.Add(1) - 1) % uint64(n))
	for range n {
		e := p.lastResort[i]
		if i++; i == n {
			i = 0
		}
		if !q.tried(e) && !e.refusing.Load() && e.serves(q, now) {
			return e
		}
	}
	return nil
}

// serves tells whether a Stopping member may have the request: idempotent ones
// to its end, others until shortly before it is killed.
func (e *Endpoint) serves(q *Request, now time.Time) bool {
	s := e.Spec()
	if q.Idempotent || s.StoppingAt.IsZero() {
		return true
	}
	return now.Before(s.StoppingAt.Add(s.StopTimeout - lastSecond))
}
