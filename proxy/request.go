package proxy

import "bytes"

// bodyKind is how a message's body is delimited (RFC 9112 section 6.3).
type bodyKind uint8

const (
	bodyNone    bodyKind = iota
	bodyLength           // Content-Length
	bodyChunked          // Transfer-Encoding: chunked
	bodyClose            // until the connection ends; responses only
)

// request is a parsed request head. Its slices are views into head.data.
type request struct {
	head
	method []byte
	target []byte // as it came
	path   []byte // of the target, without query; "*" for the asterisk form
	query  []byte // without the question mark
	rawq   bool   // there was a question mark
	host   []byte // of the target or of Host, as it came
	minor  int    // of HTTP/1.x
	isHead bool

	body       bodyKind
	length     int64 // where body is bodyLength
	keepAlive  bool  // the client wants the connection kept
	expect     bool  // Expect: 100-continue
	upgrade    []byte
	teTrailers bool
	connect    bool // CONNECT: target is host:port
}

func (r *request) reset() {
	h := r.head
	h.reset()
	*r = request{head: h}
}

// whole: with so many octets, the head's among them, the request is here to its
// last one, and no other protocol is asked for.
func (r *request) whole(octets int) bool {
	return r.upgrade == nil && !r.connect &&
		(r.body == bodyNone || r.body == bodyLength && r.length <= int64(octets-r.size))
}

// parse goes on with data; true once the head is complete and sound. target
// bounds the request target (414).
func (r *request) parse(data []byte, limits headLimits, target int) (bool, *fault) {
	done, f := r.scan(data, limits)
	if f == faultHeadSize && r.lines == 0 {
		f = faultTargetSize // RFC 9112 section 3: the target is what is too long
	}
	if !done || f != nil {
		if f == nil && r.lines == 0 && !maybeMethod(data[r.pos:]) {
			f = faultMethod // TLS, SSH: no line end may ever come
		}
		return false, f
	}
	if f := r.parseLine(r.startLine(), target); f != nil {
		return false, f
	}
	return true, r.interpret()
}

// maybeMethod tells whether a line that has not ended may begin with a method,
// or be the empty line before it.
func maybeMethod(line []byte) bool {
	if len(line) == 1 && line[0] == '\r' {
		return true
	}
	for i, c := range line {
		if c == ' ' {
			return i > 0
		}
		if charClass[c]&tokenChar == 0 {
			return false
		}
	}
	return true
}

// parseLine: method SP request-target SP HTTP-version (RFC 9112 section 3),
// with exactly one space each.
func (r *request) parseLine(line []byte, maxTarget int) *fault {
	sp := bytes.IndexByte(line, ' ')
	if sp < 0 {
		return faultStartLine
	}
	if !allOf(line[:sp], tokenChar) {
		return faultMethod
	}
	r.method = line[:sp]
	line = line[sp+1:]
	sp = bytes.IndexByte(line, ' ')
	if sp < 0 {
		return faultStartLine
	}
	target, version := line[:sp], line[sp+1:]
	if len(version) != 8 || string(version[:5]) != "HTTP/" || version[6] != '.' ||
		version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9' {
		return faultStartLine
	}
	if version[5] != '1' {
		return faultVersion
	}
	// RFC 9110 section 2.5: a higher minor version is to be taken as the
	// highest that we know.
	r.minor = min(int(version[7]-'0'), 1)
	if len(target) > maxTarget {
		return faultTargetSize
	}
	if !allOf(target, targetChar) {
		return faultTarget
	}
	r.isHead = string(r.method) == "HEAD"
	return r.parseTarget(target)
}

// parseTarget knows the four forms of RFC 9112 section 3.2.
func (r *request) parseTarget(target []byte) *fault {
	r.target = target
	if string(r.method) == "CONNECT" { // authority-form
		colon := bytes.LastIndexByte(target, ':')
		if colon < 1 || !allOf(target, hostChar) {
			return faultTarget
		}
		if _, ok := parseDecimal(target[colon+1:]); !ok {
			return faultTarget
		}
		r.connect, r.host = true, target
		return nil
	}
	switch {
	case target[0] == '/': // origin-form
		r.setPath(target)
	case len(target) == 1 && target[0] == '*': // asterisk-form
		if string(r.method) != "OPTIONS" {
			return faultTarget
		}
		r.path = target
	default: // absolute-form
		rest := target
		switch {
		case len(target) > 7 && equalFold(target[:7], "http://"):
			rest = target[7:]
		case len(target) > 8 && equalFold(target[:8], "https://"):
			rest = target[8:]
		default:
			return faultTarget
		}
		end := bytes.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if !validHost(rest[:end]) {
			return faultTarget
		}
		r.host = rest[:end]
		switch {
		case end < len(rest):
			r.setPath(rest[end:])
		case string(r.method) == "OPTIONS":
			r.path = asterisk // RFC 9112 section 3.2.4
		default:
			r.path = slash // RFC 9112 section 3.2.1
		}
	}
	return nil
}

var (
	slash    = []byte("/")
	asterisk = []byte("*")
)

