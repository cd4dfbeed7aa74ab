// Package dnswatch keeps names resolved: it turns the questions that the other
// rooms have (topology.Query) into topology.Answers. It is the only room that
// knows DNS.
//
// # What is asked, and when
//
// A label member's short id (topology.QueryMember) is asked of the engine's
// embedded DNS to confirm an address that inspect has already given. It is
// refreshed slowly and its TTL, 600 s on every engine, is never obeyed: events
// lead, DNS follows. All other names (topology.QueryName) are kept as Envoy
// keeps those of STRICT_DNS and LOGICAL_DNS clusters. See schedule.go.
//
// # What an answer is
//
// The response code decides (Envoy since 1.26): NOERROR without records and
// NXDOMAIN are an answer, "empty"; everything else is none, "failed", and
// leaves the last addresses in force. Records are compared as sets, since the
// embedded DNS shuffles them.
//
// # How names are spelled
//
// A member's name is asked as it stands, with a trailing dot, and never with a
// search domain: it would be forwarded out of the host. Other names follow
// resolv.conf's ndots and search, as Envoy's resolver does, but only NXDOMAIN
// leads on to the next domain. /etc/hosts and literal addresses are answered
// without a question.
package dnswatch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/topology"
)

// Defaults of Options.
const (
	defaultTimeout     = time.Second
	defaultNameTimeout = 5 * time.Second // Envoy's c-ares: 5 s per try, 4 tries
	defaultNameTries   = 4
	defaultMaxRate     = 500
	defaultConcurrency = 16
)

// Options is what New needs. Zero fields have defaults.
type Options struct {
	// Servers are asked in order. Empty: those of ResolvConf, and its search
	// and ndots; where it names none, 127.0.0.1:53.
	Servers []netip.AddrPort
	// Search and NDots hold where Servers is given.
	Search []string
	NDots  int

	ResolvConf string // /etc/resolv.conf
	HostsFile  string // /etc/hosts; "-": none

	// Timeout is for one try at a member's name, 1 s; each server has one.
	Timeout time.Duration
	// NameTimeout and NameTries are for the other names: 5 s, 4 tries.
	NameTimeout time.Duration
	NameTries   int
	// MaxRate is how many members are asked about per second, 500.
	MaxRate int
	// Concurrency is how many names are asked about at once, of members and of
	// the others each, so that a dead resolver of one kind does not delay the
	// other; 16.
	Concurrency int

	Log *logrus.Entry // nil: silent
}

// Watcher keeps names resolved while Run runs. Its methods may be called from
// any goroutine.
type Watcher struct {
	log     *logrus.Entry
	lookup  func(context.Context, topology.Query) result
	servers []netip.AddrPort
	random  func(n time.Duration) time.Duration // uniform in [0, n)
	counts  *counters

	latest  atomic.Pointer[topology.Answers]
	updates chan struct{} // one slot
	wake    chan struct{} // one slot

	// mu guards what follows; it is held for no I/O.
	mu       sync.Mutex
	wanted   []topology.Query // as last given to Want
	entries  map[topology.Query]*entry
	backoffs map[string]*backoff // by Query.Cluster: one state per cluster (Envoy)
	members  lane
	others   lane
	mark     uint64 // of the last Want
	draft    draft
}

// New reads resolv.conf where no servers are given. It fails where that file
// cannot be read for another reason than not being there.
func New(o Options) (*Watcher, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.NameTimeout <= 0 {
		o.NameTimeout = defaultNameTimeout
	}
	if o.NameTries <= 0 {
		o.NameTries = defaultNameTries
	}
	if o.MaxRate <= 0 {
		o.MaxRate = defaultMaxRate
	}
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	conf := resolvConf{Servers: o.Servers, Search: o.Search, NDots: o.NDots}
	if len(o.Servers) == 0 {
		path := o.ResolvConf
		if path == "" {
			path = "/etc/resolv.conf"
		}
		var err error
		if conf, err = readResolvConf(path); err != nil {
			return nil, fmt.Errorf("resolver configuration: %w", err)
		}
	}
	var hosts *hostsFile
	switch o.HostsFile {
	case "-":
	case "":
		hosts = &hostsFile{path: "/etc/hosts"}
	default:
		hosts = &hostsFile{path: o.HostsFile}
	}
	counts := new(counters)
	l := looker{
		asker:   &client{servers: conf.Servers, counts: counts},
		hosts:   hosts,
		search:  conf.Search,
		ndots:   conf.NDots,
		members: patience{o.Timeout, 1},
		names:   patience{o.NameTimeout, o.NameTries},
	}
	w := newWatcher(l.lookup, o, counts)
	w.servers = conf.Servers
	return w, nil
}

