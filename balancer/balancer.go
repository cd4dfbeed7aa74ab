package balancer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// Balancer is the living table. New makes one; the zero value is not usable.
//
// Two worlds meet here. Requests read: the View, each cluster's picker and the
// endpoints' counters, all through atomics. Control writes: Apply, Report,
// Override and Run change state under mu and publish a new picker, which
// requests see with their next load. A request never takes mu.
type Balancer struct {
	options Options
	view    atomic.Pointer[View]
	// detections is how Done, on a request's path, tells Run that an endpoint
	// has failed often enough to be ejected. A full channel drops the
	// detection: the next failure makes it again.
	detections chan detection
	// wake tells Run that something is due earlier than it knows.
	wake chan struct{}

	mu       sync.Mutex
	table    *topology.Table
	clusters map[string]*Cluster
	byID     map[string]*Endpoint
	// leaving are endpoints out of the table that still have leases, or
	// upgraded connections whose drain time runs.
	leaving []*Endpoint
	applies uint64 // updates of a cluster, ever
	// touched are the clusters that were made, changed or removed since the
	// last View.
	touched   []*Cluster
	tickAt    time.Time   // when Run will look by itself; zero: it does not run yet
	fresh     []*Endpoint // born in this Apply
	overrides map[incarnation]overrides
	running   bool     // Run is there to publish what waits
	after     []func() // what to call once mu is free

	// notify orders the calls of Options.Changed.
	notify sync.Mutex
}

// New returns a Balancer with an empty View.
func New(o Options) *Balancer {
	b := &Balancer{
		options:    o,
		detections: make(chan detection, 256),
		wake:       make(chan struct{}, 1),
		table:      &topology.Table{},
		clusters:   map[string]*Cluster{},
		byID:       map[string]*Endpoint{},
		overrides:  map[incarnation]overrides{},
	}
	b.view.Store(&View{clusters: map[string]*Cluster{}, listeners: map[string]*Listener{}})
	return b
}

// View is the current generation: one atomic load.
func (b *Balancer) View() *View { return b.view.Load() }

// unlock frees mu and then makes the calls that were put off: Slots and
// callbacks belong to others and must not run under our lock.
func (b *Balancer) unlock() {
	calls := b.after
	b.after = nil
	b.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

// changed tells Options.Changed of the newest View.
func (b *Balancer) changed() {
	if b.options.Changed == nil {
		return
	}
	b.notify.Lock()
	defer b.notify.Unlock()
	b.options.Changed(b.View())
}

// poke makes Run look again at what is due.
func (b *Balancer) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Run does what needs time: ejections and their end, tombstones, slow start,
// the limit of drains. It returns when ctx is done. One goroutine calls it.
func (b *Balancer) Run(ctx context.Context) {
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.running = false
		for _, c := range b.clusters {
			if c.dirty {
				b.publish(c, time.Now())
			}
		}
		b.unlock()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-b.detections:
			b.mu.Lock()
			b.detected(d, time.Now())
			b.unlock()
			continue
		case <-b.wake:
		case <-timer.C:
		}
		b.mu.Lock()
		next := b.tick(time.Now())
		b.unlock()
		timer.Reset(next)
	}
}

// idle is how long Run sleeps where nothing is due.
const idle = time.Minute

// tick does what is due at now and returns how long until the next thing is.
// mu is held.
func (b *Balancer) tick(now time.Time) time.Duration {
	next := now.Add(idle)
	for _, c := range b.clusters {
		next = earlier(next, b.tickCluster(c, now))
	}
	next = earlier(next, b.reap(now))
	b.tickAt = next
	return max(next.Sub(now), 0)
}

// tickTouched is tick for what an Apply has touched: Run is woken only where it
// would look too late, as a look at thousands of clusters is not free. mu is
// held.
func (b *Balancer) tickTouched(now time.Time) {
	next := b.reap(now)
	for _, c := range b.touched {
		next = earlier(next, b.tickCluster(c, now))
	}
	if b.tickAt.IsZero() || !next.IsZero() && next.Before(b.tickAt) {
		b.poke()
	}
}

// tickCluster does what is due for one cluster and returns when to look again.
func (b *Balancer) tickCluster(c *Cluster, now time.Time) time.Time {
	next := b.sweep(c, now)
	next = earlier(next, b.expire(c, now))
	for _, e := range c.endpoints {
		next = earlier(next, e.cutOverdue(now))
	}
	if !c.refresh.IsZero() && !now.Before(c.refresh) {
		b.publish(c, now)
	}
	return earlier(next, c.refresh)
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
