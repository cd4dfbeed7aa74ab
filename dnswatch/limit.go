package dnswatch

import "time"

// bucket is a token bucket: rate per second, and a burst of a tenth of it.
type bucket struct {
	rate   float64 // tokens per second
	burst  float64
	tokens float64
	filled time.Time // when tokens was right
}

func newBucket(rate int) *bucket {
	burst := max(1, float64(rate)/10)
	return &bucket{rate: float64(rate), burst: burst, tokens: burst}
}

// take takes a token and returns 0, or says how long there is none.
func (b *bucket) take(now time.Time) time.Duration {
	if !b.filled.IsZero() {
		b.tokens = min(b.burst, b.tokens+now.Sub(b.filled).Seconds()*b.rate)
	}
	b.filled = now
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	// One nanosecond more, so that rounding cannot leave the caller spinning.
	return time.Duration((1-b.tokens)/b.rate*float64(time.Second)) + 1
}
