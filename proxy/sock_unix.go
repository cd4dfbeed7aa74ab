//go:build unix

package proxy

import "golang.org/x/sys/unix"

// peek tells without waiting whether the peer has closed the connection or sent
// something: for an idle connection both mean that it cannot be used.
func (s *sock) peek() (usable bool) {
	err := s.raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		usable = err == unix.EAGAIN
	})
	return err == nil && usable
}

// peekAlive tells without waiting whether the peer is still there: it has sent
// something, or nothing yet.
func (s *sock) peekAlive() (alive bool) {
	err := s.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		alive = err == unix.EAGAIN || err == nil && n > 0
	})
	return err == nil && alive
}
