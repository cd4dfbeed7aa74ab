package proxy

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// ejecting is a cluster whose members one failure ejects.
func ejecting(c *topology.Cluster) {
	c.Outlier = &topology.Outlier{Consecutive5xx: 1, Enforce5xx: 100, MaxPercent: 100, AlwaysEjectOne: true, BaseEjection: time.Hour}
}

// What a client does wrong while the response is already under way is not held
// against the endpoint: it could be had out of rotation by anybody.
func TestBodyFaultAfterAnEarlyResponse(t *testing.T) {
	for _, tt := range []struct {
		name, framing, rest string
		flags               Flags
	}{
		{"malformed chunk", "Transfer-Encoding: chunked$$1$x$", "zz$", FlagDPE},
		{"cut short", "Content-Length: 10$$x", "", FlagDC},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := wire.Listen(t, func(c *wire.Conn) {
				c.ReadHead()
				c.Play("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegins")
				_, _ = io.Copy(io.Discard, c)
			})
			r := newRig(t, setup{cluster: ejecting, log: true, limits: Limits{HalfClose: time.Hour}}, b.Addr())
			c := r.dial()
			c.send(crlf("GET / HTTP/1.1$Host: a$" + tt.framing))
			c.head()
			c.readN(len("begins"))
			if tt.rest != "" {
				c.send(crlf(tt.rest))
			} else if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got := c.all(); got != "" {
				t.Errorf("and then %q", got)
			}
			if l := <-r.log.lines; l.Flags != tt.flags || l.Status != 200 {
				t.Errorf("logged %d %s %s, want %s", l.Status, l.Flags, l.Details, tt.flags)
			}
			if s := r.b.Snapshot().Clusters[0].Endpoints[0]; s.State != balancer.StateHealthy {
				t.Errorf("the endpoint is %s: %s", s.State, s.Why)
			}
		})
	}
}

// A client that leaves between two tries has left, and was not answered.
func TestDepartureInTheBackOff(t *testing.T) {
	asked := make(chan struct{}, 1)
	b := wire.Listen(t, func(c *wire.Conn) {
		c.ReadHead()
		asked <- struct{}{}
		c.Play("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	})
	r := newRig(t, setup{log: true, route: func(r *topology.Route) {
		r.Retry = topology.RetryPolicy{On: []string{"5xx"}, Max: 3, BaseInterval: time.Hour, MaxInterval: time.Hour}
	}}, b.Addr())
	c := r.dial()
	c.send(crlf(get))
	<-asked
	_ = c.SetLinger(0)
	c.Close()
	if l := <-r.log.lines; l.Status != 0 || l.Flags != FlagDC {
		t.Errorf("logged %d %s %s", l.Status, l.Flags, l.Details)
	}
}

// Many requests wait for the one connection, and the endpoint dies: each goes on
// to the next try, and none waits for a turn that nobody gives it.
func TestWaitingForAConnectionThatCannotBeMade(t *testing.T) {
	const waiting = 8
	asked, die := make(chan struct{}, 1), make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 1000))
		asked <- struct{}{}
		<-die
		l.Close()
		c.Close()
	}()
	r := newRig(t, setup{cluster: func(c *topology.Cluster) { c.Breakers.MaxConnections = 1 }}, l.Addr().(*net.TCPAddr).AddrPort())
	clients := []*client{r.dial()}
	clients[0].send(crlf(get))
	<-asked
	for range waiting {
		c := r.dial()
		c.send(crlf(get))
		clients = append(clients, c)
	}
	eventually(t, "all wait", func() bool { return r.b.Snapshot().Clusters[0].Counters.RqPendingActive == waiting })
	begin := time.Now()
	close(die)
	for i, c := range clients {
		if got := status(c.head()); got != "503" {
			t.Errorf("%d: status %s", i, got)
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("answered after %v", took)
	}
}

// An endpoint that closes after each response, and more requests than it may have
// connections: all wait their turn.
func TestWaitingForConnectionsThatEnd(t *testing.T) {
	b := wire.Listen(t, func(c *wire.Conn) {
		c.ReadHead()
		c.Play("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
	})
	r := newRig(t, setup{cluster: func(c *topology.Cluster) { c.Breakers.MaxConnections = 2 }}, b.Addr())
	done := make(chan string, 16)
	for range cap(done) {
		c := r.dial()
		go func() {
			for range 20 {
				if _, err := io.WriteString(c.TCPConn, crlf(get)); err != nil {
					done <- err.Error()
					return
				}
				line, err := c.r.ReadString('\n')
				for l := line; err == nil && l != "\r\n"; {
					l, err = c.r.ReadString('\n')
				}
				if _, derr := c.r.Discard(5); err != nil || derr != nil || !strings.Contains(line, "200") {
					done <- "answered " + line
					return
				}
			}
			done <- ""
		}()
	}
	for range cap(done) {
		if fault := <-done; fault != "" {
			t.Error(fault)
		}
	}
}

// A body that has come to its end is sent to its end before the response is
// looked at: it is no early one, and the client's connection is kept.
func TestBodyOfSomeBuffersKeepsTheConnection(t *testing.T) {
	const size = 100_000
	b := wire.Listen(t, func(c *wire.Conn) {
		for {
			if _, err := c.ReadHead(); err != nil {
				return
			}
			if _, err := c.ReadN(size); err != nil {
				return
			}
			if c.Play(ok200) != nil {
				return
			}
		}
	})
	r := newRig(t, setup{}, b.Addr())
	c := r.dial()
	post := crlf("POST / HTTP/1.1$Host: a$Content-Length: 100000$$") + strings.Repeat("x", size)
	for i := range 100 {
		c.send(post)
		if head := c.head(); status(head) != "200" || strings.Contains(head, "close") {
			t.Fatalf("%d: answered %q", i, head)
		}
		c.readN(5)
	}
	if n := r.srv.Counters()[0].RqResponseBeforeComplete; n != 0 {
		t.Errorf("%d early responses", n)
	}
}
