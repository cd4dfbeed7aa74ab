package storm

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// planned is an operation with all its details drawn.
type planned struct {
	operation
	steps []step
}

// String is the operation as the schedule shows it.
func (p planned) String() string {
	texts := make([]string, len(p.steps))
	for i, s := range p.steps {
		texts[i] = s.text
	}
	return fmt.Sprintf("%s: %s", p.name, strings.Join(texts, "; "))
}

// plan puts the operations into the order of the seed and draws their details.
// What one draws does not depend on which others there are.
func plan(seed uint64, all []operation) []planned {
	out := make([]planned, len(all))
	for i, op := range all {
		var name uint64
		for _, c := range op.name {
			name = name*31 + uint64(c)
		}
		out[i] = planned{op, op.steps(rand.New(rand.NewPCG(seed, name)))}
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
