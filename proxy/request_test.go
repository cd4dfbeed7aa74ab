package proxy

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/internal/wire"
)

// refusedRequests must be answered by the status with the connection closed and
// nothing forwarded. $ stands for CRLF.
var refusedRequests = []struct {
	name, request, status string
}{
	// RFC 9112 section 2.2
	{"bare LF after the request line", "GET / HTTP/1.1\nHost: a$$", "400"},
	{"bare LF after a field", "GET / HTTP/1.1$Host: a\n$", "400"},
	{"bare LF for the empty line", "GET / HTTP/1.1$Host: a$\n", "400"},
	{"bare CR in the target", "GET /\rx HTTP/1.1$Host: a$$", "400"},
	{"bare CR in a value", "GET / HTTP/1.1$Host: a$X: a\rb$$", "400"},
	{"bare CR before the end", "GET / HTTP/1.1$Host: a$X: a\r$$", "400"},
	{"two empty lines before", "$$GET / HTTP/1.1$Host: a$$", "400"},
	{"white space before the first field", "GET / HTTP/1.1$ Host: a$$", "400"},
	// section 3
	{"no version", "GET /$Host: a$$", "400"},
	{"two spaces", "GET  / HTTP/1.1$Host: a$$", "400"},
	{"trailing space", "GET / HTTP/1.1 $Host: a$$", "400"},
	{"tab for a space", "GET\t/ HTTP/1.1$Host: a$$", "400"},
	{"lower-case version", "GET / http/1.1$Host: a$$", "400"},
	{"one-digit version", "GET / HTTP/1$Host: a$$", "400"},
	{"long version", "GET / HTTP/1.10$Host: a$$", "400"},
	{"HTTP/2.0", "GET / HTTP/2.0$Host: a$$", "505"},
	{"HTTP/0.9", "GET / HTTP/0.9$Host: a$$", "505"},
	{"method with a bad character", "GE(T / HTTP/1.1$Host: a$$", "400"},
	{"NUL in the method", "GE\x00T / HTTP/1.1$Host: a$$", "400"},
	{"empty method", " / HTTP/1.1$Host: a$$", "400"},
	// section 3.2
	{"relative target", "GET x HTTP/1.1$Host: a$$", "400"},
	{"fragment", "GET /#x HTTP/1.1$Host: a$$", "400"},
	{"NUL in the target", "GET /\x00 HTTP/1.1$Host: a$$", "400"},
	{"DEL in the target", "GET /\x7f HTTP/1.1$Host: a$$", "400"},
	{"non-ASCII target", "GET /\xc3\xa9 HTTP/1.1$Host: a$$", "400"},
	{"quote in the target", "GET /\"x HTTP/1.1$Host: a$$", "400"},
	{"userinfo", "GET http://u:p@a/ HTTP/1.1$Host: a$$", "400"},
	{"other scheme", "GET ftp://a/ HTTP/1.1$Host: a$$", "400"},
	{"absolute form without host", "GET http:///x HTTP/1.1$Host: a$$", "400"},
	{"asterisk for GET", "GET * HTTP/1.1$Host: a$$", "400"},
	{"authority form for GET", "GET a:80 HTTP/1.1$Host: a$$", "400"},
	{"CONNECT with a path", "CONNECT /x HTTP/1.1$Host: a$$", "400"},
	{"no Host", "GET / HTTP/1.1$X: y$$", "400"},
	{"two Hosts", "GET / HTTP/1.1$Host: a$Host: b$$", "400"},
	{"two equal Hosts", "GET / HTTP/1.1$Host: a$host: a$$", "400"},
	{"empty Host", "GET / HTTP/1.1$Host:$$", "400"},
	{"list in Host", "GET / HTTP/1.1$Host: a, b$$", "400"},
	{"userinfo in Host", "GET / HTTP/1.1$Host: u@a$$", "400"},
	{"path in Host", "GET / HTTP/1.1$Host: a/b$$", "400"},
	{"space in Host", "GET / HTTP/1.1$Host: a b$$", "400"},
	{"port not a number", "GET / HTTP/1.1$Host: a:b$$", "400"},
	{"port too large", "GET / HTTP/1.1$Host: a:65536$$", "400"},
	{"unclosed bracket in Host", "GET / HTTP/1.1$Host: [::1$$", "400"},
	{"bad Host beside an absolute form", "GET http://a/ HTTP/1.1$Host: a@b$$", "400"},
	// section 5
	{"space before the colon", "GET / HTTP/1.1$Host: a$Content-Length : 0$$", "400"},
	{"tab before the colon", "GET / HTTP/1.1$Host: a$X\t: 0$$", "400"},
	{"obs-fold", "GET / HTTP/1.1$Host: a$X: a$ b$$", "400"},
	{"obs-fold by tab", "GET / HTTP/1.1$Host: a$X: a$\tb$$", "400"},
	{"no colon", "GET / HTTP/1.1$Host: a$X$$", "400"},
	{"empty name", "GET / HTTP/1.1$Host: a$: x$$", "400"},
	{"NUL in a name", "GET / HTTP/1.1$Host: a$X\x00: x$$", "400"},
	{"non-ASCII name", "GET / HTTP/1.1$Host: a$X\xff: x$$", "400"},
	{"NUL in a value", "GET / HTTP/1.1$Host: a$X: a\x00b$$", "400"},
	{"control in a value", "GET / HTTP/1.1$Host: a$X: a\x01b$$", "400"},
	{"control far into a value", "GET / HTTP/1.1$Host: a$X: abcdefghijklmnopqrs\x1ftuv$$", "400"},
	{"DEL in a value", "GET / HTTP/1.1$Host: a$X: abcdefgh\x7f$$", "400"},
	// section 6
	{"CL and TE", "POST / HTTP/1.1$Host: a$Content-Length: 5$Transfer-Encoding: chunked$$0$$", "400"},
	{"TE and CL", "POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked$Content-Length: 5$$0$$", "400"},
	{"two CLs", "POST / HTTP/1.1$Host: a$Content-Length: 5$Content-Length: 6$$hello", "400"},
	{"two equal CLs", "POST / HTTP/1.1$Host: a$Content-Length: 5$Content-Length: 5$$hello", "400"},
	{"list CL", "POST / HTTP/1.1$Host: a$Content-Length: 5, 5$$hello", "400"},
	{"signed CL", "POST / HTTP/1.1$Host: a$Content-Length: +5$$hello", "400"},
	{"negative CL", "POST / HTTP/1.1$Host: a$Content-Length: -5$$hello", "400"},
	{"hex CL", "POST / HTTP/1.1$Host: a$Content-Length: 0x5$$hello", "400"},
	{"empty CL", "POST / HTTP/1.1$Host: a$Content-Length:$$hello", "400"},
	{"CL with a space inside", "POST / HTTP/1.1$Host: a$Content-Length: 5 5$$hello", "400"},
	{"CL too large", "POST / HTTP/1.1$Host: a$Content-Length: 9223372036854775808$$hello", "400"},
	{"TE chunked twice", "POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked$Transfer-Encoding: chunked$$0$$", "400"},
	{"TE chunked, chunked", "POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked, chunked$$0$$", "400"},
	{"TE chunked, identity", "POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked, identity$$0$$", "400"},
	{"TE identity", "POST / HTTP/1.1$Host: a$Transfer-Encoding: identity$$", "400"},
	{"TE xchunked", "POST / HTTP/1.1$Host: a$Transfer-Encoding: xchunked$$0$$", "400"},
	{"TE with a parameter", "POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked;x=1$$0$$", "400"},
	{"TE quoted", "POST / HTTP/1.1$Host: a$Transfer-Encoding: \"chunked\"$$0$$", "400"},
	{"TE with a vertical tab", "POST / HTTP/1.1$Host: a$Transfer-Encoding: \x0bchunked$$0$$", "400"},
	{"TE empty", "POST / HTTP/1.1$Host: a$Transfer-Encoding:$$", "400"},
	{"TE gzip", "POST / HTTP/1.1$Host: a$Transfer-Encoding: gzip$$", "400"},
	{"TE gzip, chunked", "POST / HTTP/1.1$Host: a$Transfer-Encoding: gzip, chunked$$0$$", "501"},
	{"TE in HTTP/1.0", "POST / HTTP/1.0$Host: a$Transfer-Encoding: chunked$$0$$", "400"},
	// RFC 9110 section 7.6.1
	{"Connection names Content-Length", "POST / HTTP/1.1$Host: a$Connection: content-length$Content-Length: 5$$hello", "400"},
	{"Connection names X-Forwarded-For", "GET / HTTP/1.1$Host: a$X-Forwarded-For: 1.1.1.1$Connection: x-forwarded-for$$", "400"},
	{"Connection names more than anybody would", "GET / HTTP/1.1$Host: a$Connection: a" + strings.Repeat(",a", 32) + "$$", "400"},
	{"Connection names more than anybody would, on many lines", "GET / HTTP/1.1$Host: a$" + strings.Repeat("Connection: a,b$", 17) + "$", "400"},
	{"Connection is no list of tokens", "GET / HTTP/1.1$Host: a$Connection: a b$$", "400"},
	// RFC 9110 section 10.1.1
	{"unknown expectation", "POST / HTTP/1.1$Host: a$Content-Length: 1$Expect: 200-ok$$x", "417"},
	// CONNECT is not configured
	{"CONNECT", "CONNECT a:443 HTTP/1.1$Host: a:443$$", "403"},
}

