package proxy

import "bytes"

// response is a parsed response head from an upstream. Every fault is the
// upstream's: 502.
type response struct {
	head
	status    int
	minor     int
	reason    []byte
	body      bodyKind
	length    int64
	keepAlive bool // the upstream keeps the connection
	hasDate   bool
	hasServer bool
	upgrade   []byte
}

func (r *response) reset() {
	h := r.head
	h.reset()
	*r = response{head: h}
}

// parse goes on with data; toHead says that it answers a HEAD request.
func (r *response) parse(data []byte, limits headLimits, toHead bool) (bool, *fault) {
	if len(data) > 0 && data[0] == '\r' {
		return false, faultStatusLine // only requests may have an empty line before
	}
	done, f := r.scan(data, limits)
	if !done || f != nil {
		return false, f
	}
	if f := r.parseLine(r.startLine()); f != nil {
		return false, f
	}
	return true, r.interpret(toHead)
}

// parseLine: HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112
// section 4). The second space is missing from many servers; nothing hangs on it.
func (r *response) parseLine(line []byte) *fault {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] < '0' || line[7] > '9' || line[8] != ' ' {
		return faultStatusLine
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return faultStatusLine
		}
		r.status = r.status*10 + int(c-'0')
	}
	if r.status < 100 || len(line) > 12 && line[12] != ' ' {
		return faultStatusLine
	}
	if len(line) > 13 {
		r.reason = line[13:]
		if !validValue(r.reason) {
			return faultStatusLine
		}
	}
	r.minor = min(int(line[7]-'0'), 1)
	return nil
}

func (r *response) interpret(toHead bool) *fault {
	var lengths, codings int
	var closes, keeps bool
	for i := range r.fields {
		f := &r.fields[i]
		if f.id == fieldOther {
			continue
		}
		v := r.value(f)
		switch f.id {
		case fieldContentLength:
			if lengths++; lengths > 1 {
				return faultManyLengths
			}
			n, ok := parseDecimal(v)
			if !ok {
				return faultLength
			}
			r.body, r.length = bodyLength, n
			f.drop = true
		case fieldTransferEncoding:
			if codings++; codings > 1 || !equalFold(v, "chunked") || r.minor == 0 {
				return faultCoding
			}
			f.drop = true
		case fieldConnection:
			f.drop = true
			closes = closes || hasElement(v, "close")
			keeps = keeps || hasElement(v, "keep-alive")
			if bytes.IndexByte(v, ',') >= 0 || !equalFold(v, "close") && !equalFold(v, "keep-alive") {
				if e := r.nominate(v); e != nil {
					return e
				}
			}
		case fieldKeepAlive, fieldProxyConnection:
			f.drop = true
		case fieldUpgrade:
			f.drop = true
			r.upgrade = v
		case fieldDate:
			r.hasDate = true
		case fieldServer:
			r.hasServer = true
		}
	}
	r.keepAlive = persists(r.minor, closes, keeps)
	if codings > 0 {
		if lengths > 0 {
			// RFC 9112 section 6.3, item 3: "ought to be handled as an error".
			return faultBothFramings
		}
		r.body = bodyChunked
	}
	// RFC 9112 section 6.3, items 1 to 8. For HEAD and 304 the framing fields
	// speak of a response that is not there; length and body keep what they
	// said for the copy, hasBody tells whether octets follow.
	if !r.hasBody(toHead) {
		return nil
	}
	if lengths == 0 && codings == 0 {
		r.body, r.keepAlive = bodyClose, false
	}
	return nil
}

// hasBody: whether octets follow the head, by status and method alone.
func (r *response) hasBody(toHead bool) bool {
	return !toHead && r.status >= 200 && r.status != 204 && r.status != 304
}
