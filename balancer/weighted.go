package balancer

import (
	"cmp"
	"math/bits"
	"slices"
)

// weighted is round robin over unequal weights. Over a cycle of as many picks
// as the weights sum to, each endpoint has exactly its weight; inside the cycle
// its picks are spread evenly. There is no lock and no heap as in Envoy's EDF
// scheduler: a position is taken with one atomic add, and what stands there
// was worked out before.
//
// A short cycle is written out. A long one (many members, large weights that
// have no common divisor, slow start) is walked in steps of about the golden
// section of its length, coprime to it, so that every position comes once; the
// position is then looked up in the running sums.
type weighted struct {
	list []*Endpoint
	at   *cursor
	len  uint64
	// Of a short cycle.
	schedule []uint16
	// Of a long one.
	step uint64
	sums []uint64 // sums[i] is the sum of the weights up to and with i
}

// longCycle is from where on a cycle is not written out.
const longCycle = 2048

func newWeighted(list []*Endpoint, weights []uint64, at *cursor) *weighted {
	divisor := uint64(0)
	for _, n := range weights {
		divisor = gcd(divisor, n)
	}
	w := &weighted{list: list, at: at}
	sums := make([]uint64, len(weights))
	for i, n := range weights {
		w.len += n / divisor
		sums[i] = w.len
	}
	if w.len <= longCycle {
		w.schedule = spreadEvenly(weights, divisor)
		return w
	}
	w.sums = sums
	w.step = goldenStep(w.len)
	return w
}

func (w *weighted) pick(q *Request) *Endpoint {
	return untried(w.list, w.index((w.at.next.Add(1)-1)%w.len), q)
}

// index is who stands at a position of the cycle.
func (w *weighted) index(pos uint64) int {
	if w.schedule != nil {
		return int(w.schedule[pos])
	}
	hi, lo := bits.Mul64(pos, w.step)
	_, x := bits.Div64(hi, lo, w.len)
	return search(w.sums, x)
}

// spreadEvenly writes a cycle out: the k-th pick of an endpoint of weight w
// stands at (k + 1/2)/w of the cycle's length.
func spreadEvenly(weights []uint64, divisor uint64) []uint16 {
	type slot struct {
		who  uint16
		k, w uint64
	}
	var slots []slot
	for i, n := range weights {
		n /= divisor
		for k := range n {
			slots = append(slots, slot{uint16(i), 2*k + 1, n})
		}
	}
	slices.SortStableFunc(slots, func(a, b slot) int { return cmp.Compare(a.k*b.w, b.k*a.w) })
	schedule := make([]uint16, len(slots))
	for i, s := range slots {
		schedule[i] = s.who
	}
	return schedule
}

// goldenStep is the first number from the golden section of n on that is
// coprime to it: multiples of it fall evenly at every scale.
func goldenStep(n uint64) uint64 {
	step := uint64(float64(n) * 0.6180339887498949)
	for gcd(step, n) != 1 {
		step++
	}
	return step
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
