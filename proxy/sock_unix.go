//go:build unix

package proxy

import "golang.org/x/sys/unix"

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
