package proxy

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/labels"
)

// try sends the request to the lease's endpoint and relays what it answers.
func (ex *exchange) try() failure {
	ex.resp.reset()
	ex.rec.UpstreamTime = 0
	p, ok := ex.lease.Endpoint.Slot().(*pool)
	if scheme := ex.lease.Endpoint.Spec().Scheme; !ok || scheme != "" && scheme != labels.SchemeHTTP {
		return failure{
			result: balancer.ConnectFail, reason: "local connection failure", flag: FlagUF, unsent: true,
			transport: "no codec for scheme " + string(scheme),
		}
	}
	fresh := false
	for {
		var up *upConn
		if !fresh {
			up = p.take(ex.req.body != bodyNone) // ask looks else
		}
		if up == nil {
			var err error
			if up, err = ex.connect(p); err != nil {
				return dialFailure(err)
			}
		}
		f, stale := ex.tryOn(up)
		if !stale {
			return f
		}
		// The endpoint had closed the kept connection, as it may at any time
		// (RFC 9112 section 9.3.1): not its fault, and the request, which it
		// has not answered, is safe to send again.
		fresh = true
	}
}

// connect makes a new connection, or, where the cluster may have no more, waits
// for one that another request gives back (pending). A client that
// leaves ends either.
func (ex *exchange) connect(p *pool) (*upConn, error) {
	up, err := p.dial(ex.deadline, ex.stream.hold())
	if err == nil && ex.stream.canceled() {
		// The client left, but the connection is made: it is for another.
		up.put()
		return nil, errPendingCanceled
	}
	if err != errOverflow {
		return up, err
	}
	c := ex.lease.Cluster
	if !c.TryPending() {
		return nil, errOverflow
	}
	defer c.PendingDone()
	wait := ex.headLimit(time.Now())
	if wait <= 0 {
		wait = defaultPendingWait
	}
	return p.await(wait, ex.deadline, ex.stream.hold())
}

// defaultPendingWait is how long a request waits for a connection where none of
// the route's timeouts says so.
const defaultPendingWait = time.Minute

// tryOn uses one connection. stale: it was a kept one and ended before a single
// octet of response, or could not be used at all, and the request may be sent
// again.
func (ex *exchange) tryOn(up *upConn) (f failure, stale bool) {
	ex.stream.attach(up)
	ex.uploadTo = up
	ex.rec.Upstream = up.remote
	ex.resp.reset()
	up.answered = false
	reuse := false
	defer func() {
		ex.stopUpload()
		ex.stream.attach(nil)
		ex.uploadTo = nil
		if reuse {
			up.put()
		} else {
			up.discard()
		}
	}()
	if err := ex.stream.sendContinue(); err != nil {
		return ex.canceledBy(), false
	}
	ex.sentAt = time.Now()
	if !ex.prepared {
		ex.prepared = true
		ex.prepare()
	}
	ex.addResp = ex.addResp[:0]
	if err := ex.sendRequest(up); err != nil {
		if f, gone := ex.clientFailure(err); gone {
			return f, false
		}
		// The endpoint does not read on. It may have answered before: look.
	}
	ex.movable(up)
	switch err := ex.ask(up); err {
	case nil:
		f, reuse = ex.receive(up)
	case errNotSilent:
		return failure{}, true
	default:
		f = ex.readFailure(up, err)
	}
	if f.result == balancer.Reset && !f.moved && up.reused && !up.answered && ex.q.Idempotent && ex.replayed && !ex.begun {
		return f, true
	}
	return f, false
}

