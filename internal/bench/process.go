package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one that this run started, with its descendants.
type process struct {
	name string
	cmd  *exec.Cmd
	said tail
	done chan struct{} // closed when it has ended
	err  error         // how; after done
}

// start runs a program that stays in the foreground. Its environment is empty
// but for PATH: what the caller's says to Docker, Go or a proxy must not change
// what is measured.
func start(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, cmd.Env...)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// await waits until the process accepts connections at addr.
func (p *process) await(addr netip.AddrPort) error {
	for end := time.Now().Add(10 * time.Second); ; {
		c, err := net.DialTimeout("tcp", addr.String(), time.Second)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s does not listen on %s: %w; it said:\n%s", p.name, addr, err, p.said.String())
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s has ended (%v); it said:\n%s", p.name, p.err, p.said.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends it: SIGTERM, and after a while SIGKILL.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // has ended: nothing to do
	select {
	case <-p.done:
		return
	case <-time.After(5 * time.Second):
	}
	for _, pid := range p.family() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.done
}

// usage is what the kernel accounts to a process and its descendants.
type usage struct {
	cpu time.Duration // user and system, of all threads, ended ones too
	rss int64         // resident octets now
}

// clockTick is the unit of /proc's times, which is 1/100 s on every Linux that
// Go runs on (USER_HZ).
const clockTick = 10 * time.Millisecond

// usage sums over the family. A worker's descendant that ends in between takes
// its share with it; the contenders' workers do not end.
func (p *process) usage() (usage, error) {
	var u usage
	for _, pid := range p.family() {
		s, err := readStat(pid)
		if err != nil {
			select {
			case <-p.done:
				return usage{}, fmt.Errorf("%s has ended (%v); it said:\n%s", p.name, p.err, p.said.String())
			case <-time.After(time.Second):
				return usage{}, fmt.Errorf("%s: %w", p.name, err)
			}
		}
		u.cpu += s.cpu
		u.rss += s.rss
	}
	return u, nil
}

// family is the process and its descendants.
func (p *process) family() []int {
	parents := make(map[int]int)
	entries, _ := os.ReadDir("/proc") // unreadable: the process alone
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			parents[pid] = s.parent
		}
	}
	family := []int{p.cmd.Process.Pid}
	for i := 0; i < len(family); i++ {
		for pid, parent := range parents {
			if parent == family[i] {
				family = append(family, pid)
			}
		}
	}
	return family
}

type stat struct {
	parent int
	cpu    time.Duration
	rss    int64
}

// readStat reads /proc/PID/stat (proc(5)).
func readStat(pid int) (stat, error) {
	path := filepath.Join("/proc", strconv.Itoa(pid), "stat")
	text, err := os.ReadFile(path)
	if err != nil {
		return stat{}, err
	}
	return parseStat(text)
}

// parseStat: the name, in parentheses, may hold anything, also spaces and
// parentheses; what follows its last one are numbers. Counted as in proc(5), the
// first of them is field 3.
func parseStat(text []byte) (stat, error) {
	i := bytes.LastIndexByte(text, ')')
	if i < 0 {
		return stat{}, errors.New("stat: no name in parentheses")
	}
	fields := strings.Fields(string(text[i+1:]))
	if len(fields) < 22 {
		return stat{}, fmt.Errorf("stat: %d fields after the name, want 22 or more", len(fields))
	}
	var n [25]int64
	var err error
	for _, f := range []int{4, 14, 15, 24} {
		if n[f], err = strconv.ParseInt(fields[f-3], 10, 64); err != nil {
			return stat{}, fmt.Errorf("stat: field %d: %w", f, err)
		}
	}
	return stat{
		parent: int(n[4]),
		cpu:    time.Duration(n[14]+n[15]) * clockTick,
		rss:    n[24] * int64(os.Getpagesize()),
	}, nil
}

// tail keeps the last of what a process says.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > tailSize {
		t.b = append(t.b[:0], t.b[len(t.b)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
