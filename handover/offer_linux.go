package handover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Offer is the running process's side.
type Offer struct {
	path     string
	listener *net.UnixListener
	inode    uint64 // of the socket's file, as we made it
	busy     atomic.Bool
	once     sync.Once // of close
}

// Listen begins to offer at path. A file that a dead process left there is
// replaced; a live one's is an error. The file appears at once with its mode:
// it is made beside and renamed.
func Listen(path string) (*Offer, error) {
	if c, err := dial(path); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another process offers its listeners there", path)
	} else if !errors.Is(err, ErrNobody) {
		return nil, err
	}
	// The folder is private while the socket is made in it: no moment in which
	// the socket has another mode.
	private, err := os.MkdirTemp(filepath.Dir(path), ".lb-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	made := filepath.Join(private, "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: made, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	o := &Offer{path: path, listener: l}
	err = os.Chmod(made, 0o600)
	if err == nil {
		o.inode, err = inode(made)
	}
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return o, nil
}

func inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return st.Ino, nil
}

// Path is where the offer stands.
func (o *Offer) Path() string { return o.path }

// Source is what is offered.
type Source struct {
	// Sockets are those that listen now. Called for each successor that takes.
	Sockets func() []Socket
	// Taken is called once, when the successor accepts connections.
	Taken func(pid int)
	// Failed is told why a successor did not take over; may be nil.
	Failed func(error)
}

// Serve answers successors, one at a time, until one has taken over (then it
// returns nil) or ctx is done. It closes the offer.
func (o *Offer) Serve(ctx context.Context, source Source) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer o.close()
	stop := context.AfterFunc(ctx, func() { o.listener.Close() })
	defer stop()
	var talks atomic.Int32
	for {
		nc, err := o.listener.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil // by ctx, or by the successor's turn
			}
			select { // out of descriptors, or the like
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		c := conn{nc}
		if talks.Add(1) > maxTalks {
			talks.Add(-1)
			c.Close()
			continue
		}
		wg.Go(func() {
			defer talks.Add(-1)
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			switch pid, err := o.serve(c, &source); {
			case err == nil:
				o.close() // before the successor, told of our ending, offers there
				source.Taken(pid)
				_ = c.send(message{Kind: kindEnding}, stepTimeout)
				cancel()
			case source.Failed != nil && ctx.Err() == nil && !errors.Is(err, errOnlyLooked):
				source.Failed(err)
			}
		})
	}
}

// maxTalks bounds the connections; all but one are refused after their hello.
const maxTalks = 8

var errBusy = errors.New("another process is taking over")

// errOnlyLooked: a successor that said nothing but hello, or nothing at all.
var errOnlyLooked = errors.New("it did not ask for the sockets")

// serve leads one successor up to taken. Whoever it is, their hello is read
// first: closing a connection with something unread in it would take our answer
// from them.
func (o *Offer) serve(c conn, source *Source) (pid int, err error) {
	hello, _, err := c.receive(stepTimeout)
	if err != nil {
		return 0, errOnlyLooked
	}
	version := common(hello.Versions)
	switch err = c.checkPeer(); {
	case err != nil:
	case hello.Kind != kindHello:
		err = fmt.Errorf("it began with %q", hello.Kind)
	case version == 0:
		err = fmt.Errorf("the running process speaks version %v of the hand-over, the new one %v", versions, hello.Versions)
	case !o.busy.CompareAndSwap(false, true):
		err = errBusy
	}
	if err != nil {
		_ = c.send(message{Kind: kindRefused, Error: err.Error()}, stepTimeout)
		return 0, err
	}
	defer o.busy.Store(false)
	if err := c.send(message{Kind: kindHello, Version: version, PID: os.Getpid()}, stepTimeout); err != nil {
		return 0, err
	}
	if take, _, err := c.receive(warmUp); err != nil {
		return 0, fmt.Errorf("it went away before it was ready: %w", err)
	} else if take.Kind != kindTake {
		return 0, fmt.Errorf("it said %q instead of taking the sockets", take.Kind)
	}
	sockets := source.Sockets()
	if len(sockets) > maxSockets {
		return 0, fmt.Errorf("%d sockets: the most is %d", len(sockets), maxSockets)
	}
	for _, s := range sockets {
		if err := c.sendWith(message{Kind: kindSocket, Name: s.Name, Asked: s.Asked.String()}, s.Conn, stepTimeout); err != nil {
			return 0, fmt.Errorf("socket of %s: %w", s.Name, err)
		}
	}
	if err := c.send(message{Kind: kindEnd}, stepTimeout); err != nil {
		return 0, err
	}
	if m, _, err := c.receive(stepTimeout); err != nil {
		return 0, fmt.Errorf("it was given the sockets and did not say that it accepts: %w", err)
	} else if m.Kind != kindTaken {
		return 0, fmt.Errorf("it was given the sockets and said %q", m.Kind)
	}
	return hello.PID, nil
}

// close ends the offer; the file is removed if it is still ours.
func (o *Offer) close() {
	o.once.Do(func() {
		if now, err := inode(o.path); err == nil && now == o.inode {
			_ = os.Remove(o.path)
		}
		o.listener.Close()
	})
}
