package proxy

import "sync"

// Buffers hold what has been read and not yet used: b[r:w]. A connection has
// one only while there is something in it or a read brings something.
const (
	smallBuffer = 32 << 10
	largeBuffer = 72 << 10 // a body of 64 KiB and its head at once
	// copyBelow: pieces smaller than this are copied behind what waits to be
	// written, larger ones are written beside it.
	copyBelow = 2 << 10
)

type buffer struct {
	b    []byte
	r, w int
}

var (
	smallBuffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, smallBuffer)} }}
	largeBuffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, largeBuffer)} }}
)

// getBuffer returns an empty buffer of at least size octets.
func getBuffer(size int) *buffer {
	countBuffers(1)
	switch {
	case size <= smallBuffer:
		return smallBuffers.Get().(*buffer)
	case size <= largeBuffer:
		return largeBuffers.Get().(*buffer)
	}
	return &buffer{b: make([]byte, size)}
}

// putBuffer takes b back; nobody may hold a view into it. nil is allowed.
func putBuffer(b *buffer) {
	if b == nil {
		return
	}
	countBuffers(-1)
	b.r, b.w = 0, 0
	switch len(b.b) {
	case smallBuffer:
		smallBuffers.Put(b)
	case largeBuffer:
		largeBuffers.Put(b)
	}
}

// set stores what was appended to the contents, which may have moved.
func (b *buffer) set(p []byte) { b.b, b.w = p[:cap(p)], len(p) }

func (b *buffer) len() int      { return b.w - b.r }
func (b *buffer) bytes() []byte { return b.b[b.r:b.w] }

// grow returns a buffer with the same contents, at its beginning, and room for
// at least one octet more, up to max octets in all.
func (b *buffer) grow(max int) *buffer {
	if b.r > 0 {
		b.w = copy(b.b, b.b[b.r:b.w])
		b.r = 0
		if b.w < len(b.b) {
			return b
		}
	}
	bigger := getBuffer(min(2*len(b.b), max))
	bigger.w = copy(bigger.b, b.b[:b.w])
	putBuffer(b)
	return bigger
}
