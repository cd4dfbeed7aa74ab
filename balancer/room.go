package balancer

import "time"

// A hold piles up what a cluster would have had one after the other: 300
// requests a second are 1,500 after 5 s, more than max_requests lets in at once
// by default. So those that were held, and those that come while the pile goes
// down, wait for room, for as long as they may wait at all. Else the breaker
// answers at once, as Envoy's does: a queue before a cluster that is merely too
// slow would only add to its time.

// full decides for a request that found max_requests reached. nil: there may be
// room now, and an endpoint is to be chosen anew.
func (c *Cluster) full(p *picker, q *Request) error {
	now := time.Now()
	if q.holdUntil.IsZero() && p.spec.Hold > 0 {
		q.holdUntil = time.Unix(0, c.backAt.Load()).Add(p.spec.Hold)
		if !q.Deadline.IsZero() && q.Deadline.Before(q.holdUntil) {
			q.holdUntil = q.Deadline
		}
	}
	if p.spec.Hold <= 0 || !now.Before(q.holdUntil) {
		c.count.pendingOverflow.Add(1)
		return ErrOverflow
	}
	if err := c.beginHold(p, q); err != nil {
		return err
	}
	defer c.use.held.Add(-1)
	c.use.waiting.Add(1)
	defer c.use.waiting.Add(-1)
	if c.use.requests.Load() < p.maxRequests {
		return nil // given back before it was known that we wait
	}
	timer := time.NewTimer(q.holdUntil.Sub(now))
	defer timer.Stop()
	select {
	case <-c.use.room:
		return nil
	case <-p.changed:
		return nil
	case <-q.Cancel:
		return ErrCanceled
	case <-timer.C:
		c.count.heldTimeout.Add(1)
		c.count.pendingOverflow.Add(1)
		return ErrOverflow
	}
}

// wake lets one of those who wait for room look again. One token is enough:
// who gets in passes the word on.
func (u *usage) wake() {
	if u.waiting.Load() == 0 {
		return
	}
	select {
	case u.room <- struct{}{}:
	default:
	}
}
