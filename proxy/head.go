package proxy

import "bytes"

// fieldID is a field that the engine itself acts on; everything else is
// fieldOther and only passed on.
type fieldID uint8

const (
	fieldOther fieldID = iota
	fieldHost
	fieldContentLength
	fieldTransferEncoding
	fieldConnection
	fieldKeepAlive
	fieldProxyConnection
	fieldUpgrade
	fieldTE
	fieldTrailer
	fieldExpect
	fieldVia
	fieldDate
	fieldServer
	fieldForwarded
	fieldForwardedFor
	fieldForwardedProto
	fieldForwardedHost
	fieldForwardedPort
	fieldRequestID
	fieldCookie
	fieldClaim     // what only a trusted proxy may say of the client: claims
	fieldLookalike // what another parser may take for a framing field: claims
	fieldEnvoy     // x-envoy-…
)

// field is one field line: offsets into the head's bytes, which may move while
// the head is still being read.
type field struct {
	name, nameEnd, value, valueEnd uint32
	id                             fieldID
	drop                           bool // not forwarded: hop-by-hop, or nominated by Connection
}

// head is a message's start line and field lines, scanned in place. The zero
// value is ready; it is used again for the next message after reset.
type head struct {
	data   []byte // the bytes that the offsets point into, from the head's first on
	fields []field
	start  [2]uint32 // the start line, without its end
	pos    int       // where the next line begins
	seen   int       // up to where there is no line feed
	lines  int
	size   int // of the whole head with its empty line, once complete
	// nominated counts the elements of Connection.
	nominated int
}

// headLimits bound a head (431). In bytes, and field lines.
type headLimits struct {
	bytes, fields int
}

func (h *head) reset() {
	h.data, h.fields = nil, h.fields[:0]
	h.pos, h.seen, h.lines, h.size, h.nominated = 0, 0, 0, 0, 0
}

func (h *head) name(f *field) []byte  { return h.data[f.name:f.nameEnd] }
func (h *head) value(f *field) []byte { return h.data[f.value:f.valueEnd] }
func (h *head) startLine() []byte     { return h.data[h.start[0]:h.start[1]] }

// scan goes on with data, which begins where it began at the last call and may
// be longer now. It returns true once the head is complete. Line by line, so
// that a malformed line is refused when it is there and not when a limit is
// reached.
func (h *head) scan(data []byte, limits headLimits) (bool, *fault) {
	h.data = data
	for {
		i := bytes.IndexByte(data[h.seen:], '\n')
		if i < 0 {
			h.seen = len(data)
			if len(data) > limits.bytes {
				return false, faultHeadSize
			}
			return false, nil
		}
		begin, end := h.pos, h.seen+i
		h.pos = end + 1
		h.seen = h.pos
		if h.pos > limits.bytes {
			return false, faultHeadSize
		}
		// RFC 9112 section 2.2 would let a recipient take a bare LF; two
		// parsers that differ in it are a smuggler's tool.
		if end == begin || data[end-1] != '\r' {
			return false, faultLineEnding
		}
		end--
		if end == begin {
			if h.lines == 0 {
				// RFC 9112 section 2.2: at least one empty line before the
				// request line is to be ignored. Exactly one is.
				if begin > 0 {
					return false, faultStartLine
				}
				continue
			}
			h.size = h.pos
			return true, nil
		}
		h.lines++
		if h.lines == 1 {
			h.start = [2]uint32{uint32(begin), uint32(end)}
			continue
		}
		if len(h.fields) == limits.fields {
			return false, faultFieldCount
		}
		if f := h.addField(begin, data[begin:end]); f != nil {
			return false, f
		}
	}
}

// addField parses one field line (RFC 9112 section 5). White space before the
// colon and obs-fold both make the name no token.
func (h *head) addField(at int, line []byte) *fault {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !allOf(line[:colon], tokenChar) {
		return faultFieldName
	}
	value, end := colon+1, len(line)
	for value < end && (line[value] == ' ' || line[value] == '\t') {
		value++
	}
	for end > value && (line[end-1] == ' ' || line[end-1] == '\t') {
		end--
	}
	if !validValue(line[value:end]) {
		return faultFieldValue
	}
	h.fields = append(h.fields, field{
		name:     uint32(at),
		nameEnd:  uint32(at + colon),
		value:    uint32(at + value),
		valueEnd: uint32(at + end),
		id:       identify(line[:colon]),
	})
	return nil
}

// maxNominated bounds the elements of a head's Connection fields.
const maxNominated = 32

