//go:build !race

package proxy

// buffersLeft: nobody keeps account here.
func buffersLeft() error { return nil }
