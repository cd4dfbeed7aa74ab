package proxy

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// watcher tells when a peer has closed its side while nobody reads. It is one
// epoll set for all connections, each added once, edge-triggered and only for
// EPOLLRDHUP: a request costs it no system call. Closing a socket takes it out
// of the set.
type watcher struct {
	file *os.File // the epoll set, itself waited for by the runtime's poller
	fd   int
	done chan struct{}

	mu    sync.Mutex
	slots []watchSlot // by descriptor
}

// watchSlot is who a descriptor belongs to. The generation tells a late event
// of a closed descriptor from one of its successor.
type watchSlot struct {
	gen  uint32
	peer hangupper
}

// watchToken is one watching of a descriptor; zero: none.
type watchToken struct {
	fd  int32
	gen uint32 // never 0
}

func (t watchToken) none() bool { return t.gen == 0 }

// hangupper is told from the watcher's goroutine, with its lock held: it must
// not block, and it must not take a lock that anybody holds who calls add or
// remove.
type hangupper interface {
	// hangup: the peer has sent FIN, or, with reset, the connection is gone.
	// Where it returns something, no more watching is needed, and that is called
	// without the lock.
	hangup(reset bool) (last func())
	// readable: there is something to read, as asked for by readiness.
	readable()
}

func newWatcher() (*watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &watcher{file: os.NewFile(uintptr(fd), "epoll"), fd: fd, done: make(chan struct{})}
	raw, err := w.file.SyscallConn()
	if err != nil {
		w.file.Close()
		return nil, err
	}
	go w.run(raw)
	return w, nil
}

func (w *watcher) close() {
	w.file.Close()
	<-w.done
}

// add begins to watch s for peer, remove ends it. A departure that has happened
// already is told.
func (w *watcher) add(s *sock, peer hangupper) (t watchToken, err error) {
	ctl := s.raw.Control(func(p uintptr) {
		fd := int(p)
		w.mu.Lock()
		for fd >= len(w.slots) {
			w.slots = append(w.slots, watchSlot{})
		}
		slot := &w.slots[fd]
		slot.renew(peer)
		t = watchToken{fd: int32(fd), gen: slot.gen}
		w.mu.Unlock()
		err = w.ctl(unix.EPOLL_CTL_ADD, t, 0)
	})
	if ctl != nil {
		return watchToken{}, ctl
	}
	if err != nil {
		w.remove(t)
		return watchToken{}, os.NewSyscallError("epoll_ctl", err)
	}
	return t, nil
}

func (s *watchSlot) renew(peer hangupper) {
	s.peer = peer
	if s.gen++; s.gen == 0 {
		s.gen = 1
	}
}

func (w *watcher) ctl(op int, t watchToken, more uint32) error {
	ev := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff | more, Fd: t.fd, Pad: int32(t.gen)}
	return unix.EpollCtl(w.fd, op, int(t.fd), &ev)
}

// readiness asks for one call of readable, or ends that. Only the connection's
// owner may call it, so that the descriptor is still its own. It takes no lock.
func (w *watcher) readiness(t watchToken, on bool) bool {
	var more uint32
	if on {
		more = unix.EPOLLIN
	}
	return w.ctl(unix.EPOLL_CTL_MOD, t, more) == nil
}

// remove must be called before the descriptor is closed; hangup is not called
// any more when it returns.
func (w *watcher) remove(t watchToken) {
	if t.none() {
		return
	}
	w.mu.Lock()
	w.slots[t.fd].renew(nil)
	w.mu.Unlock()
}

func (w *watcher) run(raw syscall.RawConn) {
	defer close(w.done)
	var events [128]unix.EpollEvent
	wait := func(uintptr) bool {
		for {
			n, err := unix.EpollWait(w.fd, events[:], 0)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return true
			}
			for i := range events[:n] {
				w.tell(&events[i])
			}
			if n < len(events) {
				return false
			}
		}
	}
	_ = raw.Read(wait) // ends when the file is closed
}

func (w *watcher) tell(ev *unix.EpollEvent) {
	var last func()
	w.mu.Lock()
	if slot := &w.slots[ev.Fd]; slot.peer != nil && slot.gen == uint32(ev.Pad) {
		if ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			slot.peer.readable()
		} else if last = slot.peer.hangup(ev.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0); last != nil {
			slot.renew(nil)
		}
	}
	w.mu.Unlock()
	if last != nil {
		last()
	}
}
