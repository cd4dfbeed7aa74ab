package admin

import (
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

func TestPage(t *testing.T) {
	s, _ := newServer(t, nil)
	w := ask(t, s, "GET", "/", nil)
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=UTF-8" {
		t.Fatalf("%d %s", w.Code, w.Header().Get("Content-Type"))
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("content security policy %q", csp)
	}
	page := w.Body.String()
	for _, want := range []string{
		"v1.2.3", "LIVE", "1 of 2 ready", "waiting for Docker&#39;s first check",
		"shop-1", "it exposes no port: set lb.port", // not routed, and why
		"lb.prot: 80", "did you mean lb.port?", // a label's problem
		`<a href="/stats/prometheus">`, "POST /quitquitquit",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, e := range s.endpoints {
		if e.path != "/" && !strings.Contains(page, e.path+"</code>") {
			t.Errorf("the page does not link to %s", e.path)
		}
	}
	if strings.Contains(page, "<b>web-2</b>") {
		t.Error("a container's name is markup")
	}
}

func TestPageWithoutEngine(t *testing.T) {
	s, _ := newServer(t, func(o *Options) {
		o.Docker = func() []topology.EngineStatus {
			return []topology.EngineStatus{{Name: "unix:///nowhere", Error: "no such file"}}
		}
		o.Table = func() *topology.Table { return nil }
	})
	page := ask(t, s, "GET", "/", nil).Body.String()
	if !strings.Contains(page, "Not connected to unix:///nowhere: no such file. What is known stays in force.") {
		t.Errorf("the page does not say that the engine is away:\n%s", page)
	}
}
