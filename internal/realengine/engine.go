// Package realengine lets a test use a real Docker Engine and real Compose.
//
// All that it makes has names and labels of its own, drawn for each run of the
// tests, and it looks at and removes nothing else: containers that happen to
// run on the same engine are neither seen (each proxy under test has a label
// prefix of its own) nor touched.
package realengine

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// commandTimeout bounds one docker or Compose command. A stop may take 10 s.
const commandTimeout = 60 * time.Second

// Engine is a Docker Engine that answers, and the images under test on it. Its
// methods may be called from several goroutines.
type Engine struct {
	// Socket is the path of the engine's unix socket.
	Socket string
	// Run names this run of the tests; all names and labels begin with it.
	Run string
	// LB and Daemon are the images, once Build has made them.
	LB, Daemon string
	// LBBinary is the same lb as a file, for tests that run it on the host.
	LBBinary string

	compose []string // the command: docker-compose, or docker compose
	env     []string
	dir     string // the build's files
	// hostPrefix runs a command where the engine's networks are, and hostIP is
	// an address there that this process reaches: of a second engine.
	hostPrefix []string
	hostIP     string
	scopes     atomic.Int64
}

// Find returns the engine that the docker command talks to. The error says
// what is missing.
func Find() (*Engine, error) {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	socket, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		return nil, fmt.Errorf("DOCKER_HOST=%s: the tests mount the engine's socket, which must be a unix socket of this machine", host)
	}
	return At(socket)
}

// At returns the engine that answers at this socket.
func At(socket string) (*Engine, error) {
	id := make([]byte, 4)
	rand.Read(id)
	e := &Engine{
		Socket: socket,
		hostIP: "127.0.0.1",
		Run:    "dlbtest" + hex.EncodeToString(id),
		env:    append(os.Environ(), "DOCKER_HOST=unix://"+socket, "DOCKER_BUILDKIT="+buildkit()),
	}
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, errors.New("no docker command: run make setup")
	}
	if _, err := e.Docker("version", "--format", "{{.Server.Version}}"); err != nil {
		return nil, fmt.Errorf("no Docker Engine answers at %s: run make setup (%w)", socket, err)
	}
	e.compose = []string{"docker", "compose"}
	if _, err := e.Docker("compose", "version"); err != nil {
		if _, err := exec.LookPath("docker-compose"); err != nil {
			return nil, errors.New("neither docker compose nor docker-compose is here: run make setup")
		}
		e.compose = []string{"docker-compose"}
	}
	return e, nil
}

// ComposeCommand is the Compose that is here: docker compose, or docker-compose.
func (e *Engine) ComposeCommand() []string { return slices.Clone(e.compose) }

// Inside is the command before one that is to run where the engine's networks
// are (none for the machine's own engine), and the address at which this
// machine reaches what listens there.
func (e *Engine) Inside() (command []string, ip string) { return slices.Clone(e.hostPrefix), e.hostIP }

// buildkit is the value of DOCKER_BUILDKIT that says the builder that is here.
func buildkit() string {
	if exec.Command("docker", "buildx", "version").Run() == nil {
		return "1"
	}
	return "0"
}

// Build makes the binaries from source and puts them into images, by the
// repository's own Dockerfile. Remove removes both.
func (e *Engine) Build() error {
	root, err := Root()
	if err != nil {
		return err
	}
	arch, err := e.Docker("version", "--format", "{{.Server.Arch}}")
	if err != nil {
		return err
	}
	if e.dir, err = os.MkdirTemp("", e.Run); err != nil {
		return err
	}
	dist := filepath.Join(e.dir, "dist")
	if err := os.Mkdir(dist, 0o755); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", dist, "./cmd/lb", "./cmd/daemon")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, output)
	}
	e.LBBinary = filepath.Join(dist, "lb")

	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(e.dir, "Dockerfile"), dockerfile, 0o644); err != nil {
		return err
	}
	for target, image := range map[string]*string{"lb": &e.LB, "daemon": &e.Daemon} {
		*image = e.Run + "-" + target
		if _, err := e.Docker("build", "-q", "--target", target, "-t", *image, e.dir); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes what Build made.
func (e *Engine) Remove() error {
	var failed error
	for _, image := range []string{e.LB, e.Daemon} {
		if image != "" {
			_, err := e.Docker("rmi", image)
			failed = errors.Join(failed, err)
		}
	}
	if e.dir != "" {
		failed = errors.Join(failed, os.RemoveAll(e.dir))
	}
	return failed
}

// Root is the repository's folder.
func Root() (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(mod))), nil
}

// Docker runs a docker command on this engine and returns what it printed,
// trimmed.
func (e *Engine) Docker(args ...string) (string, error) {
	return e.command("", "docker", args...)
}

// command's error carries what the command said.
func (e *Engine) command(dir, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, e.env
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no end after %v", commandTimeout)
		}
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// SocketGroup is the group that may open the socket.
func (e *Engine) SocketGroup() (string, error) {
	info, err := os.Stat(e.Socket)
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("%s: its group is not known on this system", e.Socket)
	}
	return fmt.Sprint(stat.Gid), nil
}
