package realengine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The link between this machine and the second engine's network namespace.
// Link-local (RFC 3927): it collides with no network of Docker's.
const (
	secondOutside = "169.254.77.1/30"
	secondInside  = "169.254.77.2"
)

// Second is a Docker Engine of the test's own, which it may restart: with a
// network namespace, a data folder and a socket of its own, and live-restore.
type Second struct {
	*Engine

	t       testing.TB
	dir     string
	netns   string
	outside string    // our end of the link
	holder  *exec.Cmd // keeps the mount namespace between two engines
	process *exec.Cmd
}

// StartSecond starts one beside the engine, with the same images. Only root
// can: the test is skipped otherwise. One at a time.
func (e *Engine) StartSecond(t testing.TB) *Second {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("an engine of the test's own needs root")
	}
	for _, tool := range []string{"dockerd", "ip", "nsenter", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%v: run make setup", err)
			}
			t.Skipf("an engine of the test's own: %v", err)
		}
	}
	dir, err := os.MkdirTemp("", "second")
	if err != nil {
		t.Fatal(err)
	}
	x := &Second{t: t, dir: dir, netns: e.Run}
	t.Cleanup(x.remove)

	x.ip("netns", "add", x.netns)
	// An interface's name has at most 15 bytes.
	id := e.Run[len(e.Run)-8:]
	inside := "dlbt" + id + "i"
	x.outside = "dlbt" + id + "o"
	x.ip("link", "add", x.outside, "type", "veth", "peer", "name", inside, "netns", x.netns)
	x.ip("addr", "add", secondOutside, "dev", x.outside)
	x.ip("link", "set", x.outside, "up")
	x.ip("-n", x.netns, "addr", "add", secondInside+"/30", "dev", inside)
	x.ip("-n", x.netns, "link", "set", inside, "up")
	x.ip("-n", x.netns, "link", "set", "lo", "up")

	// A /run of its own: the first engine's files there must not be found, and
	// its containers' supervisors, which have their sockets there, must be found
	// again after a restart.
	x.holder = exec.Command("unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && echo && exec sleep infinity")
	ready, err := x.holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := x.holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatalf("no mount namespace: %v", err)
	}

	// The first engine's storage driver is known to work on this machine.
	driver, err := e.Docker("info", "--format", "{{.Driver}}")
	if err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("{%q: %q, %q: true}\n", "storage-driver", driver, "live-restore")
	if err := os.WriteFile(filepath.Join(dir, "daemon.json"), []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	x.start()
	x.Engine, err = At(x.socket())
	if err != nil {
		t.Fatal(err)
	}
	x.Engine.hostPrefix = []string{"nsenter", "--net=/run/netns/" + x.netns}
	x.Engine.hostIP = secondInside
	x.Engine.LBBinary, x.Engine.Daemon, x.Engine.LB = e.LBBinary, e.Daemon, e.LB
	for _, image := range []string{e.LB, e.Daemon} {
		archive := filepath.Join(dir, image+".tar")
		if _, err := e.Docker("save", "-o", archive, image); err != nil {
			t.Fatal(err)
		}
		if _, err := x.Engine.Docker("load", "-i", archive); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// Stop ends the engine; with live-restore its containers run on.
func (x *Second) Stop() {
	x.t.Helper()
	x.process.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(20*time.Second, func() { x.process.Process.Kill() })
	defer kill.Stop()
	if err := x.process.Wait(); err != nil {
		x.t.Errorf("dockerd: %v", err)
	}
	x.process = nil
}

// Start starts it again, unless it runs. Defer it beside Stop: the containers
// of a test that ends between the two can only be removed by the engine.
func (x *Second) Start() {
	x.t.Helper()
	if x.process == nil {
		x.start()
	}
}

func (x *Second) socket() string { return filepath.Join(x.dir, "docker.sock") }

func (x *Second) start() {
	x.t.Helper()
	log, err := os.OpenFile(filepath.Join(x.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		x.t.Fatal(err)
	}
	defer log.Close()
	at := func(name string) string { return filepath.Join(x.dir, name) }
	x.process = exec.Command("nsenter", "--net=/run/netns/"+x.netns, fmt.Sprintf("--mount=/proc/%d/ns/mnt", x.holder.Process.Pid),
		"dockerd", "--config-file", at("daemon.json"), "--data-root", at("data"), "--exec-root", at("exec"),
		"--pidfile", at("pid"), "-H", "unix://"+x.socket())
	x.process.Stdout, x.process.Stderr = log, log
	if err := x.process.Start(); err != nil {
		x.t.Fatal(err)
	}
	Eventually(x.t, 30*time.Second, func() error {
		command := exec.Command("docker", "-H", "unix://"+x.socket(), "version")
		out, err := command.CombinedOutput()
		if err != nil {
			return fmt.Errorf("the second engine does not answer: %s", out)
		}
		return nil
	})
}

func (x *Second) ip(args ...string) {
	x.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		x.t.Fatalf("ip %q: %v: %s", args, err, out)
	}
}

// remove runs after the scopes on this engine have removed their containers.
func (x *Second) remove() {
	if x.process != nil {
		x.Stop()
	}
	if x.holder != nil && x.holder.Process != nil {
		x.holder.Process.Kill()
		x.holder.Wait() // killed: its error says so, and nothing else
	}
	if x.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(x.dir, "log"))
		x.t.Logf("end of the second engine's log:\n%s", log[max(0, len(log)-4000):])
	}
	exec.Command("ip", "link", "del", x.outside).Run() // there only if it was made
	if out, err := exec.Command("ip", "netns", "del", x.netns).CombinedOutput(); err != nil {
		x.t.Errorf("ip netns del %s: %v: %s", x.netns, err, out)
	}
	if err := os.RemoveAll(x.dir); err != nil {
		x.t.Error(err)
	}
}
