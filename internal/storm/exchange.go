package storm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// patience is how long a client waits for an answer. It is longer than any
	// limit of the proxy's, so that what the proxy does is seen.
	patience = 20 * time.Second
	// maxAnswer bounds a body: answers are some hundred bytes.
	maxAnswer = 64 << 10
)

// shape is what a request looks like.
type shape uint8

const (
	get shape = iota
	getKept
	getSlow
	post
	postKept
	handshake // of a WebSocket
	message   // on an open WebSocket
)

func (s shape) String() string {
	return [...]string{"GET", "GET kept", "GET slow", "POST", "POST kept", "WebSocket", "WebSocket message"}[s]
}

func (s shape) idempotent() bool { return s != post && s != postKept }
func (s shape) kept() bool       { return s == getKept || s == postKept }

// request is one to send.
type request struct {
	id    string
	shape shape
	host  string // names the cluster
	slow  time.Duration
}

// answer is what came of it. A failure of "" is none.
type answer struct {
	failure string // refused, reset, timeout, a status code, wrong …
	detail  string
	daemon  string // who answered
}

// client sends requests to one address. It is a plain one: nothing is tried
// again, which the standard library's would do in silence. Safe for concurrent
// use.
type client struct {
	address string

	mu   sync.Mutex
	kept []*connection // the last used at the end
}

// connection is to the proxy; one goroutine uses it at a time.
type connection struct {
	net.Conn
	r *bufio.Reader
}

// close ends the kept connections.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.kept {
		k.Close()
	}
	c.kept = nil
}

// send sends one request and judges the answer.
func (c *client) send(ctx context.Context, r request) answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := c.connection(ctx, r.shape.kept())
	if err != nil {
		return failed("connecting", err)
	}
	a, reusable := conn.exchange(ctx, r)
	if a.failure == "" && reusable && r.shape.kept() {
		c.keep(conn)
	} else {
		conn.Close()
	}
	return a
}

// connection is a kept one or a new one. As every client does that keeps
// connections, it drops those that the other side has closed.
func (c *client) connection(ctx context.Context, kept bool) (*connection, error) {
	for kept {
		c.mu.Lock()
		n := len(c.kept)
		if n == 0 {
			c.mu.Unlock()
			break
		}
		// The one that has waited longest: all of them stay in use.
		conn := c.kept[0]
		c.kept = c.kept[1:]
		c.mu.Unlock()
		if conn.alive() {
			return conn, nil
		}
		conn.Close()
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, r: bufio.NewReader(conn)}, nil
}

// maxKept is how many connections a client keeps: a browser's pool, not one
// per request that was ever in flight.
const maxKept = 16

func (c *client) keep(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) >= maxKept {
		conn.Close()
		return
	}
	c.kept = append(c.kept, conn)
}

// alive says whether nothing has come on an idle connection: neither its end nor
// what nobody asked for.
func (c *connection) alive() bool {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && quiet
}

// exchange sends r and reads the answer. It says whether the connection can
// carry another.
func (c *connection) exchange(ctx context.Context, r request) (a answer, reusable bool) {
	deadline, _ := ctx.Deadline()
	c.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	method := http.MethodGet
	if !r.shape.idempotent() {
		method = http.MethodPost
	}
	head, body := r.bytes()
	if _, err := c.Write(append(head, body...)); err != nil {
		// The answer may be there all the same: an early one, with a close.
		if a, _, readErr := c.read(method, r, body); readErr == nil {
			return a, false
		}
		return failed("sending", err), false
	}
	a, reusable, err := c.read(method, r, body)
	if err != nil {
		return failed("reading", err), false
	}
	return a, reusable
}

func (r request) bytes() (head, body []byte) {
	switch r.shape {
	case post, postKept:
		body = []byte("the body of " + r.id + strings.Repeat(".", 100))
		head = fmt.Appendf(nil, "POST /echo HTTP/1.1\r\nHost: %s\r\nX-Storm-Id: %s\r\nContent-Length: %d\r\n\r\n", r.host, r.id, len(body))
	case getSlow:
		head = fmt.Appendf(nil, "GET /slow?ms=%d HTTP/1.1\r\nHost: %s\r\nX-Storm-Id: %s\r\n\r\n", r.slow.Milliseconds(), r.host, r.id)
	default:
		head = fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\nX-Storm-Id: %s\r\n\r\n", r.host, r.id)
	}
	return head, body
}

// read reads and judges one answer. The error is the connection's.
func (c *connection) read(method string, r request, sent []byte) (a answer, reusable bool, err error) {
	response, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return a, false, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return a, false, err
	}
	a.daemon = response.Header.Get("X-Daemon-Id")
	switch {
	case response.StatusCode != http.StatusOK:
		a.failure = fmt.Sprint(response.StatusCode)
		a.detail = fmt.Sprintf("%s %q", response.Status, got)
	case response.Header.Get("X-Storm-Id") != r.id:
		a.failure = "wrong"
		a.detail = fmt.Sprintf("answer to %q", response.Header.Get("X-Storm-Id"))
	case sent != nil && !bytes.Equal(got, sent), sent == nil && string(got) != "My id is "+a.daemon+"\n":
		a.failure = "wrong"
		a.detail = fmt.Sprintf("body %q", got)
	}
	return a, !response.Close, nil
}

// failed names a connection's error by its kind.
func failed(doing string, err error) answer {
	a := answer{failure: "error", detail: doing + ": " + err.Error()}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		a.failure = "refused"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		a.failure = "no port" // of this machine's are left: it was never sent
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		a.failure = "timeout"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		a.failure = "reset"
	}
	return a
}
