package handover

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// running is a process that offers a listener, in this process.
type running struct {
	path     string
	listener *net.TCPListener
	taken    chan int
	failed   chan error
	served   chan error
	stop     context.CancelFunc
}

func offer(t *testing.T, path string) *running {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	o, err := Listen(path)
	if err != nil {
		l.Close()
		t.Fatal(err)
	}
	r := &running{path: path, listener: l, taken: make(chan int, 1), failed: make(chan error, 10), served: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		r.served <- o.Serve(ctx, Source{
			Sockets: func() []Socket {
				return []Socket{{Name: "web", Asked: netip.MustParseAddrPort("127.0.0.1:0"), Conn: l}}
			},
			Taken:  func(pid int) { r.taken <- pid },
			Failed: func(err error) { r.failed <- err },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-r.served; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return r
}

func socketPath(t *testing.T) string { return filepath.Join(t.TempDir(), "lb.sock") }

func TestHandOver(t *testing.T) {
	path := socketPath(t)
	r := offer(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	s, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.PID() != os.Getpid() {
		t.Errorf("process %d", s.PID())
	}
	sockets, err := s.Take()
	if err != nil || len(sockets) != 1 || sockets[0].Name != "web" || sockets[0].Asked != netip.MustParseAddrPort("127.0.0.1:0") {
		t.Fatalf("%+v, %v", sockets, err)
	}
	l, err := net.FileListener(sockets[0].File)
	sockets[0].File.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Addr().String() != r.listener.Addr().String() {
		t.Errorf("a socket on %s, want %s", l.Addr(), r.listener.Addr())
	}
	nonBlocking(t, r.listener) // both share the flag: a blocking one would hang the runtime's accept
	nonBlocking(t, l.(*net.TCPListener))
	if err := s.Taken(); err != nil {
		t.Fatal(err)
	}
	if pid := <-r.taken; pid != os.Getpid() {
		t.Errorf("taken by %d", pid)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the path is not free for the next offer: %v", err)
	}
	r.listener.Close() // the queue is the other's now
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
}

func nonBlocking(t *testing.T, c syscall.Conn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("flags %#x, %v: want O_NONBLOCK", flags, err)
		}
		if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor flags %#x, %v: want FD_CLOEXEC", flags, err)
		}
	})
}

func TestNobody(t *testing.T) {
	path := socketPath(t)
	if _, err := Dial(path); !errors.Is(err, ErrNobody) {
		t.Errorf("no file: %v", err)
	}
	// What a killed process leaves.
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := Dial(path); !errors.Is(err, ErrNobody) {
		t.Errorf("a dead socket: %v", err)
	}
	offer(t, path) // replaces it
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another process offers") {
		t.Errorf("a second offer: %v", err)
	}
	// An offer that ends between hello and take.
	s, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
}

func TestOfferEndsBeforeTake(t *testing.T) {
	path := socketPath(t)
	r := offer(t, path)
	s, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r.stop()
	r.served <- <-r.served // it has ended
	if _, err := s.Take(); !errors.Is(err, ErrNobody) {
		t.Errorf("take: %v", err)
	}
}

func TestSuccessorFails(t *testing.T) {
	path := socketPath(t)
	r := offer(t, path)
	for _, tt := range []struct {
		name, why string
		talk      func(c conn)
	}{
		{"goes before it takes", "before it was ready", func(c conn) {
			_ = c.send(message{Kind: kindHello, Versions: versions}, time.Second)
			_, _, _ = c.receive(time.Second)
		}},
		{"goes with the sockets", "did not say that it accepts", func(c conn) {
			_ = c.send(message{Kind: kindHello, Versions: versions}, time.Second)
			_, _, _ = c.receive(time.Second)
			_ = c.send(message{Kind: kindTake}, time.Second)
			_, f, err := c.receive(time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			f.Close()
			_, _, _ = c.receive(time.Second)
		}},
		{"of another version", "speaks version [1]", func(c conn) {
			_ = c.send(message{Kind: kindHello, Versions: []int{7, 8}}, time.Second)
			m, _, err := c.receive(time.Second)
			if err != nil || m.Kind != kindRefused || !strings.Contains(m.Error, "the new one [7 8]") {
				t.Errorf("%+v, %v", m, err)
			}
		}},
		{"says something else", `began with "take"`, func(c conn) { _ = c.send(message{Kind: kindTake}, time.Second) }},
	} {
		c, err := dial(path)
		if err != nil {
			t.Fatal(err)
		}
		tt.talk(c)
		c.Close()
		if err := <-r.failed; !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.why)
		}
	}
	select {
	case pid := <-r.taken:
		t.Errorf("taken by %d", pid)
	default:
	}
}

// Only one at a time.
func TestBusy(t *testing.T) {
	path := socketPath(t)
	offer(t, path)
	first, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if s, err := Dial(path); err == nil || !strings.Contains(err.Error(), "another process is taking over") {
		t.Errorf("a second successor: %v %v", s, err)
	}
}

func TestAllowed(t *testing.T) {
	for _, tt := range []struct {
		peer, own uint32
		ok        bool
	}{{1000, 1000, true}, {0, 1000, true}, {1000, 0, false}, {1001, 1000, false}, {65534, 1000, false}} {
		if err := allowed(tt.peer, tt.own); (err == nil) != tt.ok {
			t.Errorf("user %d with user %d: %v", tt.peer, tt.own, err)
		}
	}
}

func TestCommonVersion(t *testing.T) {
	if common([]int{3, 1, 2}) != 1 || common([]int{2}) != 0 || common(nil) != 0 {
		t.Error("not the highest in common")
	}
}
