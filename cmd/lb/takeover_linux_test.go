package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/handover"
)

// Three upgrades under load: no request fails, whether on a kept connection or
// a new one, and each replaced process ends well.
func TestTakeoverLosesNothing(t *testing.T) {
	f := newFront(t, backend(t, nil))
	running := f.takeover(t, "--shutdown-timeout", "5s")
	running.says(t, "another lb can take over")
	l := startLoad(t, f.listen, 12, nil)
	eventually(t, "traffic", func() bool { return l.kept.Load() > 200 && l.made.Load() > 200 })
	for range 3 {
		before := l.kept.Load() + l.made.Load()
		next := f.takeover(t, "--shutdown-timeout", "5s")
		next.says(t, "another lb can take over")
		if code := running.exit(t); code != 0 {
			t.Fatalf("the replaced process: exit code %d", code)
		}
		running = next
		eventually(t, "traffic through the new one", func() bool { return l.kept.Load()+l.made.Load() > before+1000 })
	}
	if got := f.ready(t); got != http.StatusOK {
		t.Errorf("/ready: %d", got)
	}
	l.wait()
	if l.told.Load() == 0 {
		t.Error("no kept connection was told to close")
	}
	t.Logf("%d requests on kept connections (%d of them told to close), %d on new ones", l.kept.Load(), l.told.Load(), l.made.Load())
	_ = running.cmd.Process.Signal(syscall.SIGTERM)
	if code := running.exit(t); code != 0 {
		t.Errorf("the last process: exit code %d", code)
	}
	if _, err := os.Stat(f.socket); err == nil {
		t.Errorf("%s is left behind", f.socket)
	}
}

// What the replaced process still has: a request in flight finishes, a
// connection that waits serves one more request and is told to close.
func TestTakeoverFinishes(t *testing.T) {
	held := newSlow()
	f := newFront(t, backend(t, held))
	old := f.takeover(t, "--shutdown-timeout", "20s")
	old.says(t, "another lb can take over")
	idle, slow := dialRaw(t, f.listen), dialRaw(t, f.listen)
	if res := idle.ask(t, "/first"); res.Close {
		t.Error("told to close before anything happened")
	}
	slow.send(t, "/slow")
	held.begun(t)
	next := f.takeover(t)
	next.says(t, "taken over")
	close(held.release)
	if res := slow.answer(t); res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("in flight: %s, close=%t", res.Status, res.Close)
	}
	if !old.running() {
		t.Error("the old process has not waited for its idle connection")
	}
	if res := idle.ask(t, "/second"); res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("waiting: %s, close=%t", res.Status, res.Close)
	}
	if code := old.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A drain that waits is told when the lb that it asked is not the one that
