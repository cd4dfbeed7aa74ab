package proxy

import (
	"io"
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
// it has come. An error is the endpoint's, unless ex.h1.failed says otherwise.
func (ex *exchange) sendRequest(up *upConn) error {
	u := &ex.body
	u.whole = false
	u.last.Store(false)
	u.headSeen = false
	if ex.req.body == bodyNone {
		up.arm(ex.headLimit())
	} else {
		up.arm(ex.streamLimit())
	}
	o := getBuffer(smallBuffer)
	u.out = o
	b := ex.appendHead(o.b[:0])
	if ex.req.body == bodyNone {
		err := up.write(b)
		u.whole = err == nil
		ex.freeOut(b)
		return err
	}
	o.b, o.w = b[:cap(b)], len(b)
	if ex.replay != nil && ex.replay.w > 0 {
		if err := ex.sendPiece(up, ex.replay.b[:ex.replay.w]); err != nil {
			return err
		}
	}
	return ex.sendBody(up)
}

// sendBody sends what has come of the body.
func (ex *exchange) sendBody(up *upConn) error {
	u := &ex.body
	for n := 0; n < syncBody; {
		piece, err := ex.stream.readBody(false)
		switch err {
		case nil:
			n += len(piece)
			ex.keep(piece)
			if err := ex.sendPiece(up, piece); err != nil {
				return err
			}
		case io.EOF:
			err := ex.endUpload(up)
			u.whole = err == nil
			ex.freeOut(nil)
			up.arm(ex.headLimit())
			return err
		case errWouldBlock:
			n = syncBody
		default:
			ex.freeOut(nil)
			return err
		}
	}
	if err := ex.flushOut(up); err != nil {
		ex.freeOut(nil)
		return err
	}
	u.running = true
	ex.h1.uploading = true
	ex.h1.interrupted.Store(false)
	go ex.upload(up)
	return nil
}

// upload is the second goroutine.
func (ex *exchange) upload(up *upConn) {
	u := &ex.body
	defer func() { u.done <- struct{}{} }()
	for {
		piece, err := ex.stream.readBody(true)
		if err == io.EOF {
			u.last.Store(true)
			u.whole = ex.endUpload(up) == nil
			u.limit(up, ex.headLimit)
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
		if ex.sendPiece(up, piece) != nil || ex.flushOut(up) != nil {
			return // the endpoint's: the exchange sees it, or an early response
		}
	}
}

// limit gives the endpoint as long as d says from now, if its response has not
// begun.
func (u *upload) limit(up *upConn, d func() time.Duration) {
	u.mu.Lock()
	if !u.headSeen {
		up.arm(d())
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
		ex.h1.c.resume()
		ex.uploadEnded()
	}
	return u.whole
}

func (ex *exchange) uploadEnded() {
	ex.body.running, ex.h1.uploading = false, false
	ex.freeOut(nil)
}

// keep holds what has been taken of the body, for a retry.
func (ex *exchange) keep(piece []byte) {
	if !ex.replayed {
		return
	}
	limit := ex.srv.limits.ReplayBytes
	if ex.replay == nil {
		ex.replay = getBuffer(min(limit, largeBuffer))
	}
	r := ex.replay
	if r.w+len(piece) > min(limit, len(r.b)) {
		ex.replayed = false
		return
	}
	r.w += copy(r.b[r.w:], piece)
}

// sendPiece puts a piece of body in the output buffer, or writes it.
func (ex *exchange) sendPiece(up *upConn, p []byte) error {
	o := ex.body.out
	chunked := ex.req.body == bodyChunked
	const framing = 24
	if o.w+len(p)+framing > len(o.b) && o.w > 0 {
		if err := ex.flushOut(up); err != nil {
			return err
		}
	}
	if !chunked && len(p) > len(o.b) {
		return up.write(p)
	}
	b := o.b[:o.w]
	if chunked {
		b = appendChunkSize(b, len(p))
		if len(p)+framing > len(o.b) {
			if err := up.write(b); err != nil {
				return err
			}
			if err := up.write(p); err != nil {
				return err
			}
			b = b[:0]
		} else {
			b = append(b, p...)
		}
		b = append(b, "\r\n"...)
	} else {
		b = append(b, p...)
	}
	o.b, o.w = b[:cap(b)], len(b)
	return nil
}

func (ex *exchange) endUpload(up *upConn) error {
	if ex.req.body == bodyChunked {
		o := ex.body.out
		b := append(o.b[:o.w], "0\r\n"...)
		b = append(b, ex.stream.requestTrailers()...)
		b = append(b, "\r\n"...)
		o.b, o.w = b[:cap(b)], len(b)
	}
	return ex.flushOut(up)
}

func (ex *exchange) flushOut(up *upConn) error {
	o := ex.body.out
	if o.w == 0 {
		return nil
	}
	err := up.write(o.b[:o.w])
	o.w = 0
	return err
}

// freeOut gives the output buffer back; grown is its slice where it was
// appended to.
func (ex *exchange) freeOut(grown []byte) {
	o := ex.body.out
	if o == nil {
		return
	}
	if grown != nil {
		o.b = grown[:cap(grown)]
	}
	ex.body.out = nil
	putBuffer(o)
}
