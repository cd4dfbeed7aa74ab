package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// sock is a TCP connection as the engine uses it: reads that hold a buffer only
// while there is something to hold, deadlines that cost an atomic store, and a
// way to cut it off from another goroutine.
//
// One goroutine reads and one writes (they may be the same); abort and tick
// come from others.
type sock struct {
	tcp  *net.TCPConn
	raw  syscall.RawConn
	in   *buffer // read and not yet used; nil: nothing
	node clockNode
	clk  *clock

	// deadline is on the clock's coarse time; 0: none; fired: the clock has
	// seen it pass and has cut, or is about to cut, the connection off.
	deadline atomic.Int64
	exact    atomic.Bool  // a deadline of the connection itself is set
	limit    atomic.Int64 // what arm was told last
	unacked  atomic.Int64 // octets that the peer had not taken when a write had to wait
	mu       sync.Mutex
	aborted  atomic.Bool
	closed   bool // guarded by mu

	readFn  func(uintptr) bool
	readMin int  // size of a buffer to read into, where there is none
	readNow bool // do not wait: errWouldBlock
	readN   int
	readErr error

	askFn    func(uintptr) bool
	asked    bool
	writeFn  func(uintptr) bool
	bothFn   func(uintptr) bool
	writing  []byte // what is left
	second   []byte // of writeBoth; nil: it is in writing
	writeErr error
	iov      iovec
}

const fired = -1

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

var errWouldBlock = errors.New("nothing to read now")

// init takes the connection; t, which is s or has it, gets the clock's ticks.
func (s *sock) init(tcp *net.TCPConn, clk *clock, t timed) error {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	s.tcp, s.raw, s.clk = tcp, raw, clk
	s.readFn, s.askFn, s.writeFn, s.bothFn = s.tryRead, s.tryAsk, s.tryWrite, s.tryWriteBoth
	clk.join(&s.node, t)
	return nil
}

// arm limits what follows to d from now; 0: no limit.
func (s *sock) arm(d time.Duration) {
	s.disarm()
	s.limit.Store(int64(d))
	switch {
	case d <= 0:
	case d < exactBelow:
		s.exact.Store(true)
		s.mu.Lock()
		if !s.aborted.Load() { // that is for good
			_ = s.tcp.SetDeadline(time.Now().Add(d)) // fails on a closed connection, which the next call reports
		}
		s.mu.Unlock()
	default:
		s.deadline.Store(s.clk.now() + int64(d))
	}
}

// disarm lifts the limit. Where the clock has just fired, what it did is undone:
// the operation that it limited has ended.
func (s *sock) disarm() {
	was := s.deadline.Load()
	if was == 0 && !s.exact.Load() {
		return
	}
	if was != 0 && s.deadline.Swap(0) != fired && !s.exact.Load() {
		return
	}
	s.mu.Lock()
	s.exact.Store(false)
	if !s.aborted.Load() {
		_ = s.tcp.SetDeadline(time.Time{})
	}
	s.mu.Unlock()
}

// blocked notes that a write has to wait, after some of it has gone or nothing.
// Where some has, the limit begins anew: a peer that takes its time is not idle.
func (s *sock) blocked(fd uintptr, some bool) {
	s.unacked.Store(sysUnacked(fd))
	if some {
		s.extend()
	}
}

// taking reports whether the peer has taken anything since blocked was called, or
// since taking was. A socket takes nothing more until a third of its buffer,
// which may have grown to megabytes, is free: a slow peer may need longer than
// any limit for that. Called where a limit has passed; s.mu is held.
func (s *sock) taking() bool {
	before := s.unacked.Load()
	if before <= 0 || s.closed || s.aborted.Load() {
		return false
	}
	now := int64(-1)
	_ = s.raw.Control(func(fd uintptr) { now = sysUnacked(fd) }) // fails where it is closed
	return now >= 0 && now < before && s.unacked.CompareAndSwap(before, now)
}

// extend begins the limit anew, if there is one that has not passed.
func (s *sock) extend() {
	d := time.Duration(s.limit.Load())
	if old := s.deadline.Load(); old > 0 {
		s.deadline.CompareAndSwap(old, s.clk.now()+int64(d))
		return
	}
	s.mu.Lock()
	if s.exact.Load() && !s.aborted.Load() {
		_ = s.tcp.SetDeadline(time.Now().Add(d))
	}
	s.mu.Unlock()
}

// tick cuts the connection off where its deadline has passed.
func (s *sock) tick(now int64) {
	d := s.deadline.Load()
	if d <= 0 || d > now {
		return
	}
	s.mu.Lock()
	if s.taking() {
		s.deadline.CompareAndSwap(d, now+s.limit.Load())
	} else if s.deadline.CompareAndSwap(d, fired) {
		_ = s.tcp.SetDeadline(longAgo)
	}
	s.mu.Unlock()
}

// abort makes every operation of the connection fail at once and for good; from
// any goroutine.
func (s *sock) abort() {
	s.mu.Lock()
	s.aborted.Store(true)
	if !s.closed {
		_ = s.tcp.SetDeadline(longAgo)
	}
	s.mu.Unlock()
}

