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
// that uploads it. Nothing of it can be sent again, not even what an error
// leaves in the pipe, where it is lost: so the beginning of the body is copied,
// until more of it has come than a retry could send again. nil: what is still
// to come, if anything, is copied.
func (ex *exchange) spliceUpload(up *upConn) error {
	for !ex.replayed && pipes.take() {
		ex.body.limit(up, ex.streamLimit)
		err := ex.flushOut(up)
		var n int64
		if err == nil {
			n, err = ex.stream.spliceRequest(up, splicePiece)
		}
		pipes.give()
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}

func (h *h1stream) spliceRequest(up *upConn, n int64) (int64, error) {
	if h.req.body != bodyLength || h.left < spliceMin || len(h.c.unread()) > 0 || h.err != nil || h.interrupted.Load() {
		return 0, nil
	}
	h.c.arm(h.bodyLimit())
	if h.interrupted.Load() { // and arm may have undone what that did
		return 0, errInterrupted
	}
	n = min(n, h.left)
	m, err := up.tcp.ReadFrom(&io.LimitedReader{R: h.c.tcp, N: n})
	h.left -= m
	h.got += m
	h.ended = h.left == 0
	h.c.ln.counters.rx.Add(uint64(m))
	if err == nil && m == n {
		return m, nil
	}
	h.lost = true
	switch {
	case h.interrupted.Load():
		return m, errInterrupted
	case err == nil:
		err = h.fail(io.ErrUnexpectedEOF)
	case isTimeout(err) && h.c.timedOut():
		h.late = h.whole
		err = h.fail(err)
	case !h.c.peekAlive():
		err = h.fail(io.ErrUnexpectedEOF)
	default:
		return m, err // the endpoint's: the exchange sees it when it reads
	}
	// The client's fault: the endpoint must not be waited for.
	up.abort()
	return m, err
}
