package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// maxSlow bounds /slow, and maxEcho the body that /echo gives back.
const (
	maxSlow = time.Minute
	maxEcho = 1 << 20
)

// handler answers every request; its fields are safe for concurrent use.
//
//	/favicon.ico          204, cacheable: else a browser's second request
//	                      takes its turn in the rotation and hides it
//	/slow?ms=N            the id, after N milliseconds
//	/status?code=N        the id, with that status code
//	/echo                 the request's body
//	/ws                   a WebSocket that echoes
//	/healthz              200 or 503; PUT /healthz?ok=false changes it
//	/fault                PUT /fault?is=reset: how the next ones are answered
//	anything else         My id is <uuid>
//
// Each response carries X-Daemon-Id, and the request's X-Storm-Id if it had
// one, so that a client can tell whose answer to what it got. (X-Request-Id
// would not do: proxies give requests from outside one of their own.)
type handler struct {
	record record
	fault  *faultState
	sick   atomic.Bool
	paths  *http.ServeMux
}

func newHandler(r record) *handler {
	h := &handler{record: r, fault: newFaultState(), paths: http.NewServeMux()}
	h.paths.HandleFunc("/", h.identify)
	h.paths.HandleFunc("/favicon.ico", h.favicon)
	h.paths.HandleFunc("/slow", h.slow)
	h.paths.HandleFunc("/status", h.status)
	h.paths.HandleFunc("/echo", h.echo)
	h.paths.HandleFunc("/ws", h.websocket)
	h.paths.HandleFunc("/healthz", h.health)
	h.paths.Handle("/fault", h.fault)
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requestID := r.Header.Get("X-Storm-Id")
	w.Header().Set("X-Daemon-Id", h.record.id)
	if requestID != "" {
		w.Header().Set("X-Storm-Id", requestID)
	}
	// Written before the answer: an answer that the client has seen is on record.
	h.record.add(r.Method + " " + r.URL.Path + " " + requestID)
	if !h.fault.strike(w, r) {
		h.paths.ServeHTTP(w, r)
	}
}

func (h *handler) identify(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "My id is %s\n", h.record.id)
}

func (h *handler) favicon(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.WriteHeader(http.StatusNoContent)
}

func (h *handler) slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.Atoi(r.URL.Query().Get("ms"))
	wait := time.Duration(ms) * time.Millisecond
	if err != nil || wait < 0 || wait > maxSlow {
		http.Error(w, fmt.Sprintf("ms: want a number from 0 to %d", maxSlow.Milliseconds()), http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(wait):
		h.identify(w, r)
	case <-r.Context().Done():
	}
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.URL.Query().Get("code"))
	if err != nil || code < 200 || code > 599 {
		http.Error(w, "code: want a number from 200 to 599", http.StatusBadRequest)
		return
	}
	w.WriteHeader(code)
	if code != http.StatusNoContent && code != http.StatusNotModified {
		fmt.Fprintf(w, "My id is %s\n", h.record.id)
	}
}

func (h *handler) echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEcho))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(body)
}

func (h *handler) health(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		ok, err := strconv.ParseBool(r.URL.Query().Get("ok"))
		if err != nil {
			http.Error(w, "ok: want true or false", http.StatusBadRequest)
			return
		}
		h.sick.Store(!ok)
	}
	if h.sick.Load() && r.Method != http.MethodPut {
		http.Error(w, "sick", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}
