package storm

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// relayed is a relay before an engine that echoes, and a function that dials
// it.
func relayed(t *testing.T) (*relay, func() net.Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	engine, err := net.Listen("unix", filepath.Join(dir, "engine"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := engine.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				io.Copy(conn, conn)
			})
		}
	})
	r, err := startRelay(filepath.Join(dir, "relay"), engine.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.close()
		engine.Close()
		all.Wait()
		os.RemoveAll(dir)
	})
	return r, func() net.Conn {
		conn, err := net.Dial("unix", filepath.Join(dir, "relay"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		return conn
	}
}

func echoes(conn net.Conn) error {
	if _, err := io.WriteString(conn, "ping"); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 4))
	return err
}

func TestRelayCut(t *testing.T) {
	r, dial := relayed(t)
	conn := dial()
	if err := echoes(conn); err != nil {
		t.Fatal(err)
	}
	r.cut()
	if err := echoes(conn); err == nil {
		t.Error("the connection outlived the cut")
	}
	if err := echoes(dial()); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestRelaySilence(t *testing.T) {
	r, dial := relayed(t)
	conn := dial()
	if err := echoes(conn); err != nil {
		t.Fatal(err)
	}
	r.silence()
	conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
	if err := echoes(conn); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the silent connection: %v, want nothing", err)
	}
	if err := echoes(dial()); err != nil {
		t.Errorf("a new connection: %v", err)
	}
	if n := r.silent(); n != 1 {
		t.Errorf("%d silent connections, want 1", n)
	}
	conn.Close()
	for end := time.Now().Add(5 * time.Second); r.silent() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a connection that was given up is still there")
		}
	}
}

func TestRelayPassesTheEndOn(t *testing.T) {
	_, dial := relayed(t)
	conn := dial().(*net.UnixConn)
	io.WriteString(conn, "all")
	conn.CloseWrite()
	if got, err := io.ReadAll(conn); string(got) != "all" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
