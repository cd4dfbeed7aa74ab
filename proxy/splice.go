package proxy

import (
	"io"
	"time"
)

// Large bodies pass through a pipe in the kernel (splice(2), by the runtime's
// TCPConn.ReadFrom) and not through our memory. Elsewhere than on Linux that is
// a copy by another name.
const (
	// spliceMin: below this a copy is cheaper than the pipe.
	spliceMin = 128 << 10
	// splicePiece is how much goes at once: between pieces the idle timeouts
	// and byte counters move.
	splicePiece = 256 << 10
	// maxPipes bounds the pipes of the process. The kernel gives a user 64 MiB
	// of pipe buffers, that is 63 pipes of 1 MiB; later ones have 8 KiB and are
	// slower than copying (facts/performance.md).
	maxPipes = 48
)

// pipes counts those in use by all servers of the process, as the kernel does.
var pipes = make(pipeBudget, maxPipes)

type pipeBudget chan struct{}

func (p pipeBudget) take() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p pipeBudget) give() { <-p }

// splice moves up to n octets of a response's body.
func (ex *exchange) splice(up *upConn, idle time.Duration, n int64) (int64, error) {
	up.release()
	up.arm(ex.remaining(idle))
	m, err := ex.stream.splice(up, n)
	switch {
	case err == errClientWrite:
		return m, err
	case err == nil && m < n:
		return m, io.ErrUnexpectedEOF
	case err == nil || isTimeout(err):
		return m, err
	case up.peekAlive():
		return m, errClientWrite // the endpoint's side is well
	}
	return m, err
}

// spliceUpload moves what is left of a long request body, from the goroutine
// that uploads it. Nothing of it can be sent again.
func (ex *exchange) spliceUpload(up *upConn) error {
	h := &ex.h1
	for h.req.body == bodyLength && h.left >= spliceMin && len(h.c.unread()) == 0 && !h.interrupted.Load() {
		if !pipes.take() {
			return nil
		}
		ex.replayed = false
		err := ex.flushOut(up)
		if err == nil {
			ex.body.limit(up, ex.streamLimit)
			h.c.arm(h.c.streamIdle)
			var n int64
			want := min(h.left, splicePiece)
			n, err = up.tcp.ReadFrom(&io.LimitedReader{R: h.c.tcp, N: want})
			h.left -= n
			h.got += n
			h.ended = h.left == 0
			h.c.ln.counters.rx.Add(uint64(n))
			if err == nil && n < want {
				_ = h.fail(io.ErrUnexpectedEOF)
				up.abort()
				err = io.ErrUnexpectedEOF
			}
		}
		pipes.give()
		if err != nil {
			// Either side's. Where the client's time was up or it has gone, the
			// endpoint must not be waited for; where it is the endpoint's, the
			// exchange sees it when it reads.
			if !h.interrupted.Load() && h.c.deadline.Load() == fired {
				_ = h.fail(err)
				up.abort()
			} else if !h.c.peekAlive() {
				_ = h.fail(io.ErrUnexpectedEOF)
				up.abort()
			}
			return err
		}
	}
	return nil
}
