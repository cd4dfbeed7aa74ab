package admin

import (
	"net"
	"net/netip"
	"sync"
)

// limitListener closes what comes in above a limit, at once: waiting in the
// backlog would let strangers keep the owner out. The last few places are kept
// for loopback.
type limitListener struct {
	net.Listener
	max, reserved int

	mu   sync.Mutex
	open int
}

func newLimitListener(l net.Listener, max, reserved int) *limitListener {
	return &limitListener{Listener: l, max: max, reserved: reserved}
}

func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.enter(isLoopback(c.RemoteAddr().String())) {
			return &limitedConn{Conn: c, leave: sync.OnceFunc(l.leave)}, nil
		}
		c.Close()
	}
}

func (l *limitListener) enter(loopback bool) bool {
	max := l.max
	if !loopback {
		max -= l.reserved
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= max {
		return false
	}
	l.open++
	return true
}

func (l *limitListener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// isLoopback tells whether a host:port peer is this machine's loopback, or the
// container's own.
func isLoopback(hostport string) bool {
	a, err := netip.ParseAddrPort(hostport)
	return err == nil && a.Addr().Unmap().IsLoopback()
}
