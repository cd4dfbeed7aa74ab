package admin

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// peer is a connection from an address of our choice.
type peer struct {
	net.Conn
	from net.Addr
}

func (p peer) RemoteAddr() net.Addr { return p.from }

// peers hands out connections, then an error.
type peers struct {
	net.Listener
	conns []net.Conn
}

var errNoMore = errors.New("no more")

func (p *peers) Accept() (net.Conn, error) {
	if len(p.conns) == 0 {
		return nil, errNoMore
	}
	c := p.conns[0]
	p.conns = p.conns[1:]
	return c, nil
}

func TestLimit(t *testing.T) {
	var near, far []net.Conn // our ends, and the clients'
	from := func(ip string) net.Conn {
		a, b := net.Pipe()
		t.Cleanup(func() { a.Close(); b.Close() })
		near, far = append(near, a), append(far, b)
		return peer{a, &net.TCPAddr{IP: net.ParseIP(ip), Port: 40000}}
	}
	l := newLimitListener(&peers{conns: []net.Conn{
		from("10.0.0.1"), from("10.0.0.2"), from("10.0.0.3"), from("127.0.0.1"), from("127.0.0.1"), from("127.0.0.1"),
	}}, 4, 2)
	var open []net.Conn
	for {
		c, err := l.Accept()
		if err != nil {
			if !errors.Is(err, errNoMore) {
				t.Fatal(err)
			}
			break
		}
		open = append(open, c)
	}
	if len(open) != 4 {
		t.Fatalf("%d connections are open, want 2 of strangers and 2 of loopback", len(open))
	}
	for i, closed := range []bool{false, false, true, false, false, true} {
		far[i].SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := far[i].Read(make([]byte, 1)); (err == io.EOF) != closed {
			t.Errorf("connection %d: %v, closed %v", i, err, closed)
		}
	}
	open[0].Close()
	open[0].Close() // net/http does that
	if l.open != 3 || !l.enter(true) || l.enter(true) {
		t.Error("a connection that ends does not give exactly one place back")
	}
}