// dialFailure sorts a dial's error.
func dialFailure(err error) failure {
	f := failure{result: balancer.ConnectFail, flag: FlagUF, unsent: true}
	switch {
	case errors.Is(err, errOverflow):
		f.result, f.reason, f.flag = balancer.Overflow, "overflow", FlagUO
	case errors.Is(err, errPendingCanceled):
		return failure{result: balancer.Canceled, flag: FlagDC}
	case errors.Is(err, errPoolDrained):
		f.result, f.reason = balancer.Overflow, "connection termination"
	case errors.Is(err, errPendingTimeout):
		return routeTimeout
	case errors.Is(err, errConnectTimeout):
		f.reason = "connection timeout"
	case isOwnFault(err):
		f.result, f.own, f.reason = balancer.Overflow, true, "local connection failure"
		var no syscall.Errno
		errors.As(err, &no)
		f.transport = "delayed connect error: " + no.Error()
	default:
		f.reason = "remote connection failure"
		var no syscall.Errno
		if errors.As(err, &no) {
			f.transport = "delayed connect error: " + no.Error()
			if no == syscall.ECONNREFUSED {
				f.transport = "delayed connect error: Connection refused"
			}
		} else {
			var op *net.OpError
			if errors.As(err, &op) {
				f.transport = op.Err.Error()
			}
		}
	}
	return f
}

// receive reads the response and relays it. reuse: the connection may be kept.
func (ex *exchange) receive(up *upConn) (f failure, reuse bool) {
	limits := headLimits{bytes: max(ex.srv.limits.HeadBytes, respHeadBytes), fields: max(4*ex.srv.limits.HeadFields, respHeadFields)}
	up.readMin = largeBuffer
	for interim := 0; ; {
		if len(up.unread()) == 0 {
			// Nothing there yet: where the request's body is complete this is
			// where the exchange waits.
			if err := up.fill(limits.bytes + 1); err != nil {
				return ex.readFailure(up, err), false
			}
		}
		for {
			done, fault := ex.resp.parse(up.unread(), limits, ex.req.isHead)
			if fault != nil {
				return failure{result: balancer.Protocol, reason: "protocol error", flag: FlagUPE}, false
			}
			if done {
				break
			}
			if err := up.fill(limits.bytes + 1); err != nil {
				return ex.readFailure(up, err), false
			}
		}
		ex.rec.UpstreamTime = time.Since(ex.sentAt)
		up.in.r += ex.resp.size
		up.answered = true
		ex.body.sawHead()
		up.settle()
		if ex.resp.status == 101 {
			return ex.switchProtocols(up)
		}
		if ex.resp.status >= 200 {
			break
		}
		// RFC 9110 section 15.2: interim responses are passed on.
		if interim++; interim > maxInterim {
			return failure{result: balancer.Protocol, reason: "protocol error", flag: FlagUPE}, false
		}
		if err := ex.stream.sendInterim(&ex.resp); err != nil {
			return ex.canceledBy(), false
		}
		ex.resp.reset()
	}
	if f, again := ex.dislikes(); again {
		return f, false
	}
	return ex.relay(up)
}

const maxInterim = 64

// respHeadBytes and respHeadFields bound a response's head, where requests' may
// not be larger: what is set for clients is not meant for endpoints.
const (
	respHeadBytes  = 60 << 10
	respHeadFields = 400
)

// relay passes the final response on.
func (ex *exchange) relay(up *upConn) (f failure, reuse bool) {
	r := &ex.resp
	hasBody := r.hasBody(ex.req.isHead)
	uploading := !ex.uploadOver()
	ex.begun = true
	ex.rec.Status = r.status
	ex.rec.Details = "via_upstream"
	ex.respond()
	if uploading {
		ex.ln.counters.early.Add(1)
	}
	// The head's bytes must stay until they are written: sendHead copies them.
	if err := ex.stream.sendHead(r, ex.addResp, r.body, r.length, uploading); err != nil {
		return ex.canceledBy(), false
	}
	var err error
	var trailers []byte
	if hasBody {
		trailers, err = ex.relayBody(up)
	}
	if err == nil {
		if err = ex.stream.endBody(trailers); err != nil {
			err = ex.clientWrite(err)
		}
	}
	complete := ex.stopUpload()
	switch {
	case err == nil:
		return failure{result: balancer.OK}, r.keepAlive && complete && !ex.stream.canceled()
	case err == errClientIdle:
		ex.stream.closeAfter()
		ex.idledOut()
		return failure{result: balancer.Canceled}, false
	case errors.Is(err, errClientWrite) || ex.stream.canceled():
		ex.clientGone()
		return ex.canceledBy(), false
	case ex.clientFailed():
		// Its body ended in an error while the response was under way, and with
		// it the connection to the endpoint, which is not to blame.
		ex.bodyFailed()
		return ex.canceledBy(), false
	}
	// The client has the head: all that is left is to end its connection, so
	// that it sees the response cut short.
	ex.stream.closeAfter()
	_ = ex.stream.flush()
	if isTimeout(err) {
		if ex.deadline.IsZero() || time.Now().Before(ex.deadline) {
			ex.idledOut()
			return failure{result: balancer.ResetLate}, false
		}
		ex.rec.Flags |= FlagUT
		ex.rec.Details = "response_timeout"
		ex.ln.counters.rqTimeout.Add(1)
		return failure{result: balancer.Timeout, late: true}, false
	}
	var ft *fault
	if errors.As(err, &ft) {
		ex.rec.Flags |= FlagUPE
		ex.rec.Details = "upstream_reset_after_response_started{protocol_error}"
		return failure{result: balancer.Protocol}, false
	}
	ex.rec.Flags |= FlagUC
	ex.rec.Details = "upstream_reset_after_response_started{connection_termination}"
	return failure{result: balancer.ResetLate}, false
}

