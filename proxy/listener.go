package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// listener is one listening socket and its accept loop.
type listener struct {
	srv      *Server
	name     string
	asked    netip.AddrPort
	bound    netip.AddrPort
	tcp      *net.TCPListener
	counters counters
	closing  chan struct{}
	once     sync.Once // of close
}

// open makes a listener of a socket that was inherited, or binds one. It is the
// one place where listening sockets are made.
func (s *Server) open(name string, addr netip.AddrPort) (*listener, error) {
	tcp := s.claim(name, addr)
	if tcp == nil {
		var err error
		if tcp, err = s.bind(addr); err != nil {
			return nil, fmt.Errorf("listener %q: cannot listen on %s: %w", name, addr, err)
		}
	}
	return &listener{
		srv: s, name: name, asked: addr, tcp: tcp,
		bound:   tcp.Addr().(*net.TCPAddr).AddrPort(),
		closing: make(chan struct{}),
	}, nil
}

func (s *Server) bind(addr netip.AddrPort) (*net.TCPListener, error) {
	// A listener of that address whose queue is running empty gives way.
	for _, l := range s.retired {
		if l.asked == addr {
			l.close()
		}
	}
	// No keep-alive probes: idle timeouts end dead connections, and the two
	// setsockopt calls would be paid by every connection.
	lc := net.ListenConfig{KeepAlive: -1}
	// Plain TCP, which net would not choose: a Multipath TCP socket takes no
	// filter (stopQueue), and Envoy does not offer it either.
	lc.SetMultipathTCP(false)
	network := "tcp" // [::] is both families
	if addr.Addr().Is4() {
		network = "tcp4" // 0.0.0.0 is IPv4 alone, as in Envoy; net would bind [::]
	}
	ln, err := lc.Listen(context.Background(), network, addr.String())
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// close closes the socket at once, and with it ends accept. Any goroutine,
// often.
func (l *listener) close() {
	l.once.Do(func() {
		close(l.closing)
		_ = l.tcp.Close()
	})
}

const (
	// acceptBackOff is how long accepting pauses after EMFILE and its kin: the
	// kernel keeps the waiting connections, and retrying at once would spin.
	acceptBackOff    = 5 * time.Millisecond
	acceptBackOffMax = time.Second
	// acceptWarnEvery is how often the log says so while it lasts.
	acceptWarnEvery = 10 * time.Second
)

func (l *listener) accept() {
	s := l.srv
	defer s.wg.Done()
	var wait time.Duration
	var warned time.Time
	for {
		tcp, err := l.tcp.AcceptTCP()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if now := time.Now(); now.Sub(warned) >= acceptWarnEvery {
				warned = now
				s.log.WithField("listener", l.name).WithError(err).Warn("cannot accept connections, trying again")
			}
			wait = min(max(2*wait, acceptBackOff), acceptBackOffMax)
			select {
			case <-time.After(wait):
				continue
			case <-l.closing:
				return
			}
		}
		wait = 0
		l.counters.cxTotal.Add(1)
		if n := s.active.Add(1); s.limits.Connections > 0 && n > int64(s.limits.Connections) || l.full() {
			s.active.Add(-1)
			l.counters.cxOverflow.Add(1)
			tcp.Close() // as Envoy: at once
			continue
		}
		c, err := newConn(l, tcp)
		if err != nil {
			s.active.Add(-1)
			tcp.Close()
			continue
		}
		if !s.track(c) {
			c.end()
			continue
		}
		go c.serve()
	}
}

// full: the listener's own cap on connections (max_connections).
func (l *listener) full() bool {
	v := l.srv.b.View().Listener(l.name)
	return v != nil && v.Spec.HTTP.MaxConnections > 0 && l.counters.cxActive.Load() >= int64(v.Spec.HTTP.MaxConnections)
}
