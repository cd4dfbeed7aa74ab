package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// soon bounds what happens by itself, far above what it takes.
const soon = 10 * time.Second

func oneCluster(name string) string {
	return "static_resources: {clusters: [{name: " + name + ", load_assignment: {cluster_name: " + name + "}}]}\n"
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// watch opens the file and runs its source until the test ends.
func watch(t *testing.T, path string) *Source {
	t.Helper()
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-s.Updates():
	case <-time.After(soon):
		t.Fatal("no first value")
	}
	return s
}

// next waits for a new value and returns its first cluster's name.
func next(t *testing.T, s *Source) string {
	t.Helper()
	select {
	case <-s.Updates():
	case <-time.After(soon):
		t.Fatalf("no new value; status %+v", s.Status())
	}
	static, ok := s.Latest()
	if !ok || len(static.Clusters) != 1 {
		t.Fatalf("latest %+v, %t", static, ok)
	}
	return static.Clusters[0].Name
}

// until waits for the status to be so.
func until(t *testing.T, s *Source, what string, is func(Status) bool) {
	t.Helper()
	for end := time.Now().Add(soon); !is(s.Status()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s; status %+v", what, soon, s.Status())
		}
	}
}

// nothingNew holds that nothing new is there.
func nothingNew(t *testing.T, s *Source) {
	t.Helper()
	select {
	case <-s.Updates():
		t.Error("a new value, of nothing new")
	default:
	}
}

func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	if _, err := Open(path, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	write(t, path, "nonsense: 1\n")
	var errs Errors
	if _, err := Open(path, nil); !errors.As(err, &errs) || errs[0].Line != 1 {
		t.Errorf("a bad file: %v", err)
	}
	if _, err := Open(filepath.Dir(path), nil); err == nil {
		t.Error("a folder was read")
	}
}

// The ways in which files change.
func TestChangesAreSeen(t *testing.T) {
	link := func(t *testing.T, target, path string) {
		t.Helper()
		next := path + ".next"
		if err := os.Symlink(target, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
	}
	mkdir := func(t *testing.T, path string) {
		t.Helper()
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		make   func(t *testing.T, dir string) (path string)
		change func(t *testing.T, dir, path string)
	}{
		{"written in place",
			func(t *testing.T, dir string) string { return filepath.Join(dir, "envoy.yaml") },
			func(t *testing.T, dir, path string) { write(t, path, oneCluster("b")) }},
		{"renamed over, as editors do",
			func(t *testing.T, dir string) string { return filepath.Join(dir, "envoy.yaml") },
			func(t *testing.T, dir, path string) {
				write(t, path+".new", oneCluster("b"))
				if err := os.Rename(path+".new", path); err != nil {
					t.Fatal(err)
				}
			}},
		{"removed and made anew",
			func(t *testing.T, dir string) string { return filepath.Join(dir, "envoy.yaml") },
			func(t *testing.T, dir, path string) {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				write(t, path, oneCluster("b"))
			}},
		{"a folder swapped by its link, as Kubernetes does",
			func(t *testing.T, dir string) string {
				mkdir(t, filepath.Join(dir, "1"))
				write(t, filepath.Join(dir, "1", "envoy.yaml"), oneCluster("a"))
				link(t, "1", filepath.Join(dir, "..data"))
				link(t, filepath.Join("..data", "envoy.yaml"), filepath.Join(dir, "envoy.yaml"))
				return filepath.Join(dir, "envoy.yaml")
			},
			func(t *testing.T, dir, path string) {
				mkdir(t, filepath.Join(dir, "2"))
				write(t, filepath.Join(dir, "2", "envoy.yaml"), oneCluster("b"))
				link(t, "2", filepath.Join(dir, "..data"))
				if err := os.RemoveAll(filepath.Join(dir, "1")); err != nil {
					t.Fatal(err)
				}
			}},
		{"a link elsewhere on the path",
			func(t *testing.T, dir string) string {
				mkdir(t, filepath.Join(dir, "etc"))
				mkdir(t, filepath.Join(dir, "srv"))
				mkdir(t, filepath.Join(dir, "srv", "v1"))
				write(t, filepath.Join(dir, "srv", "v1", "lb.yaml"), oneCluster("a"))
				link(t, "v1", filepath.Join(dir, "srv", "current"))
				link(t, filepath.Join(dir, "srv", "current", "lb.yaml"), filepath.Join(dir, "etc", "lb.yaml"))
				return filepath.Join(dir, "etc", "lb.yaml")
			},
			func(t *testing.T, dir, path string) {
				mkdir(t, filepath.Join(dir, "srv", "v2"))
				write(t, filepath.Join(dir, "srv", "v2", "lb.yaml"), oneCluster("b"))
				link(t, "v2", filepath.Join(dir, "srv", "current"))
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := tt.make(t, dir)
			if _, err := os.Stat(path); err != nil {
				write(t, path, oneCluster("a"))
			}
			s := watch(t, path)
			tt.change(t, dir, path)
			if got := next(t, s); got != "b" {
				t.Errorf("cluster %q, want b", got)
			}
			if st := s.Status(); st.Err != nil || st.Generation != 2 || st.Path != path {
				t.Errorf("status %+v", st)
			}
			// And again: the watch has followed.
			write(t, path, oneCluster("c"))
			if got := next(t, s); got != "c" {
				t.Errorf("cluster %q, want c", got)
			}
		})
	}
}

func TestABadFileChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	write(t, path, oneCluster("a"))
	s := watch(t, path)
	write(t, path, "static_resources: {clusters: [{nam: b}]}\n")
	until(t, s, "the bad file is noticed", func(st Status) bool { return st.Err != nil })
	st := s.Status()
	if !strings.Contains(st.Err.Error(), "did you mean name?") || st.Generation != 1 || st.FailedAt.Before(st.LoadedAt) {
		t.Errorf("status %+v", st)
	}
	if static, _ := s.Latest(); static.Clusters[0].Name != "a" {
		t.Errorf("%+v is in force", static.Clusters)
	}
	nothingNew(t, s)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	until(t, s, "the missing file is noticed", func(st Status) bool { return errors.Is(st.Err, os.ErrNotExist) })
	nothingNew(t, s)

	// The very file that is in force still: nothing new, and nothing wrong.
	write(t, path, oneCluster("a"))
	until(t, s, "the good file is back", func(st Status) bool { return st.Err == nil })
	nothingNew(t, s)
	write(t, path, oneCluster("b"))
	if got := next(t, s); got != "b" {
		t.Errorf("cluster %q, want b", got)
	}
}

