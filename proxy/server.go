package proxy

import (
	"context"
	"errors"
	"net/netip"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/topology"
)

// Server is the data plane. Listen is called from the control goroutine;
// everything else from any.
type Server struct {
	o       Options
	limits  Limits
	b       *balancer.Balancer
	clk     *clock
	watch   *watcher
	log     *logrus.Entry
	regexps regexps
	// parkTime is the constant of that name; tests have less patience.
	parkTime time.Duration

	draining atomic.Bool  // responses say Connection: close
	stopping atomic.Bool  // connections that wait for a request end
	active   atomic.Int64 // connections of all listeners

	mu        sync.Mutex
	listeners map[string]*listener
	retired   []*listener // closed ones, for their counters while connections last
	inherited []*heir     // sockets for the first Listen
	conns     map[*conn]struct{}
	ended     bool           // draining is for good
	failing   bool           // draining until SetFailing(false)
	mute      bool           // StopListening was called
	closed    bool           // no listener any more
	cut       bool           // nor a connection
	wg        sync.WaitGroup // accept loops and connections
}

// New makes a Server without listeners.
func New(o Options) *Server {
	o.Limits.defaults()
	if o.Log == nil {
		o.Log = logrus.NewEntry(logrus.StandardLogger())
	}
	return &Server{
		o: o, limits: o.Limits, b: o.Balancer, clk: o.Pools.clk, watch: o.Pools.watch, log: o.Log,
		parkTime:  parkTime,
		listeners: make(map[string]*listener),
		conns:     make(map[*conn]struct{}),
	}
}

// Listen makes the listening sockets those of want: it opens what is new, closes
// what is gone (its connections finish what they are at), and does not touch
// what has kept its name and address. The error joins those of listeners that
// cannot be opened, each with its name, address and cause; the others run.
func (s *Server) Listen(want []topology.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the server is shut down")
	}
	if s.mute {
		return nil
	}
	var errs []error
	kept := make(map[string]bool, len(want))
	for i := range want {
		kept[want[i].Name] = true
	}
	for name, l := range s.listeners {
		if !kept[name] {
			s.retire(l)
		}
	}
	for i := range want {
		w := &want[i]
		old := s.listeners[w.Name]
		if old != nil && old.asked == w.Address {
			continue
		}
		l, err := s.open(w.Name, w.Address)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if old != nil {
			s.retire(old)
		}
		s.listeners[w.Name] = l
		s.wg.Add(1)
		go l.accept()
	}
	s.disinherit()
	return errors.Join(errs...)
}

// retire ends a listener once its queue is empty; s.mu is held.
func (s *Server) retire(l *listener) {
	l.retire()
	delete(s.listeners, l.name)
	s.retired = append(s.retired, l)
}

// Addr is where a listener is bound; zero: there is none of that name.
func (s *Server) Addr(name string) netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.listeners[name]; l != nil {
		return l.bound
	}
	return netip.AddrPort{}
}

// Drain begins the end: from now on every response tells its client to close,
// while the listeners still accept.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.draining.Store(true)
}

// SetFailing is /healthcheck/fail and /ok: responses tell clients to close, as
// long as it holds.
func (s *Server) SetFailing(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = on
	s.draining.Store(s.ended || s.failing)
}

// StopListening closes the listeners and keeps Listen from opening any again.
// Connections are left alone: /drain_listeners.
func (s *Server) StopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = true
	for _, l := range s.listeners {
		s.retire(l)
	}
	s.disinherit()
}

// Shutdown stops accepting, once the queues are empty, lets what is in flight
// finish, closes connections that wait for a request, and cuts off what is left
// when ctx is done; the error is then ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	s.endAccepting(false)
	s.LastCall()
	return s.finish(ctx)
}

// endAccepting closes the listeners for good. Where others accept from the same
// sockets there is no queue to be emptied.
func (s *Server) endAccepting(others bool) {
	s.Drain()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, l := range s.listeners {
		if others {
			l.close() // and not a word to the kernel about the shared queue
			delete(s.listeners, l.name)
			s.retired = append(s.retired, l)
		} else {
			s.retire(l)
		}
	}
	s.disinherit()
}

// finish waits for the connections, and cuts them when ctx is done.
func (s *Server) finish(ctx context.Context) error {
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	s.cut = true
	for _, l := range s.retired {
		l.close()
	}
	for c := range s.conns {
		c.cut()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

// Counters is a copy of each listener's counters, sorted by name.
func (s *Server) Counters() []Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Counters, 0, len(s.listeners))
	for _, l := range s.listeners {
		c := l.counters.snapshot()
		c.Listener = l.name
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Listener < all[j].Listener })
	return all
}

func (s *Server) track(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) untrack(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.wg.Done()
}
