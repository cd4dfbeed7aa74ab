// Package freeport finds loopback ports for those who must know one before
// anybody listens there: another process's listener, or an address that refuses
// until its owner comes back.
//
// A port from net.Listen(":0") that is closed again is no such port: the kernel
// hands it out anew, to a listener or to an outgoing connection of any process
// of the machine, and on a busy one it does. These ports lie below those that
// any kernel hands out by itself (from 32768 on Linux, from 49152 elsewhere), so
// that nobody gets them who has not asked for them by number.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// The range, and how many of its ports are tried before giving up.
const (
	first = 20000
	last  = 31999
	tries = 100
)

var (
	mu    sync.Mutex
	given = make(map[uint16]bool) // by this process: none twice
)

// Loopback is an address at which nobody listens, and which this process has not
// been given before. It is drawn at random, since other processes draw, too.
func Loopback() (netip.AddrPort, error) {
	mu.Lock()
	defer mu.Unlock()
	for range tries {
		port := uint16(first + rand.IntN(last-first+1))
		if given[port] {
			continue
		}
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
		l, err := net.Listen("tcp", a.String())
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return netip.AddrPort{}, err
		}
		given[port] = true
		return a, l.Close()
	}
	return netip.AddrPort{}, fmt.Errorf("no free port on 127.0.0.1 in %d tries between %d and %d", tries, first, last)
}
