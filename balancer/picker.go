package balancer

import (
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// picker is how a cluster chooses at one moment. It is immutable but for the
// rotations' positions and the endpoints' own counters; every change of
// membership, readiness or weight makes a new one, and changed of the old one
// is closed, which wakes every request that waits.
type picker struct {
	cluster *Cluster
	spec    *topology.Cluster
	// lanes share the requests in parts of a hundred; nearly always there is
	// one. Empty: nobody is ready.
	lanes []lane
	// lastResort are Stopping members, for when nobody is ready.
	lastResort []*Endpoint
	rotation   *cursor // of lastResort
	sticky     map[string]*Endpoint
	ready      int
	panic      bool
	hashed     bool // the lane is drawn by the request's hash
	// The breakers' limits, here because each request asks.
	maxRequests int64
	changed     chan struct{}
}

// lane is one way through: the healthy or the degraded members of a tier, or
// all of them in panic.
type lane struct {
	upTo   uint32 // of 100, cumulative
	choose strategy
	panic  bool
}

// strategy is a policy over one set of endpoints. Implementations are safe for
// concurrent use, take no lock and allocate nothing in pick.
type strategy interface {
	// pick returns an endpoint that the request has not tried, else one that
	// it has.
	pick(q *Request) *Endpoint
}

// pick chooses for a request; nil: nobody is ready. set: the sticky cookie has
// to be set.
func (p *picker) pick(q *Request) (e *Endpoint, set bool) {
	if len(p.lanes) == 0 {
		return nil, false
	}
	if p.sticky != nil {
		if e := p.sticky[string(q.Sticky)]; e != nil && !q.tried(e) {
			return e, false
		}
	}
	e = p.choose(q)
	return e, p.sticky != nil
}

func (p *picker) choose(q *Request) *Endpoint {
	first := 0
	if len(p.lanes) > 1 {
		h := uint32(q.draw(drawLane)%100) + 1
		if p.hashed && q.HasHash {
			h = uint32(q.Hash%100) + 1
		}
		for first < len(p.lanes)-1 && h > p.lanes[first].upTo {
			first++
		}
	}
	e := p.take(&p.lanes[first], q)
	if len(p.lanes) > 1 && q.tried(e) {
		// Another tier is better than the same endpoint again.
		for i := range p.lanes {
			if o := p.take(&p.lanes[i], q); !q.tried(o) {
				return o
			}
		}
	}
	return e
}

func (p *picker) take(l *lane, q *Request) *Endpoint {
	if l.panic {
		p.cluster.count.panicked.Add(1)
	}
	return l.choose.pick(q)
}

// settle takes note that an endpoint's readiness or weight may have changed,
// and publishes: at once, unless the last publish was so dear and so recent
// that a burst of such changes (5,000 members that become ready one by one)
// would cost more than a tenth of a core. Balancer.mu is held.
func (b *Balancer) settle(c *Cluster, now time.Time) {
	const share = 10
	if due := c.published.Add(share * c.cost); b.running && now.Before(due) {
		c.dirty = true
		c.refresh = earlier(c.refresh, due)
		b.poke()
		return
	}
	b.publish(c, now)
}

// publish makes the cluster's picker from what is known now, and wakes those
// who wait. Balancer.mu is held.
func (b *Balancer) publish(c *Cluster, now time.Time) {
	began := time.Now()
	spec := c.Spec()
	p := &picker{
		cluster:     c,
		spec:        spec,
		rotation:    c.cursor(0, out),
		maxRequests: int64(limits(spec).MaxRequests),
		changed:     make(chan struct{}),
	}
	c.refresh, c.dirty = time.Time{}, false
	b.keepLast(c, now)
	for _, e := range c.endpoints {
		if e.stand.class.ready() {
			p.ready++
		}
		if e.stand.state == StateStopping && !e.Spec().Paused && e.acceptedBefore() {
			p.lastResort = append(p.lastResort, e)
		}
	}
	c.arrange(p, now)
	if p.spec.Sticky != "" && p.ready > 0 {
		p.sticky = make(map[string]*Endpoint, p.ready)
		for _, e := range c.endpoints {
			if e.stand.class.ready() {
				p.sticky[e.sticky] = e
			}
		}
	}
	usable := len(p.lanes) > 0 || p.accepting()
	if c.usable && !usable {
		c.lostAt.Store(now.UnixNano())
	}
	if usable && !c.usable {
		c.backAt.Store(now.UnixNano())
	}
	c.usable = usable
	old := c.picker.Swap(p)
	close(old.changed)
	c.published = now
	c.cost = time.Since(began)
}

// keepLast assesses all endpoints. Where nobody is ready and the rule is never
// to eject the last member, those that are ejected come back: the others may
// have left since. Balancer.mu is held.
func (b *Balancer) keepLast(c *Cluster, now time.Time) {
	ready, ejected := 0, 0
	for _, e := range c.endpoints {
		b.assess(c, e, now)
		if e.stand.class.ready() {
			ready++
		}
		if e.stand.state == StateEjected {
			ejected++
		}
	}
	rule, on := c.outlier()
	if ready > 0 || ejected == 0 || !on || !rule.KeepLast {
		return
	}
	for _, e := range c.endpoints {
		if e.stand.state == StateEjected {
			e.uneject(now)
			b.assess(c, e, now)
		}
	}
}

// acceptedBefore tells whether a member that is Stopping has a service that
// ever was ready: one that never was cannot be the last resort.
func (e *Endpoint) acceptedBefore() bool {
	if e.wasStopping {
		return !e.probe.known || e.probe.healthy
	}
	return !e.joined.IsZero() && (!e.probe.known || e.probe.healthy)
}

// assess evaluates an endpoint and does what follows when it comes into use or
// goes out of it. Balancer.mu is held.
func (b *Balancer) assess(c *Cluster, e *Endpoint, now time.Time) {
	was := e.stand
	e.stand = e.evaluate(now)
	if e.stand.state != was.state {
		e.since = now
	}
	s := e.Spec()
	switch {
	case s.Stopping:
		from := s.StoppingAt
		if from.IsZero() {
			from = now
		}
		e.startDrain(from)
	case e.override.drain:
		e.startDrain(now)
	default:
		if e.refusing.Load() {
			e.refusing.Store(false)
		}
		e.stopDrain()
	}
	if e.stand.class.ready() {
		e.drained = false
		if e.joined.IsZero() {
			e.joined = now
			b.joined(e, now)
		}
		// The ramp begins when it joins, and again when a check that failed
		// passes; the end of an ejection does not restart it.
		if !was.class.ready() && was.state != StateEjected && was.state != StateDraining {
			e.slowStart = now
		}
		return
	}
	if was.class.ready() && !e.drained && e.slot != nil {
		e.drained = true
		b.after = append(b.after, e.slot.Drain)
	}
}

// joined tells of an endpoint's first readiness.
func (b *Balancer) joined(e *Endpoint, now time.Time) {
	s := e.Spec()
	if s.Source != topology.FromLabels {
		return
	}
	if !s.StartEvent.IsZero() {
		e.joinTook = max(now.Sub(s.StartEvent), 0)
	}
	if f := b.options.OnJoin; f != nil {
		took := e.joinTook
		b.after = append(b.after, func() { f(e, took) })
	}
}
