package proxy

import (
	"testing"

	"github.com/dockerlb/dockerlb/internal/wire"
)

func TestMaxForwards(t *testing.T) {
	for _, tt := range []struct{ method, value, status, forwarded string }{
		{"OPTIONS", "3", "200", "2"},
		{"OPTIONS", "1", "200", "0"},
		{"OPTIONS", "0", "200", ""},
		{"TRACE", "7", "200", "6"},
		{"TRACE", "0", "405", ""},
		{"TRACE", "x", "200", "x"}, // not understood, and left alone
		{"GET", "0", "200", "0"},   // counts for the two only
	} {
		t.Run(tt.method+" "+tt.value, func(t *testing.T) {
			b := wire.Listen(t, wire.Answer(ok200))
			r := newRig(t, setup{}, b.Addr())
			c := r.dial()
			c.send(tt.method + " / HTTP/1.1\r\nHost: a\r\nMax-Forwards: " + tt.value + "\r\n\r\n")
			if h := c.head(); status(h) != tt.status {
				t.Errorf("answered %q, want %s", h, tt.status)
			}
			if tt.forwarded == "" {
				if b.Conns() != 0 {
					t.Errorf("forwarded %q", b.Received(0))
				}
			} else if got := fieldOf(b.Received(0), "max-forwards"); got != tt.forwarded {
				t.Errorf("forwarded Max-Forwards %q, want %q", got, tt.forwarded)
			}
		})
	}
}
