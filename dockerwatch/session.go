package dockerwatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"

	"github.com/dockerlb/dockerlb/topology"
)

// errStreamDead: the list found what the stream never told.
var errStreamDead = errors.New("the event stream is dead")

// selfRetry is the pause after we could not be found: without knowing our own
// networks, hardly a container can be reached.
const selfRetry = time.Second

// An engine drops events in silence for a reader that is far behind, which is
// what a burst makes of one. So a burst is followed by a list: manyEvents within
// burstWindow, and then nothing for calm. Where it does not calm down, the
// regular list has to do.
const (
	manyEvents  = 128
	burstWindow = time.Second
	calm        = 250 * time.Millisecond
)

// burst counts the events of the present window.
type burst struct {
	began time.Time
	n     int
}

// add takes an event in and reports whether it belongs to a burst.
func (b *burst) add(came time.Time) bool {
	if came.Sub(b.began) > burstWindow {
		*b = burst{began: came}
	}
	b.n++
	return b.n >= manyEvents
}

// session is one connection to the engine. Its fields belong to Run's
// goroutine; what its other goroutines find comes back by the channels, which
// have room for all that can be under way, so that nobody waits at the end.
type session struct {
	w      *Watcher
	ctx    context.Context
	engine *engine
	events *queue
	looks  chan lookResult
	lists  chan listResult
	selves chan selfResult
	pings  chan error
	group  sync.WaitGroup

	looking            int
	listing, selfing   bool
	selfAgain          bool
	pinging            bool
	first              bool // no list of this session has been applied
	nextList, lastWord time.Time
	burst              burst
	calmAt             time.Time // when to list after a burst; zero: there was none
	refineAt           time.Time // when a refinement is to be shown; zero: none waits
}

type lookResult struct {
	id  string
	c   *inspected
	err error
}

type listResult struct {
	began time.Time
	all   []listed
	selfResult
}

type selfResult struct {
	self   topology.Self
	lender string
	err    error
}

// session runs one connection until it fails or ctx ends.
func (w *Watcher) session(ctx context.Context) error {
	if u, _ := client.ParseHostURL(w.o.Host); u.Scheme == "unix" {
		if err := checkSocket(ctx, u.Host); err != nil {
			return err
		}
	}
	e, err := dial(ctx, w.o.Host, w.o.TLS, w.o.knobs.pingLimit)
	if err != nil {
		return err
	}
	defer e.close()
	ctx, cancel := context.WithCancel(ctx)
	s := &session{
		w: w, ctx: ctx, engine: e, events: newQueue(), first: true,
		looks: make(chan lookResult, maxInspects), lists: make(chan listResult, 1),
		selves: make(chan selfResult, 1), pings: make(chan error, 1),
	}
	defer s.group.Wait()
	defer cancel()
	w.members.reset()
	w.members.ahead = e.ahead
	w.members.quickStart = versions.GreaterThanOrEqualTo(e.api, "1.44")
	s.subscribe()
	return s.run()
}

// subscribe opens the event stream.
func (s *session) subscribe() {
	now := time.Now().Add(s.engine.ahead)
	since := s.w.since.Add(-overlap)
	if s.w.since.IsZero() {
		since = now.Add(-lookBack)
	}
	if s.w.came.IsZero() {
		s.w.came = now
	}
	messages, errs := s.engine.events(s.ctx, since)
	s.group.Go(func() { s.events.read(s.ctx, messages, errs) })
	s.lastWord = time.Now()
}

func (s *session) run() error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		s.w.members.tick(now)
		if err := s.missed(); err != nil {
			return err
		}
		s.dispatch(now)
		s.publish(now)
		timer.Reset(s.untilNext(now))
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-s.events.ready:
			if err := s.takeEvents(); err != nil {
				return err
			}
		case r := <-s.looks:
			s.looking--
			s.w.members.inspected(r.id, r.c, r.err, time.Now())
		case r := <-s.lists:
			if err := s.takeList(r); err != nil {
				return err
			}
		case r := <-s.selves:
			s.selfing = false
			s.takeSelf(r)
		case err := <-s.pings:
			s.pinging = false
			if err != nil {
				return fmt.Errorf("the engine does not answer: %w", err)
			}
			s.lastWord = time.Now()
		case <-timer.C:
		}
	}
}

// missed ends the session when a difference stayed without its event.
func (s *session) missed() error {
	m := s.w.members
	if m.missed == "" {
		return nil
	}
	what, n := m.missed, m.missedCount
	m.missed, m.missedCount = "", 0
	s.w.note(func(st *topology.EngineStatus) { st.Dropped += n })
	return fmt.Errorf("%w: the list shows that %s, and no event told", errStreamDead, what)
}

