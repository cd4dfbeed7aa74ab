package proxy

import (
	"bytes"
	"strconv"
)

// normalize prepares host and path as they are matched and forwarded. False: the
// path cannot be normalized.
func (ex *exchange) normalize() bool {
	o, r := ex.http, &ex.req
	ex.host = r.host
	if o.StripAnyPort || o.StripMatchingPort {
		ex.host = stripPort(ex.host, o.StripAnyPort, ex.ln.bound.Port())
	}
	ex.hostLower = ex.host
	for i, c := range ex.host {
		if c >= 'A' && c <= 'Z' {
			ex.lowerBuf = append(ex.lowerBuf[:0], ex.host...)
			for ; i < len(ex.host); i++ {
				if c := ex.host[i]; c >= 'A' && c <= 'Z' {
					ex.lowerBuf[i] = c | 0x20
				}
			}
			ex.hostLower = ex.lowerBuf
			break
		}
	}
	if r.path[0] != '/' {
		return true
	}
	if o.NormalizePath && !isNormal(r.path) {
		p, ok := appendNormalized(ex.pathBuf[:0], r.path)
		if ex.pathBuf = p; !ok {
			return false
		}
		ex.setPath(p)
	}
	if o.MergeSlashes && bytes.Contains(r.path, []byte("//")) {
		p := ex.pathBuf[:0] // in place: it only shrinks
		for i, c := range r.path {
			if c != '/' || i == 0 || r.path[i-1] != '/' {
				p = append(p, c)
			}
		}
		ex.pathBuf = p
		ex.setPath(p)
	}
	return true
}

// setPath replaces the path by one of ours.
func (ex *exchange) setPath(p []byte) {
	if !bytes.Equal(ex.req.path, p) {
		ex.req.path, ex.newPath = p, true
	}
}

// stripPort removes the port of a host, any or the listener's own.
func stripPort(h []byte, any bool, own uint16) []byte {
	colon := bytes.LastIndexByte(h, ':')
	if colon < 0 || bytes.IndexByte(h[colon:], ']') >= 0 {
		return h
	}
	if any || string(h[colon+1:]) == strconv.Itoa(int(own)) {
		return h[:colon]
	}
	return h
}

// isNormal tells without a copy that there is nothing to normalize in nearly
// every path: no escape, no backslash, no segment that begins with a dot.
func isNormal(path []byte) bool {
	for i, c := range path {
		switch c {
		case '%', '\\':
			return false
		case '.':
			if path[i-1] == '/' { // the path's first octet is a slash
				return false
			}
		}
	}
	return true
}

// appendNormalized is Envoy's normalize_path: percent-encoded
// unreserved octets are decoded, "\" becomes "/", dot segments are removed
// (RFC 3986 section 5.2.4). False: a broken percent-encoding, or a path that
// climbs above its root.
func appendNormalized(b, path []byte) ([]byte, bool) {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '\\' {
			c = '/'
		}
		if c == '%' {
			if i+2 >= len(path) || unhex(path[i+1]) < 0 || unhex(path[i+2]) < 0 {
				return b, false
			}
			d := byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			if d == 0 {
				return b, false
			}
			if !unreserved(d) {
				b = append(b, path[i:i+3]...)
				i += 2
				continue
			}
			c = d
			i += 2
		}
		b = append(b, c)
	}
	// b is a copy now: dot segments are removed within it.
	out := b[:0]
	for i := 0; i < len(b); {
		// b[i] is the slash that begins a segment.
		end := i + 1
		for end < len(b) && b[end] != '/' {
			end++
		}
		switch string(b[i+1 : end]) {
		case ".":
			if end == len(b) {
				out = append(out, '/')
			}
		case "..":
			at := bytes.LastIndexByte(out, '/')
			if at < 0 {
				return b, false
			}
			out = out[:at]
			if end == len(b) {
				out = append(out, '/')
			}
		default:
			out = append(out, b[i:end]...)
		}
		i = end
	}
	return out, true
}

// unreserved: RFC 3986 section 2.3.
func unreserved(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '.' || c == '_' || c == '~'
}
