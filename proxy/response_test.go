package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/internal/wire"
)

// malformedResponses are the upstream's fault: 502, and nothing of them passes.
var malformedResponses = []struct{ name, response string }{
	{"no HTTP", "hello$$"},
	{"empty line before", "$HTTP/1.1 200 OK$Content-Length: 0$$"},
	{"HTTP/2.0", "HTTP/2.0 200 OK$$"},
	{"lower case", "http/1.1 200 OK$Content-Length: 0$$"},
	{"two-digit status", "HTTP/1.1 20 OK$$"},
	{"four-digit status", "HTTP/1.1 2000 OK$$"},
	{"status below 100", "HTTP/1.1 099 OK$$"},
	{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
	{"bare CR in the reason", "HTTP/1.1 200 O\rK$Content-Length: 0$$"},
	{"space before the colon", "HTTP/1.1 200 OK$Content-Length : 0$$"},
	{"obs-fold", "HTTP/1.1 200 OK$X: a$ b$Content-Length: 0$$"},
	{"no colon", "HTTP/1.1 200 OK$X$$"},
	{"NUL", "HTTP/1.1 200 OK$X: a\x00$Content-Length: 0$$"},
	{"CL and TE", "HTTP/1.1 200 OK$Content-Length: 0$Transfer-Encoding: chunked$$0$$"},
	{"two CLs", "HTTP/1.1 200 OK$Content-Length: 0$Content-Length: 1$$x"},
	{"bad CL", "HTTP/1.1 200 OK$Content-Length: x$$"},
	{"TE gzip, chunked", "HTTP/1.1 200 OK$Transfer-Encoding: gzip, chunked$$0$$"},
	{"TE in HTTP/1.0", "HTTP/1.0 200 OK$Transfer-Encoding: chunked$$0$$"},
	{"unasked 101", "HTTP/1.1 101 Switching Protocols$Connection: upgrade$Upgrade: x$$"},
	{"head too large", "HTTP/1.1 200 OK$X: " + strings.Repeat("x", 61<<10) + "$$"},
	{"ends within the head", "HTTP/1.1 200 OK$Content-Le"},
	{"interim without end", strings.Repeat("HTTP/1.1 102 Processing$$", 100)},
}

func TestMalformedResponses(t *testing.T) {
	for _, tt := range malformedResponses {
		t.Run(tt.name, func(t *testing.T) {
			b := wire.Listen(t, func(c *wire.Conn) {
				c.ReadHead()
				c.Play(crlf(tt.response))
			})
			r := newRig(t, setup{}, b.Addr())
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			head := c.head()
			for status(head) == "102" {
				head = c.head()
			}
			if status(head) != "502" {
				t.Errorf("answered %q, want 502", head)
			}
			if b.Conns() != 1 {
				t.Errorf("sent %d times", b.Conns())
			}
		})
	}
}

// relayedResponses are what arrives and what the client sees, octet by octet.
// The client says which connection ends it gets to see.
var relayedResponses = []struct {
	name, request, in, out string
	closes                 bool // the client's connection ends
	reused                 bool // the upstream's is used again
}{
	{"length", get, "HTTP/1.1 200 OK$Date: x$Content-Length: 2$$hi", "HTTP/1.1 200 OK$Date: x$content-length: 2$$hi", false, true},
	{"reason is kept", get, "HTTP/1.1 200 Very Well$Date: x$Content-Length: 0$$", "HTTP/1.1 200 Very Well$Date: x$content-length: 0$$", false, true},
	{"no reason", get, "HTTP/1.1 200$Date: x$Content-Length: 0$$", "HTTP/1.1 200 OK$Date: x$content-length: 0$$", false, true},
	{"chunks", get, "HTTP/1.1 200 OK$Date: x$Transfer-Encoding: chunked$$02;e$hi$0$$", "HTTP/1.1 200 OK$Date: x$transfer-encoding: chunked$$2$hi$0$$", false, true},
	{"trailers", get, "HTTP/1.1 200 OK$Date: x$Transfer-Encoding: chunked$$2$hi$0$X-T: 1$Content-Length: 9$$", "HTTP/1.1 200 OK$Date: x$transfer-encoding: chunked$$2$hi$0$X-T: 1$$", false, true},
	{"until close becomes chunks", get, "HTTP/1.1 200 OK$Date: x$$hi", "HTTP/1.1 200 OK$Date: x$transfer-encoding: chunked$$2$hi$0$$", false, false},
	{"until close, empty", get, "HTTP/1.1 200 OK$Date: x$$", "HTTP/1.1 200 OK$Date: x$transfer-encoding: chunked$$0$$", false, false},
	{"HTTP/1.0 upstream", get, "HTTP/1.0 200 OK$Date: x$Content-Length: 2$$hi", "HTTP/1.1 200 OK$Date: x$content-length: 2$$hi", false, false},
	{"HTTP/1.0 upstream that keeps", get, "HTTP/1.0 200 OK$Date: x$Connection: keep-alive$Content-Length: 2$$hi", "HTTP/1.1 200 OK$Date: x$content-length: 2$$hi", false, true},
	{"upstream closes", get, "HTTP/1.1 200 OK$Date: x$Connection: close$Content-Length: 2$$hi", "HTTP/1.1 200 OK$Date: x$content-length: 2$$hi", false, false},
	{"hop-by-hop fields go", get, "HTTP/1.1 200 OK$Date: x$Connection: x-hop$X-Hop: 1$Keep-Alive: timeout=5$Proxy-Connection: x$Content-Length: 0$$", "HTTP/1.1 200 OK$Date: x$content-length: 0$$", false, true},
	{"204 has no length (RFC 9110 8.6)", get, "HTTP/1.1 204 No Content$Date: x$Content-Length: 0$$", "HTTP/1.1 204 No Content$Date: x$$", false, true},
	{"304 keeps its length (RFC 9110 15.4.5)", get, "HTTP/1.1 304 Not Modified$Date: x$Content-Length: 99$$", "HTTP/1.1 304 Not Modified$Date: x$content-length: 99$$", false, true},
	{"304 without length", get, "HTTP/1.1 304 Not Modified$Date: x$$", "HTTP/1.1 304 Not Modified$Date: x$$", false, true},
	{"HEAD keeps the length", "HEAD / HTTP/1.1$Host: a$$", "HTTP/1.1 200 OK$Date: x$Content-Length: 99$$", "HTTP/1.1 200 OK$Date: x$content-length: 99$$", false, true},
	{"HEAD, chunked", "HEAD / HTTP/1.1$Host: a$$", "HTTP/1.1 200 OK$Date: x$Transfer-Encoding: chunked$$", "HTTP/1.1 200 OK$Date: x$transfer-encoding: chunked$$", false, true},
	{"HEAD, nothing said", "HEAD / HTTP/1.1$Host: a$$", "HTTP/1.1 200 OK$Date: x$$", "HTTP/1.1 200 OK$Date: x$$", false, true},
	{"client closes", "GET / HTTP/1.1$Host: a$Connection: close$$", "HTTP/1.1 200 OK$Date: x$Content-Length: 2$$hi", "HTTP/1.1 200 OK$Date: x$content-length: 2$connection: close$$hi", true, true},
	{"HTTP/1.0 client", "GET / HTTP/1.0$Host: a$$", "HTTP/1.1 200 OK$Date: x$Content-Length: 2$$hi", "HTTP/1.1 200 OK$Date: x$content-length: 2$connection: close$$hi", true, true},
	{"HTTP/1.0 client that keeps", "GET / HTTP/1.0$Host: a$Connection: keep-alive$$", "HTTP/1.1 200 OK$Date: x$Content-Length: 2$$hi", "HTTP/1.1 200 OK$Date: x$content-length: 2$connection: keep-alive$$hi", false, true},
	{"chunks for an HTTP/1.0 client", "GET / HTTP/1.0$Host: a$Connection: keep-alive$$", "HTTP/1.1 200 OK$Date: x$Transfer-Encoding: chunked$$2$hi$0$X-T: 1$$", "HTTP/1.1 200 OK$Date: x$connection: close$$hi", true, true},
	{"103 is passed on (RFC 8297)", get, "HTTP/1.1 103 Early Hints$Link: </a>$$HTTP/1.1 200 OK$Date: x$Content-Length: 2$$hi", "HTTP/1.1 103 Early Hints$Link: </a>$$HTTP/1.1 200 OK$Date: x$content-length: 2$$hi", false, true},
	{"100 and 102 are passed on", get, "HTTP/1.1 100 Continue$$HTTP/1.1 102 Processing$$HTTP/1.1 200 OK$Date: x$Content-Length: 2$$hi", "HTTP/1.1 100 Continue$$HTTP/1.1 102 Processing$$HTTP/1.1 200 OK$Date: x$content-length: 2$$hi", false, true},
	{"103 not to HTTP/1.0", "GET / HTTP/1.0$Host: a$$", "HTTP/1.1 103 Early Hints$Link: </a>$$HTTP/1.1 200 OK$Date: x$Content-Length: 2$$hi", "HTTP/1.1 200 OK$Date: x$content-length: 2$connection: close$$hi", true, true},
	{"more than the response", get, "HTTP/1.1 200 OK$Date: x$Content-Length: 2$$hiHTTP/1.1 200 OK$Content-Length: 6$$poison", "HTTP/1.1 200 OK$Date: x$content-length: 2$$hi", false, false},
	{"500 passes as it is", get, "HTTP/1.1 500 Oops$Date: x$Content-Length: 2$$hi", "HTTP/1.1 500 Oops$Date: x$content-length: 2$$hi", false, true},
	{"unknown status", get, "HTTP/1.1 299 Odd$Date: x$Content-Length: 0$$", "HTTP/1.1 299 Odd$Date: x$content-length: 0$$", false, true},
}

const get = "GET / HTTP/1.1$Host: a$$"

func TestRelayedResponses(t *testing.T) {
	for _, tt := range relayedResponses {
		t.Run(tt.name, func(t *testing.T) {
			untilClose := !strings.Contains(tt.in, "Content-Length") && !strings.Contains(tt.in, "chunked") &&
				!strings.Contains(tt.request, "HEAD") && !strings.Contains(tt.in, "304")
			b := wire.Listen(t, func(c *wire.Conn) {
				for {
					if _, err := c.ReadHead(); err != nil {
						return
					}
					c.Play(crlf(tt.in))
					if untilClose {
						return
					}
				}
			})
			r := newRig(t, setup{}, b.Addr())
			want := crlf(tt.out)
			c := r.dial()
			c.send(crlf(tt.request))
			if tt.closes {
				if got := c.all(); got != want {
					t.Errorf("relayed\n %q, want\n %q", got, want)
				}
				c = r.dial()
			} else if got := c.readN(len(want)); got != want {
				t.Errorf("relayed\n %q, want\n %q", got, want)
			}
			// A second request tells whether both connections were kept.
			c.send(crlf(tt.request))
			if got := c.readN(len(want)); got != want {
				t.Errorf("the second time\n %q, want\n %q", got, want)
			}
			if n := b.Conns(); (n == 1) != tt.reused {
				t.Errorf("%d upstream connections, reused should be %v", n, tt.reused)
			}
		})
	}
}

// Once the head has gone, a response that breaks off must look broken off.
func TestResponseBreaksOff(t *testing.T) {
	for _, tt := range []struct{ name, in, out string }{
		{"length", "HTTP/1.1 200 OK$Date: x$Content-Length: 9$$hi", "HTTP/1.1 200 OK$Date: x$content-length: 9$$hi"},
		{"chunks", "HTTP/1.1 200 OK$Date: x$Transfer-Encoding: chunked$$2$hi$", "HTTP/1.1 200 OK$Date: x$transfer-encoding: chunked$$2$hi$"},
		{"malformed chunk", "HTTP/1.1 200 OK$Date: x$Transfer-Encoding: chunked$$2$hi$zz$", "HTTP/1.1 200 OK$Date: x$transfer-encoding: chunked$$2$hi$"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := wire.Listen(t, func(c *wire.Conn) {
				c.ReadHead()
				c.Play(crlf(tt.in))
			})
			r := newRig(t, setup{}, b.Addr())
			if got := r.exchange(crlf(get)); got != crlf(tt.out) {
				t.Errorf("relayed %q, want %q and the end", got, crlf(tt.out))
			}
		})
	}
}

