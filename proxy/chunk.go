package proxy

import "bytes"

// chunks decodes a chunked body (RFC 9112 section 7.1) from whatever pieces the
// connection delivers, without copying: next returns views of the data. The
// zero value is ready. Extensions are checked and dropped, trailers are kept
// for the other side.
type chunks struct {
	state    chunkState
	left     int64 // of the chunk's data
	digits   int
	line     int    // octets of the current line seen so far
	trailers []byte // whole field lines with CRLF, checked, forbidden ones left out
	trailer  head   // scans the trailer section
	partial  []byte // an incomplete trailer section
}

type chunkState uint8

const (
	chunkSize chunkState = iota // in the size's digits
	chunkExt                    // after them, until CR
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailers
	chunkDone
)

const (
	// A size has at most 15 digits: an int64 cannot overflow, and no body is
	// longer. Extensions that nobody reads have a small limit (CVE-2023-39326
	// was the lack of one).
	maxChunkDigits = 15
	maxChunkLine   = 4096
	maxTrailers    = 8192
	maxTrailerN    = 32
)

func (c *chunks) reset() {
	c.trailer.reset()
	*c = chunks{trailers: c.trailers[:0], trailer: c.trailer, partial: c.partial[:0]}
}

func (c *chunks) done() bool { return c.state == chunkDone }

// next takes what it can from data. It returns a piece of body data (a view,
// maybe empty) and how many octets of data it used. With an empty piece and
// everything used it needs more; done tells the end.
func (c *chunks) next(data []byte) (piece []byte, used int, f *fault) {
	for used < len(data) {
		b := data[used]
		switch c.state {
		case chunkSize:
			if d := unhex(b); d >= 0 {
				if c.digits++; c.digits > maxChunkDigits {
					return nil, used, faultChunkSize
				}
				c.left = c.left<<4 | int64(d)
				used++
				continue
			}
			if c.digits == 0 {
				return nil, used, faultChunkSize
			}
			switch b {
			case '\r':
				c.state = chunkSizeLF
			case ';':
				c.state, c.line = chunkExt, 0
			default:
				// White space (BWS) before an extension is in the grammar, but
				// "1 " is what smugglers send; nobody else does.
				return nil, used, faultChunkSize
			}
			used++
		case chunkExt:
			if b == '\r' {
				c.state = chunkSizeLF
			} else if c.line++; c.line > maxChunkLine || b < ' ' && b != '\t' || b == 0x7f {
				return nil, used, faultChunkSize
			}
			used++
		case chunkSizeLF:
			if b != '\n' {
				return nil, used, faultChunkSize
			}
			used++
			c.digits = 0
			if c.left == 0 {
				c.state = chunkTrailers
			} else {
				c.state = chunkData
			}
		case chunkData:
			n := int(min(c.left, int64(len(data)-used)))
			piece = data[used : used+n]
			used += n
			if c.left -= int64(n); c.left == 0 {
				c.state = chunkDataCR
			}
			return piece, used, nil
		case chunkDataCR:
			if b != '\r' {
				return nil, used, faultChunkEnd
			}
			c.state = chunkDataLF
			used++
		case chunkDataLF:
			if b != '\n' {
				return nil, used, faultChunkEnd
			}
			c.state = chunkSize
			used++
		case chunkTrailers:
			n, f := c.readTrailers(data[used:])
			return nil, used + n, f
		case chunkDone:
			return nil, used, nil
		}
	}
	return nil, used, nil
}

// readTrailers: *( field-line CRLF ) CRLF (RFC 9112 section 7.1.2).
func (c *chunks) readTrailers(data []byte) (used int, f *fault) {
	if len(c.partial) == 0 && len(data) >= 2 && data[0] == '\r' && data[1] == '\n' {
		c.state = chunkDone
		return 2, nil
	}
	// Rare: collect line by line in a buffer of its own.
	for {
		i := bytes.IndexByte(data[used:], '\n')
		if i < 0 {
			c.partial = append(c.partial, data[used:]...)
			if len(c.partial) > maxTrailers {
				return used, faultTrailer
			}
			return len(data), nil
		}
		c.partial = append(c.partial, data[used:used+i+1]...)
		used += i + 1
		if len(c.partial) > maxTrailers {
			return used, faultTrailer
		}
		line := c.partial[c.trailer.pos:]
		if len(line) < 2 || line[len(line)-2] != '\r' {
			return used, faultTrailer
		}
		if len(line) == 2 {
			c.state = chunkDone
			return used, nil
		}
		if f := c.addTrailer(line); f != nil {
			return used, f
		}
	}
}

// addTrailer keeps one trailer line, unless it is one that must not be sent as
// such (RFC 9110 section 6.5.1): framing, routing and connection fields.
func (c *chunks) addTrailer(line []byte) *fault {
	at := c.trailer.pos
	c.trailer.data = c.partial
	if len(c.trailer.fields) == maxTrailerN || c.trailer.addField(at, line[:len(line)-2]) != nil {
		return faultTrailer
	}
	c.trailer.pos = len(c.partial)
	fl := &c.trailer.fields[len(c.trailer.fields)-1]
	if trailable(c.trailer.name(fl)) {
		c.trailers = append(c.trailers, c.trailer.name(fl)...)
		c.trailers = append(c.trailers, ": "...)
		c.trailers = append(c.trailers, c.trailer.value(fl)...)
		c.trailers = append(c.trailers, "\r\n"...)
	}
	return nil
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// appendChunkSize begins a chunk of our own: its size and CRLF.
func appendChunkSize(b []byte, n int) []byte {
	const digits = "0123456789abcdef"
	var d [16]byte
	i := len(d)
	for {
		i--
		d[i] = digits[n&15]
		if n >>= 4; n == 0 {
			break
		}
	}
	b = append(b, d[i:]...)
	return append(b, '\r', '\n')
}
