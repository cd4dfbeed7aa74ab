package proxy

import (
	"io"
	"sync"
	"time"
)

// Large bodies pass through a pipe in the kernel (splice(2)) and not through our
// memory. Elsewhere than on Linux they are copied. Not by the library's
// TCPConn.ReadFrom: it moves a whole piece or fails, so that time limits do not
// see the octets move, and does not say which side has failed or how much is
// lost in its pipe.
const (
	// spliceMin: below this a copy is cheaper than the pipe.
	spliceMin = 128 << 10
	// pipeSize is how much goes at once.
	pipeSize = 256 << 10
	// maxPipes bounds the pipes of a Pools. The kernel gives a user 64 MiB of
	// pipe buffers; who has more gets pipes of 8 KiB, which are slower than
	// copying.
	maxPipes = 192
	// spliceSlow: where a pipe's filling and emptying takes longer than this, a
	// peer is slow, and the rest is copied: others have more use for the pipe.
	spliceSlow = time.Second
)

// pipes are those that are not in use, last in first out.
type pipes struct {
	mu    sync.Mutex
	idle  []*pipe
	made  int // in use or idle
	spare int // how many have been idle since the last trim
}

// get returns a pipe, or nil: there is none to be had, so copy.
func (s *pipes) get() *pipe {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		p := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.spare = min(s.spare, n-1)
		s.mu.Unlock()
		return p
	}
	if s.made == maxPipes {
		s.mu.Unlock()
		return nil
	}
	s.made++
	s.mu.Unlock()
	p := newPipe()
	if p == nil {
		s.forget(1)
	}
	return p
}

// put gives a pipe back. One with octets in it, which belong to nobody any more,
// is closed.
func (s *pipes) put(p *pipe) {
	if p.n > 0 {
		p.close()
		s.forget(1)
		return
	}
	s.mu.Lock()
	s.idle = append(s.idle, p)
	s.mu.Unlock()
}

func (s *pipes) forget(n int) {
	s.mu.Lock()
	s.made -= n
	s.mu.Unlock()
}

// trim closes those that have not been needed since the last trim.
func (s *pipes) trim() {
	s.mu.Lock()
	old := append([]*pipe(nil), s.idle[:s.spare]...)
	s.idle = append(s.idle[:0], s.idle[s.spare:]...)
	s.spare = len(s.idle)
	s.made -= len(old)
	s.mu.Unlock()
	for _, p := range old {
		p.close()
	}
}

// splice moves what comes of a response's body, n octets being left of it. 0 and
// nil: there is no pipe. Where it was slow, ex.slow is set, and the rest is
// better copied.
func (ex *exchange) splice(up *upConn, idle time.Duration, n int64) (int64, error) {
	s := &up.pool.pools.pipes
	p := s.get()
	if p == nil {
		return 0, nil
	}
	defer s.put(p)
	if err := ex.stream.flush(); err != nil {
		return 0, ex.clientWrite(err)
	}
	up.release()
	up.arm(ex.remaining(idle))
	began := time.Now()
	m, err := p.fill(&up.sock, n)
	if err != nil {
		return 0, err
	}
	if err := ex.stream.sendPipe(p); err != nil {
		return 0, ex.clientWrite(err)
	}
	ex.slow = time.Since(began) > spliceSlow
	return m, nil
}

// spliceUpload moves what comes of a long request body, from the goroutine that
// uploads it. Nothing of it can be sent again: so the beginning of the body is
// copied, until more of it has come than a retry could send again. nil: what is
// still to come, if anything, is copied.
func (ex *exchange) spliceUpload(up *upConn) error {
	if ex.replayed || ex.body.slow || ex.req.body != bodyLength || ex.req.length-ex.stream.received() < spliceMin {
		return nil
	}
	s := &up.pool.pools.pipes
	p := s.get()
	if p == nil {
		return nil
	}
	defer func() { s.put(p) }()
	ex.body.limit(up, ex.streamLimit)
	if err := ex.flushOut(up); err != nil {
		return err
	}
	for !ex.body.slow {
		began := time.Now()
		n, err := ex.stream.readPipe(p)
		if err != nil {
			// The client's fault, or ours to stop: the endpoint must not be
			// waited for.
			up.abort()
			return err
		}
		if n == 0 {
			return nil
		}
		ex.body.limit(up, ex.streamLimit)
		ex.nearEnd()
		if err := p.drain(&up.sock); err != nil {
			return err // the endpoint's: the exchange sees it when it reads
		}
		ex.body.slow = time.Since(began) > spliceSlow
	}
	return nil
}

func (h *h1stream) readPipe(p *pipe) (int64, error) {
	if h.req.body != bodyLength || h.left < spliceMin || len(h.c.unread()) > 0 || h.err != nil || h.interrupted.Load() {
		return 0, nil
	}
	h.c.arm(h.bodyLimit())
	if h.interrupted.Load() { // and arm may have undone what that did
		return 0, errInterrupted
	}
	n, err := p.fill(&h.c.sock, h.left)
	switch {
	case err == nil:
	case h.interrupted.Load():
		return 0, errInterrupted
	case err == io.EOF:
		return 0, h.fail(io.ErrUnexpectedEOF)
	default:
		h.late = h.whole && isTimeout(err)
		return 0, h.fail(err)
	}
	h.left -= n
	h.got += n
	h.ended = h.left == 0
	h.c.ln.counters.rx.Add(uint64(n))
	return n, nil
}

// sendPipe sends the octets in p as the response's body. What was sent before it
// has been flushed.
func (h *h1stream) sendPipe(p *pipe) error {
	h.moves()
	n := int64(p.n)
	h.out64 += n
	h.respLeft -= n
	h.c.ln.counters.tx.Add(uint64(n))
	err := p.drain(&h.c.sock)
	if err != nil {
		h.close = true
	}
	return err
}
