// Package health checks endpoints actively and reports what it finds to the
// balancer.
//
// It checks what waits for a probe (topology.Endpoint.NeedsProbe, of labels)
// and the endpoints of a cluster of the file that has health_checks, by TCP
// connect, HTTP or gRPC. The state machine is Envoy's (state.go), the pace
// Envoy's for the file and quicker until the first success for labels (pace.go).
//
// All members of labels together are checked at most 100 times a second once
// they have been ready: with more of them than that allows, the time between two
// checks of one grows. What a file says is kept to.
//
// A check has a connection of its own, always: reuse_connection is not looked
// at. A kept connection would not tell whether new ones are accepted, which is
// what the proxy needs to know, and 5,000 of them cost more than they save.
package health

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/balancer"
)

const defaultConcurrency = 256

// Options is what New needs.
type Options struct {
	// Report takes a verdict: the first one of an endpoint, and each that
	// differs from the one before. For one endpoint it is called in order,
	// otherwise from any goroutine, at once. Required.
	Report func(balancer.Verdict)
	// HadTraffic tells whether a cluster has ever opened an upstream
	// connection: until then Envoy's no_traffic_interval holds. nil: it has.
	HadTraffic func(cluster string) bool
	// Count, if set, is told of each event, for cluster.<name>.health_check.*.
	Count func(cluster string, e Event)
	// MaxConcurrent is how many checks run at once, 256. A quarter of them is
	// kept for endpoints that have just come, so that many dead ones do not
	// delay a join.
	MaxConcurrent int
	Log           *logrus.Entry // nil: silent
}

// Event is what Count is told. The values bear Envoy's names.
type Event uint8

const (
	Attempt Event = iota
	Success
	Failure        // any, NetworkFailure too
	NetworkFailure // refused, reset, timed out
)

// Checker checks while Run runs. Its methods may be called from any goroutine.
type Checker struct {
	o      Options
	log    *logrus.Entry
	probe  func(context.Context, target) result
	random func(time.Duration) time.Duration // uniform in [0, n)
	wake   chan struct{}                     // one slot

	// mu guards what follows; it is held for no I/O and no callback.
	mu       sync.Mutex
	sessions map[string]*session // by Endpoint.ID
	clusters map[string]*group
	recent   *settings // of the cluster that was looked at last
	joining  lane
	steady   lane
	waiting  int   // sessions in their quick start
	load     int64 // checks in a thousand seconds that the labels ask for
	mark     uint64
	view     uint64 // balancer.View.Number of the last Apply; 0: none
}

// New panics where o.Report is nil.
func New(o Options) *Checker {
	p := newProber()
	return newChecker(o, p.probe)
}

func newChecker(o Options, probe func(context.Context, target) result) *Checker {
	if o.Report == nil {
		panic("health: Options.Report is nil")
	}
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = defaultConcurrency
	}
	if o.Count == nil {
		o.Count = func(string, Event) {}
	}
	if o.HadTraffic == nil {
		o.HadTraffic = func(string) bool { return true }
	}
	if o.Log == nil {
		l := logrus.New()
		l.SetOutput(io.Discard)
		o.Log = logrus.NewEntry(l)
	}
	reserved := max(1, o.MaxConcurrent/4)
	return &Checker{
		o: o, log: o.Log, probe: probe,
		random:   func(n time.Duration) time.Duration { return rand.N(n) },
		wake:     make(chan struct{}, 1),
		sessions: map[string]*session{},
		clusters: map[string]*group{},
		joining:  lane{max: reserved},
		steady:   lane{max: max(1, o.MaxConcurrent-reserved)},
	}
}

// Run checks until ctx is done, and then waits for the checks in flight to be
// given up. It is called once and returns nil.
func (c *Checker) Run(ctx context.Context) error {
	var checking sync.WaitGroup
	defer checking.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(c.step(ctx, &checking))
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// idle is how long Run sleeps where nothing is due.
const idle = time.Hour

// step starts what is due and returns how long nothing else is.
func (c *Checker) step(ctx context.Context, checking *sync.WaitGroup) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	wait := idle
	for _, l := range []*lane{&c.joining, &c.steady} {
		for {
			s, after := l.pop(now)
			if s == nil {
				wait = min(wait, after)
				break
			}
			c.start(ctx, checking, l, s)
		}
	}
	return wait
}

// start checks s once in a goroutine of its own. mu is held.
func (c *Checker) start(ctx context.Context, checking *sync.WaitGroup, l *lane, s *session) {
	t := s.target
	ctx, cancel := context.WithTimeout(ctx, t.settings.limit())
	s.cancel = cancel
	checking.Go(func() {
		defer cancel()
		c.o.Count(t.cluster, Attempt)
		r := c.probe(ctx, t)
		c.finish(ctx, l, s, t, r)
	})
}

// finish takes a result in, reports what is news, and says when to check again.
func (c *Checker) finish(ctx context.Context, l *lane, s *session, t target, r result) {
	// A check that was called off says nothing of the endpoint. Its own
	// timeout is another thing.
	calledOff := context.Cause(ctx) == context.Canceled
	traffic := c.o.HadTraffic(t.cluster)

	c.mu.Lock()
	if calledOff || s.gone || s.target != t {
		c.release(l, s)
		if !s.gone {
			c.schedule(s, time.Now())
		}
		c.mu.Unlock()
		c.kick()
		return
	}
	before := s.state
	pending := s.state.take(t.settings, r)
	c.waiting += boolToInt(s.state.joining(t.settings)) - boolToInt(before.joining(t.settings))
	rest := pace(t.settings, s.state, r, pending, crowd{c.waiting, c.load}, traffic, c.random)
	verdict, news := s.verdict(before, r)
	c.mu.Unlock()

	c.count(t.cluster, r)
	if news {
		c.say(t, before.healthy, verdict)
		c.o.Report(verdict)
	}

	// Only now may the next check begin: verdicts of one endpoint are in order.
	c.mu.Lock()
	c.release(l, s)
	if !s.gone {
		c.schedule(s, time.Now().Add(rest))
	}
	c.mu.Unlock()
	c.kick()
}

// release ends a check's claim on its lane. mu is held.
func (c *Checker) release(l *lane, s *session) {
	l.inFlight--
	s.cancel = nil
}

// schedule has s checked at due, or at once where its target has changed in the
// meantime. mu is held; s is not being checked.
func (c *Checker) schedule(s *session, due time.Time) {
	if s.target.paused {
		return
	}
	if s.again {
		s.again, due = false, time.Now()
	}
	s.due = due
	l := &c.steady
	if s.state.attempts < joiningAttempts {
		l = &c.joining
	}
	l.push(s)
}

func (c *Checker) count(cluster string, r result) {
	if r.kind == success {
		c.o.Count(cluster, Success)
		return
	}
	c.o.Count(cluster, Failure)
	if r.kind != active {
		c.o.Count(cluster, NetworkFailure)
	}
}

func (c *Checker) say(t target, wasHealthy bool, v balancer.Verdict) {
	log := c.log.WithField("cluster", t.cluster).WithField("endpoint", t.address)
	switch {
	case v.First:
		log.Debug("endpoint is ready") // "in rotation" is the balancer's word
	case v.Healthy:
		log.Info("endpoint is healthy again")
	case wasHealthy:
		log.WithField("reason", v.Reason).Warn("endpoint is not healthy")
	default:
		log.WithField("reason", v.Reason).Debug("endpoint is not ready yet")
	}
}

func (c *Checker) kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
