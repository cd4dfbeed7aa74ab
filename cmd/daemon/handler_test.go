package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

func answer(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryPathGivesTheID(t *testing.T) {
	h := newHandler(record{id: newID(), to: io.Discard})
	line := regexp.MustCompile(`^My id is [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$`)
	first := answer(h, "GET", "/", "").Body.String()
	if !line.MatchString(first) {
		t.Fatalf("answer %q", first)
	}
	for _, target := range []string{"/a/b?c=d", "/slow?ms=1", "/status?code=503"} {
		if got := answer(h, "GET", target, "").Body.String(); got != first {
			t.Errorf("%s: %q, want the same id %q", target, got, first)
		}
	}
	if other := newID(); strings.Contains(first, other) {
		t.Errorf("a second id is the same: %s", other)
	}
}

func TestFaviconIsCacheable(t *testing.T) {
	w := answer(newHandler(record{id: "x", to: io.Discard}), "GET", "/favicon.ico", "")
	if w.Code != http.StatusNoContent || w.Header().Get("Cache-Control") != "public, max-age=86400" || w.Body.Len() != 0 {
		t.Fatalf("%d %v %q", w.Code, w.Header(), w.Body)
	}
}

func TestStatus(t *testing.T) {
	h := newHandler(record{id: "x", to: io.Discard})
	for target, want := range map[string]int{
		"/status?code=503": 503, "/status?code=204": 204, "/status?code=99": 400, "/status": 400,
	} {
		if got := answer(h, "GET", target, "").Code; got != want {
			t.Errorf("%s: %d, want %d", target, got, want)
		}
	}
}

func TestSlowBounds(t *testing.T) {
	h := newHandler(record{id: "x", to: io.Discard})
	for _, target := range []string{"/slow", "/slow?ms=-1", "/slow?ms=60001", "/slow?ms=x"} {
		if got := answer(h, "GET", target, "").Code; got != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", target, got)
		}
	}
	start := time.Now()
	answer(h, "GET", "/slow?ms=30", "")
	if took := time.Since(start); took < 30*time.Millisecond {
		t.Errorf("/slow?ms=30 took %v", took)
	}
}

func TestEchoAndRecord(t *testing.T) {
	var written strings.Builder
	w := answer(newHandler(record{id: "the-id", to: &written}), "POST", "/echo", "body", "X-Storm-Id", "r-1")
	if got := w.Body.String(); got != "body" {
		t.Errorf("body %q", got)
	}
	if w.Header().Get("X-Storm-Id") != "r-1" || w.Header().Get("X-Daemon-Id") != "the-id" {
		t.Errorf("header %v", w.Header())
	}
	if got := written.String(); !regexp.MustCompile(`^\d{19} the-id POST /echo r-1\n$`).MatchString(got) {
		t.Errorf("record %q", got)
	}
	if got := answer(newHandler(record{id: "x", to: io.Discard}), "POST", "/echo", strings.Repeat("x", maxEcho+1)).Code; got != http.StatusBadRequest {
		t.Errorf("a body over the limit: %d", got)
	}
}

func TestHealthCanBeChanged(t *testing.T) {
	h := newHandler(record{id: "x", to: io.Discard})
	steps := []struct {
		method, target string
		want           int
	}{
		{"GET", "/healthz", 200},
		{"PUT", "/healthz?ok=false", 200},
		{"GET", "/healthz", 503},
		{"PUT", "/healthz?ok=maybe", 400},
		{"GET", "/healthz", 503},
		{"PUT", "/healthz?ok=true", 200},
		{"GET", "/healthz", 200},
	}
	for _, step := range steps {
		if got := answer(h, step.method, step.target, "").Code; got != step.want {
			t.Fatalf("%s %s: %d, want %d", step.method, step.target, got, step.want)
		}
	}
}
