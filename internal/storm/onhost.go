package storm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dockerlb/dockerlb/internal/freeport"
)

// onHost is lb as a process of this machine, which reaches the containers by
// their addresses. It can be replaced by another of the same flags.
type onHost struct {
	command []string
	log     *os.File
	running *exec.Cmd
	old     []*exec.Cmd // replaced, and not yet known to have ended
}

// newOnHost puts its log into a folder. Both sides of a takeover have the same
// flags. The command is one that runs lb.
func newOnHost(dir string, command []string, address, admin, engine, prefix string) (*onHost, error) {
	log, err := os.Create(filepath.Join(dir, "lb.log"))
	if err != nil {
		return nil, err
	}
	return &onHost{log: log, command: append(command, "run", "--listen", address, "--admin-listen", admin, "--docker", "unix://"+engine,
		"--prefix", prefix, "--takeover", "--takeover-socket", filepath.Join(dir, "lb.sock"))}, nil
}

// freeAddress is where nobody of this machine listens just now.
func freeAddress() (string, error) {
	a, err := freeport.Loopback()
	return a.String(), err
}

// start starts one more, which takes over from the one that runs.
func (h *onHost) start() error {
	c := exec.Command(h.command[0], h.command[1:]...)
	c.Stdout, c.Stderr = h.log, h.log
	if err := c.Start(); err != nil {
		return err
	}
	if h.running != nil {
		h.old = append(h.old, h.running)
	}
	h.running = c
	return nil
}

// drainWithin is how long a proxy that was replaced may take to end: its
// --shutdown-timeout, and some.
const drainWithin = 15 * time.Second

// ended waits for those that were replaced.
func (h *onHost) ended() error {
	var errs []error
	for _, c := range h.old {
		kill := time.AfterFunc(drainWithin, func() { c.Process.Kill() })
		if err := c.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("the lb that was replaced: %w", err))
		}
		kill.Stop()
	}
	h.old = nil
	return errors.Join(errs...)
}

// stop ends all.
func (h *onHost) stop() {
	defer h.log.Close()
	if h.running != nil {
		h.running.Process.Signal(syscall.SIGTERM)
		h.old = append(h.old, h.running)
		h.running = nil
	}
	h.ended() // what it says is of no interest any more
}

// lines is the end of the log.
func (h *onHost) lines() []string {
	if _, err := h.log.Seek(0, io.SeekStart); err != nil {
		return []string{err.Error()}
	}
	text, err := io.ReadAll(h.log)
	if err != nil {
		return []string{err.Error()}
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// replaced are the operations on a proxy that runs on the host.
func replaced() []operation {
	next := step{"start the next lb", func(_ context.Context, s *stage, _ *window) error { return s.host.start() }}
	ended := step{"until the one before has ended", func(_ context.Context, s *stage, _ *window) error { return s.host.ended() }}
	return []operation{{
		name: "takeover", service: "linger", place: onThisHost, allowed: "0", cuts: ofAny,
		steps: func(rng *rand.Rand) []step {
			return []step{moment(rng, 500*time.Millisecond), next, ended, moment(rng, 500*time.Millisecond), next, ended}
		},
	}}
}
