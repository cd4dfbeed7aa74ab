package proxy

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// requestsOfChaos is how many requests the clients of TestNobodyGetsAnothersResponse
// make together: as many as LB_CHAOS says, else few enough for every run.
func requestsOfChaos(t *testing.T) int64 {
	s := os.Getenv("LB_CHAOS")
	if s == "" {
		return 3000
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatalf("LB_CHAOS=%q is no number", s)
	}
	return n
}

// Clients that leave at any moment, backends that answer in all ways: whoever
// gets a response gets the one to its own request, whole and once.
func TestNobodyGetsAnothersResponse(t *testing.T) {
	var seen sync.Map // id -> times it arrived, of those that must not be repeated
	backend := func(c *wire.Conn) {
		_ = c.Conn.SetDeadline(time.Time{})
		br := bufio.NewReader(c.Conn)
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			id := strings.TrimPrefix(req.URL.Path, "/")
			if req.Method == "POST" {
				n, _ := seen.LoadOrStore(id, new(atomic.Int32))
				if n.(*atomic.Int32).Add(1) > 1 {
					t.Errorf("POST %s arrived twice", id)
				}
			}
			dice := rand.IntN(20)
			if dice == 0 { // an early response
				fmt.Fprintf(c.Conn, "HTTP/1.1 200 OK\r\nDate: x\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(id), id)
				if _, err := io.Copy(io.Discard, req.Body); err != nil {
					return
				}
				continue
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return
			}
			if len(body) > 0 && string(body) != strings.Repeat(id+";", len(body)/(len(id)+1)) {
				t.Errorf("the body of %s is somebody else's: %.60q", id, body)
			}
			text := strings.Repeat(id+";", 1+rand.IntN(1<<rand.IntN(14)))
			if req.Method == "HEAD" {
				fmt.Fprintf(c.Conn, "HTTP/1.1 200 OK\r\nDate: x\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n", id, len(text))
				continue
			}
			switch dice {
			case 1:
				return // not a word
			case 2: // broken off
				fmt.Fprintf(c.Conn, "HTTP/1.1 200 OK\r\nDate: x\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(text), text[:len(text)/2])
				return
			case 3:
				c.Reset()
				return
			case 4:
				fmt.Fprintf(c.Conn, "HTTP/1.1 103 Early Hints\r\nX-Id: %s\r\n\r\n", id)
			case 5:
				time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) // so that clients leave meanwhile
			case 6: // with something behind it that nobody has asked for
				fmt.Fprintf(c.Conn, "HTTP/1.1 200 OK\r\nDate: x\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%s"+
					"HTTP/1.1 200 OK\r\nDate: x\r\nX-Id: poison\r\nContent-Length: 6\r\n\r\npoison", id, len(id), id)
				continue
			}
			if dice%2 == 0 {
				fmt.Fprintf(c.Conn, "HTTP/1.1 200 OK\r\nDate: x\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(text), text)
			} else {
				at := len(text) / 2
				fmt.Fprintf(c.Conn, "HTTP/1.1 200 OK\r\nDate: x\r\nX-Id: %s\r\nTransfer-Encoding: chunked\r\n\r\n", id)
				if at > 0 {
					fmt.Fprintf(c.Conn, "%x\r\n%s\r\n", at, text[:at])
				}
				fmt.Fprintf(c.Conn, "%x\r\n%s\r\n0\r\n\r\n", len(text)-at, text[at:])
			}
		}
	}
	b1, b2 := wire.Listen(t, backend), wire.Listen(t, backend)
	r := newRig(t, setup{
		limits: Limits{HalfClose: 5 * time.Millisecond},
		route: func(rt *topology.Route) {
			rt.Retry = topology.RetryPolicy{On: []string{"reset"}, Max: 2, OtherMembers: true, IdempotentOnly: true}
		},
	}, b1.Addr(), b2.Addr())
	var left, id, answered, left5xx atomic.Int64
	left.Store(requestsOfChaos(t))
	var wg sync.WaitGroup
	for range 24 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for left.Load() > 0 {
				chaoticClient(t, r, &left, &id, &answered, &left5xx)
			}
		}()
	}
	wg.Wait()
	t.Logf("%d requests, %d answered whole, %d by 5xx", id.Load(), answered.Load(), left5xx.Load())
	if answered.Load() < requestsOfChaos(t)/10 {
		t.Error("hardly any request was answered: the test tests nothing")
	}
	eventually(t, "all connections have ended", func() bool { return r.srv.active.Load() == 0 })
}

