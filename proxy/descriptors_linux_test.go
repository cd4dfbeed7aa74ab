package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dockerlb/dockerlb/internal/wire"
)

// TestProxyInChild is no test of its own: it is the process that
// TestNoDescriptorsLeft starts, with few descriptors, and serves until its
// standard input ends.
func TestProxyInChild(t *testing.T) {
	backend := os.Getenv("LB_TEST_CHILD")
	if backend == "" {
		return // the parent's run
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: fewDescriptors, Max: fewDescriptors}); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, setup{}, netip.MustParseAddrPort(backend))
	fmt.Printf("address %s\n", r.addr)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

const fewDescriptors = 64

// Where descriptors run out, who is connected is served, the others wait in the
// kernel's queue, nothing spins, and all is well again afterwards.
func TestNoDescriptorsLeft(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	child := exec.Command(os.Args[0], "-test.run=^TestProxyInChild$", "-test.timeout=60s")
	child.Env = append(os.Environ(), "LB_TEST_CHILD="+b.Addr().String())
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var addr netip.AddrPort
	for lines.Scan() {
		if a, ok := strings.CutPrefix(lines.Text(), "address "); ok {
			addr = netip.MustParseAddrPort(a)
			break
		}
	}
	if !addr.IsValid() {
		t.Fatal("the child does not serve")
	}
	r := &rig{tb: t, addr: addr}
	early := r.dial()
	ask := func(c *client) {
		t.Helper()
		c.send(crlf(get))
		if h := c.head(); status(h) != "200" || c.readN(5) != "hello" {
			t.Fatalf("answered %q", h)
		}
	}
	ask(early)
	var flood []net.Conn
	for range 3 * fewDescriptors { // the kernel takes them
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		flood = append(flood, c)
	}
	before := cpuTime(t, child.Process.Pid)
	begin := time.Now()
	for time.Since(begin) < 500*time.Millisecond {
		ask(early)
		time.Sleep(10 * time.Millisecond)
	}
	if used := cpuTime(t, child.Process.Pid) - before; used > 250*time.Millisecond {
		t.Errorf("%v of CPU within %v: accepting spins", used, time.Since(begin))
	}
	late := r.dial()
	late.send(crlf(get))
	for _, c := range flood {
		c.Close()
	}
	if h := late.head(); status(h) != "200" || late.readN(5) != "hello" {
		t.Errorf("after the flood answered %q", h)
	}
	ask(early)
	in.Close()
	for lines.Scan() {
	}
	if err := child.Wait(); err != nil {
		t.Errorf("the child: %v", err)
	}
}

// cpuTime is what a process has used so far, to the hundredth of a second.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var user, system int64
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // proc(5): from the third on
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}