func FuzzResponse(f *testing.F) {
	for _, tt := range malformedResponses {
		f.Add([]byte(crlf(tt.response)))
	}
	for _, tt := range relayedResponses {
		f.Add([]byte(crlf(tt.in)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r response
		done, fault := r.parse(data, headLimits{60 << 10, 400}, false)
		if fault != nil || !done {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(data))), nil)
		if err != nil {
			if strings.Contains(err.Error(), "malformed HTTP version") {
				return
			}
			t.Fatalf("net/http refuses %q: %v", data, err)
		}
		defer theirs.Body.Close()
		if theirs.StatusCode != r.status {
			t.Fatalf("%q: status %d, net/http %d", data, r.status, theirs.StatusCode)
		}
		if r.hasBody(false) {
			chunked := len(theirs.TransferEncoding) == 1
			if chunked != (r.body == bodyChunked) {
				t.Fatalf("%q: chunked %v, net/http %v", data, r.body == bodyChunked, theirs.TransferEncoding)
			}
			if r.body == bodyLength && theirs.ContentLength != r.length {
				t.Fatalf("%q: length %d, net/http %d", data, r.length, theirs.ContentLength)
			}
		}
	})
}

// decode reads a whole chunked body in pieces of n octets.
func decode(data []byte, n int) (body, trailers string, used int, err error) {
	var c chunks
	c.reset()
	var b strings.Builder
	for at := 0; !c.done(); {
		if at == len(data) {
			return b.String(), "", at, io.ErrUnexpectedEOF
		}
		piece, m, f := c.next(data[at:min(at+n, len(data))])
		if f != nil {
			return b.String(), "", at, f
		}
		if m == 0 {
			return "", "", at, fmt.Errorf("no progress at %d", at)
		}
		b.Write(piece)
		at += m
		used = at
	}
	return b.String(), string(c.trailers), used, nil
}

func FuzzChunks(f *testing.F) {
	for _, s := range []string{"0$$", "5$hello$0$$", "5;a=b$hello$0$X: y$$rest", "1$x$2$", "g$", "1$xx", "0$X: y", "fffffffffffffff$", "00005$hello$0$Content-Length: 1$A: b$$"} {
		f.Add([]byte(crlf(s)), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		whole, trailers, used, err := decode(data, len(data)+1)
		pieces, trailers2, used2, err2 := decode(data, int(step%16)+1)
		if (err == nil) != (err2 == nil) || err == nil && (whole != pieces || trailers != trailers2 || used != used2) {
			t.Fatalf("%q whole: %q %q %d %v; in pieces of %d: %q %q %d %v", data, whole, trailers, used, err, step%16+1, pieces, trailers2, used2, err2)
		}
		if err != nil {
			return
		}
		req, perr := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + string(data[:used]))))
		if perr != nil {
			t.Fatal(perr)
		}
		theirs, rerr := io.ReadAll(req.Body)
		if rerr != nil {
			t.Fatalf("net/http refuses %q: %v", data[:used], rerr)
		}
		if string(theirs) != whole {
			t.Fatalf("%q: %q, net/http %q", data, whole, theirs)
		}
	})
}
