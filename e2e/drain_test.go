package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/realengine"
)

// "lb drain web-1 --wait && docker stop web-1" loses nothing of any protocol: it
// waits for a slow request and for a WebSocket, says so, and new requests go
// elsewhere meanwhile.
func TestDrainWaitThenStop(t *testing.T) {
	t.Parallel()
	p := &pair{Scope: newScope(t)}
	p.network = p.Network("net")
	p.one = p.Backend("one", p.network, "--label", p.Prefix+".drain=40s")
	p.two = p.Backend("two", p.network)
	p.Front = p.Proxy("lb", p.network)
	p.idOne, p.id2 = p.ID(p.one), p.ID(p.two)
	p.Serves(soon, p.idOne, p.id2)

	var ws *client
	for ws == nil { // they take turns
		c := open(t, p.Address, "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		res, _ := c.response(t)
		if res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("upgrade: %s", res.Status)
		}
		if res.Header.Get("X-Daemon-Id") == p.idOne {
			ws = c
		} else {
			c.Close()
		}
	}
	// One to each.
	slow := []*client{open(t, p.Address, slowRequest), open(t, p.Address, slowRequest)}
	realengine.Eventually(t, soon, func() error { return inFlight(p, "healthy", 2) })
	l := startLoad(p.Front)

	drained := make(chan string, 1)
	failed := make(chan error, 1)
	go func() {
		out, err := p.Engine.Docker("exec", p.Container, "/lb", "drain", p.one, "--wait")
		if err != nil {
			failed <- err
		}
		drained <- out
	}()
	p.Serves(soon, p.id2)
	realengine.Eventually(t, soon, func() error { return inFlight(p, "draining", 2) })
	for _, c := range slow {
		if res, body := c.response(t); res.StatusCode != http.StatusOK || !strings.HasPrefix(body, "My id is ") {
			t.Errorf("a slow request was answered %s %q", res.Status, body)
		}
	}
	ws.echo(t, "still here")
	select {
	case out := <-drained:
		t.Fatalf("returned with a WebSocket open: %s", out)
	case <-time.After(300 * time.Millisecond): // it looks every 100 ms
	}
	ws.Close()
	select {
	case out := <-drained:
		if !strings.Contains(out, p.one+": drained") {
			t.Errorf("drain --wait: %s", out)
		}
	case err := <-failed:
		t.Fatal(err)
	case <-time.After(10 * time.Second):
		t.Fatal("drain --wait does not return")
	}
	p.Docker("stop", p.one)
	l.stop(t)
}

const slowRequest = "GET /slow?ms=4000 HTTP/1.1\r\nHost: test\r\n\r\n"

// inFlight tells whether p.one stands so, with n in flight.
func inFlight(p *pair, state string, n int64) error {
	a, err := p.Endpoints()
	if err != nil {
		return err
	}
	for _, e := range a.Endpoints {
		if e.Container == p.one && (e.State != state || e.RequestsActive != n) {
			return fmt.Errorf("%s is %s with %d in flight, want %s with %d", p.one, e.State, e.RequestsActive, state, n)
		}
	}
	return nil
}

// client is a connection to the proxy that is left open.
type client struct {
	net.Conn
	r *bufio.Reader
}

func open(t *testing.T, address, request string) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return &client{c, bufio.NewReader(c)}
}

// response reads one response, and its body where it has one.
func (c *client) response(t *testing.T) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res, ""
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// echo sends a short text frame (RFC 6455 section 5.2, masked with zeros) and
// wants it back.
func (c *client) echo(t *testing.T, text string) {
	t.Helper()
	frame := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
	if _, err := c.Write(frame); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2+len(text))
	if _, err := io.ReadFull(c.r, got); err != nil || string(got[2:]) != text {
		t.Fatalf("the WebSocket echoed %q, %v", got, err)
	}
}
