package realengine

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Relay is a unix socket that leads to the engine, and that a test can take
// away: as the engine's own socket looks to a client while the engine restarts,
// or when a stream breaks. Its methods are for the test's goroutine.
type Relay struct {
	// Socket is its path. Nothing is there before Up.
	Socket string

	t        testing.TB
	engine   string
	listener net.Listener

	mu      sync.Mutex
	up      bool // false: a connection that was just accepted is closed
	links   map[*link]bool
	running sync.WaitGroup
}

// link is a client's connection, and ours to the engine for it.
type link struct {
	client, engine net.Conn
	events         atomic.Bool // the event stream was asked for on it
	silenced       atomic.Bool // nothing more is passed to the client
}

func (l *link) close() {
	l.client.Close()
	l.engine.Close()
}

// Relay makes one, down.
func (s *Scope) Relay() *Relay {
	// Not t.TempDir: its path may be longer than a socket's can be (104 bytes).
	dir, err := os.MkdirTemp("", "relay")
	if err != nil {
		s.t.Fatal(err)
	}
	r := &Relay{Socket: filepath.Join(dir, "docker.sock"), t: s.t, engine: s.Engine.Socket, links: map[*link]bool{}}
	s.t.Cleanup(func() {
		r.Down()
		os.RemoveAll(dir)
	})
	return r
}

// Up makes the socket.
func (r *Relay) Up() {
	r.t.Helper()
	l, err := net.Listen("unix", r.Socket)
	if err != nil {
		r.t.Fatal(err)
	}
	r.listener = l
	r.mu.Lock()
	r.up = true
	r.mu.Unlock()
	r.running.Add(1)
	go r.accept(l)
}

// Down removes the socket and cuts every connection, in the middle of a
// message if one is under way.
func (r *Relay) Down() {
	if r.listener == nil {
		return
	}
	r.listener.Close()
	r.listener = nil
	r.mu.Lock()
	r.up = false
	r.mu.Unlock()
	r.Cut()
	r.running.Wait()
}

// Cut ends every connection; new ones are taken.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.links {
		l.close()
	}
}

// SilenceStreams keeps the event streams of now open and passes nothing more on
// them: they are silently dead. All else works, and so do new streams.
func (r *Relay) SilenceStreams() {
	r.t.Helper()
	r.silence(func(l *link) bool { return l.events.Load() })
}

// SilenceAll does it to every connection of now, of the pool too. New ones work.
func (r *Relay) SilenceAll() {
	r.t.Helper()
	r.silence(func(*link) bool { return true })
}

func (r *Relay) silence(which func(*link) bool) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	silenced := 0
	for l := range r.links {
		if which(l) {
			l.silenced.Store(true)
			silenced++
		}
	}
	if silenced == 0 {
		r.t.Fatal("no such connection passes through the relay")
	}
}

func (r *Relay) accept(listener net.Listener) {
	defer r.running.Done()
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		engine, err := net.Dial("unix", r.engine)
		if err != nil {
			client.Close()
			continue
		}
		l := &link{client: client, engine: engine}
		r.mu.Lock()
		r.links[l] = true
		if !r.up {
			l.close()
		}
		r.mu.Unlock()
		r.running.Add(2)
		go r.pass(l, l.engine, l.client)
		go r.pass(l, l.client, l.engine)
	}
}

// pass copies one direction of a link, and closes the link at its end.
func (r *Relay) pass(l *link, to, from net.Conn) {
	defer r.running.Done()
	defer func() {
		l.close()
		r.mu.Lock()
		delete(r.links, l)
		r.mu.Unlock()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if from == l.client && bytes.Contains(buf[:n], []byte("/events?")) {
			l.events.Store(true)
		}
		if to == l.client && l.silenced.Load() {
			n = 0 // lost on the way
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
