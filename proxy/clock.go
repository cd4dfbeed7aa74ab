package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// tick is how often deadlines are looked at, and so how late they may fire.
const tick = 200 * time.Millisecond

// exactBelow: shorter limits than this are set on the connection itself, to the
// millisecond; longer ones cost an atomic store. Setting a deadline on every
// request costs 0.3 µs, a fortieth of a whole request.
const exactBelow = 10 * tick

// clock is a coarse time and the list of what has deadlines. One goroutine
// ticks it.
type clock struct {
	coarse atomic.Int64 // nanoseconds since start, as of the last tick
	start  time.Time
	shards [16]clockShard
	next   atomic.Uint32
	stop   chan struct{}
	done   chan struct{}
}

// clockShard is a ring of timed things, so that a long walk keeps few others
// waiting.
type clockShard struct {
	mu   sync.Mutex
	root clockNode // of the ring
}

// clockNode hangs a thing in a clock. It must not be copied while it hangs.
type clockNode struct {
	prev, next *clockNode
	shard      *clockShard
	thing      timed
}

// timed is looked at on every tick, from the clock's goroutine, with the
// shard's lock held: it must not block and must not join or leave.
type timed interface{ tick(now int64) }

func newClock() *clock {
	c := &clock{start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	for i := range c.shards {
		r := &c.shards[i].root
		r.prev, r.next = r, r
	}
	c.coarse.Store(1)
	go c.run()
	return c
}

func (c *clock) run() {
	defer close(c.done)
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-t.C:
		}
		now := int64(time.Since(c.start)) + 1
		c.coarse.Store(now)
		for i := range c.shards {
			s := &c.shards[i]
			s.mu.Lock()
			for n := s.root.next; n != &s.root; n = n.next {
				n.thing.tick(now)
			}
			s.mu.Unlock()
		}
	}
}

func (c *clock) close() {
	close(c.stop)
	<-c.done
}

// now is the coarse time in nanoseconds, never 0.
func (c *clock) now() int64 { return c.coarse.Load() }

// join hangs t in the clock by n.
func (c *clock) join(n *clockNode, t timed) {
	n.thing = t
	n.shard = &c.shards[c.next.Add(1)%uint32(len(c.shards))]
	s := n.shard
	s.mu.Lock()
	n.prev, n.next = s.root.prev, &s.root
	n.prev.next, n.next.prev = n, n
	s.mu.Unlock()
}

// leave takes n out; tick is not called any more when it returns. Twice is
// allowed.
func (n *clockNode) leave() {
	s := n.shard
	if s == nil {
		return
	}
	s.mu.Lock()
	if n.next != nil {
		n.prev.next, n.next.prev = n.next, n.prev
		n.prev, n.next = nil, nil
	}
	s.mu.Unlock()
}
