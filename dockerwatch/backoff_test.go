package dockerwatch

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	var b backoff
	for i, most := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000} {
		most *= time.Millisecond
		if got := b.next(); got > most || got < most*3/4 {
			t.Errorf("pause %d is %v, want %v less up to a quarter", i, got, most)
		}
	}
	b.reset()
	if got := b.next(); got > 100*time.Millisecond {
		t.Errorf("after a success: %v", got)
	}
}

func TestJitter(t *testing.T) {
	for range 1000 {
		if got := jitter(15 * time.Second); got < 13500*time.Millisecond || got > 16500*time.Millisecond {
			t.Fatalf("%v", got)
		}
	}
}
