package fakeengine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Engine is a running fake.
type Engine struct {
	socket string

	mu         sync.Mutex
	server     *http.Server
	served     chan struct{} // closed when server has ended
	conns      map[*conn]struct{}
	containers map[string]*container
	names      map[string]*container
	order      []*container // oldest first
	networks   map[string]*network
	made       int
	lastNano   int64

	buffer      []message // for since
	subscribers map[*subscriber]struct{}
	drop        bool

	version, apiMax, apiMin string
	operatingSystem         string
	securityOptions         []string
	delays                  map[string]time.Duration
	failures                map[string]int // endpoint -> HTTP status
	vanish                  map[string]bool
	frozen                  chan struct{} // closed by Thaw; nil: not frozen
	calls                   map[string]int
	foreign                 []string
	inspecting, maxInspects int
}

// New serves a fake engine on a socket of its own until the test ends.
func New(tb testing.TB) *Engine {
	tb.Helper()
	// Not tb.TempDir: a unix socket's path may have 107 bytes.
	dir, err := os.MkdirTemp("", "fakeengine")
	if err != nil {
		tb.Fatal(err)
	}
	e, err := Listen(filepath.Join(dir, "docker.sock"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		e.Close()
		os.RemoveAll(dir)
	})
	return e
}

// Listen serves a fake engine on a unix socket, as version 28.5 (API 1.51).
func Listen(socket string) (*Engine, error) {
	e := &Engine{
		socket: socket, version: "28.5.2", apiMax: "1.51", apiMin: "1.24", operatingSystem: "Fake Linux",
		containers: map[string]*container{}, names: map[string]*container{}, networks: map[string]*network{},
		subscribers: map[*subscriber]struct{}{}, delays: map[string]time.Duration{},
		failures: map[string]int{}, vanish: map[string]bool{}, calls: map[string]int{}, conns: map[*conn]struct{}{},
	}
	for _, name := range []string{"bridge", "host", "none"} {
		e.addNetwork(name)
	}
	return e, e.Back()
}

// Host is the engine's address for a client.
func (e *Engine) Host() string { return "unix://" + e.socket }

// Close ends the engine and all of its connections.
func (e *Engine) Close() { e.Away() }

// Away ends the engine: connections are cut, the socket is gone, the buffered
// events are lost. Containers stay as they are (live-restore).
func (e *Engine) Away() {
	e.Thaw()
	e.mu.Lock()
	server, served := e.server, e.served
	e.server, e.buffer = nil, nil
	e.mu.Unlock()
	if server != nil {
		server.Close()
		<-served
		os.Remove(e.socket)
	}
}

// Back starts the engine again, on a new socket (another inode).
func (e *Engine) Back() error {
	l, err := net.Listen("unix", e.socket)
	if err != nil {
		return fmt.Errorf("fake engine: %w", err)
	}
	server := &http.Server{Handler: e.handler()}
	served := make(chan struct{})
	e.mu.Lock()
	e.server, e.served = server, served
	e.mu.Unlock()
	go func() {
		defer close(served)
		_ = server.Serve(listener{l, e})
	}()
	return nil
}

// Restart is Away and Back.
func (e *Engine) Restart() error {
	e.Away()
	return e.Back()
}

// SetVersion changes what the engine says that it is and speaks.
func (e *Engine) SetVersion(version, apiMin, apiMax string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.version, e.apiMin, e.apiMax = version, apiMin, apiMax
}

// SetInfo changes what /info says: "Docker Desktop", "name=rootless".
func (e *Engine) SetInfo(operatingSystem string, securityOptions ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.operatingSystem, e.securityOptions = operatingSystem, securityOptions
}

// DropEvents makes the engine lose its events in silence, as for a slow reader.
// They are not in the buffer for since either.
func (e *Engine) DropEvents(drop bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop = drop
}

// Delay makes an endpoint ("list", "inspect", …; see Calls) slow.
func (e *Engine) Delay(endpoint string, d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.delays[endpoint] = d
}

// Fail makes an endpoint answer with an HTTP status; 0: works again.
func (e *Engine) Fail(endpoint string, status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures[endpoint] = status
}

// Vanish makes inspect of one container answer 404, as if it had been removed
// between its event and the look.
func (e *Engine) Vanish(ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.vanish[e.find(ref).id] = true
}

// Freeze is a half-open connection: requests are taken and never answered,
// streams stay open and say nothing, nothing is closed. Events meanwhile are
// lost to streams that are open, but buffered.
func (e *Engine) Freeze() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.frozen == nil {
		e.frozen = make(chan struct{})
	}
}

// Thaw ends Freeze for what comes from now on; streams of before stay dead.
func (e *Engine) Thaw() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.frozen != nil {
		close(e.frozen)
		e.frozen = nil
		for s := range e.subscribers {
			s.dead = true
		}
	}
}

// CutStreams ends all event streams; midMessage: in the middle of one.
func (e *Engine) CutStreams(midMessage bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.subscribers {
		s.cutHalf = midMessage
		close(s.cut)
		delete(e.subscribers, s)
	}
}

// DeafStreams makes the streams that are open now say nothing more, while the
// engine is well otherwise: a stuck socket proxy.
func (e *Engine) DeafStreams() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.subscribers {
		s.dead = true
	}
}

// Streams is the number of open event streams.
func (e *Engine) Streams() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.subscribers)
}

// Calls is how often an endpoint was asked: ping, version, info, events, list,
// inspect, networks.
func (e *Engine) Calls(endpoint string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[endpoint]
}

// MaxInspects is the largest number of inspects that were under way at once.
func (e *Engine) MaxInspects() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.maxInspects
}

// Foreign is every request that was not a GET or HEAD of a served path:
// "POST /v1.51/containers/x/stop".
func (e *Engine) Foreign() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.foreign...)
}

// now is the engine's clock; no two events have the same time. Call with mu.
func (e *Engine) now() int64 {
	e.lastNano = max(time.Now().UnixNano(), e.lastNano+1)
	return e.lastNano
}

// newID makes ids that look like the engine's. Call with mu.
func (e *Engine) newID(of string) string {
	e.made++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", of, e.made))
	return hex.EncodeToString(sum[:])
}

// find panics where nothing is named so. Call with mu.
func (e *Engine) find(ref string) *container {
	c := e.lookup(ref)
	if c == nil {
		panic("fakeengine: no container " + ref)
	}
	return c
}

func (e *Engine) lookup(ref string) *container {
	if c := e.containers[ref]; c != nil {
		return c
	}
	if c := e.names[ref]; c != nil {
		return c
	}
	if len(ref) < 6 {
		return nil
	}
	for id, c := range e.containers {
		if strings.HasPrefix(id, ref) {
			return c
		}
	}
	return nil
}
