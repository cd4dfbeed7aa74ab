package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxInFlight bounds the requests that wait for an answer. Where it is
	// reached the next one is sent late, and its latency says so.
	maxInFlight = 8192
	// sockets is how many WebSockets are open at a time.
	sockets = 6
	// calmEvery: one request in so many goes to the cluster that nothing happens to.
	calmEvery = 8
)

// sample is one request's fate. Times are since the start of the load.
type sample struct {
	answer
	id     string
	shape  shape
	window int // in which it was due
	calm   bool
	due    time.Duration
	sent   time.Duration
	took   time.Duration // from due
}

// cut: a WebSocket that was open and ended. It must when its backend does.
func (s *sample) cut() bool { return s.shape == message && s.failure != "" && s.failure != "wrong" }

// focus is where the load goes during one window.
type focus struct {
	window int
	host   string
}

// load is the requests, sent by run until its context ends.
type load struct {
	client   *client
	seed     uint64
	interval time.Duration
	calm     string // host of the cluster that nothing happens to

	focus atomic.Pointer[focus]

	mu      sync.Mutex
	samples []sample
	start   time.Time // set once, before run
}

// since is the load's clock.
func (l *load) since() time.Duration { return time.Since(l.start) }

// run sends requests until ctx ends and returns when all are answered.
func (l *load) run(ctx context.Context) {
	var all sync.WaitGroup
	defer l.client.close() // when nobody can put one back any more
	defer all.Wait()
	for i := range sockets {
		all.Go(func() { l.talk(ctx, i) })
	}
	// What is under way at the end still gets its answer.
	sending := context.WithoutCancel(ctx)
	slots := make(chan struct{}, maxInFlight)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		due := time.Duration(i) * l.interval
		if wait := due - l.since(); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		r, s := l.next(i)
		s.due = due
		all.Go(func() {
			defer func() { <-slots }()
			s.sent = l.since()
			s.answer = l.client.send(sending, r)
			s.took = l.since() - s.due
			l.add(s)
		})
	}
}

// next is the request with this number: the seed decides what it looks like,
// the schedule where it goes.
func (l *load) next(i int) (request, sample) {
	f := l.focus.Load()
	rng := rand.New(rand.NewPCG(l.seed, uint64(i)))
	r := request{id: fmt.Sprintf("s%d-%d", l.seed, i), host: f.host}
	switch n := rng.IntN(100); {
	case n < 40:
		r.shape = get
	case n < 65:
		r.shape = getKept
	case n < 70:
		r.shape = getSlow
		r.slow = time.Duration(100+rng.IntN(700)) * time.Millisecond
	case n < 80:
		r.shape = post
	default:
		r.shape = postKept
	}
	calm := i%calmEvery == 0
	if calm {
		r.host = l.calm
	}
	return r, sample{id: r.id, shape: r.shape, window: f.window, calm: calm}
}

func (l *load) add(s sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, s)
}

// talk keeps one WebSocket to the focus open and checks what it echoes.
func (l *load) talk(ctx context.Context, number int) {
	tick := time.NewTicker(echoEvery)
	defer tick.Stop()
	var w *websocket
	var to *focus
	defer func() {
		if w != nil {
			w.Close()
		}
	}()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		f := l.focus.Load()
		if w != nil && f.host != to.host {
			w.Close()
			w = nil
		}
		s := sample{id: fmt.Sprintf("s%d-ws%d-%d", l.seed, number, i), shape: message, window: f.window, due: l.since()}
		s.sent = s.due
		if w == nil {
			s.shape = handshake
			w, s.answer = l.client.openWebsocket(ctx, f.host, s.id)
			to = f
		} else {
			s.answer = w.echo(s.id)
			s.daemon = w.daemon
			if s.failure != "" {
				w.Close()
				w = nil
			}
		}
		if ctx.Err() != nil {
			return
		}
		s.took = l.since() - s.due
		l.add(s)
	}
}
