package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// judge is a backend that reads what is forwarded with net/http's parser and
// answers every request with its number.
type judge struct {
	mu   sync.Mutex
	seen []seen
}

// seen is one request as net/http reads it.
type seen struct {
	method, target, host, body, trailer string
	err                                 error // net/http refuses the head
}

func (j *judge) serve(c *wire.Conn) {
	_ = c.Conn.SetDeadline(time.Time{})
	br := bufio.NewReader(c.Conn)
	for {
		if _, err := br.Peek(1); err != nil {
			return
		}
		s, cut := see(br)
		if cut {
			return // the proxy gave the request up within it
		}
		j.mu.Lock()
		n := len(j.seen)
		j.seen = append(j.seen, s)
		j.mu.Unlock()
		body := "ok"
		if s.method == "HEAD" {
			body = ""
		}
		if c.Play(fmt.Sprintf("HTTP/1.1 200 OK\r\nDate: x\r\nX-Judge: %d\r\nContent-Length: 2\r\n\r\n%s", n, body)) != nil || s.err != nil {
			return
		}
	}
}

// see reads one request. cut: the connection ended within it.
func see(br *bufio.Reader) (s seen, cut bool) {
	req, err := http.ReadRequest(br)
	if err != nil {
		return seen{err: err}, errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return s, true
	}
	var trailer strings.Builder
	_ = req.Trailer.Write(&trailer)
	return seen{method: req.Method, target: req.RequestURI, host: req.Host, body: string(body), trailer: trailer.String()}, false
}

func (j *judge) take() []seen {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := j.seen
	j.seen = nil
	return all
}

// FuzzExchange sends any octets to a listener. Whatever is forwarded, net/http
// must read as the requests that it reads in the octets themselves: the same
// ones, in the same order, one for one answer. What it sees and the engine does
// not is the engine's strictness; the reverse would be smuggling.
func FuzzExchange(f *testing.F) {
	for _, tt := range refusedRequests {
		f.Add([]byte(crlf(tt.request)))
		f.Add([]byte(crlf(get + tt.request)))
	}
	for _, tt := range forwardedRequests {
		f.Add([]byte(crlf(tt.in)))
		f.Add([]byte(crlf(tt.in + tt.in)))
		f.Add([]byte(crlf(tt.in + get)))
	}
	var j judge
	b := wire.Listen(f, j.serve)
	r := newRig(f, setup{http: topology.HTTPOptions{Upgrades: []string{"websocket"}}}, b.Addr())
	f.Fuzz(func(t *testing.T, data []byte) {
		r := *r
		r.tb = t
		got := answers(t, r.dial(), data)
		forwarded := j.take()
		theirs := bufio.NewReader(bytes.NewReader(data))
		n := 0
		for i := 0; ; i++ {
			// An empty line before a request is the engine's to skip.
			if p, _ := theirs.Peek(2); string(p) == "\r\n" {
				_, _ = theirs.Discard(2)
			}
			req, cut := see(theirs)
			if req.err != nil && !cut && !knownRefusal(req.err) {
				// Not to be served; where an answer of the judge follows, it was.
				if len(got) > i && got[i].judged {
					t.Fatalf("%q: request %d is refused by net/http (%v) and was forwarded", data, i, req.err)
				}
			}
			if req.err != nil || cut {
				// The two have nothing in common from here on, but for the count.
				break
			}
			if i >= len(got) {
				break
			}
			if !got[i].judged {
				continue
			}
			if n >= len(forwarded) {
				t.Fatalf("%q: answer %d is nobody's", data, i)
			}
			if f := forwarded[n]; f.err == nil && !same(f, req) {
				t.Fatalf("%q: request %d was\n%+v, forwarded as\n%+v", data, i, req, f)
			} else if f.err != nil && !knownRefusal(f.err) {
				t.Fatalf("%q: what is forwarded as request %d is refused by net/http: %v", data, i, f.err)
			}
			n++
		}
		judged := 0
		for _, a := range got {
			if a.judged {
				judged++
			}
		}
		if judged != len(forwarded) {
			t.Fatalf("%q: %d requests were forwarded, %d answers came of them: %+v", data, len(forwarded), judged, forwarded)
		}
	})
}

// same compares a request with what became of it: the absolute form is gone,
// the host of the target with it, and trailers may have been dropped.
func same(f, req seen) bool {
	target := req.target
	if rest, ok := cutScheme(target); ok {
		if at := strings.IndexAny(rest, "/?"); at < 0 {
			target = "/"
		} else {
			target = rest[at:]
		}
		if target[0] == '?' {
			target = "/" + target
		}
		if req.method == "OPTIONS" && !strings.ContainsAny(rest, "/?") {
			target = "*"
		}
	}
	hostless := req.host == "" // HTTP/1.0
	return f.method == req.method && f.target == target && (hostless || f.host == req.host) && f.body == req.body
}

func cutScheme(target string) (rest string, ok bool) {
	for _, s := range []string{"http://", "https://"} {
		if len(target) >= len(s) && strings.EqualFold(target[:len(s)], s) {
			return target[len(s):], true
		}
	}
	return "", false
}

// knownRefusal: net/http parses the target as a URL and the version to the
// letter, where the engine forwards what it must not judge (see known).
func knownRefusal(err error) bool {
	return known(&request{}, err)
}

type answer struct {
	status int
	judged bool // it is the judge's, and so was forwarded
}

// answers sends data and the end, and reads all final responses.
func answers(t *testing.T, c *client, data []byte) []answer {
	go func() {
		_, _ = c.TCPConn.Write(data) // may be refused half-way
		_ = c.CloseWrite()
	}()
	// HEAD is the one method whose response is read differently; the judge
	// gives it no body, so that one can tell by the connection.
	var all []answer
	heads := methods(data)
	for {
		if _, err := c.r.Peek(1); err != nil {
			break
		}
		m := "GET"
		if len(all) < len(heads) {
			m = heads[len(all)]
		}
		resp, err := http.ReadResponse(c.r, &http.Request{Method: m})
		if err != nil {
			t.Fatalf("%q: the proxy's response cannot be read: %v", data, err)
		}
		if resp.StatusCode < 200 {
			continue
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Fatalf("%q: the proxy's response breaks off: %v", data, err)
		}
		all = append(all, answer{resp.StatusCode, resp.Header.Get("X-Judge") != ""})
	}
	return all
}

// methods are those of the requests as the engine's own parser finds them.
func methods(data []byte) (all []string) {
	for {
		r, err := parseWhole(data)
		if err != nil {
			return all
		}
		all = append(all, string(r.method))
		data = data[r.size:]
		switch r.body {
		case bodyLength:
			data = data[min(int64(len(data)), r.length):]
		case bodyChunked:
			_, _, used, err := decode(data, len(data)+1)
			if err != nil {
				return all
			}
			data = data[used:]
		}
	}
}
