package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
}

// open binds a listener. It is the one place where listening sockets are made.
func (s *Server) open(name string, addr netip.AddrPort) (*listener, error) {
	// No keep-alive probes: idle timeouts end dead connections, and the two
	// setsockopt calls would be paid by every connection.
	lc := net.ListenConfig{KeepAlive: -1}
	ln, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("listener %q: cannot listen on %s: %w", name, addr, err)
	}
	tcp := ln.(*net.TCPListener)
	return &listener{
		srv: s, name: name, asked: addr, tcp: tcp,
		bound:   tcp.Addr().(*net.TCPAddr).AddrPort(),
		closing: make(chan struct{}),
	}, nil
}

func (l *listener) close() {
	close(l.closing)
	_ = l.tcp.Close()
}

const (
	// acceptBackOff is how long accepting pauses after EMFILE and its kin: the
	// kernel keeps the waiting connections, and retrying at once would spin.
	acceptBackOff    = 5 * time.Millisecond
	acceptBackOffMax = time.Second
)

func (l *listener) accept() {
	s := l.srv
	defer s.wg.Done()
	var wait time.Duration
	for {
		tcp, err := l.tcp.AcceptTCP()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if wait == 0 {
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
