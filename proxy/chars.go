package proxy

import "encoding/binary"

// Classes of octets, RFC 9110 section 5.6.2 and RFC 3986.
const (
	tokenChar  = 1 << iota // tchar
	targetChar             // may stand in a request target
	hostChar               // may stand in a Host value
)

var charClass = func() (t [256]uint8) {
	for c := 0; c < 256; c++ {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if alnum || contains("!#$%&'*+-.^_`|~", byte(c)) {
			t[c] |= tokenChar
		}
		// RFC 3986 allows fewer. What browsers are known to send unescaped
		// (WHATWG URL: | { } ^ ` \ and brackets) passes; controls, space, the
		// delimiters, the fragment and bytes above ASCII do not.
		if c > ' ' && c < 0x7f && !contains(`"#<>`, byte(c)) {
			t[c] |= targetChar
		}
		// reg-name, IPv4, bracketed IPv6 and a port. No comma, though RFC 3986
		// has it: two Host fields joined by someone else look like it. No "@":
		// userinfo (RFC 9110 section 4.2.4).
		if alnum || contains("-._~%!$&'()*+;=:[]", byte(c)) {
			t[c] |= hostChar
		}
	}
	return t
}()

func contains(s string, c byte) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == c {
			return true
		}
	}
	return false
}

// allOf reports whether b is not empty and all its octets are of the class.
func allOf(b []byte, class uint8) bool {
	if len(b) == 0 {
		return false
	}
	ok := class
	for _, c := range b {
		ok &= charClass[c]
	}
	return ok != 0
}

// validValue reports whether v may be a field's value: no control but HTAB
// (RFC 9110 section 5.5; CR, LF and NUL are the dangerous ones). Eight octets
// at a time: this runs over every octet of every head.
func validValue(v []byte) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for len(v) >= 8 {
		x := binary.LittleEndian.Uint64(v)
		below := (x - ones*0x20) & ^x                      // high bit where an octet < 0x20 (or borrowed: looked at again)
		del := ((x ^ ones*0x7f) - ones) & ^(x ^ ones*0x7f) // … where an octet is 0x7f
		if (below|del)&highs != 0 && !validValueSlow(v[:8]) {
			return false
		}
		v = v[8:]
	}
	return validValueSlow(v)
}

func validValueSlow(v []byte) bool {
	for _, c := range v {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// trimOWS removes optional white space at both ends (RFC 9110 section 5.6.3).
func trimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold compares b with a lower-case ASCII string, ignoring b's case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// nextElement cuts the first element off a comma-separated list (RFC 9110
// section 5.6.1); empty elements are skipped. ok is false at the end.
func nextElement(list []byte) (element, rest []byte, ok bool) {
	for len(list) > 0 {
		i := 0
		for i < len(list) && list[i] != ',' {
			i++
		}
		element, rest = trimOWS(list[:i]), nil
		if i < len(list) {
			rest = list[i+1:]
		}
		if len(element) > 0 {
			return element, rest, true
		}
		list = rest
	}
	return nil, nil, false
}

// hasElement reports whether a list has the element, ignoring case.
func hasElement(list []byte, lower string) bool {
	for {
		e, rest, ok := nextElement(list)
		if !ok {
			return false
		}
		if equalFold(e, lower) {
			return true
		}
		list = rest
	}
}

// parseDecimal reads 1*DIGIT: no sign, no space, no overflow of an int64.
func parseDecimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' || n > (1<<63-1-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// appendDecimal appends n, which is not negative.
func appendDecimal(b []byte, n int64) []byte {
	var d [20]byte
	i := len(d)
	for {
		i--
		d[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return append(b, d[i:]...)
		}
	}
}
