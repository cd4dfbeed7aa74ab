package admin

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestOverrides(t *testing.T) {
	for _, tt := range []struct {
		target string
		code   int
		want   string // of the override; empty: none is made
		answer string
	}{
		{"/lb/v1/drain container=web-1", 200, "web-1 drain=true", `"in_flight": 2`},
		{"/lb/v1/undrain?container=web-1", 200, "web-1 drain=false", `"in_flight": 2`},
		{"/lb/v1/weight container=web-1&weight=0", 200, "web-1 weight=0", ""},
		{"/lb/v1/weight container=web-1&weight=1000", 200, "web-1 weight=1000", ""},
		{"/lb/v1/weight container=web-1&weight=1001", 400, "", "from 0 to 1000"},
		{"/lb/v1/weight container=web-1&weight=-1", 400, "", "from 0 to 1000"},
		{"/lb/v1/weight container=web-1", 400, "", "from 0 to 1000"},
		{"/lb/v1/drain", 400, "", "container: give"},
		{"/lb/v1/drain container=nobody", 404, "", "there are: web-1"},
	} {
		s, b := newServer(t, nil)
		b.inFlight = 2
		w := ask(t, s, "POST", tt.target, nil)
		got := ""
		for _, o := range b.overrides {
			got = o.Container
			if o.Drain != nil {
				got += fmt.Sprintf(" drain=%v", *o.Drain)
			}
			if o.Weight != nil {
				got += fmt.Sprintf(" weight=%d", *o.Weight)
			}
		}
		if w.Code != tt.code || got != tt.want || !strings.Contains(w.Body.String(), tt.answer) {
			t.Errorf("%s: %d %q, override %q; want %d %q, %q", tt.target, w.Code, w.Body, got, tt.code, tt.answer, tt.want)
		}
	}
}

func TestInFlight(t *testing.T) {
	s, b := newServer(t, nil)
	b.inFlight = 3
	var got InFlight
	if err := json.Unmarshal(ask(t, s, "GET", "/lb/v1/in_flight?container=web-1", nil).Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if want := (InFlight{Container: "web-1", InFlight: 3, Process: s.process}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Every answer says who gives it, and two processes never say the same, though
// both may be process 1 of their containers.
func TestInFlightSaysWhoAnswers(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.FixedZone("", 3600))
	s, _ := newServer(t, func(o *Options) { o.Start = began })
	want := fmt.Sprintf("%d@2026-01-02T02:04:05.678Z", os.Getpid())
	for _, call := range [][2]string{
		{"GET", "/lb/v1/in_flight?container=web-1"}, {"POST", "/lb/v1/drain container=web-1"}, {"POST", "/lb/v1/undrain container=web-1"},
	} {
		var got InFlight
		if err := json.Unmarshal(ask(t, s, call[0], call[1], nil).Body.Bytes(), &got); err != nil || got.Process != want {
			t.Errorf("%s: process %q, %v; want %q", call[1], got.Process, err, want)
		}
	}
	if a, b := processID(1, began), processID(1, began.Add(time.Second)); a == b {
		t.Errorf("two processes are both %q", a)
	}
}

func TestCallbacks(t *testing.T) {
	var calls []string
	level := "info"
	s, _ := newServer(t, func(o *Options) {
		o.Quit = func() { calls = append(calls, "quit") }
		o.FailHealth = func(fail bool) { calls = append(calls, fmt.Sprintf("fail=%v", fail)) }
		o.DrainListeners = func(graceful, skipExit bool) {
			calls = append(calls, fmt.Sprintf("drain graceful=%v skip=%v", graceful, skipExit))
		}
		o.LogLevel = func() string { return level }
		o.SetLogLevel = func(l string) error { level = l; return nil }
	})
	for _, tt := range []struct{ target, body, call string }{
		{"/quitquitquit", "OK\n", "quit"},
		{"/healthcheck/fail", "OK\n", "fail=true"},
		{"/healthcheck/ok", "OK\n", "fail=false"},
		{"/drain_listeners", "OK\n", "drain graceful=false skip=false"},
		{"/drain_listeners?graceful", "OK\n", "drain graceful=true skip=false"},
		{"/drain_listeners?graceful&skip_exit", "OK\n", "drain graceful=true skip=true"},
		{"/logging", "active loggers:\n  lb: info\n", ""},
		{"/logging?level=debug", "active loggers:\n  lb: debug\n", ""},
		{"/logging?level=critical", "active loggers:\n  lb: critical\n", ""},
	} {
		calls = nil
		w := ask(t, s, "POST", tt.target, nil)
		if w.Code != 200 || w.Body.String() != tt.body || strings.Join(calls, ",") != tt.call {
			t.Errorf("%s: %d %q, calls %q; want %q, %q", tt.target, w.Code, w.Body, calls, tt.body, tt.call)
		}
	}
	if level != "fatal" {
		t.Errorf("critical is %q for the logger, want fatal", level)
	}
	calls = nil
	for target, text := range map[string]string{
		"/drain_listeners?skip_exit":   "skip_exit requires graceful\n",
		"/drain_listeners?inboundonly": "inboundonly: listeners have no traffic_direction here\n",
	} {
		if w := ask(t, s, "POST", target, nil); w.Code != 400 || w.Body.String() != text || len(calls) > 0 {
			t.Errorf("%s: %d %q, calls %q", target, w.Code, w.Body, calls)
		}
	}
	if w := ask(t, s, "POST", "/logging?level=loud", nil); w.Code != 400 || !strings.HasPrefix(w.Body.String(), "usage: ") {
		t.Errorf("a level that does not exist: %d %q", w.Code, w.Body)
	}
}

func TestCallbacksMissing(t *testing.T) {
	s, _ := newServer(t, nil)
	for _, path := range []string{"/quitquitquit", "/drain_listeners", "/logging"} {
		if w := ask(t, s, "POST", path, nil); w.Code != 501 {
			t.Errorf("%s: %d, want 501", path, w.Code)
		}
	}
}
