package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// fault is a way to answer badly.
type fault string

const (
	faultNone    fault = "none"
	faultError   fault = "error"   // 500
	faultReset   fault = "reset"   // RST instead of an answer
	faultGarbage fault = "garbage" // what is not HTTP
	faultHang    fault = "hang"    // no answer until the fault is over
	faultCrash   fault = "crash"   // the process ends, after crashAfter
)

var faults = []fault{faultNone, faultError, faultReset, faultGarbage, faultHang, faultCrash}

// crashAfter is when a process that is to crash does so: later than the `docker
// exec` that has told it so has ended, which would else be killed with it, and
// earlier than anybody starts it again (the storm, half a second after that).
const crashAfter = 400 * time.Millisecond

// crashStatus is the exit status of a crash.
const crashStatus = 2

// faultState is the fault that all requests meet, but those for /fault and
// /healthz, which work on. Safe for concurrent use.
type faultState struct {
	mu      sync.Mutex
	now     fault
	changed chan struct{} // closed at the next change
	crash   *time.Timer   // nil: no crash was ever set
	exit    func(int)     // os.Exit, but in tests
}

func newFaultState() *faultState {
	return &faultState{now: faultNone, changed: make(chan struct{}), exit: os.Exit}
}

func (s *faultState) set(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = f
	close(s.changed)
	s.changed = make(chan struct{})
	if s.crash != nil {
		s.crash.Stop()
	}
	if f == faultCrash {
		s.crash = time.AfterFunc(crashAfter, func() { s.exit(crashStatus) })
	}
}

func (s *faultState) get() (fault, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.changed
}

// ServeHTTP is /fault: PUT /fault?is=reset, until PUT /fault?is=none.
func (s *faultState) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := fault(r.URL.Query().Get("is"))
	if r.Method != http.MethodPut || !slices.Contains(faults, f) {
		http.Error(w, fmt.Sprintf("want PUT /fault?is= and one of %v", faults), http.StatusBadRequest)
		return
	}
	s.set(f)
}

// strike answers a request badly, if that is how it is to be; else it returns
// false and has done nothing.
func (s *faultState) strike(w http.ResponseWriter, r *http.Request) bool {
	f, changed := s.get()
	if f == faultNone || f == faultCrash || r.URL.Path == "/fault" || r.URL.Path == "/healthz" {
		return false
	}
	switch f {
	case faultError:
		http.Error(w, "broken", http.StatusInternalServerError)
	case faultHang:
		hang(r.Context(), changed)
		reset(w)
	case faultReset:
		reset(w)
	case faultGarbage:
		if conn := hijacked(w); conn != nil {
			conn.Write([]byte("\x15\x03\x01\x00\x02\x02\x28 this is not HTTP\r\n\r\n" + strings.Repeat("?", 100)))
			conn.Close()
		}
	}
	return true
}

func hang(ctx context.Context, over <-chan struct{}) {
	select {
	case <-over:
	case <-ctx.Done():
	}
}

func reset(w http.ResponseWriter) {
	conn := hijacked(w)
	if conn == nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// hijacked is the connection, or nil where there is none to take.
func hijacked(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil
	}
	return conn
}
