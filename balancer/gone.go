package balancer

import (
	"sync"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// signal is a channel that is closed at most once.
type signal struct {
	ch   chan struct{}
	once sync.Once
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

func (s *signal) fire() { s.once.Do(func() { close(s.ch) }) }

func (s *signal) fired() bool {
	select {
	case <-s.ch:
		return true
	default:
		return false
	}
}

// Gone is closed when what is still upgraded to the endpoint is to be cut: its
// drain time is over (DrainDeadline), whether it has left the table, is
// stopping, or was drained by an operator. Upgraded connections end by it. An
// endpoint that comes back (undrain, a stop signal that was ignored) has a new
// channel for new connections.
func (e *Endpoint) Gone() <-chan struct{} { return e.gone.Load().ch }

// Lost reports whether the endpoint has left, though nothing had told its
// container to stop: it has died, or there is no network any more on which it
// can be reached. Only the labels' endpoints: one that a file or a name no longer
// has may be as well as ever.
func (e *Endpoint) Lost() bool {
	if !e.leaving.Load() {
		return false
	}
	s := e.Spec()
	return s.Source == topology.FromLabels && !s.Stopping
}

// DrainDeadline is when upgraded connections are to be cut; zero: not
// draining.
func (e *Endpoint) DrainDeadline() time.Time {
	if at := e.drainBy.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// startDrain begins the drain time at from, where it has not begun. Endpoints
// of the file have none: what is in flight there finishes with no limit, as in
// Envoy.
func (e *Endpoint) startDrain(from time.Time) {
	s := e.Spec()
	if e.drainBy.Load() != 0 || s.Source != topology.FromLabels && s.Drain == 0 {
		return
	}
	e.drainBy.Store(from.Add(s.Drain).UnixNano())
	e.cluster.b.poke()
}

// stopDrain takes a drain back.
func (e *Endpoint) stopDrain() {
	if e.drainBy.Load() == 0 {
		return
	}
	e.drainBy.Store(0)
	if e.gone.Load().fired() {
		e.gone.Store(newSignal())
	}
}

// cutOverdue fires Gone where the drain time is over, and returns when it will
// be; zero: it is not draining, or is cut.
func (e *Endpoint) cutOverdue(now time.Time) time.Time {
	by := e.DrainDeadline()
	if by.IsZero() {
		return by
	}
	if by.After(now) {
		return by
	}
	e.gone.Load().fire()
	return time.Time{}
}

// reap closes the slots of endpoints that have left and have no lease, folds
// their counters into their cluster's, and forgets them. It returns when the
// next drain time ends. Balancer.mu is held.
func (b *Balancer) reap(now time.Time) time.Time {
	var next time.Time
	kept := b.leaving[:0]
	for _, e := range b.leaving {
		at := e.cutOverdue(now)
		next = earlier(next, at)
		if e.active.Load() == 0 {
			e.close()
		}
		if e.closed.Load() && at.IsZero() {
			e.cluster.base.add(e)
			continue
		}
		kept = append(kept, e)
	}
	clear(b.leaving[len(kept):])
	b.leaving = kept
	return next
}
