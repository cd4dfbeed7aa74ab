// Package control is the one goroutine that joins the sources: the engine's
// membership, the answers of DNS and the bootstrap file go in, always the
// latest of each, and a table comes out, which it gives to the balancer, the
// listeners and the health checks.
//
// An event is applied at once. Those that arrive while a table is being built
// wait in the one-slot channels of their sources and become one build.
package control

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/topology"
)

// Docker is what dockerwatch gives. Updates has a value when Latest has
// changed; Latest is false until the first membership is known. A source that
// fails sends nothing, and the last value stays in force.
type Docker interface {
	Updates() <-chan struct{}
	Latest() (topology.Membership, bool)
}

// DNS is what dnswatch gives. Want says which names are to be kept resolved,
// in full.
type DNS interface {
	Want([]topology.Query)
	Updates() <-chan struct{}
	Latest() topology.Answers
}

// File is what config gives.
type File interface {
	Updates() <-chan struct{}
	Latest() (topology.Static, bool)
}

// Balancer is what control needs of a *balancer.Balancer.
type Balancer interface {
	Apply(*topology.Table)
	View() *balancer.View
	Incumbents() topology.Incumbents
	// Unchecked is a cluster of the file that has a host without the first word
	// of its health checks; empty: there is none.
	Unchecked() string
}

// Proxy opens and closes listeners so that exactly these are open. One that
// cannot be opened is an error that names it; the others are open all the
// same.
type Proxy interface {
	Listen([]topology.Listener) error
}

// Health checks the endpoints of a view.
type Health interface {
	Apply(*balancer.View)
}

var _ Balancer = (*balancer.Balancer)(nil)

// Options is what New needs. Docker, DNS, File, Proxy and Health may be nil.
type Options struct {
	Docker   Docker
	DNS      DNS
	File     File
	Balancer Balancer
	Proxy    Proxy
	Health   Health
	Defaults topology.Defaults
	Log      *logrus.Entry
}

const (
	// openAfter is how long listeners wait for the sources' first word:
	// requests before it would be answered by an empty table. Then they open
	// with what there is, as an engine may be away for long.
	openAfter = 5 * time.Second
	// listenAgain is when a listener that could not be opened is tried again.
	listenAgain = 2 * time.Second
)

// Control joins the sources. New makes one; Run does the work in the caller's
// goroutine, and everything else may be called from any.
type Control struct {
	options Options
	log     *logrus.Entry

	status  atomic.Pointer[Status]
	rebuild chan struct{} // one slot
	// checking: a first check is waited for, and Checked has something to tell.
	checking atomic.Bool

	// Of Run's goroutine alone.
	builder    topology.Builder
	table      *topology.Table
	membership topology.Membership
	static     topology.Static
	answers    topology.Answers
	known      struct{ docker, file bool }
	answered   time.Time // when answers last changed
	started    time.Time
	opened     bool // listeners were opened once without an error
	opening    bool // listeners have been tried
	listenErr  error
	retry      time.Time // of Listen; zero: not needed
	reporter   reporter
}

// New returns a Control that has nothing yet.
func New(o Options) *Control {
	if o.Log == nil {
		o.Log = discard()
	}
	c := &Control{options: o, log: o.Log, table: &topology.Table{}, rebuild: make(chan struct{}, 1), reporter: reporter{log: o.Log}}
	c.publish(func(s *Status) { s.Table = c.table })
	return c
}

// discard is a log for those who give none.
func discard() *logrus.Entry {
	l := logrus.New()
	l.SetLevel(logrus.PanicLevel)
	return logrus.NewEntry(l)
}

