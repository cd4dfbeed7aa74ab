package dockerwatch

import (
	"math/rand/v2"
	"time"
)

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 5 * time.Second
)

// backoff is the pause before the next session: 100 ms, doubling, at most 5 s,
// each shortened by up to a quarter, so that many proxies do not come at once.
type backoff struct{ last time.Duration }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, backoffFirst), backoffMost)
	return b.last - rand.N(b.last/4)
}

func (b *backoff) reset() { b.last = 0 }

// jitter is d ± 10 %.
func jitter(d time.Duration) time.Duration { return d*9/10 + rand.N(d/5+1) }