// answers any more, while the request that it waits for is still in flight.
func TestTakeoverEndsADrainThatWaits(t *testing.T) {
	held := newSlow()
	member := backend(t, held)
	f := newFront(t, member)
	old := f.takeover(t, "--shutdown-timeout", "20s")
	old.says(t, "another lb can take over")
	slow := dialRaw(t, f.listen)
	slow.send(t, "/slow")
	held.begun(t)
	var out, errs buffer
	drained := make(chan int, 1)
	p := Program{Stdout: &out, Stderr: &errs}
	go func() {
		drained <- p.Run(t.Context(), []string{"lb", "drain", member, "--wait", "--admin", f.admin})
	}()
	eventually(t, "waiting", func() bool { return strings.Contains(errs.String(), member+": 1 in flight") })
	next := f.takeover(t)
	next.says(t, "taken over")
	select {
	case code := <-drained:
		if code != exitFailed || out.String() != "" || !strings.Contains(errs.String(), "knows nothing of the drain") {
			t.Errorf("%d %q %q", code, &out, &errs)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("still waiting: %q %q", &out, &errs)
	}
	close(held.release)
	if res := slow.answer(t); res.StatusCode != http.StatusOK {
		t.Errorf("in flight: %s", res.Status)
	}
}

// A connection that goes on waiting keeps the old process until the limit, or
// until it is signalled.
func TestTakeoverLimits(t *testing.T) {
	f := newFront(t, backend(t, nil))
	old := f.takeover(t, "--shutdown-timeout", "1s")
	old.says(t, "another lb can take over")
	dialRaw(t, f.listen).ask(t, "/")
	next := f.takeover(t, "--shutdown-timeout", "1h")
	if code := old.exit(t); code != 0 {
		t.Errorf("at the limit: exit code %d", code)
	}
	next.says(t, "another lb can take over")
	dialRaw(t, f.listen).ask(t, "/")
	last := f.takeover(t)
	last.says(t, "taken over")
	_ = next.cmd.Process.Signal(syscall.SIGTERM)
	if code := next.exit(t); code != 0 {
		t.Errorf("signalled: exit code %d", code)
	}
}

// A successor that cannot take over leaves the running process as it is.
func TestTakeoverThatFails(t *testing.T) {
	f := newFront(t, backend(t, nil))
	old := f.takeover(t)
	old.says(t, "another lb can take over")
	undisturbed := func(what string) {
		t.Helper()
		c := dialRaw(t, f.listen)
		if res := c.ask(t, "/"); res.StatusCode != http.StatusOK || res.Close {
			t.Errorf("after %s: %s, close=%t", what, res.Status, res.Close)
		}
		if got := f.ready(t); got != http.StatusOK || !old.running() {
			t.Errorf("after %s: /ready %d", what, got)
		}
	}

	never := f.takeover(t, "--docker", "unix://"+f.socket+".none", "--takeover-timeout", "300ms")
	if code := never.exit(t); code != exitFailed || !strings.Contains(never.log.String(), "not ready after 300ms (--takeover-timeout): waiting for the Docker Engine's first answer; the running lb goes on") {
		t.Errorf("without its engine: exit code %d: %s", code, never.log)
	}
	undisturbed("one that was never ready")

	dies := f.takeover(t, "--docker", "unix://"+f.socket+".none")
	dies.says(t, "a running lb is there")
	_ = dies.cmd.Process.Kill()
	dies.exit(t)
	undisturbed("one that was killed")

	ends := f.takeover(t, "--docker", "unix://"+f.socket+".none")
	ends.says(t, "lb starts")
	_ = ends.cmd.Process.Signal(syscall.SIGTERM)
	if code := ends.exit(t); code != 0 {
		t.Errorf("signalled while it waits: exit code %d", code)
	}
	undisturbed("one that was told to end")

	// With the sockets in its hands, and not a word.
	s, err := handover.Dial(f.socket)
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := s.Take()
	if err != nil || len(sockets) != 2 {
		t.Fatalf("%d sockets, %v", len(sockets), err)
	}
	for _, r := range sockets {
		r.File.Close()
	}
	s.Close()
	old.says(t, "a take-over came to nothing")
	undisturbed("one that took the sockets and went away")

	taken := freePort(t)
	l, err := net.Listen("tcp", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	other := &front{listen: f.listen, admin: taken, socket: f.socket, file: f.file}
	if code := other.takeover(t).exit(t); code != exitFailed {
		t.Errorf("with a taken admin port: exit code %d", code)
	}
	undisturbed("one whose admin port was taken")
}

func TestTakeoverOptions(t *testing.T) {
	_, errs, code := lb(t, "run --takeover --takeover-socket "+t.TempDir()+"/none/lb.sock")
	if code != exitUsage || !strings.Contains(errs, "--takeover-socket") || !strings.Contains(errs, "no such file") {
		t.Errorf("%d %q", code, errs)
	}
}

// raw is a client's connection.
type raw struct {
	net.Conn
	r *bufio.Reader
}

func dialRaw(t *testing.T, address string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &raw{c, bufio.NewReader(c)}
}

func (c *raw) send(t *testing.T, path string) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
}

func (c *raw) answer(t *testing.T) *http.Response {
	t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res
}

func (c *raw) ask(t *testing.T, path string) *http.Response {
	t.Helper()
	c.send(t, path)
	return c.answer(t)
}