// Run joins the sources until ctx is done; then it returns nil. A listener
// that cannot be opened when listeners are first opened ends it with an error.
func (c *Control) Run(ctx context.Context) error {
	c.started = time.Now()
	var docker, dns, file <-chan struct{} // nil: never
	if c.options.Docker != nil {
		docker = c.options.Docker.Updates()
	}
	if c.options.DNS != nil {
		dns = c.options.DNS.Updates()
	}
	if c.options.File != nil {
		file = c.options.File.Updates()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	cause := "start"
	for {
		if err := c.step(cause); err != nil {
			return err
		}
		timer.Reset(c.next(time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case <-docker:
			cause = "docker"
		case <-dns:
			cause = "dns"
		case <-file:
			cause = "file"
		case <-c.rebuild:
			cause = "rebuild"
		case <-timer.C:
			cause = "time"
		}
		for _, more := range [...]<-chan struct{}{docker, dns, file, c.rebuild} {
			select {
			case <-more: // what arrived meanwhile is in this build too
			default:
			}
		}
	}
}

// Rebuild asks for a new table though no source has news: a tombstone has
// ended. Any goroutine; it never blocks.
func (c *Control) Rebuild() {
	select {
	case c.rebuild <- struct{}{}:
	default:
	}
}

// Checked says that a health check has had a result. Any goroutine; it never
// blocks, and costs nothing once the listeners are open.
func (c *Control) Checked() {
	if c.checking.Load() {
		c.Rebuild()
	}
}

// step takes the latest of each source in, and makes it so.
func (c *Control) step(cause string) error {
	c.gather()
	if c.options.File != nil && !c.known.file {
		c.publish(func(*Status) {})
		return nil // not a table without what the file says
	}
	if c.options.DNS != nil {
		c.options.DNS.Want(c.builder.Names(c.membership, c.static))
		c.takeAnswers()
	}
	begin := time.Now()
	t := c.build()
	took := time.Since(begin)
	c.options.Balancer.Apply(t)
	c.table = t
	err := c.listen()
	if c.options.Health != nil {
		c.options.Health.Apply(c.options.Balancer.View())
	}
	c.reporter.report(t)
	c.publish(func(s *Status) { s.record(t, cause, begin, took) })
	return err
}

// gather reads the sources.
func (c *Control) gather() {
	if c.options.Docker != nil {
		if m, ok := c.options.Docker.Latest(); ok {
			c.membership, c.known.docker = m, true
		}
	}
	if c.options.File != nil {
		if s, ok := c.options.File.Latest(); ok {
			c.static, c.known.file = s, true
		}
	}
}

func (c *Control) takeAnswers() {
	a := c.options.DNS.Latest()
	if a.Generation != c.answers.Generation || c.answered.IsZero() {
		c.answered = time.Now()
	}
	c.answers = a
}

// build makes the next table. The balancer knows what came before: who holds a
// contested route, and which routes outlive their cluster's last member.
func (c *Control) build() *topology.Table {
	return c.builder.Build(topology.Inputs{
		Generation: c.table.Generation + 1,
		At:         time.Now(),
		Membership: c.membership,
		Answers:    c.answers,
		Static:     c.static,
		Defaults:   c.options.Defaults,
		Incumbents: c.options.Balancer.Incumbents(),
	})
}

// listen opens what the table says, once there is something to say. The error
// is for Run: what cannot be opened at the start is fatal, later it is logged
// and tried again.
func (c *Control) listen() error {
	now := time.Now()
	if c.options.Proxy == nil || !c.opening && c.waiting() != "" && now.Sub(c.started) < openAfter {
		return nil
	}
	first := !c.opening
	c.opening = true
	err := c.options.Proxy.Listen(c.table.Listeners)
	switch {
	case err == nil:
		if c.listenErr != nil {
			c.log.Info("all listeners are open")
		}
		c.opened, c.retry = true, time.Time{}
	case first:
		return err
	default:
		if c.listenErr == nil || c.listenErr.Error() != err.Error() {
			c.log.WithError(err).Errorf("a listener could not be opened: trying again every %s", listenAgain)
		}
		c.retry = now.Add(listenAgain)
	}
	c.listenErr = err
	return nil
}

// next is how long Run may sleep.
func (c *Control) next(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	sooner(c.retry)
	if !c.opening && c.options.Proxy != nil {
		sooner(c.started.Add(openAfter))
	}
	return max(next.Sub(now), time.Millisecond)
}