// errClientWrite: the client does not take the response; errClientIdle: it is
// there, but has taken none of it for too long.
var (
	errClientWrite = errors.New("the client does not take the response")
	errClientIdle  = errors.New("the client has not taken any of the response in time")
)

// clientWrite tells which of the two a failed write to the client is.
func (ex *exchange) clientWrite(err error) error {
	if isTimeout(err) && !ex.stream.canceled() {
		return errClientIdle
	}
	return errClientWrite
}

// idledOut accounts for a response cut because neither side has moved it on.
func (ex *exchange) idledOut() {
	ex.rec.Flags |= FlagSI
	ex.rec.Details = "stream_idle_timeout"
	ex.ln.counters.rqIdle.Add(1)
}

// relayBody passes the body on piece by piece, as it comes.
func (ex *exchange) relayBody(up *upConn) (trailers []byte, err error) {
	r := &ex.resp
	idle := ex.idleLimit()
	ex.slow = false
	switch r.body {
	case bodyLength:
		for left := r.length; left > 0; {
			if len(up.unread()) == 0 {
				if left >= spliceMin && !ex.slow && ex.stream.canSplice() {
					n, err := ex.splice(up, idle, left)
					if err != nil {
						return nil, err
					}
					if n > 0 {
						left -= n
						continue
					}
				}
				if err := ex.more(up, idle, left); err != nil {
					return nil, err
				}
			}
			in := up.in
			n := int(min(left, int64(in.len())))
			if err := ex.stream.sendBody(in.b[in.r : in.r+n]); err != nil {
				return nil, ex.clientWrite(err)
			}
			in.r += n
			left -= int64(n)
		}
	case bodyChunked:
		c := &ex.chunk
		c.reset()
		for !c.done() {
			if len(up.unread()) == 0 {
				if err := ex.more(up, idle, smallBuffer); err != nil {
					return nil, err
				}
			}
			piece, used, f := c.next(up.in.bytes())
			if f != nil {
				return nil, f
			}
			if len(piece) > 0 {
				if err := ex.stream.sendBody(piece); err != nil {
					return nil, ex.clientWrite(err)
				}
			}
			up.in.r += used
		}
		return ex.responseTrailers(c.trailers), nil
	case bodyClose:
		for {
			if len(up.unread()) == 0 {
				if err := ex.more(up, idle, smallBuffer); err != nil {
					if err == io.EOF {
						return nil, nil
					}
					return nil, err
				}
			}
			if err := ex.stream.sendBody(up.in.bytes()); err != nil {
				return nil, ex.clientWrite(err)
			}
			up.in.r = up.in.w
		}
	}
	return nil, nil
}