func crlf(s string) string { return strings.ReplaceAll(s, "$", "\r\n") }

func TestRefusedRequests(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{}, b.Addr())
	for _, tt := range refusedRequests {
		t.Run(tt.name, func(t *testing.T) {
			r := *r
			r.tb = t
			// The second request is the smuggler's: it must not be answered.
			got := r.exchange(crlf(tt.request) + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
			if status(got) != tt.status {
				t.Errorf("answered %q, want %s", got, tt.status)
			}
			if !strings.Contains(got, "\r\nconnection: close\r\n") {
				t.Errorf("no Connection: close in %q", got)
			}
			if strings.Count(got, "HTTP/1.1 ") != 1 {
				t.Errorf("more than one response: %q", got)
			}
		})
	}
	if n := b.Conns(); n != 0 {
		t.Errorf("the backend was connected to %d times: %q", n, b.Received(0))
	}
}

// forwardedRequests are what arrives and what leaves, octet by octet, without
// the fields that the proxy adds.
var forwardedRequests = []struct {
	name, in, out string
}{
	{"plain", "GET / HTTP/1.1$Host: a$$", "GET / HTTP/1.1$host: a$$"},
	{"an empty line before (RFC 9112 2.2)", "$GET / HTTP/1.1$Host: a$$", "GET / HTTP/1.1$host: a$$"},
	{"names and order are kept, white space is not", "GET / HTTP/1.1$X-B:1$Host:  a $x-A: \t 2 \t$$", "GET / HTTP/1.1$host: a$X-B: 1$x-A: 2$$"},
	{"empty value", "GET / HTTP/1.1$Host: a$X:$$", "GET / HTTP/1.1$host: a$X: $$"},
	{"obs-text in a value (RFC 9110 5.5)", "GET / HTTP/1.1$Host: a$X: \xff\xe9abcdefgh$$", "GET / HTTP/1.1$host: a$X: \xff\xe9abcdefgh$$"},
	{"tab within a value", "GET / HTTP/1.1$Host: a$X: abcdefghij\tk$$", "GET / HTTP/1.1$host: a$X: abcdefghij\tk$$"},
	{"query untouched", "GET /a//b/../c?x=%41&y=[|] HTTP/1.1$Host: a$$", "GET /a//b/../c?x=%41&y=[|] HTTP/1.1$host: a$$"},
	{"empty query", "GET /? HTTP/1.1$Host: a$$", "GET /? HTTP/1.1$host: a$$"},
	{"absolute form (RFC 9112 3.2.2)", "GET http://b.example:81/x?y HTTP/1.1$Host: a$$", "GET /x?y HTTP/1.1$host: b.example:81$$"},
	{"absolute form, no path", "GET http://b HTTP/1.1$Host: a$$", "GET / HTTP/1.1$host: b$$"},
	{"absolute form, query only", "GET http://b?x HTTP/1.1$Host: a$$", "GET /?x HTTP/1.1$host: b$$"},
	{"absolute form, https", "GET HTTPS://b/ HTTP/1.1$Host: a$$", "GET / HTTP/1.1$host: b$$"},
	{"asterisk form", "OPTIONS * HTTP/1.1$Host: a$$", "OPTIONS * HTTP/1.1$host: a$$"},
	{"OPTIONS absolute without path (RFC 9112 3.2.4)", "OPTIONS http://b HTTP/1.1$Host: a$$", "OPTIONS * HTTP/1.1$host: b$$"},
	{"IPv6 host", "GET / HTTP/1.1$Host: [::1]:80$$", "GET / HTTP/1.1$host: [::1]:80$$"},
	{"host's case is kept", "GET / HTTP/1.1$Host: EXample.com$$", "GET / HTTP/1.1$host: EXample.com$$"},
	{"unknown method", "PURGE /x HTTP/1.1$Host: a$$", "PURGE /x HTTP/1.1$host: a$$"},
	{"higher minor version (RFC 9110 2.5)", "GET / HTTP/1.7$Host: a$$", "GET / HTTP/1.1$host: a$$"},
	{"hop-by-hop fields go (RFC 9110 7.6.1)", "GET / HTTP/1.1$Host: a$Connection: x-hop, keep-alive$X-Hop: 1$Keep-Alive: 5$Proxy-Connection: x$X-Stay: 2$$", "GET / HTTP/1.1$host: a$X-Stay: 2$$"},
	{"Connection: close is ours", "GET / HTTP/1.1$Host: a$Connection: close$$", "GET / HTTP/1.1$host: a$$"},
	{"Upgrade without Connection: upgrade", "GET / HTTP/1.1$Host: a$Upgrade: websocket$$", "GET / HTTP/1.1$host: a$$"},
	{"TE: trailers (RFC 9110 10.1.4)", "GET / HTTP/1.1$Host: a$TE: gzip, trailers$Connection: TE$$", "GET / HTTP/1.1$host: a$te: trailers$connection: TE$$"},
	{"other TE", "GET / HTTP/1.1$Host: a$TE: gzip$$", "GET / HTTP/1.1$host: a$$"},
	{"length is framed anew", "POST / HTTP/1.1$Content-Length: 005$Host: a$$hello", "POST / HTTP/1.1$host: a$content-length: 5$$hello"},
	{"empty body", "POST / HTTP/1.1$Host: a$Content-Length: 0$$", "POST / HTTP/1.1$host: a$content-length: 0$$"},
	{"GET with a body", "GET / HTTP/1.1$Host: a$Content-Length: 2$$hi", "GET / HTTP/1.1$host: a$content-length: 2$$hi"},
	{"chunks are framed anew (RFC 9112 7.1)", "POST / HTTP/1.1$Host: a$Transfer-Encoding: Chunked$$0005;ext=\"v\"$hello$A$0123456789$000$$", "POST / HTTP/1.1$host: a$transfer-encoding: chunked$$5$hello$a$0123456789$0$$"},
	{"trailers, without those that frame", "POST / HTTP/1.1$Host: a$Transfer-Encoding: chunked$Trailer: X-Sum$$1$x$0$X-Sum:  7 $Content-Length: 3$Host: b$$", "POST / HTTP/1.1$host: a$Trailer: X-Sum$transfer-encoding: chunked$$1$x$0$X-Sum: 7$$"},
	{"HTTP/1.0", "GET / HTTP/1.0$Host: a$$", "GET / HTTP/1.1$host: a$$"},
	{"HTTP/1.0 Expect is ignored (RFC 9110 10.1.1)", "POST / HTTP/1.0$Host: a$Expect: 100-continue$Content-Length: 1$$x", "POST / HTTP/1.1$host: a$content-length: 1$$x"},
}

