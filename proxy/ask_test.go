package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// sockPair is a sock and who is at its other end.
func sockPair(t *testing.T) (*sock, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = theirs.SetDeadline(time.Now().Add(10 * time.Second))
	clk := newClock()
	s := &sock{}
	if err := s.init(ours.(*net.TCPConn), clk, s); err != nil {
		t.Fatal(err)
	}
	s.arm(10 * time.Second)
	t.Cleanup(func() {
		theirs.Close()
		s.close()
		clk.close()
	})
	return s, theirs.(*net.TCPConn)
}

// heard waits until something has arrived at s, or its end.
func heard(t *testing.T, s *sock) {
	t.Helper()
	eventually(t, "something has arrived", func() bool {
		quiet := true
		_ = s.raw.Control(func(fd uintptr) { quiet = sysPeek(fd) == syscall.EAGAIN })
		return !quiet
	})
}

func TestAskGetsAnAnswer(t *testing.T) {
	s, peer := sockPair(t)
	go func() {
		b := make([]byte, 8)
		for {
			if _, err := io.ReadFull(peer, b); err != nil {
				return
			}
			_, _ = peer.Write([]byte("answer"))
		}
	}()
	for range 100 {
		if err := s.ask([]byte("question")); err != nil {
			t.Fatal(err)
		}
		for len(s.unread()) < len("answer") {
			if err := s.fill(smallBuffer); err != nil {
				t.Fatal(err)
			}
		}
		if got := string(s.unread()); got != "answer" {
			t.Fatalf("got %q", got)
		}
		s.in.r = s.in.w
		s.release()
	}
}

// Nothing is written to a connection on which something has come, or its end.
func TestAskOnlyOfTheSilent(t *testing.T) {
	for name, spoil := range map[string]func(*net.TCPConn) error{
		"something unasked": func(c *net.TCPConn) error { _, err := c.Write([]byte("x")); return err },
		"FIN":               (*net.TCPConn).CloseWrite,
	} {
		t.Run(name, func(t *testing.T) {
			s, peer := sockPair(t)
			if err := spoil(peer); err != nil {
				t.Fatal(err)
			}
			heard(t, s)
			if err := s.ask([]byte("question")); err != errNotSilent {
				t.Errorf("error %v, want errNotSilent", err)
			}
			s.close()
			if got, _ := io.ReadAll(peer); len(got) > 0 {
				t.Errorf("the peer got %q", got)
			}
		})
	}
}

// More than the socket takes at once goes in several writes.
func TestAskMuch(t *testing.T) {
	s, peer := sockPair(t)
	question := bytes.Repeat([]byte("question"), 1<<20)
	got := make(chan []byte, 1)
	go func() {
		b := make([]byte, len(question))
		_, _ = io.ReadFull(peer, b)
		_, _ = peer.Write([]byte("answer"))
		got <- b
	}()
	if err := s.ask(question); err != nil || s.writeErr != nil {
		t.Fatal(err, s.writeErr)
	}
	if !bytes.Equal(<-got, question) {
		t.Error("the peer got something else")
	}
	if len(s.unread()) == 0 {
		t.Error("no answer")
	}
}

// What ends the wait: the peer, the time, or somebody else.
func TestAskInVain(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*sock, *net.TCPConn)
		want error
	}{
		"the peer closes": {func(_ *sock, c *net.TCPConn) { c.Close() }, io.EOF},
		"the peer resets": {func(_ *sock, c *net.TCPConn) { _ = c.SetLinger(0); c.Close() }, syscall.ECONNRESET},
		"aborted":         {func(s *sock, _ *net.TCPConn) { s.abort() }, errTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			s, peer := sockPair(t)
			go func() {
				_, _ = io.ReadFull(peer, make([]byte, 8))
				tt.end(s, peer)
			}()
			err := s.ask([]byte("question"))
			if tt.want == errTimeout && isTimeout(err) {
				return
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("time", func(t *testing.T) {
		s, _ := sockPair(t)
		s.arm(50 * time.Millisecond)
		if err := s.ask([]byte("question")); !isTimeout(err) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("aborted before", func(t *testing.T) {
		s, peer := sockPair(t)
		s.abort()
		if err := s.ask([]byte("question")); !isTimeout(err) {
			t.Errorf("error %v", err)
		}
		s.close()
		if got, _ := io.ReadAll(peer); len(got) > 0 {
			t.Errorf("the peer got %q", got)
		}
	})
}

// errTimeout stands for what isTimeout knows.
var errTimeout = errors.New("timeout")
