package handover

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Successor is the new process's side. It is used by one goroutine.
type Successor struct {
	c   conn
	pid int
}

// Dial greets the process that offers its sockets at path. ErrNobody: there is
// none. Close follows.
func Dial(path string) (*Successor, error) {
	c, err := dial(path)
	if err != nil {
		return nil, err
	}
	s, err := greet(c)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func dial(path string) (conn, error) {
	nc, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	switch {
	case err == nil:
		return conn{nc}, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		return conn{}, fmt.Errorf("%s: %w", path, ErrNobody)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return conn{}, fmt.Errorf("%s: %w", path, err)
}

func greet(c conn) (*Successor, error) {
	if err := c.checkPeer(); err != nil {
		return nil, err
	}
	if err := c.send(message{Kind: kindHello, Versions: versions, PID: os.Getpid()}, stepTimeout); err != nil {
		return nil, gone(err)
	}
	m, _, err := c.receive(stepTimeout)
	if err != nil {
		return nil, gone(err)
	}
	switch m.Kind {
	case kindHello:
		return &Successor{c: c, pid: m.PID}, nil
	case kindRefused:
		return nil, fmt.Errorf("refused: %s", m.Error)
	}
	return nil, fmt.Errorf("it answered %q", m.Kind)
}

// gone makes ErrNobody of the end of the other side.
func gone(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, unix.EPIPE) {
		return ErrNobody
	}
	return err
}

// PID is the running process's, in its own PID namespace.
func (s *Successor) PID() int { return s.pid }

// Take asks for the sockets, which are then the caller's. ErrNobody: the
// process has ended in the meantime.
func (s *Successor) Take() ([]Received, error) {
	if err := s.c.send(message{Kind: kindTake}, stepTimeout); err != nil {
		return nil, gone(err)
	}
	var all []Received
	fail := func(err error) ([]Received, error) {
		for _, r := range all {
			r.File.Close()
		}
		return nil, err
	}
	for {
		m, f, err := s.c.receive(stepTimeout)
		switch {
		case err != nil:
			return fail(gone(err))
		case m.Kind == kindEnd:
			return all, nil
		case m.Kind != kindSocket:
			return fail(fmt.Errorf("it said %q instead of giving a socket", m.Kind))
		}
		asked, err := netip.ParseAddrPort(m.Asked)
		all = append(all, Received{Name: m.Name, Asked: asked, File: f})
		if err != nil || len(all) > maxSockets {
			return fail(fmt.Errorf("socket of %s: address %q", m.Name, m.Asked))
		}
	}
}

// Taken tells the running process that this one accepts connections, and
// returns when that one has begun to end. A process that dies at this moment
// ends too: only what else went wrong is an error.
func (s *Successor) Taken() error {
	if err := s.c.send(message{Kind: kindTaken}, stepTimeout); err != nil {
		if errors.Is(gone(err), ErrNobody) {
			return nil
		}
		return err
	}
	m, _, err := s.c.receive(stepTimeout)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case m.Kind != kindEnding:
		return fmt.Errorf("it said %q instead of ending", m.Kind)
	}
	return nil
}

// Close ends the conversation. Before Taken it means that nothing is taken.
func (s *Successor) Close() { s.c.Close() }