// newWatcher is New without the resolver, for tests of the schedule.
func newWatcher(lookup func(context.Context, topology.Query) result, o Options, counts *counters) *Watcher {
	log := o.Log
	if log == nil {
		log = silent()
	}
	w := &Watcher{
		log:      log,
		lookup:   lookup,
		counts:   counts,
		random:   func(n time.Duration) time.Duration { return rand.N(n) },
		updates:  make(chan struct{}, 1),
		wake:     make(chan struct{}, 1),
		entries:  map[topology.Query]*entry{},
		backoffs: map[string]*backoff{},
		members:  lane{max: o.Concurrency, bucket: newBucket(o.MaxRate)},
		others:   lane{max: o.Concurrency},
	}
	w.draft.names = map[topology.Query]topology.Answer{}
	w.latest.Store(&topology.Answers{})
	return w
}

// Updates has a value when Latest has changed in something that matters:
// addresses or outcome of a name. Readers that are slow skip generations.
func (w *Watcher) Updates() <-chan struct{} { return w.updates }

// Latest is all that DNS has said. Nothing of it is ever written again. A name
// without an entry, and one whose Outcome is pending, has had no answer yet.
func (w *Watcher) Latest() topology.Answers { return *w.latest.Load() }

// Want says which names are to be kept resolved, in full: a new one is asked at
// once, one that is gone is forgotten. It does not keep the slice.
func (w *Watcher) Want(queries []topology.Query) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Equal(queries, w.wanted) {
		return
	}
	w.wanted = slices.Clone(queries)
	w.draft.wanted = len(queries)
	w.mark++
	now := time.Now()
	var fresh []*entry
	for _, q := range queries {
		if e := w.entries[q]; e != nil {
			e.mark = w.mark
			continue
		}
		e := &entry{query: q, due: now, mark: w.mark}
		w.entries[q] = e
		w.lane(q).push(e)
		fresh = append(fresh, e)
	}
	w.forget(fresh)
	w.kick()
}

// forget drops the entries that the last Want did not name. Where only the
// policy of a name has changed (a reload), its new entry takes the old answer
// over, so that the cluster does not lose its hosts for the time of a question.
func (w *Watcher) forget(fresh []*entry) {
	var gone map[topology.Query]*entry // by identity without policy
	for q, e := range w.entries {
		if e.mark == w.mark {
			continue
		}
		if e.cancel != nil {
			e.cancel()
		}
		w.lane(q).remove(e)
		delete(w.entries, q)
		w.draft.drop(q)
		if gone == nil {
			gone = map[topology.Query]*entry{}
		}
		q.Refresh = topology.RefreshPolicy{}
		gone[q] = e
	}
	if gone == nil {
		return
	}
	for _, e := range fresh {
		id := e.query
		id.Refresh = topology.RefreshPolicy{}
		if old := gone[id]; old != nil && old.answer.Outcome != topology.OutcomePending {
			e.answer = old.answer
			w.draft.put(e.query, e.answer, true)
		}
	}
	clusters := map[string]bool{}
	for q := range w.entries {
		clusters[q.Cluster] = true
	}
	for c := range w.backoffs {
		if !clusters[c] {
			delete(w.backoffs, c)
		}
	}
}

