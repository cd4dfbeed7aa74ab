package balancer

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/dockerlb/dockerlb/topology"
)

// Envoy's defaults for a ring.
const (
	ringLeast = 1024
	ringMost  = 8 << 20
)

// ring is Envoy's RING_HASH, ketama: each member stands at points in number by
// its weight, `<address>_<i>` hashed; a request goes to the first point at or
// after its hash. A member that comes or goes moves only its own part of the
// keys.
type ring struct {
	points []point
	list   []*Endpoint
}

type point struct {
	hash uint64
	who  int32
}

func newRing(list []*Endpoint, weights []uint64, spec *topology.Cluster) *ring {
	hash := hashFunction(spec.HashFunction)
	sum, least := 0.0, math.MaxFloat64
	for _, w := range weights {
		sum += float64(w)
		least = min(least, float64(w))
	}
	least /= sum
	smallest, largest := float64(spec.RingMin), float64(spec.RingMax)
	if smallest == 0 {
		smallest = ringLeast
	}
	if largest == 0 {
		largest = ringMost
	}
	// The scale gives the smallest member a whole number of points.
	scale := min(math.Ceil(least*smallest)/least, largest)
	r := &ring{list: list, points: make([]point, 0, int(scale)+len(list))}
	var key []byte
	done, target := 0.0, 0.0
	for i, e := range list {
		key = append(e.Address().AppendTo(key[:0]), '_')
		prefix := len(key)
		target += scale * float64(weights[i]) / sum
		for n := 0; done < target; n++ {
			key = strconv.AppendInt(key[:prefix], int64(n), 10)
			r.points = append(r.points, point{hash(key), int32(i)})
			done++
		}
	}
	slices.SortFunc(r.points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.who, b.who))
	})
	return r
}

func (r *ring) pick(q *Request) *Endpoint {
	h := q.Hash
	if !q.HasHash {
		h = q.draw(drawEndpoint)
	}
	lo, hi := 0, len(r.points)
	for lo < hi {
		if mid := (lo + hi) / 2; r.points[mid].hash >= h {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if lo == len(r.points) {
		lo = 0
	}
	e := r.list[r.points[lo].who]
	if !q.tried(e) {
		return e
	}
	// A retry goes on along the ring, so that all who lose this member agree
	// on the next one.
	for n := 1; n < len(r.points); n++ {
		if lo++; lo == len(r.points) {
			lo = 0
		}
		if o := r.list[r.points[lo].who]; !q.tried(o) {
			return o
		}
	}
	return e
}

// hashFunction is Envoy's RingHashLbConfig.hash_function.
func hashFunction(name string) func([]byte) uint64 {
	if name == "murmur_hash_2" {
		return murmur2
	}
	return xxhash.Sum64
}

// murmur2 is MurmurHash64A with the seed of GNU's std::hash, as Envoy has it.
func murmur2(key []byte) uint64 {
	const m, r, seed = 0xc6a4a7935bd1e995, 47, 0xc70f6907
	h := uint64(seed) ^ uint64(len(key))*m
	for len(key) >= 8 {
		k := uint64(key[0]) | uint64(key[1])<<8 | uint64(key[2])<<16 | uint64(key[3])<<24 |
			uint64(key[4])<<32 | uint64(key[5])<<40 | uint64(key[6])<<48 | uint64(key[7])<<56
		k *= m
		k = (k ^ k>>r) * m
		h = (h ^ k) * m
		key = key[8:]
	}
	if len(key) > 0 {
		for i := len(key) - 1; i >= 0; i-- {
			h ^= uint64(key[i]) << (8 * i)
		}
		h *= m
	}
	h = (h ^ h>>r) * m
	return h ^ h>>r
}
