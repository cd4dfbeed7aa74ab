package proxy

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// h1stream is an exchange's stream where the client speaks HTTP/1.1 (RFC 9112)
// or 1.0.
type h1stream struct {
	c   *conn
	req *request

	limits    headLimits // of the request's head
	maxTarget int
	headTime  time.Duration
	headDone  bool // it is here, parsed

	headBuf *buffer // holds the request's head; views point into it
	left    int64   // of a body with a length
	chunk   chunks
	ended   bool      // the body's end has been read
	got     int64     // octets of body
	maxBody int64     // 0: no limit
	until   time.Time // by when all of the request must be here; zero: any time
	whole   bool      // that is what limits the read that is on
	late    bool      // it was not here
	err     error     // what readBody ended in
	lost    bool      // where the rest of the body begins is not known: none of it can be read

	out       *buffer
	respBody  bodyKind // how the response is framed, for the client
	respLeft  int64
	started   bool  // the response's head is on its way
	complete  bool  // so is its last octet
	close     bool  // the connection ends after this exchange
	out64     int64 // octets of body sent
	uploading bool  // another goroutine reads the body and owns the deadline

	interrupted atomic.Bool // that goroutine is to end
}

// open makes ready for a request's head. o may be nil.
func (h *h1stream) open(c *conn, o *topology.HTTPOptions) {
	l := &c.srv.limits
	h.c, h.headDone = c, false
	h.limits = headLimits{bytes: l.HeadBytes, fields: l.HeadFields}
	h.maxTarget, h.headTime, c.streamIdle = l.TargetBytes, l.HeadTimeout, l.StreamIdle
	if o != nil {
		override(&h.limits.bytes, o.MaxHeadBytes)
		override(&h.limits.fields, o.MaxHeadFields)
		override(&h.maxTarget, o.MaxTargetBytes)
		override(&h.headTime, o.HeadTimeout)
		override(&c.streamIdle, o.StreamIdleTimeout)
	}
}

// begin makes ready for the request whose head has come, or as much as will.
func (h *h1stream) begin(req *request) {
	h.req = req
	h.headBuf, h.out = h.c.in, nil
	h.left, h.got, h.out64, h.respLeft = req.length, 0, 0, 0
	h.ended = req.body == bodyNone || req.body == bodyLength && req.length == 0
	h.err, h.until, h.late, h.lost = nil, time.Time{}, false, false
	h.started, h.complete, h.uploading = false, false, false
	h.interrupted.Store(false)
	h.close = !req.keepAlive
	if req.body == bodyChunked {
		h.chunk.reset()
	}
}

// end gives the buffers back; what the client has pipelined stays in c.in.
func (h *h1stream) end() {
	putBuffer(h.out)
	h.out = nil
	if h.c.in != h.headBuf {
		putBuffer(h.headBuf)
	}
	h.headBuf = nil
	h.c.release()
	h.c, h.req = nil, nil
}

func (h *h1stream) readBody(wait bool) ([]byte, error) {
	if h.err != nil {
		return nil, h.err
	}
	if h.lost {
		return nil, errInterrupted
	}
	for !h.ended {
		if len(h.c.unread()) == 0 {
			if h.c.in == h.headBuf {
				h.c.in = nil // the head is still needed
			}
			if err := h.fillBody(wait); err != nil {
				return nil, err
			}
		}
		in := h.c.in
		if h.req.body == bodyLength {
			n := int(min(h.left, int64(in.len())))
			piece := in.b[in.r : in.r+n]
			in.r += n
			if h.left -= int64(n); h.left == 0 {
				h.ended = true
			}
			h.got += int64(n)
			return piece, nil
		}
		piece, used, f := h.chunk.next(in.bytes())
		in.r += used
		if f != nil {
			return nil, h.fail(f)
		}
		h.ended = h.chunk.done()
		if len(piece) > 0 {
			if h.got += int64(len(piece)); h.maxBody > 0 && h.got > h.maxBody {
				return nil, h.fail(faultBodySize)
			}
			return piece, nil
		}
	}
	return nil, io.EOF
}

