package proxy

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// upload is the request's body on its way to the endpoint. What is there goes
// with the head, from the exchange's own goroutine; only if more is to come does
// a second one take over, so that the response can be read meanwhile.
type upload struct {
	running bool          // the second goroutine is on; the exchange's own
	done    chan struct{} // one value when it ends
	last    atomic.Bool   // all that is left is a write that is going on
	whole   bool          // the request has been sent to its end
	out     *buffer       // its owner: whoever sends
	asks    bool          // out is the whole request, and goes out with the wait for the answer
	slow    bool          // one of the two peers is: no pipe for it; its sender's

	// mu orders who limits the endpoint's time: while the body is going up it
	// is its sender, and each piece gives it more; then the response's head
	// has its limit, unless it has come already.
	mu       sync.Mutex
	headSeen bool
}

// syncBody is how much of a body the exchange's goroutine sends before the
// second one takes over: less than the socket buffers, so that an endpoint that
// does not read until its response is read cannot stop both.
const syncBody = 64 << 10

// sendRequest writes the head that forward has prepared, and the body as far as
// it has come. An error is the endpoint's, unless the stream has failed.
func (ex *exchange) sendRequest(up *upConn) error {
	u := &ex.body
	u.whole = false
	u.last.Store(false)
	u.headSeen, u.slow = false, false
	if ex.req.body == bodyNone {
		up.arm(ex.headLimit(ex.sentAt))
	} else {
		up.arm(ex.streamLimit())
	}
	o := getBuffer(smallBuffer)
	u.out = o
	b := ex.appendHead(o.b[:0])
	o.set(b)
	if ex.req.body == bodyNone {
		if u.asks = up.reused; u.asks {
			return nil
		}
		err := up.write(b)
		u.whole = err == nil
		ex.freeOut()
		return err
	}
	if kept := ex.kept(); len(kept) > 0 {
		if err := ex.sendPiece(up, kept); err != nil {
			ex.freeOut()
			return err
		}
	}
	return ex.sendBody(up)
}

// ask sends a request without a body on a connection from the pool, if
// sendRequest has left that to it, and waits for the answer.
func (ex *exchange) ask(up *upConn) error {
	u := &ex.body
	if !u.asks {
		return nil
	}
	u.asks = false
	up.readMin = largeBuffer
	err := up.ask(u.out.b[:u.out.w])
	u.whole = err == nil && up.writeErr == nil
	ex.freeOut()
	return err
}

// sendBody sends what has come of the body.
func (ex *exchange) sendBody(up *upConn) error {
	u := &ex.body
	for n := 0; n < syncBody || ex.allRead(); {
		piece, err := ex.stream.readBody(false)
		switch err {
		case nil:
			n += len(piece)
			ex.keep(piece)
			if err := ex.sendPiece(up, piece); err != nil {
				ex.freeOut()
				return err
			}
		case io.EOF:
			err := ex.endUpload(up)
			u.whole = err == nil
			ex.freeOut()
			up.arm(ex.headLimit(time.Now()))
			return err
		case errWouldBlock:
			n = syncBody
		default:
			ex.freeOut()
			return err
		}
	}
	if err := ex.flushOut(up); err != nil {
		ex.freeOut()
		return err
	}
	u.running = true
	ex.stream.beginUpload()
	go ex.upload(up)
	return nil
}

// upload is the second goroutine.
func (ex *exchange) upload(up *upConn) {
	u := &ex.body
	defer func() { u.done <- struct{}{} }()
	for {
		if ex.spliceUpload(up) != nil {
			return
		}
		piece, err := ex.nextPiece(up)
		if err == io.EOF {
			u.last.Store(true)
			u.whole = ex.endUpload(up) == nil
			u.limit(up, func() time.Duration { return ex.headLimit(time.Now()) })
			return
		}
		if err == errEndpoint {
			return
		}
		if err != nil {
			// The client's fault, or ours to stop: the exchange waits for the
			// endpoint and must hear of it.
			up.abort()
			return
		}
		u.limit(up, ex.streamLimit)
		ex.keep(piece)
		ex.nearEnd()
		if ex.sendPiece(up, piece) != nil {
			return // the endpoint's: the exchange sees it, or an early response
		}
	}
}

// nextPiece is the next piece of the body, and where that has to be waited for,
// what was before it is sent first. So many small chunks are few writes.
func (ex *exchange) nextPiece(up *upConn) ([]byte, error) {
	if ex.stream.pending() {
		if p, err := ex.stream.readBody(false); err != errWouldBlock {
			return p, err
		}
	}
	if err := ex.flushOut(up); err != nil {
		return nil, errEndpoint
	}
	return ex.stream.readBody(true)
}

// errEndpoint: the endpoint takes no more of the body. The exchange sees why.
var errEndpoint = errors.New("the endpoint does not take the request")

// nearEnd notes that all of a body whose length is known has been read: the
// endpoint may answer before the write returns that gives it the last octet, and
// that is no early response.
func (ex *exchange) nearEnd() {
	if ex.allRead() {
		ex.body.last.Store(true)
	}
}

// allRead: of a body whose length is known nothing more will come.
func (ex *exchange) allRead() bool {
	return ex.req.body == bodyLength && ex.stream.received() == ex.req.length
}