// chaoticClient makes requests on one connection until something makes it end.
func chaoticClient(t *testing.T, r *rig, left, ids, answered, failed *atomic.Int64) {
	nc, err := net.Dial("tcp", r.addr.String())
	if err != nil {
		t.Error(err)
		left.Store(0)
		return
	}
	c := nc.(*net.TCPConn)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * wire.Patience))
	br := bufio.NewReader(c)
	for range 20 {
		n := 1 + rand.IntN(3) // pipelined
		var batch []*http.Request
		var out strings.Builder
		for range n {
			if left.Add(-1) < 0 {
				break
			}
			id := strconv.FormatInt(ids.Add(1), 10)
			method := []string{"GET", "GET", "PUT", "POST", "HEAD"}[rand.IntN(5)]
			batch = append(batch, &http.Request{Method: method, Header: http.Header{"Id": {id}}})
			fmt.Fprintf(&out, "%s /%s HTTP/1.1\r\nHost: a\r\n", method, id)
			body := ""
			if method[0] == 'P' {
				body = strings.Repeat(id+";", 1+rand.IntN(1<<rand.IntN(15)))
			}
			switch {
			case body == "":
				out.WriteString("\r\n")
			case rand.IntN(2) == 0:
				fmt.Fprintf(&out, "Content-Length: %d\r\n\r\n%s", len(body), body)
			default:
				at := rand.IntN(len(body))
				out.WriteString("Transfer-Encoding: chunked\r\n\r\n")
				for _, p := range []string{body[:at], body[at:]} {
					if p != "" {
						fmt.Fprintf(&out, "%x\r\n%s\r\n", len(p), p)
					}
				}
				out.WriteString("0\r\n\r\n")
			}
		}
		if len(batch) == 0 {
			return
		}
		all := out.String()
		leave := rand.IntN(6)
		if leave == 0 { // within the request
			_, _ = io.WriteString(c, all[:rand.IntN(len(all))])
			_ = c.SetLinger(rand.IntN(2) - 1) // -1: FIN, 0: RST
			return
		}
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			_, _ = io.WriteString(c, all) // an early response may end it
		}()
		if leave == 1 { // while it is answered
			time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
			_ = c.SetLinger(0)
			c.Close()
			<-wrote
			return
		}
		ok := readBatch(t, br, batch, answered, failed)
		if !ok {
			c.Close()
		}
		<-wrote
		if !ok {
			return
		}
	}
}

// readBatch reads the responses; false: the connection is over.
func readBatch(t *testing.T, br *bufio.Reader, batch []*http.Request, answered, failed *atomic.Int64) bool {
	for _, req := range batch {
		id := req.Header.Get("Id")
		resp, err := http.ReadResponse(br, req)
		for err == nil && resp.StatusCode < 200 {
			if got := resp.Header.Get("X-Id"); got != "" && got != id {
				t.Errorf("%s got the hints of %s", id, got)
			}
			resp, err = http.ReadResponse(br, req)
		}
		if err != nil {
			return false // e.g. after a response that broke off
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode >= 500 {
			failed.Add(1)
			if resp.Header.Get("X-Id") != "" {
				t.Errorf("%s: a local reply with somebody's id", id)
			}
			if resp.Close {
				return false
			}
			continue
		}
		if got := resp.Header.Get("X-Id"); got != id {
			t.Errorf("%s got the response to %q", id, got)
		}
		text := string(body)
		if text != id && strings.Trim(strings.ReplaceAll(text, id+";", ""), id) != "" {
			t.Errorf("%s got the body %.60q", id, text)
		}
		if err != nil {
			return false
		}
		answered.Add(1)
		if resp.Close {
			return false
		}
	}
	return true
}