func (h *h1stream) fillBody(wait bool) error {
	if h.left > smallBuffer {
		h.c.readMin = largeBuffer
	}
	var err error
	if wait {
		h.c.arm(h.bodyLimit())
		if h.interrupted.Load() { // and arm may have undone what that did
			h.c.readMin = 0
			return errInterrupted
		}
		err = h.c.fill(largeBuffer)
		h.late = h.whole && err != nil && isTimeout(err)
	} else {
		err = h.c.fillNow(largeBuffer)
	}
	h.c.readMin = 0
	if err == nil {
		h.c.ln.counters.rx.Add(uint64(h.c.readN))
		return nil
	}
	if err == errWouldBlock {
		return err
	}
	if h.interrupted.Load() {
		return errInterrupted
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return h.fail(err)
}

// bodyLimit is how long the next read of the body may take.
func (h *h1stream) bodyLimit() time.Duration {
	limit := h.c.streamIdle
	h.whole = false
	if !h.until.IsZero() {
		if left := max(time.Until(h.until), time.Millisecond); limit <= 0 || left < limit {
			limit, h.whole = left, true
		}
	}
	return limit
}

// fail notes the client's fault. The body has not ended, so the connection will.
func (h *h1stream) fail(err error) error {
	h.err = err
	return err
}

func (h *h1stream) requestTrailers() []byte {
	if h.req.body != bodyChunked {
		return nil
	}
	return h.chunk.trailers
}

func (h *h1stream) interruptBody() {
	h.interrupted.Store(true)
	h.c.abortRead()
}

func (h *h1stream) beginUpload() {
	h.uploading = true
	h.interrupted.Store(false)
}

func (h *h1stream) endUpload() {
	h.uploading = false
	if h.interrupted.Swap(false) {
		h.c.resume()
	}
}

func (h *h1stream) failed() (err error, late bool) { return h.err, h.late }
func (h *h1stream) stays([]byte) bool              { return h.c.in == h.headBuf }
func (h *h1stream) received() int64                { return h.got }
func (h *h1stream) sent() int64                    { return h.out64 }
func (h *h1stream) closeAfter()                    { h.close = true }
func (h *h1stream) resume()                        { h.c.disarm() }
func (h *h1stream) idle() time.Duration            { return max(h.c.streamIdle, 0) }

// hijack: what has been read belongs to the new protocol (RFC 9110 section 7.8).
func (h *h1stream) hijack() (*conn, []byte) {
	h.close = true
	early := h.c.unread()
	if h.c.in != nil {
		h.c.in.r = h.c.in.w
	}
	return h.c, early
}

func (h *h1stream) spare() {
	putBuffer(h.out)
	if h.c.in == h.headBuf {
		h.c.in = nil
	}
	putBuffer(h.headBuf)
	h.out, h.headBuf = nil, nil
}

var errInterrupted = errors.New("the upload was stopped")

func (h *h1stream) sendContinue() error {
	if !h.req.expect {
		return nil
	}
	h.req.expect = false
	// RFC 9110 section 10.1.1: may be omitted where content has come already.
	if h.got > 0 || len(h.c.unread()) > 0 {
		return nil
	}
	h.c.arm(h.c.streamIdle)
	err := h.c.write(continueLine)
	h.c.disarm() // the body's limits are its own
	return err
}

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

func (h *h1stream) sendInterim(r *response) error {
	if h.req.minor == 0 {
		return nil // RFC 9110 section 15.2: not to an HTTP/1.0 client
	}
	o := h.buf()
	b := appendStatusLine(o.b[:o.w], r)
	b = appendFields(b, &r.head)
	h.out.set(append(b, "\r\n"...))
	return h.flush()
}

// buf is the output buffer.
func (h *h1stream) buf() *buffer {
	if h.out == nil {
		h.out = getBuffer(smallBuffer)
	}
	return h.out
}

func (h *h1stream) sendHead(r *response, add []pair, body bodyKind, length int64, close bool) error {
	h.started = true
	// RFC 9112 section 9.6: who will close says so. Of a body that is still
	// going up another goroutine knows, and close says it.
	h.close = h.close || close || !h.uploading && !h.ended && r.status >= 200
	if !h.close && r.status >= 200 && h.c.srv.draining.Load() { // has begun meanwhile
		h.c.ln.counters.cxDrain.Add(1)
		h.close = true
	}
	o := h.buf()
	b := appendStatusLine(o.b[:o.w], r)
	b = appendFields(b, &r.head)
	b = appendPairs(b, add)
	h.respBody = body
	switch {
	case r.status == 204 || r.status < 200:
		// RFC 9110 section 8.6: no Content-Length here.
		h.respBody = bodyNone
	case body == bodyLength:
		b = append(b, "content-length: "...)
		b = appendDecimal(b, length)
		b = append(b, "\r\n"...)
		h.respLeft = length
	case body == bodyChunked || body == bodyClose:
		if h.req.minor == 0 {
			h.respBody, h.close = bodyClose, true
		} else if body == bodyChunked || r.hasBody(h.req.isHead) {
			// A response that ends with its connection is put in chunks: ours
			// need not end.
			b = append(b, "transfer-encoding: chunked\r\n"...)
			h.respBody = bodyChunked
		}
	}
	if !r.hasBody(h.req.isHead) {
		h.respBody = bodyNone
	}
	// RFC 9110 section 15.5.22 demands Upgrade of a 426: without it the client
	// cannot know what to ask for. It is hop-by-hop, but what it offers is
	// offered here, too: a client that then asks for it is led through, where
	// that is allowed. With it comes the connection option of section 7.8.
	upgrade := r.status == 426 && len(r.upgrade) > 0 && h.req.minor > 0
	if upgrade {
		b = append(append(append(b, "upgrade: "...), r.upgrade...), "\r\n"...)
	}
	switch {
	case r.status == 101: // its Connection is among add
	case h.close && upgrade:
		b = append(b, "connection: close, upgrade\r\n"...)
	case h.close:
		b = append(b, "connection: close\r\n"...)
	case upgrade:
		b = append(b, "connection: upgrade\r\n"...)
	case h.req.minor == 0:
		b = append(b, "connection: keep-alive\r\n"...)
	}
	h.out.set(append(b, "\r\n"...))
	return nil
}

func (h *h1stream) sendBody(p []byte) error {
	if h.respBody == bodyNone || len(p) == 0 {
		return nil
	}
	h.out64 += int64(len(p))
	o := h.buf()
	const framing = 24 // a chunk's size line and end
	if o.w+framing+copyBelow > len(o.b) {
		if err := h.flush(); err != nil {
			return err
		}
	}
	chunked := h.respBody == bodyChunked
	if chunked {
		h.out.set(appendChunkSize(o.b[:o.w], len(p)))
	} else {
		h.respLeft -= int64(len(p))
	}
	if len(p) < copyBelow {
		h.out.set(append(o.b[:o.w], p...))
	} else if err := h.writeBoth(p); err != nil {
		return err
	}
	if chunked {
		h.out.set(append(o.b[:o.w], "\r\n"...))
	}
	return nil
}

func (h *h1stream) endBody(trailers []byte) error {
	if h.respBody == bodyChunked {
		o := h.buf()
		b := append(o.b[:o.w], "0\r\n"...)
		b = append(b, trailers...)
		h.out.set(append(b, "\r\n"...))
	}
	err := h.flush()
	if err == nil {
		h.complete = true
	}
	return err
}

func (h *h1stream) flush() error {
	if h.out == nil || h.out.w == 0 {
		return nil
	}
	return h.writeBoth(nil)
}

// writeBoth writes the output buffer and p.
func (h *h1stream) writeBoth(p []byte) error {
	h.moves()
	o := h.out
	h.c.ln.counters.tx.Add(uint64(o.w + len(p)))
	var err error
	if len(p) == 0 {
		err = h.c.write(o.b[:o.w])
	} else {
		err = h.c.writeBoth(o.b[:o.w], p)
	}
	o.w = 0
	if err != nil {
		h.close = true
	}
	return err
}

// moves gives the client its time anew, since the response moves on. While
// another goroutine reads the body, the time is that one's to set.
func (h *h1stream) moves() {
	if h.uploading {
		h.c.extend()
	} else {
		h.c.arm(h.c.streamIdle)
	}
}

// pending: readBody has something to look at without asking the kernel.
func (h *h1stream) pending() bool { return len(h.c.unread()) > 0 }

// canSplice: only octets that are framed by a length can pass unseen.
func (h *h1stream) canSplice() bool { return h.respBody == bodyLength }

func (h *h1stream) attach(up *upConn)     { h.c.attach(up) }
func (h *h1stream) canceled() bool        { return h.c.isCanceled() }
func (h *h1stream) hold() <-chan struct{} { return h.c.hold() }

// statusLines are whole lines for the statuses that have a name.
var statusLines = func() (t [600]string) {
	for code := range t {
		if text := http.StatusText(code); text != "" {
			t[code] = "HTTP/1.1 " + strconv.Itoa(code) + " " + text + "\r\n"
		}
	}
	return t
}()

// appendStatusLine keeps the upstream's reason phrase; the version is ours.
func appendStatusLine(b []byte, r *response) []byte {
	if r.reason == nil && r.status < len(statusLines) && statusLines[r.status] != "" {
		return append(b, statusLines[r.status]...)
	}
	b = append(b, "HTTP/1.1 "...)
	b = appendDecimal(b, int64(r.status))
	b = append(b, ' ')
	b = append(b, r.reason...)
	return append(b, "\r\n"...)
}

// appendFields writes the fields that are passed on, each framed anew.
func appendFields(b []byte, h *head) []byte {
	for i := range h.fields {
		f := &h.fields[i]
		if f.drop {
			continue
		}
		b = append(b, h.data[f.name:f.nameEnd]...)
		b = append(b, ": "...)
		b = append(b, h.data[f.value:f.valueEnd]...)
		b = append(b, "\r\n"...)
	}
	return b
}

func appendPairs(b []byte, add []pair) []byte {
	for i := range add {
		b = append(b, add[i].name...)
		b = append(b, ": "...)
		b = append(b, add[i].value...)
		b = append(b, "\r\n"...)
	}
	return b
}
