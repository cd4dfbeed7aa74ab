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

// unready decides for a request that found nobody ready, or only the member
// that refused it (only): the last resort, a wait, or an error. It returns
// neither endpoint nor error where something changed, and the newest picker is
// to be asked again.
func (c *Cluster) unready(p *picker, q *Request, only *Endpoint) (*Endpoint, error) {
	now := time.Now()
	if only == nil {
		if e := p.resort(q, now); e != nil {
			return e, nil
		}
	}
	until, ok := c.holdUntil(p, q, only, now)
	if !ok {
		return c.noHold(q, only)
	}
	if q.held == 0 && q.OnHold != nil {
		q.OnHold(q)
	}
	q.held++
	if int64(p.spec.HoldMax) > 0 && c.use.held.Add(1) > int64(p.spec.HoldMax) {
		c.use.held.Add(-1)
		c.count.pendingOverflow.Add(1)
		return nil, ErrNoEndpoint
	} else if p.spec.HoldMax == 0 {
		c.use.held.Add(1)
	}
	defer c.use.held.Add(-1)
	if q.held == 1 {
		c.count.held.Add(1)
		c.count.pendingTotal.Add(1)
	}
	wait, again := until.Sub(now), false
	if only != nil {
		if pause := q.pause(); pause < wait {
			wait, again = pause, true
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.changed:
		return nil, nil
	case <-q.Cancel:
		return nil, ErrCanceled
	case <-timer.C:
		if again {
			return only, nil
		}
		c.count.heldTimeout.Add(1)
		return c.noHold(q, nil)
	}
}

// noHold is what a request gets that may not wait (any longer).
func (c *Cluster) noHold(q *Request, only *Endpoint) (*Endpoint, error) {
	if only != nil && q.held == 0 && c.Spec().Hold == 0 {
		return only, nil // holding is off: the proxy's own tries are the limit
	}
	c.count.noneHealthy.Add(1)
	return nil, ErrNoEndpoint
}

// pause is how long a refused request waits before the same member is tried
// again; it doubles.
func (q *Request) pause() time.Duration {
	return min(refusedFirst<<min(q.held-1, 10), refusedMost)
}

// holdUntil tells whether a request may wait, and until when. The time is
// fixed when the request first waits, and holds for all of its tries.
func (c *Cluster) holdUntil(p *picker, q *Request, only *Endpoint, now time.Time) (time.Time, bool) {
	hold := p.spec.Hold
	if hold <= 0 || c.removed.Load() {
		return time.Time{}, false
	}
	if q.holdUntil.IsZero() {
		until := now.Add(hold)
		switch lost := c.lostAt.Load(); {
		case only != nil:
			if since := only.refusedSince.Load(); since != 0 && now.Sub(time.Unix(0, since)) > deadAfter {
				return time.Time{}, false
			}
		case lost == 0: // never had one: only after its birth
			until = c.born.Add(hold)
		case now.Sub(time.Unix(0, lost)) > deadAfter:
			return time.Time{}, false
		}
		if !q.Deadline.IsZero() && q.Deadline.Before(until) {
			until = q.Deadline
		}
		q.holdUntil = until
	}
	return q.holdUntil, now.Before(q.holdUntil)
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
