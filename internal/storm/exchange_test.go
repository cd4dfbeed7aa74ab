package storm

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve answers each connection by a function, until the test ends.
func serve(t *testing.T, each func(conn *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				each(conn.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// reply answers every request of a connection with a text made from its id.
func reply(text func(id string) string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		r := bufio.NewReader(conn)
		for {
			request, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, request.Body)
			if _, err := io.WriteString(conn, text(request.Header.Get("X-Storm-Id"))); err != nil {
				return
			}
		}
	}
}

func well(id string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Storm-Id: %s\r\nX-Daemon-Id: d\r\nContent-Length: 11\r\n\r\nMy id is d\n", id)
}

func TestEveryFailureHasItsKind(t *testing.T) {
	silent := serve(t, func(c *net.TCPConn) {})
	closed := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}()
	for _, test := range []struct {
		name, address, want string
	}{
		{"well", serve(t, reply(well)), ""},
		{"refused", closed, "refused"},
		{"closed without an answer", silent, "reset"},
		{"reset", serve(t, func(c *net.TCPConn) { io.ReadFull(c, make([]byte, 1)); c.SetLinger(0) }), "reset"},
		{"half an answer", serve(t, func(c *net.TCPConn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nMy")
			c.CloseWrite()
			io.Copy(io.Discard, c)
		}), "reset"},
		{"503", serve(t, reply(func(string) string { return "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" })), "503"},
		{"another's answer", serve(t, reply(func(string) string { return well("other") })), "wrong"},
		{"another's body", serve(t, reply(func(id string) string { return strings.Replace(well(id), "is d", "is e", 1) })), "wrong"},
		{"not HTTP", serve(t, reply(func(string) string { return "what?\r\n\r\n" })), "error"},
	} {
		c := &client{address: test.address}
		a := c.send(t.Context(), request{id: "x", host: "h"})
		if a.failure != test.want {
			t.Errorf("%s: %q (%s), want %q", test.name, a.failure, a.detail, test.want)
		}
		c.close()
	}
}

func TestPostIsEchoed(t *testing.T) {
	address := serve(t, func(conn *net.TCPConn) {
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			t.Error(err)
			return
		}
		body, _ := io.ReadAll(request.Body)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nX-Storm-Id: %s\r\nContent-Length: %d\r\n\r\n%s", request.Header.Get("X-Storm-Id"), len(body), body)
	})
	c := &client{address: address}
	defer c.close()
	if a := c.send(t.Context(), request{id: "x", shape: post, host: "h"}); a.failure != "" {
		t.Errorf("%+v", a)
	}
}

// What the other side closed while nobody used it is no failure; every client
// that keeps connections looks.
func TestKeptConnections(t *testing.T) {
	accepted := make(chan *net.TCPConn, 4)
	address := serve(t, func(c *net.TCPConn) {
		accepted <- c
		reply(well)(c)
	})
	c := &client{address: address}
	defer c.close()
	ask := func() {
		t.Helper()
		if a := c.send(t.Context(), request{id: "x", shape: getKept, host: "h"}); a.failure != "" {
			t.Fatalf("%+v", a)
		}
	}
	ask()
	ask()
	first := <-accepted
	if len(accepted) != 0 {
		t.Fatal("the connection was not kept")
	}
	first.CloseWrite()
	for end := time.Now().Add(5 * time.Second); c.kept[0].alive(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a closed connection looks alive")
		}
	}
	ask()
	if len(accepted) != 1 {
		t.Error("the closed connection was used again")
	}
}
