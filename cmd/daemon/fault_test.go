package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// raw sends one request on a connection of its own and returns what came back.
func raw(t *testing.T, address string) (string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	text, err := io.ReadAll(bufio.NewReader(conn))
	return string(text), err
}

func TestFaults(t *testing.T) {
	h := newHandler(record{id: "the-id", to: io.Discard})
	server := httptest.NewServer(h)
	defer server.Close()
	address := server.Listener.Addr().String()
	set := func(f fault) {
		if w := answer(h, http.MethodPut, "/fault?is="+string(f), ""); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", f, w.Code, w.Body)
		}
	}

	set(faultError)
	if text, err := raw(t, address); err != nil || !strings.HasPrefix(text, "HTTP/1.1 500 ") {
		t.Errorf("error: %q, %v", text, err)
	}
	if w := answer(h, http.MethodGet, "/healthz", ""); w.Code != http.StatusOK {
		t.Errorf("/healthz meets the fault: %d", w.Code)
	}
	set(faultReset)
	if text, err := raw(t, address); text != "" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %q, %v", text, err)
	}
	set(faultGarbage)
	if text, err := raw(t, address); err != nil || text == "" || strings.HasPrefix(text, "HTTP/") {
		t.Errorf("garbage: %q, %v", text, err)
	}
	set(faultHang)
	ended := make(chan error)
	go func() {
		_, err := raw(t, address)
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Errorf("hang: ended with %v", err)
	case <-time.After(50 * time.Millisecond):
		set(faultNone)
		<-ended
	}
	if text, err := raw(t, address); err != nil || !strings.HasPrefix(text, "HTTP/1.1 200 ") {
		t.Errorf("none: %q, %v", text, err)
	}
	for _, bad := range []struct{ method, target string }{{"GET", "/fault?is=reset"}, {"PUT", "/fault?is=odd"}, {"PUT", "/fault"}} {
		if w := answer(h, bad.method, bad.target, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s %s: %d", bad.method, bad.target, w.Code)
		}
	}
}

// A member that is out of rotation gets no request to crash at, and crashes all
// the same.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exits := make(chan int, 1)
		s := newFaultState()
		s.exit = func(status int) { exits <- status }
		ended := func() bool {
			synctest.Wait()
			select {
			case status := <-exits:
				return status == crashStatus
			default:
				return false
			}
		}

		s.set(faultCrash)
		time.Sleep(crashAfter - time.Nanosecond)
		if ended() {
			t.Fatal("it ended before its time")
		}
		time.Sleep(time.Nanosecond)
		if !ended() {
			t.Fatal("it goes on")
		}

		s.set(faultCrash)
		if s.strike(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)) {
			t.Error("it answered badly before it crashed")
		}
		s.set(faultNone)
		time.Sleep(2 * crashAfter)
		if ended() {
			t.Error("it ended although the fault was over")
		}
	})
}
