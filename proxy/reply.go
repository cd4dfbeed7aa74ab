package proxy

import (
	"errors"
	"io"

	"github.com/dockerlb/dockerlb/balancer"
)

// local answers for ourselves.
func (ex *exchange) local(status int, body string, flag Flags, details string) {
	ex.rec.Flags |= flag
	ex.direct(status, []byte(body), details)
}

// direct answers with a body of our own, text/plain where there is one; in
// gRPC's way to whom asks for gRPC, unless that is no proper HTTP.
func (ex *exchange) direct(status int, body []byte, details string) {
	ex.begun = true
	r := &ex.resp
	r.reset()
	switch {
	case ex.rec.Flags&FlagDPE == 0 && ex.isGRPC():
		ex.grpcReply(status, body)
		status, body = 200, nil
	case len(body) > 0:
		ex.addResp = append(ex.addResp, pair{"content-type", textPlain})
	}
	r.status = status
	ex.rec.Status, ex.rec.Details = status, details
	ex.respond()
	ex.drain()
	if ex.stream.sendHead(r, ex.addResp, bodyLength, int64(len(body)), false) == nil &&
		ex.stream.sendBody(body) == nil {
		_ = ex.stream.endBody(nil) // fails where the client has gone: nobody to tell
	}
	ex.addResp = ex.addResp[:0]
}

// drain reads what has come of a request's body that nobody wants. Where that
// is not all, the connection ends, and the response says so.
func (ex *exchange) drain() {
	for n := 0; n < syncBody; {
		piece, err := ex.stream.readBody(false)
		if err == io.EOF {
			return
		}
		if err != nil {
			break
		}
		n += len(piece)
	}
	ex.stream.closeAfter()
}

var textPlain = []byte("text/plain")

// refuse answers a request that must not be served, and ends the connection:
// where it ends is not known.
func (ex *exchange) refuse(f *fault) bool {
	ex.stream.closeAfter()
	flag := Flags(0)
	switch f.status {
	case 413, 414, 431:
		ex.ln.counters.tooLarge.Add(1)
	case 417: // sound, and not to be met
	default:
		flag = FlagDPE
		ex.ln.counters.cxProtocolError.Add(1)
	}
	ex.local(f.status, "", flag, f.detail)
	return false
}

// clientGone ends an exchange whose client is not there any more.
func (ex *exchange) clientGone() {
	ex.stream.closeAfter()
	ex.rec.Flags |= FlagDC
	ex.rec.Details = "downstream_remote_disconnect"
	ex.ln.counters.rxReset.Add(1)
}

// giveUp answers for a request that no endpoint has answered.
func (ex *exchange) giveUp(f *failure) {
	if err, late := ex.stream.failed(); err != nil {
		var ft *fault
		switch {
		case errors.As(err, &ft):
			ex.refuse(ft)
		case isTimeout(err) && !ex.stream.canceled():
			ex.stream.closeAfter()
			ex.stream.resume()
			if late {
				ex.ln.counters.rqTimeout.Add(1)
				ex.local(408, "request timeout", 0, "request_overall_timeout")
				return
			}
			ex.ln.counters.rqIdle.Add(1)
			ex.local(408, "stream timeout", FlagSI, "stream_idle_timeout")
		default:
			ex.clientGone()
		}
		return
	}
	switch f.result {
	case balancer.Canceled:
		ex.clientGone()
	case balancer.Timeout:
		if f.idle {
			ex.ln.counters.rqIdle.Add(1)
			status := 504
			if !ex.body.whole {
				status = 408
				ex.stream.closeAfter()
			}
			ex.local(status, "stream timeout", FlagSI, "stream_idle_timeout")
			return
		}
		details := "response_timeout"
		if f.perTry {
			details = "upstream_per_try_timeout"
		}
		ex.ln.counters.rqTimeout.Add(1)
		ex.local(504, "upstream request timeout", FlagUT, details)
	case balancer.Protocol:
		ex.local(502, ex.resetBody(f), FlagUPE, ex.resetDetails(f))
	default:
		if f.flag&FlagUO != 0 {
			ex.addResp = append(ex.addResp[:0], pair{"x-envoy-overloaded", valueTrue})
		}
		ex.local(503, ex.resetBody(f), f.flag, ex.resetDetails(f))
	}
}

var valueTrue = []byte("true")

// resetBody is Envoy's template.
func (ex *exchange) resetBody(f *failure) string {
	s := "upstream connect error or disconnect/reset before headers. "
	if ex.attempts > 1 {
		s += "retried and the latest "
	}
	s += "reset reason: " + f.reason
	if f.transport != "" {
		s += ", transport failure reason: " + f.transport
	}
	return s
}

func (ex *exchange) resetDetails(f *failure) string {
	s := "upstream_reset_before_response_started{" + f.reason
	if f.transport != "" {
		s += "|" + f.transport
	}
	b := []byte(s + "}")
	for i := range b {
		if b[i] == ' ' {
			b[i] = '_'
		}
	}
	return string(b)
}
