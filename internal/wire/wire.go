// Package wire is a backend for tests that speaks raw TCP: it records the exact
// bytes that it was sent and plays the exact bytes that a test gives it.
package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Patience bounds every wait of a test.
const Patience = 30 * time.Second

// Backend listens and hands each connection to its handler, in a goroutine of
// its own. It is closed with the test.
type Backend struct {
	tb      testing.TB
	ln      net.Listener
	handler func(*Conn)
	wg      sync.WaitGroup

	mu     sync.Mutex
	conns  []*Conn
	closed bool
}

// Listen starts a backend on a free port of the loopback.
func Listen(tb testing.TB, handler func(*Conn)) *Backend {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	b := &Backend{tb: tb, ln: ln, handler: handler}
	b.wg.Add(1)
	go b.accept()
	tb.Cleanup(b.Close)
	return b
}

// Addr is where it listens.
func (b *Backend) Addr() netip.AddrPort { return b.ln.Addr().(*net.TCPAddr).AddrPort() }

// Close stops it and cuts its connections; twice is allowed.
func (b *Backend) Close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		b.ln.Close()
		for _, c := range b.conns {
			c.Conn.Close()
		}
	}
	b.mu.Unlock()
	b.wg.Wait()
}

// Conns is how many connections have been accepted.
func (b *Backend) Conns() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

// Received is all that was sent on the i-th connection so far.
func (b *Backend) Received(i int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i >= len(b.conns) {
		return ""
	}
	c := b.conns[i]
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received.String()
}

func (b *Backend) accept() {
	defer b.wg.Done()
	for {
		nc, err := b.ln.Accept()
		if err != nil {
			return
		}
		_ = nc.SetDeadline(time.Now().Add(Patience))
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			nc.Close()
			return
		}
		c := &Conn{Conn: nc.(*net.TCPConn), Index: len(b.conns)}
		b.conns = append(b.conns, c)
		b.wg.Add(1)
		b.mu.Unlock()
		go func() {
			defer b.wg.Done()
			defer nc.Close()
			b.handler(c)
		}()
	}
}

// Conn is one connection of a Backend; what is read from it is recorded.
type Conn struct {
	Conn  *net.TCPConn // unrecorded
	Index int          // 0: the backend's first

	mu       sync.Mutex
	received bytes.Buffer
	pending  []byte
}

// Read reads and records.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		c.pending = c.pending[n:]
		return n, nil
	}
	return c.readWire(p)
}

func (c *Conn) readWire(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.received.Write(p[:n])
	c.mu.Unlock()
	return n, err
}

// ReadHead reads to the end of a head and returns it. io.EOF: the peer closed
// before its first octet.
func (c *Conn) ReadHead() (string, error) { return c.ReadUntil("\r\n\r\n") }

// ReadUntil reads until end has come, and returns all up to and with it.
func (c *Conn) ReadUntil(end string) (string, error) {
	var got []byte
	buf := make([]byte, 4096)
	for {
		if i := bytes.Index(got, []byte(end)); i >= 0 {
			cut := i + len(end)
			c.pending = append(append([]byte{}, got[cut:]...), c.pending...)
			return string(got[:cut]), nil
		}
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			if errors.Is(err, io.EOF) && len(got) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return string(got), err
		}
	}
}

// ReadN reads exactly n octets.
func (c *Conn) ReadN(n int) (string, error) {
	b := make([]byte, n)
	m, err := io.ReadFull(readerFunc(c.Read), b)
	return string(b[:m]), err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Play writes the exact bytes.
func (c *Conn) Play(s string) error {
	_, err := io.WriteString(c.Conn, s)
	return err
}

// Reset closes the connection with RST.
func (c *Conn) Reset() {
	_ = c.Conn.SetLinger(0)
	c.Conn.Close()
}

// Answer is a handler that answers each request head with the response, until
// the peer closes. Requests must have no body.
func Answer(response string) func(*Conn) {
	return func(c *Conn) {
		for {
			if _, err := c.ReadHead(); err != nil {
				return
			}
			if c.Play(response) != nil {
				return
			}
		}
	}
}
