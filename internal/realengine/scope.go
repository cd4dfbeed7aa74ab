package realengine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testLabel marks what a scope made, with the scope's name.
const testLabel = "dockerlb.test"

// logLines of each container are shown when its test failed.
const logLines = "60"

// Scope is what one test makes on an engine. It is removed with the test; the
// logs are shown if it failed. Its methods end the test on an error, and are
// for the test's goroutine.
type Scope struct {
	*Engine
	// Name is the prefix of all names, and the Compose project's name.
	Name string
	// Prefix is the label prefix of this test's proxies and containers.
	Prefix string

	t   testing.TB
	dir string
}

// Scope begins a test's own part of the engine.
func (e *Engine) Scope(t testing.TB) *Scope {
	t.Helper()
	name := fmt.Sprintf("%sx%d", e.Run, e.scopes.Add(1))
	s := &Scope{Engine: e, Name: name, Prefix: name, t: t, dir: t.TempDir()}
	t.Cleanup(s.remove)
	return s
}

// Docker runs a docker command.
func (s *Scope) Docker(args ...string) string {
	s.t.Helper()
	out, err := s.Engine.Docker(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// Network makes a network and returns its name.
func (s *Scope) Network(name string) string {
	s.t.Helper()
	name = s.Name + "-" + name
	s.Docker("network", "create", "--label", testLabel+"="+s.Name, name)
	return name
}

// Run starts a container and returns its name. The arguments are those of
// docker run, without the name.
func (s *Scope) Run(name string, args ...string) string {
	s.t.Helper()
	name = s.Name + "-" + name
	s.Docker(append([]string{"run", "-d", "--name", name, "--label", testLabel + "=" + s.Name}, args...)...)
	return name
}

// Compose runs a Compose command on the file of WriteCompose.
func (s *Scope) Compose(args ...string) string {
	s.t.Helper()
	args = append(append([]string{}, s.compose[1:]...), append([]string{"-p", s.Name}, args...)...)
	out, err := s.command(s.dir, s.compose[0], args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// WriteCompose writes docker-compose.yml for Compose.
func (s *Scope) WriteCompose(text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "docker-compose.yml"), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// filters of what is this scope's: made by us, and made by Compose.
func (s *Scope) filters() []string {
	return []string{"label=" + testLabel + "=" + s.Name, "label=com.docker.compose.project=" + s.Name}
}

func (s *Scope) remove() {
	for _, filter := range s.filters() {
		containers, err := s.Engine.Docker("ps", "-aq", "--filter", filter)
		if err != nil {
			s.t.Error(err)
			continue
		}
		for _, id := range strings.Fields(containers) {
			if s.t.Failed() {
				s.showLog(id)
			}
		}
		if ids := strings.Fields(containers); len(ids) > 0 {
			if _, err := s.Engine.Docker(append([]string{"rm", "-f", "-v"}, ids...)...); err != nil {
				s.t.Error(err)
			}
		}
	}
	for _, filter := range s.filters() {
		networks, err := s.Engine.Docker("network", "ls", "-q", "--filter", filter)
		if err != nil {
			s.t.Error(err)
		}
		if ids := strings.Fields(networks); len(ids) > 0 {
			if _, err := s.Engine.Docker(append([]string{"network", "rm"}, ids...)...); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// showLog puts the end of a container's log into the test's.
func (s *Scope) showLog(id string) {
	name, _ := s.Engine.Docker("inspect", "-f", "{{.Name}} {{.State.Status}}", id)
	s.t.Logf("log of %s:\n%s", name, s.Log(id))
}

// Log is the end of a container's log, both streams.
func (s *Scope) Log(id string) string {
	text, err := s.command("", "sh", "-c", "exec docker logs --tail "+logLines+" "+id+" 2>&1")
	if err != nil {
		return err.Error()
	}
	return text
}
