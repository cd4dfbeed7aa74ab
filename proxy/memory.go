package proxy

import "time"

// Many connections at once need many stacks. When they are parked nobody needs
// them any more, but the runtime would give their memory back only after the next
// garbage collection, which on an idle machine is minutes away, and not all of it
// then. So it is asked to, rarely.
const (
	// leftMin is how many parked goroutines' stacks, some 4 KiB each, are worth
	// a collection.
	leftMin = 1000
	// leaveEvery is how long there is at least between two.
	leaveEvery = 10 * time.Second
)

// leavings decides when memory is given back to the system. It is the sweep
// goroutine's.
type leavings struct {
	counted uint64    // parks, at the last look
	settled uint64    // parks, when memory was last given back
	last    time.Time // when
}

// due is asked every second with how often connections have been parked; true
// once there is enough to give back and hardly more is coming just now.
func (l *leavings) due(parks uint64, now time.Time) bool {
	rests := parks-l.counted < leftMin/10
	l.counted = parks
	if !rests || parks-l.settled < leftMin || now.Sub(l.last) < leaveEvery {
		return false
	}
	l.settled, l.last = parks, now
	return true
}
