package dockerwatch

import (
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// member is a container that we follow, with what the engine does not tell on
// demand: its stop signal, its start event. Owned by Run.
type member struct {
	id string
	// shown is its value in the next Membership; nil while only events have
	// spoken of it. Never written after it was set: change makes a new one.
	shown *topology.Container
	ours  bool // carries our labels; else it lends its network to one that does

	heard   time.Time // when its last event happened, our clock
	nano    int64     // that of its last container event; a container's events are ordered
	netNano int64     // that of its last network event

	startEvent time.Time // engine's clock
	stopSignal int       // its own; zero: not known yet
	// signal is the last signal that was seen (event "kill") in this run, and
	// when, on the engine's clock. Whether it is a stop may only turn out when
	// inspect has told the container's own stop signal.
	signal   int
	signalAt time.Time
	signalIn time.Time // our clock

	// Looking: looks are coalesced per container and bounded over all.
	lookAt  time.Time // when the next look is due; zero: none waits for its time
	queued  bool      // waits for a free place
	urgent  bool      // in the urgent queue
	flying  bool      // an inspect is under way
	again   bool      // look again when it is back: an event came meanwhile
	stale   bool      // drop what it brings: the event is newer than its answer
	looked  time.Time // when the last inspect was sent
	retries int       // failed inspects in a row
}

// clearStop forgets a stop signal: the run that it meant is over.
func (x *member) clearStop() {
	x.signal, x.signalAt, x.signalIn = 0, time.Time{}, time.Time{}
}

// patience is how long after its stop signal a container that still runs is
// taken to have ignored it.
func patience(c *topology.Container) time.Duration {
	longest := c.StopTimeout
	for _, s := range c.Spec.Services {
		if s.Drain != nil {
			longest = max(longest, *s.Drain)
		}
	}
	return longest + 5*time.Second
}
