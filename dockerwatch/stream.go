package dockerwatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/docker/docker/api/types/events"
)

// maxQueued bounds the events that wait for Run. Run handles one in some
// microseconds, so this is never reached but under a stalled process; then all
// of them are given up for one full list.
const maxQueued = 16384

// queue is the hand-over between the stream's reader, which must never block
// (the engine drops events for a reader that does, in silence), and Run.
type queue struct {
	ready chan struct{} // one slot: something to take

	mu       sync.Mutex
	waiting  []arrival
	overflow bool
	ended    error // why the stream ended; nil while it lives
}

// arrival is an event with the local time it came in.
type arrival struct {
	event
	came time.Time
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

func (q *queue) put(a arrival) {
	q.mu.Lock()
	if len(q.waiting) >= maxQueued {
		q.waiting, q.overflow = nil, true
	} else {
		q.waiting = append(q.waiting, a)
	}
	q.mu.Unlock()
	q.trigger()
}

func (q *queue) end(err error) {
	q.mu.Lock()
	q.ended = err
	q.mu.Unlock()
	q.trigger()
}

func (q *queue) trigger() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (q *queue) take() (all []arrival, overflow bool, ended error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	all, overflow, ended = q.waiting, q.overflow, q.ended
	q.waiting, q.overflow = nil, false
	return all, overflow, ended
}

// errStreamEnded is an end of the stream without an error: an engine that
// shuts down, or a socket proxy that cuts long requests.
var errStreamEnded = errors.New("the event stream ended")

// read moves the stream into the queue until it ends; it does not return
// before the stream's own goroutine is gone.
func (q *queue) read(ctx context.Context, messages <-chan events.Message, errs <-chan error) {
	for {
		select {
		case m := <-messages:
			if e, ok := parseEvent(m); ok {
				q.put(arrival{e, time.Now()})
			}
		case err := <-errs:
			// An error comes once and then the channel is closed, by a goroutine
			// that sends to messages no more.
			if err == nil || ctx.Err() != nil {
				err = errStreamEnded
			}
			q.end(err)
			return
		}
	}
}
