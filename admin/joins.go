package admin

import (
	"sync/atomic"
	"time"
)

// joinBounds are the upper bounds of the join histogram, in seconds: from the
// engine's start event to an endpoint that takes traffic. The target is a
// median of 20 ms.
var joinBounds = [...]float64{.001, .002, .005, .010, .015, .020, .030, .050, .075, .100, .150, .200, .300, .500, 1, 2.5, 5, 10, 30}

// JoinHistogram counts how long containers took to join. The zero value is
// ready; Observe may be called from any goroutine.
type JoinHistogram struct {
	buckets [len(joinBounds) + 1]atomic.Uint64 // not cumulative; the last is +Inf
	sum     atomic.Int64                       // nanoseconds
}

// Observe counts one join.
func (h *JoinHistogram) Observe(took time.Duration) {
	i := 0
	for i < len(joinBounds) && took.Seconds() > joinBounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(took))
}

// read returns the cumulative buckets, without +Inf, as Prometheus wants them.
func (h *JoinHistogram) read() (cumulative map[float64]uint64, count uint64, sum time.Duration) {
	cumulative = make(map[float64]uint64, len(joinBounds))
	for i, bound := range joinBounds {
		count += h.buckets[i].Load()
		cumulative[bound] = count
	}
	return cumulative, count + h.buckets[len(joinBounds)].Load(), time.Duration(h.sum.Load())
}
