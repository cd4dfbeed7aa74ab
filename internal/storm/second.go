package storm

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Second is a Docker Engine that a storm may restart, with live-restore. Its
// containers are in a network namespace of its own.
type Second struct {
	Socket string
	// Enter is the command before one that is to run in the namespace, and IP the
	// namespace's address as this machine sees it.
	Enter []string
	IP    string
	// Stop and Start are the engine's. Close removes it, when its containers are
	// gone.
	Stop, Start, Close func() error
}

// restarted are the operations on the second engine.
func restarted() []operation {
	stop := step{"stop the engine", func(_ context.Context, s *stage, _ *window) error { return s.second.Stop() }}
	start := step{"start the engine", func(_ context.Context, s *stage, _ *window) error { return s.second.Start() }}
	const service = "linger"
	return []operation{{
		name: "engine restart (live-restore)", service: service, place: besideSecond, allowed: "0", cuts: ofAny,
		steps: func(rng *rand.Rand) []step {
			return []step{stop, moment(rng, 2*time.Second), start, moment(rng, 2*time.Second), scale(service, base+1), scale(service, 1), scale(service, base)}
		},
	}}
}

var errNoSecond = errors.New("no second engine: it takes root, on Linux")
