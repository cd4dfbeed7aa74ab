package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/internal/realengine"
)

// repositoryCompose is the repository's docker-compose.yml with the images,
// ports and label prefix of this test, and nothing else changed.
func repositoryCompose(t *testing.T, s *realengine.Scope) string {
	t.Helper()
	root, err := realengine.Root()
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	group, err := s.SocketGroup()
	if err != nil {
		t.Fatal(err)
	}
	text := string(bytes)
	for _, change := range []struct{ pattern, by string }{
		{`image: dockerlb\n`, "image: " + s.LB + "\n    environment: {LB_PREFIX: " + s.Prefix + "}\n"},
		{`image: nt\n`, "image: " + s.Daemon + "\n"},
		{`    build: .*target: lb-from-source.*\n`, ""},
		{`    build: .*target: daemon-from-source.*\n`, ""},
		{`lb\.cluster:`, s.Prefix + ".cluster:"},
		{`\$\{LB_PORT:-10000\}:10000`, "127.0.0.1::10000"},
		{`127\.0\.0\.1:\$\{LB_ADMIN_PORT:-9901\}:9901`, "127.0.0.1::9901"},
		{`\$\{DOCKER_SOCKET:-/var/run/docker\.sock\}`, s.Socket},
		{`\$\{DOCKER_GID:\?[^}]*\}`, group},
	} {
		re := regexp.MustCompile(change.pattern)
		if n := len(re.FindAllString(text, -1)); n != 1 {
			t.Fatalf("docker-compose.yml has %s %d times, want once", change.pattern, n)
		}
		text = re.ReplaceAllLiteralString(text, change.by)
	}
	return text
}

// curl runs the real one and returns the daemons' ids in the order of answers.
func curl(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("curl", append([]string{"-sS", "--fail", "--max-time", "10"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl: %v\n%s", err, out)
	}
	var ids []string
	for line := range strings.Lines(string(out)) {
		id, ok := strings.CutPrefix(strings.TrimSpace(line), "My id is ")
		if !ok {
			t.Fatalf("curl printed %q", line)
		}
		ids = append(ids, id)
	}
	return ids
}

// alternate holds ten curls, each on a connection of its own, and then ten
// requests on one kept connection, against strict turns of n.
func alternate(t *testing.T, url string, n int) (ids []string) {
	t.Helper()
	var turns []string
	for range 10 {
		turns = append(turns, curl(t, url)...)
	}
	ids = slices.Clone(turns[:n])
	if slices.Sort(ids); len(slices.Compact(slices.Clone(ids))) != n {
		t.Fatalf("not %d different daemons: %q", n, turns)
	}
	if err := realengine.TakeTurns(turns, ids); err != nil {
		t.Errorf("ten curls: %v", err)
	}

	kept := curl(t, slices.Repeat([]string{url}, 10)...)
	if err := realengine.TakeTurns(kept, ids); err != nil || len(kept) != 10 {
		t.Errorf("one connection: %d answers, %v", len(kept), err)
	}
	connections, err := exec.Command("curl", append([]string{"-sS", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects}"}, url, url)...).Output()
	if err != nil || string(connections) != "10" {
		t.Errorf("two requests of one curl made connections %q (want 1, then 0), %v", connections, err)
	}
	return ids
}

// inRotation waits until n endpoints are. Compose returns when containers are
// started, not when they listen.
func inRotation(t *testing.T, f *realengine.Front, n int) {
	t.Helper()
	realengine.Eventually(t, soon, func() error {
		a, err := f.Endpoints()
		if err != nil {
			return err
		}
		healthy := 0
		for _, e := range a.Endpoints {
			if e.State == "healthy" {
				healthy++
			}
		}
		if healthy != n || len(a.Endpoints) != n {
			return fmt.Errorf("%d of %d endpoints are healthy, want %d", healthy, len(a.Endpoints), n)
		}
		return nil
	})
}

// What the README says to try, tried.
func TestByHand(t *testing.T) {
	t.Parallel()
	s := newScope(t)
	s.WriteCompose(repositoryCompose(t, s))
	s.Compose("up", "-d")
	lb := s.Compose("ps", "-q", "lb")
	f := s.Attach(lb)
	url := "http://" + f.Address + "/"

	inRotation(t, f, 2)
	first := alternate(t, url, 2)

	out, err := exec.Command("curl", "-sS", "-i", url+"favicon.ico").Output()
	if head := string(out); err != nil || !strings.HasPrefix(head, "HTTP/1.1 204 ") || !regexp.MustCompile(`(?mi)^cache-control: .*max-age=[1-9]`).MatchString(head) {
		t.Errorf("favicon: %v\n%s", err, head)
	}

	load := startLoad(f)
	s.Compose("up", "-d", "--scale", "daemon=5")
	inRotation(t, f, 5)
	load.stop(t)
	five := alternate(t, url, 5)
	for _, id := range first {
		if !slices.Contains(five, id) {
			t.Errorf("daemon %s was replaced by the scaling", id)
		}
	}
	list := s.Compose("exec", "-T", "lb", "/lb", "list", "clusters")
	if !regexp.MustCompile(`(?m)^rust_daemons .* 5/5 `).MatchString(list) {
		t.Errorf("lb list clusters:\n%s", list)
	}

	load = startLoad(f)
	s.Compose("up", "-d", "--scale", "daemon=1")
	inRotation(t, f, 1)
	load.stop(t)
	alternate(t, url, 1)

	// The older spelling, which newer Compose has again.
	s.Compose("scale", "daemon=5")
	inRotation(t, f, 5)
	alternate(t, url, 5)

	if now := s.Compose("ps", "-q", "lb"); now != lb {
		t.Errorf("the proxy was restarted: container %s, was %s", now, lb)
	}
	if restarts := s.Docker("inspect", "-f", "{{.RestartCount}}", lb); restarts != "0" {
		t.Errorf("the proxy restarted %s times", restarts)
	}
	realengine.Eventually(t, 2*soon, func() error {
		_, err := s.Engine.Docker("exec", lb, "/lb", "healthcheck")
		return err
	})
}