// more waits for more of the body, after what there is has been sent: an event
// stream must not be held back. want is how much is still to come, as far as is
// known.
func (ex *exchange) more(up *upConn, idle time.Duration, want int64) error {
	if err := ex.stream.flush(); err != nil {
		return ex.clientWrite(err)
	}
	up.release()
	up.readMin = smallBuffer
	if want > smallBuffer {
		up.readMin = largeBuffer
	}
	up.arm(ex.remaining(idle))
	return up.fill(largeBuffer)
}

// headLimit is how long the response's head may take, from the end of the
// request on, which is now: the shortest of the route's timeouts. It notes which
// one that is. The overall timeout of a request with a body begins now, at the
// first try; that of one without began when its head was here.
func (ex *exchange) headLimit(now time.Time) time.Duration {
	spec := ex.route.Spec
	ex.perTry, ex.idleOut = false, false
	wait := spec.HeadTimeout
	if spec.Timeout > 0 {
		if ex.deadline.IsZero() {
			ex.deadline = now.Add(spec.Timeout)
		}
		if left := max(ex.deadline.Sub(now), time.Millisecond); wait == 0 || left < wait {
			wait = left
		}
	}
	if t := spec.Retry.PerTry; t > 0 && (wait == 0 || t < wait) {
		wait, ex.perTry = t, true
	}
	if t := ex.idleLimit(); t > 0 && (wait == 0 || t < wait) {
		wait, ex.perTry, ex.idleOut = t, false, true
	}
	return wait
}

// streamLimit is how long a body that is going up may pause.
func (ex *exchange) streamLimit() time.Duration {
	ex.perTry, ex.idleOut = false, true
	return ex.idleLimit()
}

// idleLimit is how long a body may pause.
func (ex *exchange) idleLimit() time.Duration {
	if t := ex.route.Spec.IdleTimeout; t > 0 {
		return t
	}
	return ex.stream.idle()
}

// remaining cuts a limit to what the route's own timeout leaves.
func (ex *exchange) remaining(limit time.Duration) time.Duration {
	if ex.deadline.IsZero() {
		return limit
	}
	left := max(time.Until(ex.deadline), time.Millisecond)
	if limit == 0 || left < limit {
		return left
	}
	return limit
}

// readFailure sorts what ended the wait for a response's head.
func (ex *exchange) readFailure(up *upConn, err error) failure {
	if f, gone := ex.clientFailure(err); gone {
		return f
	}
	moved := up.settle()
	switch {
	case moved && isTimeout(err):
		return failure{result: balancer.Reset, reason: "connection termination", flag: FlagUC, moved: true}
	case isTimeout(err):
		return failure{result: balancer.Timeout, reason: "timeout", flag: FlagUT, perTry: ex.perTry, idle: ex.idleOut}
	case len(up.unread()) > 0:
		return failure{result: balancer.Protocol, reason: "protocol error", flag: FlagUPE}
	case isReset(err) && !up.reused:
		return failure{result: balancer.Reset, reason: "remote reset", flag: FlagUR}
	}
	return failure{result: balancer.Reset, reason: "connection termination", flag: FlagUC}
}

// clientFailure tells whether it is the client that has ended the try: by
// leaving, or by a body that is malformed or too late.
func (ex *exchange) clientFailure(error) (failure, bool) {
	if ex.stream.canceled() {
		return ex.canceledBy(), true
	}
	ex.stopUpload()
	if ex.clientFailed() {
		return ex.canceledBy(), true
	}
	return failure{}, false
}

// bodyFailed accounts for a response that was cut because the request's body has
// ended in an error.
func (ex *exchange) bodyFailed() {
	var ft *fault
	if err, _ := ex.stream.failed(); !errors.As(err, &ft) {
		ex.clientGone()
		return
	}
	ex.stream.closeAfter()
	ex.rec.Flags |= FlagDPE
	ex.rec.Details = ft.detail
	ex.ln.counters.cxProtocolError.Add(1)
}

// clientFailed: the request's body has ended in an error.
func (ex *exchange) clientFailed() bool {
	err, _ := ex.stream.failed()
	return err != nil
}

func (ex *exchange) canceledBy() failure {
	return failure{result: balancer.Canceled, reason: "local reset", flag: FlagDC}
}