// dispatch starts what is wanted: lists, inspects, pings.
func (s *session) dispatch(now time.Time) {
	if !s.calmAt.IsZero() && !now.Before(s.calmAt) {
		s.calmAt, s.nextList = time.Time{}, now
	}
	if !s.listing && !now.Before(s.nextList) {
		s.listing = true
		s.nextList = now.Add(jitter(s.w.o.Resync))
		before := s.w.self.ContainerID
		s.group.Go(func() { s.lists <- s.list(before) })
	}
	if s.selfAgain && !s.selfing {
		s.selfing, s.selfAgain = true, false
		before := s.w.self.ContainerID
		s.group.Go(func() { s.selves <- s.findSelf(nil, before) })
	}
	for !s.first && s.looking < maxInspects {
		id, ok := s.w.members.nextLook(now)
		if !ok {
			break
		}
		s.looking++
		s.w.note(func(st *topology.EngineStatus) { st.Inspects++ })
		s.group.Go(func() {
			c, err := s.engine.inspect(s.ctx, id)
			s.looks <- lookResult{id, c, err}
		})
	}
	if !s.pinging && now.Sub(s.lastWord) >= s.silence() {
		s.pinging = true
		s.group.Go(func() { s.pings <- s.engine.ping(s.ctx) })
	}
}

func (s *session) silence() time.Duration {
	if d := s.w.o.knobs.silence; d > 0 {
		return d
	}
	return defaultSilence
}

func (s *session) list(before string) listResult {
	began := time.Now()
	all, err := s.engine.list(s.ctx)
	if err != nil {
		return listResult{began: began, selfResult: selfResult{err: err}}
	}
	return listResult{began, all, s.findSelf(all, before)}
}

func (s *session) findSelf(all []listed, before string) selfResult {
	self, lender, err := s.w.where.findSelf(s.ctx, s.engine, all, before)
	return selfResult{self, lender, err}
}

// untilNext is when run has something to do without being told.
func (s *session) untilNext(now time.Time) time.Duration {
	next := s.nextList
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if s.listing {
		next = now.Add(s.w.o.Resync)
	}
	earlier(s.w.members.agenda.next())
	earlier(s.refineAt)
	earlier(s.calmAt)
	if !s.pinging {
		earlier(s.lastWord.Add(s.silence()))
	}
	return max(next.Sub(now), 0)
}

func (s *session) takeEvents() error {
	all, overflow, ended := s.events.take()
	if overflow {
		s.nextList = time.Now()
		s.w.note(func(st *topology.EngineStatus) { st.Dropped += maxQueued })
	}
	w := s.w
	for _, a := range all {
		s.lastWord = a.came
		if !w.seen.first(a.event) {
			continue
		}
		if at := a.at(); at.After(w.since) {
			w.since = at
		}
		w.note(func(st *topology.EngineStatus) { st.Events++; st.LastEvent = a.came })
		if s.burst.add(a.came) {
			s.calmAt = a.came.Add(calm)
		}
		if a.network && (a.id == w.self.ContainerID || a.id == w.lender) {
			s.selfAgain = true
		}
		w.members.event(a.event, a.came, a.at().After(w.came))
	}
	return ended
}

func (s *session) takeList(r listResult) error {
	s.listing = false
	if r.err != nil {
		if s.first {
			return r.err
		}
		s.w.log.WithError(r.err).Warn("list failed; the last known state stays in force")
		s.lastWord = time.Time{} // ping
		return nil
	}
	now := time.Now()
	s.lastWord = now
	s.w.members.listed(r.all, r.began, now, s.first)
	s.w.note(func(st *topology.EngineStatus) {
		st.Lists++
		st.LastList = now
		if !st.Connected {
			st.Connected, st.Since, st.Error = true, now, ""
			st.Version, st.APIVersion = s.engine.version, s.engine.api
		}
	})
	if s.first {
		s.w.log.WithFields(map[string]any{"version": s.engine.version, "api": s.engine.api, "containers": len(r.all)}).Info("connected")
	}
	s.first = false
	s.takeSelf(r.selfResult)
	return nil
}

func (s *session) takeSelf(r selfResult) {
	w := s.w
	if r.err != nil {
		w.log.WithError(r.err).Warn("cannot look at our own container")
		if soon := time.Now().Add(selfRetry); s.nextList.After(soon) {
			s.nextList = soon
		}
		return
	}
	w.lender = r.lender
	if !sameSelf(w.self, r.self) {
		w.self = r.self
		w.members.changed, w.members.hurry = true, true
	}
}

// publish shows the set, if it is another one.
func (s *session) publish(now time.Time) {
	w := s.w
	for _, n := range w.members.notes {
		w.log.WithField("container", n.c.Name).Warn(n.text)
	}
	w.members.notes = nil
	if s.first || (w.latest.Load() != nil && !w.members.changed) {
		return
	}
	if !w.members.hurry && w.latest.Load() != nil {
		if s.refineAt.IsZero() {
			s.refineAt = now.Add(refinement)
		}
		if now.Before(s.refineAt) {
			return
		}
	}
	s.refineAt = time.Time{}
	w.gen++
	w.latest.Store(&topology.Membership{
		Generation: w.gen, ObservedAt: now, Engines: []topology.EngineStatus{w.Status()},
		Self: w.self, Containers: w.members.take(),
	})
	select {
	case w.updates <- struct{}{}:
	default:
	}
}
