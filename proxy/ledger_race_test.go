//go:build race

package proxy

import "fmt"

// buffersLeft says how many buffers the tests have not given back.
func buffersLeft() error {
	if n := buffersOut.Load(); n != 0 {
		return fmt.Errorf("%d buffers are out", n)
	}
	return nil
}
