package proxy

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sysRead and sysWrite are recv(2) and send(2) on a socket that does not block:
// read and write would do, by way of the kernel's file layer, which costs a
// twentieth of a whole request. They do not tell the runtime's scheduler, which
// makes ready for a call that might take long: these return at once, and there are
// four in every request.
func sysRead(fd uintptr, p []byte) (int, error) {
	n, _, no := syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	if no != 0 {
		return -1, no
	}
	return int(n), nil
}

func sysWrite(fd uintptr, p []byte) (int, error) {
	n, _, no := syscall.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	if no != 0 {
		return -1, no
	}
	return int(n), nil
}

// sysPeek looks for one octet on a socket that does not block: EAGAIN where there
// is none and the peer has not closed.
func sysPeek(fd uintptr) error {
	var b [1]byte
	_, _, no := syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	if no != 0 {
		return no
	}
	return nil
}

// sysWritev is writev(2) of two pieces.
func sysWritev(fd uintptr, v *[2]syscall.Iovec) (int, error) {
	n, _, no := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(v)), 2)
	if no != 0 {
		return -1, no
	}
	return int(n), nil
}

// iovec is what sysWritev takes; it lives in the sock, so that it is not
// allocated.
type iovec = [2]syscall.Iovec

func setIovec(v *iovec, a, b []byte) {
	v[0].Base, v[1].Base = unsafe.SliceData(a), unsafe.SliceData(b)
	v[0].SetLen(len(a))
	v[1].SetLen(len(b))
}

// tryWriteBoth writes what is left of writing and second, with one call where
// the socket takes it.
func (s *sock) tryWriteBoth(fd uintptr) bool {
	before := len(s.writing)
	for s.second != nil {
		setIovec(&s.iov, s.writing, s.second)
		n, err := sysWritev(fd, &s.iov)
		switch {
		case n > 0:
			if n < len(s.writing) {
				s.writing = s.writing[n:]
				continue
			}
			s.writing, s.second = s.second[n-len(s.writing):], nil
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			s.blocked(fd, len(s.writing) < before)
			return false
		default:
			s.writeErr = os.NewSyscallError("writev", err)
			return true
		}
	}
	return s.tryWrite(fd)
}

// sysUnacked is how many octets were written that the peer has not acknowledged.
func sysUnacked(fd uintptr) int64 {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return -1
	}
	return int64(n)
}