func TestForwardedRequests(t *testing.T) {
	for _, tt := range forwardedRequests {
		t.Run(tt.name, func(t *testing.T) {
			want := crlf(tt.out)
			got := make(chan string, 1)
			b := wire.Listen(t, func(c *wire.Conn) {
				head, err := c.ReadHead()
				if err != nil {
					return
				}
				head = withoutOurs(head)
				if rest := len(want) - len(head); rest > 0 {
					body, _ := c.ReadN(rest)
					head += body
				}
				got <- head
				c.Play(ok200)
			})
			r := newRig(t, setup{}, b.Addr())
			c := r.dial()
			c.send(crlf(tt.in))
			if h := c.head(); status(h) != "200" {
				t.Fatalf("answered %q", h)
			}
			if g := <-got; g != want {
				t.Errorf("forwarded\n %q, want\n %q", g, want)
			}
		})
	}
}

// withoutOurs removes the forwarding fields.
func withoutOurs(head string) string {
	lines := strings.SplitAfter(head, "\r\n")
	kept := lines[:0]
	for _, l := range lines {
		if !strings.HasPrefix(l, "x-forwarded-") && !strings.HasPrefix(l, "x-request-id") {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "")
}

// A client's malformed body is its own fault: 400, and never a 5xx.
func TestMalformedBodies(t *testing.T) {
	for _, body := range []string{
		"x$", "$", ";ext$", "-1$", "+1$x$", "1 $x$", " 1$x$", "0x1$x$", "1\n", "1\rx", "1;a\nb$x$", "1;\x00$x$",
		"1$xx", "1$x\n", "1$x$\n", "fffffffffffffffff$", "1$x$0$bad name: x$$", "1$x$0$X: y\n$", "1$x$0$ X: y$$", "1$x$0$X$$",
	} {
		t.Run(body, func(t *testing.T) {
			b := wire.Listen(t, func(c *wire.Conn) { io.Copy(io.Discard, c.Conn) })
			r := newRig(t, setup{}, b.Addr())
			for _, split := range []bool{false, true} {
				c := r.dial()
				head := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
				if split {
					c.send(head)
					n := b.Conns()
					eventually(t, "the head reaches the backend", func() bool { return b.Conns() >= n && b.Conns() > 0 })
					c.send(crlf(body))
				} else {
					c.send(head + crlf(body))
				}
				if got := c.all(); status(got) != "400" || !strings.Contains(got, "connection: close\r\n") {
					t.Errorf("split %v: answered %q", split, got)
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{}, b.Addr())
	long := strings.Repeat("x", 9<<10)
	many := strings.Repeat("X: y\r\n", 101)
	for _, tt := range []struct{ name, request, status string }{
		{"target", "GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", "414"},
		{"fields", "GET / HTTP/1.1\r\nHost: a\r\n" + many + "\r\n", "431"},
		{"one field", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 61<<10) + "\r\n\r\n", "431"},
		{"head without an end", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 61<<10), "431"},
		{"head just fits", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + strings.Repeat("x", 59<<10) + "\r\n\r\n", "200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := *r
			r.tb = t
			if got := r.exchange(tt.request); status(got) != tt.status {
				t.Errorf("answered %.200q, want %s", got, tt.status)
			}
		})
	}
}

// A client that goes on sending behind what is refused sees the answer, and no
// reset before it.
func TestRefusalIsSeen(t *testing.T) {
	r := newRig(t, setup{})
	for range 20 {
		c := r.dial()
		c.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
		for range 20 {
			if _, err := c.Write(make([]byte, 16<<10)); err != nil {
				break // the linger is over
			}
		}
		if head := c.head(); status(head) != "400" {
			t.Errorf("answered %q", head)
		}
	}
}

// parseWhole parses one request as the engine does.
func parseWhole(data []byte) (*request, error) {
	var r request
	done, f := r.parse(data, headLimits{60 << 10, 100}, 8<<10)
	if f != nil {
		return nil, f
	}
	if !done {
		return nil, io.ErrUnexpectedEOF
	}
	return &r, nil
}

// What arrives in pieces parses as it does whole.
func TestParseInPieces(t *testing.T) {
	for _, tt := range forwardedRequests {
		data := []byte(crlf(tt.in))
		whole, err := parseWhole(data)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var r request
		for n := 0; ; n++ {
			done, f := r.parse(data[:n], headLimits{60 << 10, 100}, 8<<10)
			if f != nil {
				t.Fatalf("%s: after %d octets: %v", tt.name, n, f)
			}
			if done {
				if r.size != n || r.size != whole.size || string(r.method) != string(whole.method) || string(r.host) != string(whole.host) || len(r.fields) != len(whole.fields) {
					t.Errorf("%s: differs in pieces", tt.name)
				}
				break
			}
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, tt := range refusedRequests {
		f.Add([]byte(crlf(tt.request)))
	}
	for _, tt := range forwardedRequests {
		f.Add([]byte(crlf(tt.in)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, err := parseWhole(data)
		if err != nil {
			return
		}
		// What we accept, net/http must accept, and read in the same way. It
		// may take what we refuse, never the reverse, but for what is written
		// down here.
		theirs, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(data))))
		if err != nil {
			if known(ours, err) {
				return
			}
			t.Fatalf("net/http refuses %q: %v", data, err)
		}
		if theirs.Method != string(ours.method) {
			t.Fatalf("method %q, net/http %q", ours.method, theirs.Method)
		}
		if theirs.Host != string(ours.host) {
			t.Fatalf("host %q, net/http %q", ours.host, theirs.Host)
		}
		chunked := len(theirs.TransferEncoding) == 1 && theirs.TransferEncoding[0] == "chunked"
		if chunked != (ours.body == bodyChunked) {
			t.Fatalf("%q: chunked %v, net/http %v", data, ours.body == bodyChunked, chunked)
		}
		if ours.body == bodyLength && theirs.ContentLength != ours.length {
			t.Fatalf("%q: length %d, net/http %d", data, ours.length, theirs.ContentLength)
		}
		if ours.body == bodyNone && theirs.ContentLength > 0 {
			t.Fatalf("%q: no body, net/http has %d", data, theirs.ContentLength)
		}
	})
}

// known are the requests that net/http refuses and the engine serves, each with
// its reason.
func known(r *request, err error) bool {
	// An empty line before the request line: RFC 9112 section 2.2 asks servers
	// to ignore it; net/http does not.
	if len(r.data) > 1 && r.data[0] == '\r' {
		return true
	}
	// RFC 3986 percent-encoding is the endpoint's business, and bytes such as
	// "|" or "^" are sent by browsers: net/http parses the target as a URL.
	var esc interface{ Timeout() bool }
	if errors.As(err, &esc) {
		return true // *url.Error
	}
	msg := err.Error()
	for _, ok := range []string{
		"invalid URI", "invalid URL", "malformed HTTP version", // HTTP/1.2 to 1.9
		"invalid port", "missing ']'", "net/url", "invalid userinfo",
	} {
		if strings.Contains(msg, ok) {
			return true
		}
	}
	return false
}
