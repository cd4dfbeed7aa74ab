package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/topology"
)

const (
	// settle is how long the file must be left alone before it is read: an
	// editor truncates, writes, renames and touches.
	settle = 50 * time.Millisecond
	// lookAgain is how often it is asked for the file's time, size and inode:
	// some mounts tell of no change.
	lookAgain = time.Second
	// maxFile bounds what is read.
	maxFile = 16 << 20
)

// Source is a bootstrap file that is read again whenever it changes, also by
// way of a symbolic link on its path, and when Reload is called. A file that is
// not good changes nothing: the last good one stays in force, and Status says
// so. Run does the work; everything else may be called from any goroutine.
type Source struct {
	path    string
	log     *logrus.Entry
	updates chan struct{} // one slot
	reload  chan struct{} // one slot

	mu     sync.Mutex
	static topology.Static
	status Status

	// Of Run's goroutine alone.
	seen    []byte // the content that was judged last, good or bad
	missing string // why it could not be read; empty: it could
	looked  os.FileInfo
}

// Status is how the file does.
type Status struct {
	Path       string
	Generation uint64
	LoadedAt   time.Time // of the value in force
	// Err says why the file as it is now is not in force; nil: it is.
	Err      error
	FailedAt time.Time
}

// Open reads the file for the first time. The error of a file that is not good
// is the caller's: there is nothing to stay with.
func Open(path string, log *logrus.Entry) (*Source, error) {
	if log == nil {
		l := logrus.New()
		l.SetOutput(io.Discard)
		log = logrus.NewEntry(l)
	}
	content, err := read(path)
	if err != nil {
		return nil, err
	}
	s := &Source{path: path, log: log.WithField("file", path), updates: make(chan struct{}, 1), reload: make(chan struct{}, 1), seen: content}
	static, err := Parse(content)
	if err != nil {
		return nil, err
	}
	s.publish(static)
	return s, nil
}

// SetLog says where what happens to the file is told. Before Run.
func (s *Source) SetLog(log *logrus.Entry) { s.log = log.WithField("file", s.path) }

// Updates has a value when Latest has changed.
func (s *Source) Updates() <-chan struct{} { return s.updates }

// Latest is the last good file.
func (s *Source) Latest() (topology.Static, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.static, true
}

// Status is how the file does now.
func (s *Source) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Reload has the file read again (SIGHUP), also where nothing seems to have
// changed. It does not wait.
func (s *Source) Reload() {
	select {
	case s.reload <- struct{}{}:
	default:
	}
}

// Run watches until ctx is done; then it returns nil. Where the system allows
// no watch (it has a limit), the file is looked at now and then.
func (s *Source) Run(ctx context.Context) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.WithError(err).Warnf("the file cannot be watched: it is looked at every %s, and on SIGHUP", lookAgain)
		w = &fsnotify.Watcher{} // nil channels: never
	} else {
		defer w.Close()
	}
	watched := watchList{}
	quiet := time.NewTimer(settle) // the file may have changed since Open
	defer quiet.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		if err == nil {
			watched.follow(w, s.path)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.Events:
			quiet.Reset(settle)
		case lost := <-w.Errors:
			s.log.WithError(lost).Warn("events about the file were lost: reading it")
			quiet.Reset(settle)
		case <-quiet.C:
			s.check(false)
		case <-again.C:
			if s.touched() {
				quiet.Reset(settle)
			}
		case <-s.reload:
			s.check(true)
		}
	}
}

// touched reports whether the file is another one than at the last call, or may
// have been written.
func (s *Source) touched() bool {
	now, err := os.Stat(s.path)
	if err != nil {
		s.looked = nil
		return s.missing == ""
	}
	was := s.looked
	s.looked = now
	return was == nil || !os.SameFile(was, now) || was.Size() != now.Size() || !was.ModTime().Equal(now.ModTime())
}

