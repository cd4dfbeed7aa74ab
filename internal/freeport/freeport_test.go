package freeport

import (
	"net"
	"net/netip"
	"testing"
)

func TestLoopback(t *testing.T) {
	seen := make(map[netip.AddrPort]bool)
	for range 200 {
		a, err := Loopback()
		if err != nil {
			t.Fatal(err)
		}
		if seen[a] {
			t.Fatalf("%s was given twice", a)
		}
		seen[a] = true
		if !a.Addr().IsLoopback() || a.Port() < first || a.Port() > last {
			t.Errorf("%s is not a loopback address between %d and %d", a, first, last)
		}
		l, err := net.Listen("tcp", a.String())
		if err != nil {
			t.Errorf("it is not free: %v", err)
			continue
		}
		l.Close()
	}
}
