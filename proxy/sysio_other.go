//go:build unix && !linux

package proxy

import "golang.org/x/sys/unix"

func sysRead(fd uintptr, p []byte) (int, error)  { return unix.Read(int(fd), p) }
func sysWrite(fd uintptr, p []byte) (int, error) { return unix.Write(int(fd), p) }

type iovec = struct{}

func (s *sock) tryWriteBoth(fd uintptr) bool {
	if s.second != nil {
		if !s.tryWrite(fd) {
			return false
		}
		if s.writeErr != nil {
			return true
		}
		s.writing, s.second = s.second, nil
	}
	return s.tryWrite(fd)
}

func sysPeek(fd uintptr) error {
	var b [1]byte
	_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err
}

func sysUnacked(uintptr) int64 { return -1 } // not known
