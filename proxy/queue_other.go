//go:build !linux

package proxy

import "net"

// stopQueue: there is no way known here; see queue_linux.go.
func stopQueue(*net.TCPListener) {}