// close ends the connection. Unread data makes the kernel send RST, which is
// wanted nowhere but in cut.
func (s *sock) close() {
	s.node.leave()
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		_ = s.tcp.Close()
	}
	s.mu.Unlock()
	putBuffer(s.in)
	s.in = nil
}

// fill reads at least one octet more into in, waiting for it. max bounds how
// large in may grow.
func (s *sock) fill(max int) error {
	s.readNow = false
	return s.read(max)
}

// fillNow is fill without waiting.
func (s *sock) fillNow(max int) error {
	s.readNow = true
	return s.read(max)
}

func (s *sock) read(max int) error {
	if s.in != nil {
		if s.in.r == s.in.w {
			s.in.r, s.in.w = 0, 0
		} else if s.in.w == len(s.in.b) {
			s.in = s.in.grow(max)
		}
	}
	return s.readBy(s.readFn)
}

// readBy is one wait of the runtime's poller; f ends it.
func (s *sock) readBy(f func(uintptr) bool) error {
	s.readN, s.readErr = 0, nil
	if err := s.raw.Read(f); err != nil {
		return err
	}
	return s.readErr
}

// errNotSilent: the peer has closed a connection that was waiting to be used, or
// has sent something unasked.
var errNotSilent = errors.New("closed, or something came unasked")

// ask writes p and waits for the first octets of the answer. Before that it
// looks whether the connection is open and silent; errNotSilent: it is not, and
// nothing was written. Where p could not be written, writeErr says why, and what
// there was to read has been read: the peer may have answered before.
//
// It is one wait, for which the poller has been made ready before the look: what
// comes after it, an answer or a FIN, ends the wait. So that no read need be
// tried that comes too early, as every read right after a write does.
func (s *sock) ask(p []byte) error {
	s.readNow = false
	s.writing, s.writeErr, s.asked = p, nil, false
	err := s.readBy(s.askFn)
	if rest := s.writing; err == nil && len(rest) > 0 && s.asked && s.writeErr == nil {
		_ = s.write(rest) // that is, writeErr
		return s.read(largeBuffer)
	}
	return err
}

func (s *sock) tryAsk(fd uintptr) bool {
	if s.asked {
		return s.tryRead(fd)
	}
	if sysPeek(fd) != syscall.EAGAIN {
		s.readErr = errNotSilent
		return true
	}
	s.asked = true
	if !s.tryWrite(fd) {
		return true // the rest waits for room
	}
	return s.writeErr != nil && s.tryRead(fd)
}

// tryRead is called by the runtime's poller, at once and whenever the socket
// has become readable. It must try the read before it answers "wait": the
// poller is edge-triggered. While it waits there is no buffer.
func (s *sock) tryRead(fd uintptr) bool {
	b := s.in
	if b == nil {
		b = getBuffer(s.readMin)
	}
	for {
		n, err := sysRead(fd, b.b[b.w:])
		switch {
		case n > 0:
			b.w += n
			s.in, s.readN = b, n
			return true
		case err == syscall.EINTR:
			continue
		}
		if b.len() == 0 {
			putBuffer(b)
			s.in = nil
		}
		switch {
		case err == syscall.EAGAIN:
			if s.readNow {
				s.readErr = errWouldBlock
				return true
			}
			return false
		case err != nil:
			s.readErr = os.NewSyscallError("read", err)
		default:
			s.readErr = io.EOF
		}
		return true
	}
}

// release gives an empty buffer back.
func (s *sock) release() {
	if s.in != nil && s.in.r == s.in.w {
		putBuffer(s.in)
		s.in = nil
	}
}

// unread is what has been read and not used.
func (s *sock) unread() []byte {
	if s.in == nil {
		return nil
	}
	return s.in.bytes()
}

// write writes all of p. One goroutine at a time.
func (s *sock) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	s.writing, s.writeErr = p, nil
	err := s.raw.Write(s.writeFn)
	s.writing = nil
	s.unacked.Store(0)
	if err != nil {
		return err
	}
	return s.writeErr
}

// writeBoth writes a and then b, as one where that is possible: a head and the
// body that is there already must not be two packets.
func (s *sock) writeBoth(a, b []byte) error {
	if len(a) == 0 {
		return s.write(b)
	}
	s.writing, s.second, s.writeErr = a, b, nil
	err := s.raw.Write(s.bothFn)
	s.writing, s.second = nil, nil
	s.unacked.Store(0)
	if err != nil {
		return err
	}
	return s.writeErr
}

func (s *sock) tryWrite(fd uintptr) bool {
	before := len(s.writing)
	for len(s.writing) > 0 {
		n, err := sysWrite(fd, s.writing)
		switch {
		case n > 0:
			s.writing = s.writing[n:]
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			s.blocked(fd, len(s.writing) < before)
			return false
		default:
			s.writeErr = os.NewSyscallError("write", err)
			return true
		}
	}
	return true
}

// isTimeout reports whether an operation ended by its deadline or by abort.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// isReset reports whether the peer cut the connection, rather than closing it.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
