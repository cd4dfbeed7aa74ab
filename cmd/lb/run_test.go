package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// start runs "lb run" in process with an engine that is away, and returns it
// with the function that ends it and gives the exit code.
func start(t *testing.T, flags string) (d *daemon, signals chan os.Signal, log *buffer, wait func() int) {
	t.Helper()
	log = &buffer{}
	started := make(chan *daemon, 1)
	signals = make(chan os.Signal, 2)
	p := Program{Stdout: log, Stderr: log, Signals: signals, started: func(d *daemon) { started <- d }}
	code := make(chan int, 1)
	line := "lb run --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --docker unix://" + filepath.Join(t.TempDir(), "none.sock") + " " + flags
	go func() { code <- p.Run(t.Context(), strings.Fields(line)) }()
	select {
	case d = <-started:
	case c := <-code:
		t.Fatalf("exit code %d: %s", c, log)
	}
	wait = func() int {
		t.Helper()
		select {
		case c := <-code:
			return c
		case <-time.After(20 * time.Second):
			t.Fatalf("does not end: %s", log)
			return -1
		}
	}
	return d, signals, log, wait
}

func TestRunEndsOnSignal(t *testing.T) {
	d, signals, log, wait := start(t, "")
	t.Setenv("LB_ADMIN", d.admin.Addr().String())
	out, errs, code := lb(t, "list clusters")
	if code != 0 || !strings.Contains(out, "not connected to unix://") || !strings.Contains(out, "initializing: waiting for") {
		t.Errorf("list, without an engine: %d %q %q", code, out, errs)
	}
	if _, errs, code := lb(t, "healthcheck"); code != 1 || !strings.Contains(errs, "INITIALIZING: waiting for") {
		t.Errorf("healthcheck, without an engine: %d %q", code, errs)
	}
	signals <- syscall.SIGTERM
	if code := wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, log)
	}
	if !strings.Contains(log.String(), "nothing is in flight any more") || !strings.Contains(log.String(), "no admin token was given") {
		t.Errorf("log:\n%s", log)
	}
}

func TestRunQuits(t *testing.T) {
	d, _, log, wait := start(t, "--log-format json")
	res, err := http.Post(fmt.Sprintf("http://%s/quitquitquit", d.admin.Addr()), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if code := wait(); code != 0 || !strings.Contains(log.String(), `"msg":"lb ends: /quitquitquit"`) {
		t.Errorf("exit code %d: %s", code, log)
	}
}

// TestRunDrainDelay: during the delay /ready says DRAINING, and the second
// signal ends it.
func TestRunDrainDelay(t *testing.T) {
	d, signals, log, wait := start(t, "--drain-delay 1h --shutdown-timeout 1h")
	t.Setenv("LB_ADMIN", d.admin.Addr().String())
	signals <- syscall.SIGTERM
	eventually(t, "DRAINING", func() bool {
		_, errs, code := lb(t, "healthcheck")
		return code == 1 && strings.Contains(errs, "DRAINING")
	})
	signals <- syscall.SIGTERM
	if code := wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, log)
	}
}

func TestRunTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, errs, code := lb(t, "run --listen 127.0.0.1:0 --admin-listen "+l.Addr().String())
	if code != 1 || !strings.Contains(errs, "address already in use") || !strings.Contains(errs, "--admin-listen") {
		t.Errorf("%d %q", code, errs)
	}
}

// TestRunSocketThatIsNone: what waiting cannot heal ends it with a message.
func TestRunSocketThatIsNone(t *testing.T) {
	dir := t.TempDir() // what Docker makes of a socket's path that did not exist
	_, errs, code := lb(t, "run --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --docker unix://"+dir)
	if code != 1 || !strings.Contains(errs, "lb: docker: ") || !strings.Contains(errs, dir) {
		t.Errorf("%d %q", code, errs)
	}
}

// TestEveryFlagHasAVariable: LB_ and the flag's name.
func TestEveryFlagHasAVariable(t *testing.T) {
	for _, f := range runFlags() {
		name := f.Names()[0]
		want := "LB_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		d, ok := f.(cli.DocGenerationFlag)
		if !ok || len(d.GetEnvVars()) == 0 || d.GetEnvVars()[0] != want {
			t.Errorf("--%s has no variable %s", name, want)
		}
		if d.GetUsage() == "" {
			t.Errorf("--%s has no help", name)
		}
	}
}

func TestBadVariable(t *testing.T) {
	t.Setenv("LB_SHUTDOWN_TIMEOUT", "soon")
	_, errs, code := lb(t, "run")
	if code != exitUsage || !strings.Contains(errs, "LB_SHUTDOWN_TIMEOUT") {
		t.Errorf("%d %q", code, errs)
	}
}
