package proxy

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// watcher tells when a peer has closed its side while nobody reads. It is one
// epoll set for all connections, each added once, edge-triggered and only for
// EPOLLRDHUP: a request costs it no system call (facts/performance.md). Closing
// a socket takes it out of the set.
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

// hangupper is told from the watcher's goroutine, with its lock held: it must
// not block.
type hangupper interface {
	// hangup: the peer has sent FIN, or, with reset, the connection is gone.
	// True: it needs no watching any more.
	hangup(reset bool) (forget bool)
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

// add begins to watch s for peer; remove ends it.
func (w *watcher) add(s *sock, peer hangupper) (token int, err error) {
	ctl := s.raw.Control(func(p uintptr) {
		fd := int(p)
		w.mu.Lock()
		for fd >= len(w.slots) {
			w.slots = append(w.slots, watchSlot{})
		}
		slot := &w.slots[fd]
		slot.gen++
		slot.peer = peer
		gen := slot.gen
		w.mu.Unlock()
		ev := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(fd), Pad: int32(gen)}
		token, err = fd, unix.EpollCtl(w.fd, unix.EPOLL_CTL_ADD, fd, &ev)
	})
	if ctl != nil {
		return -1, ctl
	}
	if err != nil {
		w.remove(token)
		return -1, os.NewSyscallError("epoll_ctl", err)
	}
	return token, nil
}

// readiness asks for one call of readable, or ends that. Only the connection's
// owner may call it, so that the descriptor is still its own.
func (w *watcher) readiness(token int, on bool) bool {
	w.mu.Lock()
	gen := w.slots[token].gen
	w.mu.Unlock()
	ev := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(token), Pad: int32(gen)}
	if on {
		ev.Events |= unix.EPOLLIN
	}
	return unix.EpollCtl(w.fd, unix.EPOLL_CTL_MOD, token, &ev) == nil
}

// remove must be called before the descriptor is closed; hangup is not called
// any more when it returns.
func (w *watcher) remove(token int) {
	if token < 0 {
		return
	}
	w.mu.Lock()
	w.slots[token].peer = nil
	w.slots[token].gen++
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
			for _, ev := range events[:n] {
				w.mu.Lock()
				if slot := w.slots[ev.Fd]; slot.peer != nil && slot.gen == uint32(ev.Pad) {
					if ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
						slot.peer.readable()
					} else if slot.peer.hangup(ev.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0) {
						w.slots[ev.Fd].peer = nil
					}
				}
				w.mu.Unlock()
			}
			if n < len(events) {
				return false
			}
		}
	}
	_ = raw.Read(wait) // ends when the file is closed
}