// check reads the file and takes it in where it is new and good. asked: say so
// also where it is not new.
func (s *Source) check(asked bool) {
	content, err := read(s.path)
	if err != nil {
		if asked || s.missing != err.Error() {
			s.refuse(err)
		}
		s.missing = err.Error()
		return
	}
	news := s.missing != "" || !bytes.Equal(content, s.seen)
	s.seen, s.missing = content, ""
	if !news && !asked {
		return
	}
	static, err := Parse(content)
	if err != nil {
		s.refuse(err)
		return
	}
	s.mu.Lock()
	same := sameStatic(s.static, *static)
	s.status.Err, s.status.FailedAt = nil, time.Time{}
	s.mu.Unlock()
	if same {
		s.log.Info("the configuration file was read again: it says what it said")
		return
	}
	s.publish(static)
	s.log.WithFields(logrus.Fields{"listeners": len(static.Listeners), "clusters": len(static.Clusters)}).Info("the configuration file has changed and is in force")
}

// sameStatic compares what two readings say, not when they were made.
func sameStatic(a, b topology.Static) bool {
	b.Generation, b.LoadedAt, b.Path = a.Generation, a.LoadedAt, a.Path
	return reflect.DeepEqual(a, b)
}

// publish puts a good file in force.
func (s *Source) publish(static *topology.Static) {
	s.mu.Lock()
	defer s.mu.Unlock()
	static.Path, static.LoadedAt = s.path, time.Now()
	static.Generation = s.static.Generation + 1
	s.static = *static
	s.status = Status{Path: s.path, Generation: static.Generation, LoadedAt: static.LoadedAt}
	select {
	case s.updates <- struct{}{}:
	default:
	}
}

// refuse notes and logs why the file is not taken.
func (s *Source) refuse(err error) {
	s.mu.Lock()
	s.status.Err, s.status.FailedAt = err, time.Now()
	since := s.status.LoadedAt
	s.mu.Unlock()
	var all Errors
	if !errors.As(err, &all) {
		s.log.WithError(err).Error("the configuration file cannot be read: the one loaded before stays in force")
		return
	}
	for _, e := range all {
		s.log.WithFields(logrus.Fields{"line": e.Line, "field": e.Path}).Error(e.Reason)
	}
	s.log.WithField("since", since.UTC().Format(time.RFC3339)).Errorf("the configuration file changes nothing, errors: %d; the one loaded before stays in force", len(all))
}

// read is the file's content, bounded.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("%s: larger than %d MiB", path, maxFile>>20)
	}
	return content, err
}

// watchList is what a Watcher watches.
type watchList []string

// follow has w watch everything whose change may make path another file: the
// file itself (a bind mount of one file tells of no change in its folder), its
// folder, and the folder of each symbolic link on the way. Kubernetes and
// Docker's configs swap a link in the middle of the path.
func (l *watchList) follow(w *fsnotify.Watcher, path string) {
	want := watchedPaths(path)
	for _, old := range *l {
		if !slices.Contains(want, old) {
			_ = w.Remove(old) // it may be gone already
		}
	}
	now := watchList{}
	for _, p := range want {
		// Add of what is watched does nothing; but a file that was replaced is
		// another file by the same name.
		if w.Add(p) == nil {
			now = append(now, p)
		}
	}
	*l = now
}

// maxLinks is how many symbolic links a path may have, as the kernel counts.
const maxLinks = 40

// watchedPaths are the paths that follow watches.
func watchedPaths(path string) []string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return []string{path}
	}
	paths := []string{abs, filepath.Dir(abs)}
	add := func(p string) {
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	done, rest, links := "/", strings.Split(strings.TrimPrefix(abs, "/"), "/"), 0
	for len(rest) > 0 {
		next := filepath.Join(done, rest[0])
		rest = rest[1:]
		target, err := os.Readlink(next)
		if err != nil {
			done = next
			continue
		}
		if links++; links > maxLinks {
			break
		}
		add(filepath.Dir(next))
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(next), target)
		}
		done, rest = "/", append(strings.Split(strings.TrimPrefix(filepath.Clean(target), "/"), "/"), rest...)
	}
	if done != abs {
		add(done)
		add(filepath.Dir(done))
	}
	return paths
}