// A file that says the same in other words publishes nothing.
func TestTheSameInOtherWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	write(t, path, oneCluster("a"))
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-s.Updates()
	write(t, path, "# a comment\n"+oneCluster("a"))
	s.check(false)
	nothingNew(t, s)
	s.check(true)
	nothingNew(t, s)
	if st := s.Status(); st.Generation != 1 || st.Err != nil {
		t.Errorf("status %+v", st)
	}
}

// SIGHUP reads at once, without waiting for an event.
func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	write(t, path, oneCluster("a"))
	s := watch(t, path)
	for i := range 3 {
		name := fmt.Sprintf("n%d", i)
		write(t, path, oneCluster(name))
		s.Reload()
		if got := next(t, s); got != name {
			t.Errorf("cluster %q, want %s", got, name)
		}
	}
}

// Where a mount tells of no change, a look at the file does.
func TestTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	write(t, path, oneCluster("a"))
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.touched() // it may have been written since Open
	for _, step := range []struct {
		what string
		do   func() error
		want bool
	}{
		{"nothing", func() error { return nil }, false},
		{"a write", func() error { return os.WriteFile(path, []byte(oneCluster("longer")), 0o600) }, true},
		{"nothing again", func() error { return nil }, false},
		{"the same size, another time", func() error { return os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)) }, true},
		{"removed", func() error { return os.Remove(path) }, true},
		{"back", func() error { return os.WriteFile(path, []byte(oneCluster("longer")), 0o600) }, true},
		{"nothing at last", func() error { return nil }, false},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := s.touched(); got != step.want {
			t.Errorf("%s: touched is %t", step.what, got)
		}
	}
}

func TestWatchedPaths(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if got := watchedPaths(filepath.Join(dir, "loop")); !slices.Contains(got, dir) {
		t.Errorf("a loop: %q", got)
	}
	if got := watchedPaths(filepath.Join(dir, "nothing", "there")); len(got) != 2 {
		t.Errorf("nothing there: %q", got)
	}
}