// Recheck asks the named queries again at once, where they are wanted: for a
// caller that has learnt from the engine that a member's place has changed.
// The rate cap holds.
func (w *Watcher) Recheck(queries ...topology.Query) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, q := range queries {
		e := w.entries[q]
		switch {
		case e == nil:
		case e.asking():
			e.again = true
		default:
			e.misses = 0
			w.lane(q).move(e, now)
		}
	}
	w.kick()
}

// Run asks until ctx is done, and then waits for the questions in flight to be
// given up. It is called once and returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(w.step(ctx, &asking))
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		case <-timer.C:
		}
	}
}

// idle is how long Run sleeps where nothing is due.
const idle = time.Hour

// step starts what is due, publishes what is ripe, and returns how long there is
// nothing to do.
func (w *Watcher) step(ctx context.Context, asking *sync.WaitGroup) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	wait := idle
	for _, l := range []*lane{&w.members, &w.others} {
		for {
			e, after := l.pop(now)
			if e == nil {
				wait = min(wait, after)
				break
			}
			w.start(ctx, asking, e, now)
		}
	}
	if w.draft.dirty {
		if now.Before(w.draft.ripe) {
			wait = min(wait, w.draft.ripe.Sub(now))
		} else {
			w.publish()
		}
	}
	return wait
}

// start asks about e in a goroutine of its own. mu is held.
func (w *Watcher) start(ctx context.Context, asking *sync.WaitGroup, e *entry, now time.Time) {
	ctx, e.cancel = context.WithCancel(ctx)
	e.asked = now
	w.counts.lookups.Add(1)
	asking.Go(func() {
		r := w.lookup(ctx, e.query)
		w.finish(ctx, e, r)
	})
}

// finish takes an answer in and says when to ask again.
func (w *Watcher) finish(ctx context.Context, e *entry, r result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.kick()
	gone := ctx.Err() != nil // not wanted any more, or Run ends
	e.cancel()
	e.cancel = nil
	l := w.lane(e.query)
	l.inFlight--
	if gone {
		return
	}
	now := time.Now()
	w.counts.outcome(r.outcome)
	answer, changed := merge(e.query, e.answer, r, now)
	if changed {
		w.say(e.query, e.answer, answer)
	}
	e.answer = answer
	w.draft.put(e.query, answer, changed)
	e.due = now.Add(w.next(e, r))
	if e.again {
		e.again, e.due, e.misses = false, now, 0
	}
	l.push(e)
}

// next is how long e rests after r. mu is held.
func (w *Watcher) next(e *entry, r result) time.Duration {
	if e.query.Kind == topology.QueryMember {
		if r.outcome == topology.OutcomeFound {
			e.misses = 0
			return memberRest(0, w.random)
		}
		e.misses++
		return memberRest(e.misses, w.random)
	}
	b := &e.backoff
	if c := e.query.Cluster; c != "" {
		if b = w.backoffs[c]; b == nil {
			b = new(backoff)
			w.backoffs[c] = b
		}
	}
	return nameRest(e.query.Refresh, r, b, w.random)
}

// say logs a change once, where it is seen.
func (w *Watcher) say(q topology.Query, before, after topology.Answer) {
	log := w.log.WithField("name", q.Name)
	if q.Cluster != "" {
		log = log.WithField("cluster", q.Cluster)
	}
	switch {
	case after.Outcome == topology.OutcomeFailed && before.Outcome != topology.OutcomeFailed:
		log.WithError(errors.New(after.Error)).Warnf("name not resolved, its last %d addresses stay in force", len(after.Addresses))
	case before.Outcome == topology.OutcomeFailed:
		log.Infof("name resolves again: %v", after.Addresses)
	default:
		log.Debugf("name resolved: %v", after.Addresses)
	}
}

// publish makes the draft the latest. mu is held.
func (w *Watcher) publish() {
	a, tell := w.draft.publish()
	w.latest.Store(&a)
	w.counts.published.Add(1)
	if tell {
		select {
		case w.updates <- struct{}{}:
		default:
		}
	}
}

func (w *Watcher) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Watcher) lane(q topology.Query) *lane {
	if q.Kind == topology.QueryMember {
		return &w.members
	}
	return &w.others
}
