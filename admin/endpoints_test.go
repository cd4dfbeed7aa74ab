package admin

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestGenericRules(t *testing.T) {
	s, _ := newServer(t, nil)
	for _, path := range []string{"/clusters", "/ready", "/nowhere", "/quitquitquit"} {
		h := ask(t, s, "GET", path, nil).Header()
		if got := h.Get("Content-Type"); got != "text/plain; charset=UTF-8" {
			t.Errorf("%s: content type %q", path, got)
		}
		if h.Get("Cache-Control") != "no-cache, max-age=0" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
}

func TestUnknownPathListsCommands(t *testing.T) {
	s, _ := newServer(t, nil)
	w := ask(t, s, "GET", "/clusters/", nil)
	if w.Code != http.StatusNotFound {
		t.Fatalf("%d, want 404: paths are exact", w.Code)
	}
	lines := strings.Split(w.Body.String(), "\n")
	if lines[0] != "invalid path. admin commands are:" {
		t.Errorf("first line %q", lines[0])
	}
	var commands []string
	for _, l := range lines {
		if strings.HasPrefix(l, "  /") {
			command, _, _ := strings.Cut(strings.TrimSpace(l), ":")
			commands = append(commands, strings.TrimSuffix(command, " (POST)"))
		}
	}
	if len(commands) != len(s.endpoints) || !slices.IsSorted(commands) {
		t.Errorf("commands are not all, or not sorted: %q", commands)
	}
	if !strings.Contains(w.Body.String(), "\n  /quitquitquit (POST): ") || !strings.Contains(w.Body.String(), "\n      format: ") {
		t.Errorf("POST marks or parameters are missing:\n%s", w.Body)
	}
	help := ask(t, s, "GET", "/help", nil).Body.String()
	if "invalid path. "+help != w.Body.String() {
		t.Errorf("/help differs:\n%s", help)
	}
}

func TestMethodNotAllowed(t *testing.T) {
	s, _ := newServer(t, nil)
	w := ask(t, s, "GET", "/quitquitquit", nil)
	if got, want := w.Body.String(), "Method GET not allowed, POST required."; w.Code != 405 || got != want {
		t.Errorf("%d %q, want 405 %q", w.Code, got, want)
	}
	if w.Header().Get("Allow") != "POST" {
		t.Errorf("Allow %q", w.Header().Get("Allow"))
	}
}

// TestEveryEndpointAnswers: no row of the table is a stub.
func TestEveryEndpointAnswers(t *testing.T) {
	s, _ := newServer(t, func(o *Options) {
		o.Quit = func() {}
		o.DrainListeners = func(bool, bool) {}
		o.LogLevel = func() string { return "info" }
		o.SetLogLevel = func(string) error { return nil }
	})
	for _, e := range s.endpoints {
		method, target := "GET", e.path+"?container=web-1&weight=3"
		if e.post {
			method = "POST"
		}
		if w := ask(t, s, method, target, nil); w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("%s %s: %d %q", method, target, w.Code, w.Body)
		}
	}
}

func TestParametersInForm(t *testing.T) {
	s, _ := newServer(t, nil)
	query := ask(t, s, "GET", "/listeners?format=json", nil).Body.String()
	form := ask(t, s, "POST", "/listeners format=json", nil).Body.String()
	if form != query || !strings.HasPrefix(form, "{") {
		t.Errorf("a parameter in a form: %q, in the query: %q", form, query)
	}
	big := ask(t, s, "POST", "/listeners format="+strings.Repeat("x", maxBodyBytes), nil)
	if big.Code != http.StatusBadRequest {
		t.Errorf("a body above the limit: %d, want 400", big.Code)
	}
}
