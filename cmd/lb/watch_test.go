package main

import (
	"context"
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/balancer"
)

// TestWatch: what changes is shown, and an lb that restarts is waited for.
func TestWatch(t *testing.T) {
	b := running(t, nil)
	var out, errs buffer
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		p := Program{Stdout: &out, Stderr: &errs}
		code <- p.Run(ctx, strings.Fields("lb list endpoints --watch --interval 100ms"))
	}()
	eventually(t, "the first table", func() bool { return strings.Contains(out.String(), "waiting for Docker's first check") })
	b.mu.Lock()
	clusters := []balancer.ClusterStatus{b.snap.Clusters[0]}
	clusters[0].Endpoints = append([]balancer.EndpointStatus(nil), clusters[0].Endpoints...)
	clusters[0].Endpoints[1].State, clusters[0].Endpoints[1].Why = balancer.StateHealthy, "as good as new"
	b.snap.Clusters = clusters
	b.mu.Unlock()
	eventually(t, "the change", func() bool { return strings.Contains(out.String(), "as good as new") })
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d: %s", c, errs.String())
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("escape sequences where there is no terminal")
	}
	if n := strings.Count(out.String(), "\n# "); n < 1 {
		t.Errorf("tables are not parted by the time:\n%s", out.String())
	}
}

func TestRedraw(t *testing.T) {
	if got, want := redraw("a\nb\n", false), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := redraw("a\n", true); !strings.HasPrefix(got, "\x1b[2J") {
		t.Errorf("the first does not clear: %q", got)
	}
}

func TestTableIsSafeForTerminals(t *testing.T) {
	var tb table
	tb.add("evil\x1b[2J\nname", "12", "")
	tb.add("web", "3", "")
	var out strings.Builder
	tb.write(&out)
	if got, want := out.String(), "evil?[2J?name  12\nweb             3\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
