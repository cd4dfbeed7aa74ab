//go:build unix

package proxy

import "golang.org/x/sys/unix"

func sysRead(fd uintptr, p []byte) (int, error) { return unix.Read(int(fd), p) }

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
