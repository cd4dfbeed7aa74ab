package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
)

// bounded is how much memory of ours one connection may hold, whatever its peers
// do: the buffers of both directions and two goroutines.
const bounded = 300 << 10

// A client that reads nothing of a huge response, and one that sends a huge
// body to an endpoint that reads nothing: both wait, in bounded memory.
func TestWhoDoesNotReadHoldsLittle(t *testing.T) {
	const clients = 24
	piece := bytes.Repeat([]byte("x"), 1<<20)
	var moved atomic.Int64
	pour := func(w io.Writer) {
		for range 1 << 10 { // 1 GiB
			n, err := w.Write(piece[:64<<10])
			moved.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name, request, response string
	}{
		{"response with a length", "GET / HTTP/1.1$Host: a$$", "HTTP/1.1 200 OK$Content-Length: 1073741824$$"},
		{"response until close", "GET / HTTP/1.1$Host: a$$", "HTTP/1.1 200 OK$$"},
		{"body with a length", "POST / HTTP/1.1$Host: a$Content-Length: 1073741824$$", ""},
		{"chunked body", "POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked$$40000000$", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			moved.Store(0)
			b := wire.Listen(t, func(c *wire.Conn) {
				if _, err := c.ReadHead(); err != nil {
					return
				}
				if tt.response != "" && c.Play(crlf(tt.response)) == nil {
					pour(c.Conn)
					return
				}
				<-t.Context().Done()
			})
			r := newRig(t, setup{}, b.Addr())
			before := heap()
			var wg sync.WaitGroup
			for range clients {
				c := r.dial()
				c.send(crlf(tt.request))
				if tt.response == "" {
					wg.Go(func() { pour(c.TCPConn) })
				}
				t.Cleanup(func() { c.Close(); wg.Wait() })
			}
			eventually(t, "all are under way", func() bool { return b.Conns() == clients && moved.Load() > clients<<16 })
			last, since := moved.Load(), time.Now()
			eventually(t, "nothing moves any more", func() bool {
				if n := moved.Load(); n != last {
					last, since = n, time.Now()
				}
				return time.Since(since) > 200*time.Millisecond
			})
			if held := (heap() - before) / clients; held > bounded {
				t.Errorf("%d octets held per connection, want at most %d", held, bounded)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools have kept over the first goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// Clients that are slow on purpose, by the tool that is known for it, cost the
// others nothing: each of their requests is answered within a second.
func TestSlowClientsDoNotSlowOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	tool, err := exec.LookPath("slowhttptest")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI needs slowhttptest: make setup installs it")
		}
		t.Skip("slowhttptest is not installed: make setup")
	}
	big := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 200<<10, strings.Repeat("x", 200<<10))
	b := wire.Listen(t, func(c *wire.Conn) {
		_ = c.Conn.SetDeadline(time.Time{})
		for {
			head, err := c.ReadHead()
			if err != nil {
				return
			}
			answer := ok200
			if strings.HasPrefix(head, "GET /big") {
				answer = big
			}
			if c.Play(answer) != nil {
				return
			}
		}
	})
	r := newRig(t, setup{limits: Limits{HeadTimeout: 3 * time.Second}}, b.Addr())
	ctx, stop := context.WithTimeout(context.Background(), 15*time.Second)
	defer stop()
	var tools sync.WaitGroup
	running := make(chan struct{})
	for _, mode := range [][]string{
		{"-H"}, {"-B", "-s", "8192"}, {"-R", "-t", "HEAD"}, {"-X", "-w", "10", "-y", "20", "-n", "1", "-z", "32", "-k", "3"},
	} {
		args := append(mode, "-c", "100", "-r", "50", "-i", "1", "-l", "8", "-p", "1", "-v", "0", "-u", "http://"+r.addr.String()+"/big")
		tools.Go(func() {
			if out, err := exec.CommandContext(ctx, tool, args...).CombinedOutput(); err != nil {
				t.Errorf("%s %v: %v\n%s", tool, args, err, out)
			}
		})
	}
	go func() { tools.Wait(); close(running) }()
	var took []time.Duration
	most := int64(0)
	for over := false; !over; {
		select {
		case <-running:
			over = true
		case <-time.After(50 * time.Millisecond):
		}
		begin := time.Now()
		if got := r.exchange(getClose); status(got) != "200" {
			t.Errorf("answered %q", got)
		}
		took = append(took, time.Since(begin))
		most = max(most, r.srv.active.Load())
	}
	slices.Sort(took)
	median, slowest := took[len(took)/2], took[len(took)-1]
	t.Logf("%d requests beside up to %d connections: median %v, the slowest %v", len(took), most, median, slowest)
	// One of twenty is the machine's, which the tools load as well.
	if late := took[len(took)*19/20]; late > time.Second {
		t.Errorf("one request in twenty took %v or more, want less than a second", late)
	}
	if most < 100 {
		t.Errorf("only up to %d connections: the tool did not attack", most)
	}
}

// The same by hand, for where there is no tool: heads that come octet by octet
// end by the limit of the whole head, however often one comes.
func TestSlowHeadEndsInTime(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{limits: Limits{HeadTimeout: 300 * time.Millisecond}}, b.Addr())
	c := r.dial()
	begin := time.Now()
	answered := make(chan string, 1)
	go func() {
		head, _ := c.r.ReadString('\n')
		answered <- head
	}()
	c.send("GET / HTTP/1.1\r\n")
	for {
		select {
		case head := <-answered:
			if status(head) != "408" {
				t.Errorf("answered %q", head)
			}
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("only after %v", took)
			}
			return
		case <-time.After(20 * time.Millisecond):
			if _, err := io.WriteString(c.TCPConn, "X"); err != nil {
				if ne, ok := err.(net.Error); ok && ne.Timeout() {
					t.Fatal("never ended")
				}
			}
		}
	}
}

// An endpoint that trickles its head, or never ends its interim responses, is
// given up in time.
func TestSlowUpstreamHeadEndsInTime(t *testing.T) {
	for name, piece := range map[string]string{"octets": "x", "interim responses": "HTTP/1.1 102 Processing\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			b := wire.Listen(t, func(c *wire.Conn) {
				c.ReadHead()
				if piece == "x" {
					c.Play("HTTP/1.1 200 OK\r\nX: ")
				}
				for c.Play(piece) == nil {
					time.Sleep(20 * time.Millisecond)
				}
			})
			s := setup{}
			s.http.StreamIdleTimeout = 300 * time.Millisecond
			r := newRig(t, s, b.Addr())
			c := r.dial()
			begin := time.Now()
			c.send(crlf(get))
			h := c.head()
			for status(h) == "102" {
				h = c.head()
			}
			if got := status(h); got != "504" && got != "502" {
				t.Errorf("answered %q", h)
			}
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("only after %v", took)
			}
		})
	}
}
