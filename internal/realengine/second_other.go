//go:build !linux

package realengine

import "testing"

// Second is a Docker Engine of the test's own. Only on Linux.
type Second struct{ *Engine }

// StartSecond skips the test.
func (e *Engine) StartSecond(t testing.TB) *Second {
	t.Skip("an engine of the test's own needs Linux")
	return nil
}

// Stop is never reached.
func (x *Second) Stop() {}

// Start is never reached.
func (x *Second) Start() {}