func (r *request) setPath(p []byte) {
	if q := bytes.IndexByte(p, '?'); q >= 0 {
		r.path, r.query, r.rawq = p[:q], p[q+1:], true
	} else {
		r.path = p
	}
	if len(r.path) == 0 {
		r.path = slash
	}
}

// validHost: uri-host [ ":" port ] (RFC 9110 section 7.2), not empty: an http
// URI has a host (RFC 9110 section 4.2.1).
func validHost(h []byte) bool {
	if !allOf(h, hostChar) || h[0] == ':' {
		return false
	}
	port := h
	if h[0] == '[' {
		end := bytes.IndexByte(h, ']')
		if end < 2 {
			return false
		}
		for _, c := range h[1:end] {
			if c == '[' {
				return false
			}
		}
		port = h[end+1:]
		if len(port) > 0 && port[0] != ':' {
			return false
		}
	} else if i := bytes.IndexAny(h, "[]"); i >= 0 {
		return false
	}
	if colon := bytes.IndexByte(port, ':'); colon >= 0 && colon+1 < len(port) {
		n, ok := parseDecimal(port[colon+1:])
		return ok && n <= 65535
	}
	return true
}

// interpret reads the fields that frame, route or hold the connection.
func (r *request) interpret() *fault {
	var hosts, lengths, codings int
	var closes, keeps bool
	for i := range r.fields {
		f := &r.fields[i]
		if f.id == fieldOther {
			continue
		}
		v := r.value(f)
		switch f.id {
		case fieldHost:
			if hosts++; hosts > 1 {
				return faultManyHosts // RFC 9112 section 3.2
			}
			if !validHost(v) {
				return faultHost
			}
			if r.host == nil { // RFC 9112 section 3.2.2: the target's wins
				r.host = v
			}
			f.drop = true // written first, by us
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
			codings++
			if codings > 1 {
				return faultCoding
			}
			if !equalFold(v, "chunked") {
				return unknownCoding(v)
			}
			f.drop = true
		case fieldConnection:
			f.drop = true
			if len(v) == 5 && equalFold(v, "close") {
				closes = true
			} else if len(v) == 10 && equalFold(v, "keep-alive") {
				keeps = true
			} else if e := r.connection(v, &closes, &keeps); e != nil {
				return e
			}
		case fieldKeepAlive, fieldProxyConnection, fieldLookalike:
			f.drop = true
		case fieldUpgrade:
			f.drop = true
		case fieldTE:
			f.drop = true
			r.teTrailers = r.teTrailers || hasElement(v, "trailers")
		case fieldExpect:
			f.drop = true
			if r.minor == 0 { // RFC 9110 section 10.1.1: to be ignored
				continue
			}
			if !equalFold(v, "100-continue") {
				return faultExpectation
			}
			r.expect = true
		}
	}
	r.keepAlive = persists(r.minor, closes, keeps)
	if hosts == 0 && r.minor == 1 {
		return faultNoHost
	}
	if codings > 0 {
		if lengths > 0 {
			return faultBothFramings // RFC 9112 section 6.3, item 3
		}
		if r.minor == 0 {
			return faultCoding // RFC 9112 section 6.1: faulty framing
		}
		r.body = bodyChunked
	}
	if r.body == bodyLength && r.length == 0 {
		// Still framed: a POST with an empty body says so to the next hop.
		r.expect = false
	}
	if r.body == bodyNone {
		r.expect = false // RFC 9110 section 10.1.1: only with content
	}
	if r.upgrade != nil && r.minor == 0 {
		r.upgrade = nil // RFC 9110 section 7.8: to be ignored
	}
	return nil
}

// persists: RFC 9112 section 9.3, in this order.
func persists(minor int, closes, keeps bool) bool {
	return !closes && (minor == 1 || keeps)
}

// connection reads a Connection value that is more than "close".
func (r *request) connection(v []byte, closes, keeps *bool) *fault {
	*closes = *closes || hasElement(v, "close")
	*keeps = *keeps || hasElement(v, "keep-alive")
	if hasElement(v, "upgrade") {
		if u, ok := r.get(fieldUpgrade); ok && len(u) > 0 {
			r.upgrade = u
		}
	}
	return r.nominate(v)
}

// unknownCoding sorts a Transfer-Encoding that is not a lone "chunked": codings
// that end in one chunked are merely unknown to us (RFC 9112 section 6.1: 501),
// everything else leaves the length unknowable (section 6.3, item 4: 400).
func unknownCoding(v []byte) *fault {
	chunked, last := 0, false
	n := 0
	for {
		e, rest, ok := nextElement(v)
		if !ok {
			break
		}
		n++
		last = equalFold(e, "chunked")
		if last {
			chunked++
		}
		if !allOf(e, tokenChar) || equalFold(e, "identity") {
			return faultCoding
		}
		v = rest
	}
	if n > 1 && chunked == 1 && last {
		return faultCodingUnknown
	}
	return faultCoding
}

// idempotent: RFC 9110 section 9.2.2.
func (r *request) idempotent() bool {
	switch string(r.method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