// nominate marks the fields that a Connection value names as not to be
// forwarded (RFC 9110 section 7.6.1). Those that frame or route the message
// cannot be nominated away: that is an attack on the next hop.
func (h *head) nominate(list []byte) *fault {
	for {
		e, rest, ok := nextElement(list)
		if !ok {
			return nil
		}
		list = rest
		// Each is looked for among all fields: many of both would be work that
		// a client gets for nothing.
		if h.nominated++; h.nominated > maxNominated || !allOf(e, tokenChar) {
			return faultConnection
		}
		if equalFold(e, "close") || equalFold(e, "keep-alive") || equalFold(e, "upgrade") || equalFold(e, "te") {
			continue
		}
		for i := range h.fields {
			f := &h.fields[i]
			if !bytes.EqualFold(h.name(f), e) {
				continue
			}
			switch f.id {
			case fieldHost, fieldContentLength, fieldTransferEncoding, fieldClaim,
				fieldForwarded, fieldForwardedFor, fieldForwardedProto, fieldForwardedHost, fieldForwardedPort:
				return faultConnection
			}
			f.drop = true
		}
	}
}

// get returns the first field of that id.
func (h *head) get(id fieldID) ([]byte, bool) {
	for i := range h.fields {
		if h.fields[i].id == id {
			return h.value(&h.fields[i]), true
		}
	}
	return nil, false
}

// passing returns the first field of that id that is passed on.
func (h *head) passing(id fieldID) ([]byte, bool) {
	for i := range h.fields {
		if f := &h.fields[i]; f.id == id && !f.drop {
			return h.value(f), true
		}
	}
	return nil, false
}

// lookup returns the first field of that lower-case name that passes, and how
// many there are.
func (h *head) lookup(lower string) (value []byte, n int) {
	for i := range h.fields {
		f := &h.fields[i]
		if int(f.nameEnd-f.name) == len(lower) && equalFold(h.name(f), lower) {
			if n == 0 {
				value = h.value(f)
			}
			n++
		}
	}
	return value, n
}

// identify finds a name's id: by length first, as most names are none of ours.
func identify(name []byte) fieldID {
	id := acted(name)
	if id == fieldOther {
		switch name[0] | 0x20 {
		case 'x', 'c', 't', 'f', 'p', 'h':
			return claims(name)
		}
	}
	return id
}

// acted is the id of a field that the engine acts on.
func acted(name []byte) fieldID {
	switch len(name) {
	case 2:
		return pick(name, "te", fieldTE)
	case 3:
		return pick(name, "via", fieldVia)
	case 4:
		if name[0]|0x20 == 'h' {
			return pick(name, "host", fieldHost)
		}
		return pick(name, "date", fieldDate)
	case 6:
		switch name[0] | 0x20 {
		case 'e':
			return pick(name, "expect", fieldExpect)
		case 'c':
			return pick(name, "cookie", fieldCookie)
		}
		return pick(name, "server", fieldServer)
	case 7:
		if name[0]|0x20 == 'u' {
			return pick(name, "upgrade", fieldUpgrade)
		}
		return pick(name, "trailer", fieldTrailer)
	case 9:
		return pick(name, "forwarded", fieldForwarded)
	case 10:
		if name[0]|0x20 == 'c' {
			return pick(name, "connection", fieldConnection)
		}
		return pick(name, "keep-alive", fieldKeepAlive)
	case 12:
		return pick(name, "x-request-id", fieldRequestID)
	case 14:
		return pick(name, "content-length", fieldContentLength)
	case 15:
		return pick(name, "x-forwarded-for", fieldForwardedFor)
	case 16:
		switch name[12] | 0x20 {
		case 'h':
			return pick(name, "x-forwarded-host", fieldForwardedHost)
		case 'p':
			return pick(name, "x-forwarded-port", fieldForwardedPort)
		case 't':
			return pick(name, "proxy-connection", fieldProxyConnection)
		}
	case 17:
		if name[0]|0x20 == 't' {
			return pick(name, "transfer-encoding", fieldTransferEncoding)
		}
		return pick(name, "x-forwarded-proto", fieldForwardedProto)
	}
	if len(name) > 8 && name[0]|0x20 == 'x' && equalFold(name[:8], "x-envoy-") {
		return fieldEnvoy
	}
	return fieldOther
}

func pick(name []byte, lower string, id fieldID) fieldID {
	if equalFold(name, lower) {
		return id
	}
	if len(name) > 8 && equalFold(name[:8], "x-envoy-") {
		return fieldEnvoy
	}
	return fieldOther
}
