package proxy

import (
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
)

// PoolOptions bound the upstream connections. Zero fields have defaults.
type PoolOptions struct {
	// MaxIdle is how many idle connections an endpoint keeps; 512.
	MaxIdle int
	// IdleTimeout is how long, where the cluster says nothing; 60 s.
	IdleTimeout time.Duration
	// ConnectTimeout, where the cluster says nothing; 2 s.
	ConnectTimeout time.Duration
}

func (o *PoolOptions) defaults() {
	if o.MaxIdle == 0 {
		o.MaxIdle = 512
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 60 * time.Second
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 2 * time.Second
	}
}

// Pools makes the pool of each endpoint and owns what all connections share:
// the clock and the watcher. It is made before the balancer, which gets NewSlot
// in its options, and closed after the Server.
type Pools struct {
	o       PoolOptions
	clk     *clock
	watch   *watcher
	pipes   pipes
	dialer  net.Dialer
	mu      sync.Mutex
	pools   map[*pool]struct{}
	parks   atomic.Uint64 // how often downstream connections have been parked
	stop    chan struct{}
	stopped chan struct{}
}

// NewPools makes the factory.
func NewPools(o PoolOptions) (*Pools, error) {
	o.defaults()
	w, err := newWatcher()
	if err != nil {
		return nil, err
	}
	p := &Pools{
		o: o, clk: newClock(), watch: w,
		pools: make(map[*pool]struct{}),
		stop:  make(chan struct{}), stopped: make(chan struct{}),
	}
	go p.sweep()
	return p, nil
}

// NewSlot is balancer.Options.NewSlot.
func (p *Pools) NewSlot(e *balancer.Endpoint) balancer.Slot {
	pl := &pool{pools: p, endpoint: e}
	p.mu.Lock()
	p.pools[pl] = struct{}{}
	p.mu.Unlock()
	return pl
}

// Close closes all idle connections and ends the goroutines. Servers that use
// it must have been shut down.
func (p *Pools) Close() {
	close(p.stop)
	<-p.stopped
	for _, pl := range p.all() {
		pl.Close()
	}
	p.watch.close()
	p.clk.close()
	p.pipes.trim() // twice: what has been in use since the last one
	p.pipes.trim()
}

func (p *Pools) all() []*pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*pool, 0, len(p.pools))
	for pl := range p.pools {
		all = append(all, pl)
	}
	return all
}

// sweep closes what has been idle for too long, and gives back the memory that
// nobody needs now.
func (p *Pools) sweep() {
	defer close(p.stopped)
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var left leavings
	for {
		select {
		case <-p.stop:
			return
		case <-t.C:
		}
		for _, pl := range p.all() {
			pl.expire(p.clk.now())
		}
		p.pipes.trim()
		if left.due(p.parks.Load(), time.Now()) {
			debug.FreeOSMemory()
		}
	}
}

// pool is the idle connections to one endpoint, used last in first out, so that
// those not needed grow old and are closed. The mutex is held for no I/O.
type pool struct {
	pools    *Pools
	endpoint *balancer.Endpoint

	mu     sync.Mutex
	idle   []*upConn
	queue  []chan turn // of requests that wait for a connection, oldest first
	epoch  int         // counts Drain: a connection of an earlier epoch is not kept
	closed bool
}

// upConn is a connection to an endpoint. Who took it out of the pool owns it.
type upConn struct {
	sock
	pool     *pool
	remote   netip.AddrPort // its other end
	epoch    int
	token    watchToken
	requests uint32
	since    int64         // idle since, coarse
	lostAt   int64         // since when the clock knows the endpoint as lost, coarse; the clock's
	wait     atomic.Uint32 // lost.go
	idle     bool          // guarded by pool.mu
	hup      bool          // guarded by pool.mu: the peer has closed
	reused   bool          // this use is not its first
	answered bool          // in this use: a head has come, if only an interim one
	peekFn   func(uintptr)
	quiet    bool // what peekFn found
}

var (
	errOverflow       = errors.New("overflow")
	errConnectTimeout = errors.New("connection timeout")
	// Of await.
	errPendingCanceled = errors.New("canceled while waiting for a connection")
	errPendingTimeout  = errors.New("no connection became free in time")
	errPoolDrained     = errors.New("the endpoint left while the request waited for a connection")
)

// turn is what ends a wait for a connection: one, or, where there is none, room
// for a new one, or the endpoint's end.
type turn struct {
	up      *upConn
	drained bool
}

// await waits until another request gives its connection back, or ends it, which
// makes room for a new one. A turn is a hint: who comes by may be quicker, and
// then the wait goes on.
func (p *pool) await(wait time.Duration, by time.Time, cancel <-chan struct{}) (*upConn, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		mine := p.enqueue()
		if p.endpoint.ConnRoom() {
			p.next() // there was room before we were in the queue
		}
		select {
		case t := <-mine:
			if t.drained {
				return nil, errPoolDrained
			}
			if up, err := p.turn(t.up, by, cancel); err != errOverflow {
				return up, err
			}
		case <-cancel:
			p.leave(mine)
			return nil, errPendingCanceled
		case <-timer.C:
			p.leave(mine)
			return nil, errPendingTimeout
		}
	}
}

// enqueue takes a place in the queue, unless an idle connection is there by now.
func (p *pool) enqueue() chan turn {
	mine := make(chan turn, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		mine <- turn{drained: true}
	} else if u := p.pop(); u != nil {
		mine <- turn{up: u}
	} else {
		p.queue = append(p.queue, mine)
	}
	return mine
}

