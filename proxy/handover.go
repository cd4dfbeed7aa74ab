package proxy

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Socket is a listening socket of the server, which stays the server's.
type Socket struct {
	Name  string
	Asked netip.AddrPort // as the table has it
	Conn  syscall.Conn
}

// Sockets are those that listen now.
func (s *Server) Sockets() []Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Socket, 0, len(s.listeners))
	for _, l := range s.listeners {
		all = append(all, Socket{Name: l.name, Asked: l.asked, Conn: l.tcp})
	}
	return all
}

// Inherit gives the server a socket that already listens, before the first
// Listen: a listener of that address uses it instead of binding one. The socket
// is the server's from then on, and closed if the first Listen has no use for
// it.
//
// The net package gives a listener that it has not made itself TCP keep-alive
// probes, so what is accepted from this one has them.
func (s *Server) Inherit(name string, asked netip.AddrPort, tcp *net.TCPListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inherited = append(s.inherited, &heir{name, asked, tcp})
}

// heir is a socket that waits for its listener.
type heir struct {
	name  string
	asked netip.AddrPort
	tcp   *net.TCPListener
}

// claim returns the inherited socket for a listener: of the same address, and
// rather of the same name (two may have asked for port 0). s.mu is held.
func (s *Server) claim(name string, asked netip.AddrPort) *net.TCPListener {
	found := -1
	for i, h := range s.inherited {
		if h.asked == asked && (h.name == name || found < 0 && asked.Port() != 0) {
			found = i
		}
	}
	if found < 0 {
		return nil
	}
	tcp := s.inherited[found].tcp
	s.inherited = append(s.inherited[:found], s.inherited[found+1:]...)
	return tcp
}

// disinherit closes what nobody claimed. s.mu is held.
func (s *Server) disinherit() {
	for _, h := range s.inherited {
		h.tcp.Close()
	}
	s.inherited = nil
}

// HandOver ends the server whose listening sockets another process has too and
// accepts from. Nothing has to be hurried: every response tells its client to
// close, a kept connection that waits is left open for its next request, and
// only shortly before ctx's deadline those are closed that still wait. Then as
// Shutdown.
func (s *Server) HandOver(ctx context.Context) error {
	s.endAccepting(true)
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		t := time.AfterFunc(left-min(lastCallBefore, left/4), s.LastCall)
		defer t.Stop()
	}
	return s.finish(ctx)
}

// lastCallBefore is how long before the limit of a hand-over waiting
// connections are closed, so that a request that comes just then can be
// answered.
const lastCallBefore = time.Second

// LastCall closes the connections that wait for a request, from now on. What
// has arrived is served.
func (s *Server) LastCall() {
	s.stopping.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.lastCall()
	}
}
