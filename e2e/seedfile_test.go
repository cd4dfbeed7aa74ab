package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/internal/realengine"
)

// The file that Envoy ran in the example, byte for byte, beside two containers
// without a label, and with no engine's socket in sight.
func TestSeedFile(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	network := s.Network("net")
	var daemons []string
	for _, name := range []string{"daemon1", "daemon2"} {
		daemons = append(daemons, s.Run(name, "--network", network, "--network-alias", name, s.Daemon))
	}
	demo, err := os.ReadFile("../config/testdata/envoy-demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // lb runs as nobody in particular
		t.Fatal(err)
	}
	path := filepath.Join(dir, "envoy-demo.yaml")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(string(demo))
	container := s.Run("lb", "--network", network, "-v", dir+":/etc/lb:ro", "-p", "127.0.0.1::10000", "-p", "127.0.0.1::9901",
		s.LB, "run", "--config", "/etc/lb/envoy-demo.yaml")
	f := s.Attach(container)
	url, admin := "http://"+f.Address+"/", "http://"+f.Admin

	page := func(path string) string {
		t.Helper()
		out, err := exec.Command("curl", "-sS", "--max-time", "10", admin+path).CombinedOutput()
		if err != nil {
			t.Fatalf("curl %s: %v\n%s", path, err, out)
		}
		return string(out)
	}
	realengine.Eventually(t, soon, func() error {
		if n := strings.Count(page("/clusters"), "::health_flags::healthy"); n != 2 {
			return fmt.Errorf("%d endpoints, want 2", n)
		}
		return nil
	})
	alternate(t, url, 2)
	clusters := page("/clusters")
	for _, name := range []string{"daemon1", "daemon2"} {
		if !regexp.MustCompile(`(?m)^rust_daemons::[0-9.]+:8080::hostname::` + name + `$`).MatchString(clusters) {
			t.Errorf("/clusters has no %s:\n%s", name, clusters)
		}
	}
	if !strings.Contains(f.Log(), "no engine is watched") {
		t.Errorf("log:\n%s", f.Log())
	}
	if out := s.Docker("exec", container, "/lb", "validate", "--config", "/etc/lb/envoy-demo.yaml"); !strings.Contains(out, "cluster   rust_daemons: STRICT_DNS, round_robin: daemon1:8080, daemon2:8080") {
		t.Errorf("validate:\n%s", out)
	}

	s.Docker("stop", "-t", "1", daemons[1])
	realengine.Eventually(t, soon, func() error {
		if text := page("/clusters"); strings.Contains(text, "hostname::daemon2") {
			return fmt.Errorf("daemon2 is there still:\n%s", text)
		}
		return nil
	})
	if ids := curl(t, url, url, url); ids[0] != s.ID(daemons[0]) || ids[1] != ids[0] || ids[2] != ids[0] {
		t.Errorf("with daemon1 alone: %q", ids)
	}

	// A changed file in the bind mount is in force.
	put(strings.Replace(string(demo), "              - match:\n", "              - {match: {path: /new}, direct_response: {status: 203}}\n              - match:\n", 1))
	status := func(path string) string {
		out, err := exec.Command("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10", url+path).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	realengine.Eventually(t, soon, func() error {
		if got := status("new"); got != "203" {
			return fmt.Errorf("/new answers %s, want 203", got)
		}
		return nil
	})

	// A bad one is not, and every error has its line.
	put(strings.NewReplacer("lb_policy", "lb_polcy", "STRICT_DNS", "STATIC").Replace(string(demo)))
	out, err := s.Engine.Docker("exec", container, "/lb", "validate", "--config", "/etc/lb/envoy-demo.yaml")
	text := fmt.Sprint(out, err)
	for _, want := range []string{
		"/etc/lb/envoy-demo.yaml:35: static_resources.clusters[0].lb_polcy: unknown field; did you mean lb_policy?",
		`/etc/lb/envoy-demo.yaml:43: static_resources.clusters[0].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: "daemon1" is not an IP address`,
	} {
		if err == nil || !strings.Contains(text, want) {
			t.Errorf("validate does not say %s:\n%s", want, text)
		}
	}
	realengine.Eventually(t, soon, func() error {
		if text := page("/lb/v1/config"); !strings.Contains(text, "lb_polcy") {
			return fmt.Errorf("the bad file is not noticed: %s", text)
		}
		return nil
	})
	if got := status("new"); got != "203" {
		t.Errorf("with a bad file /new answers %s", got)
	}

	// SIGHUP reads again, and says so where nothing has changed.
	put(string(demo))
	realengine.Eventually(t, soon, func() error {
		if got := status("new"); got == "203" {
			return fmt.Errorf("/new is there still")
		}
		return nil
	})
	s.Docker("kill", "-s", "HUP", container)
	realengine.Eventually(t, soon, func() error {
		if !strings.Contains(f.Log(), "it says what it said") {
			return fmt.Errorf("no word of the signal in\n%s", f.Log())
		}
		return nil
	})
}