// limit gives the endpoint as long as d says from now, if its response has not
// begun.
func (u *upload) limit(up *upConn, d func() time.Duration) {
	u.mu.Lock()
	if !u.headSeen {
		up.arm(d())
	} else {
		up.extend() // the body moves on, though the response may pause
	}
	u.mu.Unlock()
}

// sawHead takes the endpoint's time over from the upload.
func (u *upload) sawHead() {
	if u.running {
		u.mu.Lock()
		u.headSeen = true
		u.mu.Unlock()
	}
}

// uploadOver waits for the second goroutine where it is at its last write, and
// reports whether it has ended: an endpoint may answer when it has the last
// octet, before the write that sent it returns to us.
func (ex *exchange) uploadOver() bool {
	u := &ex.body
	if !u.running {
		return true
	}
	select {
	case <-u.done:
		ex.uploadEnded()
		return true
	default:
	}
	if !u.last.Load() {
		return false
	}
	t := time.NewTimer(100 * time.Millisecond)
	defer t.Stop()
	select {
	case <-u.done:
		ex.uploadEnded()
		return true
	case <-t.C:
		return false
	}
}

// stopUpload ends the second goroutine, if it is on, and reports whether the
// request has been sent to its end.
func (ex *exchange) stopUpload() (whole bool) {
	u := &ex.body
	if !ex.uploadOver() {
		ex.uploadTo.abort()
		ex.stream.interruptBody()
		<-u.done
		ex.uploadEnded()
	}
	return u.whole
}

func (ex *exchange) uploadEnded() {
	ex.body.running = false
	ex.stream.endUpload()
	ex.freeOut()
}

// keep holds what has been taken of the body, for a retry. A piece that lies
// behind the head, where it stays, is not copied.
func (ex *exchange) keep(piece []byte) {
	if !ex.replayed {
		return
	}
	limit := ex.srv.limits.ReplayBytes
	if ex.replay == nil {
		if ex.replayView == nil && ex.stream.stays(piece) && len(piece) <= limit {
			ex.replayView = piece
			return
		}
		ex.replay = getBuffer(min(limit, largeBuffer))
		ex.replay.w = copy(ex.replay.b, ex.replayView)
		ex.replayView = nil
	}
	r := ex.replay
	if r.w+len(piece) > min(limit, len(r.b)) {
		ex.replayed = false
		return
	}
	r.w += copy(r.b[r.w:], piece)
}

// kept is what keep holds.
func (ex *exchange) kept() []byte {
	if ex.replay != nil {
		return ex.replay.b[:ex.replay.w]
	}
	return ex.replayView
}

// sendPiece puts a piece of body in the output buffer, or writes it.
func (ex *exchange) sendPiece(up *upConn, p []byte) error {
	o := ex.body.out
	const framing = 24 // a chunk's size line and end
	if o.w+framing+copyBelow > len(o.b) {
		if err := ex.flushOut(up); err != nil {
			return err
		}
	}
	chunked := ex.req.body == bodyChunked
	if chunked {
		o.set(appendChunkSize(o.b[:o.w], len(p)))
	}
	if len(p) < copyBelow {
		o.set(append(o.b[:o.w], p...))
	} else {
		n := o.w
		o.w = 0
		if err := up.writeBoth(o.b[:n], p); err != nil {
			return err
		}
	}
	if chunked {
		o.set(append(o.b[:o.w], "\r\n"...))
	}
	return nil
}

func (ex *exchange) endUpload(up *upConn) error {
	if ex.req.body == bodyChunked {
		o := ex.body.out
		b := append(o.b[:o.w], "0\r\n"...)
		b = ex.appendTrailers(b)
		o.set(append(b, "\r\n"...))
	}
	return ex.flushOut(up)
}

// appendTrailers appends the request's trailers without those that the route
// removes.
func (ex *exchange) appendTrailers(b []byte) []byte {
	removed := [2][]string{ex.route.Spec.RequestHeaders.Remove}
	if w := ex.lease.Chosen; w != nil {
		removed[1] = w.RequestHeaders.Remove
	}
	return appendLines(b, ex.stream.requestTrailers(), &removed)
}

// responseTrailers are those of the response that the route does not remove.
func (ex *exchange) responseTrailers(lines []byte) []byte {
	removed := [2][]string{ex.route.Spec.ResponseHeaders.Remove}
	if w := ex.lease.Chosen; w != nil {
		removed[1] = w.ResponseHeaders.Remove
	}
	if len(lines) == 0 || len(removed[0])+len(removed[1]) == 0 {
		return lines
	}
	return appendLines(nil, lines, &removed)
}

// appendLines appends whole field lines but for those of the names.
func appendLines(b, lines []byte, names *[2][]string) []byte {
	for len(lines) > 0 {
		line, rest, _ := bytes.Cut(lines, lineFeed)
		lines = rest
		name, _, _ := bytes.Cut(line, colon)
		is := func(n string) bool { return foldEqual(name, n) }
		if slices.ContainsFunc(names[0], is) || slices.ContainsFunc(names[1], is) {
			continue
		}
		b = append(append(b, line...), '\n')
	}
	return b
}

var lineFeed, colon = []byte("\n"), []byte(":")

func (ex *exchange) flushOut(up *upConn) error {
	o := ex.body.out
	if o.w == 0 {
		return nil
	}
	err := up.write(o.b[:o.w])
	o.w = 0
	return err
}

// freeOut gives the output buffer back.
func (ex *exchange) freeOut() {
	putBuffer(ex.body.out)
	ex.body.out = nil
}