// pop takes the connection that was used last out of the idle ones; nil: there is
// none. p.mu is held.
func (p *pool) pop() *upConn {
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	u := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	u.idle = false
	return u
}

// leave gives the place up, and what came meanwhile to the next one.
func (p *pool) leave(mine chan turn) {
	p.mu.Lock()
	if i := slices.Index(p.queue, mine); i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
	}
	p.mu.Unlock()
	select {
	case t := <-mine:
		switch {
		case t.up != nil:
			t.up.put()
		case !t.drained:
			p.next()
		}
	default:
	}
}

// turn uses what await was given.
func (p *pool) turn(u *upConn, by time.Time, cancel <-chan struct{}) (*upConn, error) {
	if u != nil {
		if u.silent() {
			u.reused = true
			return u, nil
		}
		u.discard()
	}
	return p.dial(by, cancel)
}

// next tells the oldest waiting request that there is room. Whoever ends a
// connection, or an attempt at one, must call it.
func (p *pool) next() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell(turn{})
}

// tell gives the oldest waiting request its turn; p.mu is held.
func (p *pool) tell(t turn) bool {
	if len(p.queue) == 0 {
		return false
	}
	p.queue[0] <- t
	p.queue = slices.Delete(p.queue, 0, 1)
	return true
}

// take returns an idle connection, or nil. With look it is known to be open and
// silent as of now: the watcher alone may be a moment late, and what an endpoint sends
// without being asked (a second response, the body of a 204) would be taken for
// the answer to the next request, which is another client's.
func (p *pool) take(look bool) *upConn {
	for {
		p.mu.Lock()
		u := p.pop()
		hup := u != nil && u.hup
		p.mu.Unlock()
		if u == nil {
			return nil
		}
		if hup || look && !u.silent() {
			u.discard()
			continue
		}
		u.reused = true
		return u
	}
}

// silent tells without waiting whether the endpoint has neither closed the
// connection nor sent anything: both mean that it cannot be used.
func (u *upConn) silent() bool {
	u.quiet = false
	_ = u.raw.Control(u.peekFn) // fails where the connection is closed: not quiet
	return u.quiet
}

func (u *upConn) peekOnce(fd uintptr) { u.quiet = sysPeek(fd) == syscall.EAGAIN }

// put gives a connection back after a complete exchange, or closes it.
func (u *upConn) put() {
	p := u.pool
	u.requests++
	u.disarm()
	limit := p.endpoint.Cluster().Spec().MaxRequestsPerConn
	if u.in != nil && u.in.len() > 0 || u.aborted.Load() || limit > 0 && u.requests >= limit {
		u.discard()
		return
	}
	u.release()
	u.since = p.pools.clk.now()
	p.mu.Lock()
	if p.closed || u.hup || u.epoch != p.epoch || len(p.idle) >= p.pools.o.MaxIdle {
		p.mu.Unlock()
		u.discard()
		return
	}
	if p.tell(turn{up: u}) {
		p.mu.Unlock()
		return
	}
	u.idle = true
	p.idle = append(p.idle, u)
	p.mu.Unlock()
}

// discard closes a connection that its caller owns.
func (u *upConn) discard() {
	u.pool.pools.watch.remove(u.token)
	u.close()
	u.pool.endpoint.ConnClosed()
	u.pool.next()
}

// hangup is the watcher's: an idle connection that the endpoint has closed
// leaves the pool at once, a busy one is not put back.
func (u *upConn) hangup(bool) (last func()) {
	p := u.pool
	p.mu.Lock()
	u.hup = true
	idle := u.idle
	if idle {
		p.cut(u)
	}
	p.mu.Unlock()
	if !idle {
		return nil
	}
	return func() {
		u.close()
		p.endpoint.ConnClosed()
		p.next()
	}
}

// readable is not asked for.
func (u *upConn) readable() {}

// cut takes u out of the idle ones; p.mu is held.
func (p *pool) cut(u *upConn) {
	for i, v := range p.idle {
		if v == u {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			break
		}
	}
	u.idle = false
}

func (p *pool) expire(now int64) {
	limit := p.endpoint.Cluster().Spec().IdleTimeout
	if limit == 0 {
		limit = p.pools.o.IdleTimeout
	}
	var old []*upConn
	p.mu.Lock()
	n := 0 // the oldest come first
	for n < len(p.idle) && now-p.idle[n].since > int64(limit) {
		p.idle[n].idle = false
		n++
	}
	if n > 0 {
		old = append(old, p.idle[:n]...)
		p.idle = append(p.idle[:0], p.idle[n:]...)
	}
	p.mu.Unlock()
	for _, u := range old {
		u.discard()
	}
}

// Drain closes the idle connections; busy ones finish and are not kept.
func (p *pool) Drain() {
	p.mu.Lock()
	p.epoch++
	p.mu.Unlock()
	p.empty()
}

// Close is Drain for good.
func (p *pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.empty()
	p.pools.mu.Lock()
	delete(p.pools.pools, p)
	p.pools.mu.Unlock()
}

func (p *pool) empty() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	for _, u := range idle {
		u.idle = false
	}
	for p.tell(turn{drained: true}) {
	}
	p.mu.Unlock()
	for _, u := range idle {
		u.discard()
	}
}
