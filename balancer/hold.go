package balancer

import (
	"time"
)

const (
	// deadAfter is how long after a cluster lost its last member requests are
	// still held for it; later they are answered at once.
	deadAfter = 30 * time.Second
	// firstSecond is how long after its stop signal a Stopping member takes no
	// request that could not be sent again, where it could wait for another
	// member: most processes that end by themselves do so now, and a request on
	// its way to one that closes at that moment is lost. lastSecond is the same
	// before its kill.
	firstSecond = time.Second
	lastSecond  = time.Second
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
	e, later := p.resort(q, now)
	if e != nil {
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
	soon := !later.IsZero() && later.Before(until)
	if soon {
		wait = later.Sub(now)
	}
	if pause := q.pause(); only != nil && pause < wait {
		wait, again, soon = pause, true, false
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
	switch {
	case again:
		return only, nil
	case soon:
		return nil, nil // resort gives it now
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
// errors that a peer would not have had. Where it returns none, later is when one
// will be there; zero: never.
func (p *picker) resort(q *Request, now time.Time) (_ *Endpoint, later time.Time) {
	n := len(p.lastResort)
	if n == 0 {
		return nil, later
	}
	i := int((p.rotation.next.Add(1) - 1) % uint64(n))
	for range n {
		e := p.lastResort[i]
		if i++; i == n {
			i = 0
		}
		if q.tried(e) || e.refusing.Load() {
			continue
		}
		from, until := e.serves(q, p.spec.Hold)
		switch {
		case !until.IsZero() && !now.Before(until):
		case !now.Before(from):
			return e, time.Time{}
		case later.IsZero() || from.Before(later):
			later = from
		}
	}
	return nil, later
}

// serves tells from when and until when a Stopping member may have the request;
// zero: always. Idempotent ones go to it to its end, others not just after its
// signal, as far as they can be held meanwhile, nor shortly before it is killed.
func (e *Endpoint) serves(q *Request, hold time.Duration) (from, until time.Time) {
	s := e.Spec()
	if q.Idempotent || s.StoppingAt.IsZero() {
		return from, until
	}
	until = s.StoppingAt.Add(s.StopTimeout - lastSecond)
	if hold > 0 {
		from = s.StoppingAt.Add(min(firstSecond, hold/2))
	}
	if !from.Before(until) {
		from = until // never
	}
	return from, until
}
