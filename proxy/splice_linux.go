package proxy

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// pipe is a pipe that octets pass through from one socket to another. One
// goroutine at a time has it.
type pipe struct {
	r, w int
	n    int // octets in it

	// Of the fill or drain that is on.
	most, moved int
	err         error
	to          *sock
	fillFn      func(uintptr) bool
	drainFn     func(uintptr) bool
}

// newPipe returns nil where there is no pipe of full size to be had.
func newPipe() *pipe {
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	p := &pipe{r: fds[0], w: fds[1]}
	if _, err := unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, pipeSize); err != nil {
		p.close()
		return nil
	}
	p.fillFn, p.drainFn = p.tryFill, p.tryDrain
	return p
}

func (p *pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

// fill moves at most n octets from s into the pipe, which is empty: what there
// is, at least one. io.EOF: the peer has ended. After an error nothing was moved.
func (p *pipe) fill(s *sock, n int64) (int64, error) {
	p.most, p.moved, p.err = int(min(n, pipeSize)), 0, nil
	if err := s.raw.Read(p.fillFn); err != nil {
		return 0, err
	}
	p.n = p.moved
	return int64(p.moved), p.err
}

func (p *pipe) tryFill(fd uintptr) bool {
	for {
		n, err := unix.Splice(int(fd), nil, p.w, nil, p.most, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch {
		case n > 0:
			p.moved = int(n)
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false // the socket is empty; the pipe has room
		case err != nil:
			p.err = os.NewSyscallError("splice", err)
		default:
			p.err = io.EOF
		}
		return true
	}
}

// drain moves all that is in the pipe to s.
func (p *pipe) drain(s *sock) error {
	p.to, p.err = s, nil
	err := s.raw.Write(p.drainFn)
	p.to = nil
	s.unacked.Store(0)
	if err != nil {
		return err
	}
	return p.err
}

func (p *pipe) tryDrain(fd uintptr) bool {
	moved := false
	for p.n > 0 {
		n, err := unix.Splice(p.r, nil, int(fd), nil, p.n, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch {
		case n > 0:
			p.n -= int(n)
			moved = true
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			p.to.blocked(fd, moved)
			return false
		default:
			p.err = os.NewSyscallError("splice", err)
			return true
		}
	}
	return true
}
