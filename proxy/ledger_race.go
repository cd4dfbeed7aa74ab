//go:build race

package proxy

import "sync/atomic"

// raceEnabled: the race detector's builds keep account of the buffers that are
// out, for the tests, which must get all of them back.
const raceEnabled = true

var buffersOut atomic.Int64

func countBuffers(n int64) { buffersOut.Add(n) }
