package main

import (
	"crypto/rand"
	"fmt"
)

// newID returns a random UUID (RFC 9562, section 5.4).
func newID() string {
	var b [16]byte
	rand.Read(b[:])         // never fails: it would end the process
	b[6] = b[6]&0x0f | 0x40 // version 4
	b[8] = b[8]&0x3f | 0x80 // variant 10
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
