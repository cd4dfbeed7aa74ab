package balancer

import (
	"github.com/cespare/xxhash/v2"

	"github.com/dockerlb/dockerlb/topology"
)

// maglevSize is Envoy's default, a prime.
const maglevSize = 65537

// maglev is Envoy's MAGLEV: a table whose entries are shared by weight, each
// member filling its own permutation of them in turns. A request takes the
// entry of its hash. It spreads more evenly than a ring; a member that goes
// moves a little more than its own part of the keys.
type maglev struct {
	table []int32
	list  []*Endpoint
}

func newMaglev(list []*Endpoint, weights []uint64, spec *topology.Cluster) *maglev {
	size := spec.MaglevSize
	if size == 0 {
		size = maglevSize
	}
	m := &maglev{list: list, table: make([]int32, size)}
	for i := range m.table {
		m.table[i] = -1
	}
	type turn struct {
		at, skip uint64  // the next entry that it wants
		weight   float64 // of the largest
		target   float64
	}
	largest := uint64(1)
	for _, w := range weights {
		largest = max(largest, w)
	}
	turns := make([]turn, len(list))
	var key []byte
	for i, e := range list {
		key = e.Address().AppendTo(key[:0])
		var seeded xxhash.Digest
		seeded.ResetWithSeed(1)
		seeded.Write(key)
		turns[i] = turn{
			at:     xxhash.Sum64(key) % size,
			skip:   seeded.Sum64()%(size-1) + 1,
			weight: float64(weights[i]) / float64(largest),
		}
	}
	filled := uint64(0)
	for round := 1.0; filled < size; round++ {
		for i := range turns {
			t := &turns[i]
			// Who weighs half as much has a turn every other round.
			if round*t.weight < t.target {
				continue
			}
			t.target++
			for m.table[t.at] >= 0 {
				t.at = (t.at + t.skip) % size
			}
			m.table[t.at] = int32(i)
			if filled++; filled == size {
				break
			}
		}
	}
	return m
}

func (m *maglev) pick(q *Request) *Endpoint {
	h := q.Hash
	if !q.HasHash {
		h = q.draw(drawEndpoint)
	}
	size := uint64(len(m.table))
	e := m.list[m.table[h%size]]
	if !q.tried(e) {
		return e
	}
	// Elsewhere in the table, by the same hash, so that all who lose this
	// member spread over the others and each key stays together.
	for range 2 * len(q.Tried) {
		h = mix(h + 1)
		if o := m.list[m.table[h%size]]; !q.tried(o) {
			return o
		}
	}
	return untried(m.list, int(m.table[h%size]), q)
}
