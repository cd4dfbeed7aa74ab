package balancer

import "math/bits"

// leastRequest is Envoy's LEAST_REQUEST over equal weights: so many choices
// drawn with replacement, and the one with the fewest requests; among equals
// the first drawn.
type leastRequest struct {
	list    []*Endpoint
	choices uint32
}

func newLeastRequest(list []*Endpoint, choices uint32) *leastRequest {
	return &leastRequest{list, max(choices, 2)}
}

func (l *leastRequest) pick(q *Request) *Endpoint {
	seed := q.draw(drawEndpoint)
	var best *Endpoint
	at, fewest := 0, int64(0)
	for n := range l.choices {
		i := within(mix(seed+uint64(n)), len(l.list))
		e := l.list[i]
		if active := e.active.Load(); best == nil || active < fewest {
			best, at, fewest = e, i, active
		}
	}
	return untried(l.list, at, q)
}

// weightedLeast is LEAST_REQUEST over unequal weights. Envoy takes the next of
// a scheduler in which each host has the weight w/(active+1) (its
// active_request_bias is 1 here), which needs a lock; this draws with the same
// probabilities. Of few members all are looked at; of many a sample drawn by
// weight, and then by 1/(active+1), which comes to the same.
type weightedLeast struct {
	list    []*Endpoint
	weights []uint64
	sums    []uint64
}

// lookAt is how many members weightedLeast looks at.
const lookAt = 16

func newWeightedLeast(list []*Endpoint, weights []uint64) *weightedLeast {
	w := &weightedLeast{list: list, weights: weights, sums: make([]uint64, len(weights))}
	sum := uint64(0)
	for i, n := range weights {
		sum += n
		w.sums[i] = sum
	}
	return w
}

func (w *weightedLeast) pick(q *Request) *Endpoint {
	seed := q.draw(drawEndpoint)
	var candidates [lookAt]int
	var shares [lookAt]float64
	few := len(w.list) <= lookAt
	n, total := lookAt, 0.0
	if few {
		n = len(w.list)
	}
	for k := range n {
		i, share := k, 1.0
		if few {
			share = float64(w.weights[k])
		} else {
			i = search(w.sums, below(mix(seed+uint64(k)+1), w.sums[len(w.sums)-1]))
		}
		candidates[k] = i
		shares[k] = share / float64(w.list[i].active.Load()+1)
		total += shares[k]
	}
	x := float64(seed>>11) / (1 << 53) * total
	for k := range n {
		if x -= shares[k]; x < 0 {
			return untried(w.list, candidates[k], q)
		}
	}
	return untried(w.list, candidates[n-1], q)
}

// random is Envoy's RANDOM, which does not look at weights.
type random struct{ list []*Endpoint }

func (r random) pick(q *Request) *Endpoint {
	return untried(r.list, within(q.draw(drawEndpoint), len(r.list)), q)
}

// below maps a random x to [0, n), evenly enough (Lemire).
func below(x, n uint64) uint64 {
	hi, _ := bits.Mul64(x, n)
	return hi
}

func within(x uint64, n int) int { return int(below(x, uint64(n))) }

// search returns the first index whose running sum is above x.
func search(sums []uint64, x uint64) int {
	lo, hi := 0, len(sums)-1
	for lo < hi {
		if mid := (lo + hi) / 2; sums[mid] > x {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
