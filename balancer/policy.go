package balancer

import (
	"math/rand/v2"
	"time"
)

// strategy makes the cluster's policy over the members of one tier and class.
func (c *Cluster) strategy(p *picker, tier uint32, k class, now time.Time) strategy {
	var list []*Endpoint
	for _, e := range c.endpoints {
		if e.Spec().Tier != tier {
			continue
		}
		if e.stand.class == k || k == everybody && e.stand.class != out {
			list = append(list, e)
		}
	}
	cur := c.cursor(tier, k)
	switch p.spec.Policy {
	default: // round_robin
		weights, equal := c.weights(list, now)
		if equal {
			return &rotation{list, cur}
		}
		return newWeighted(list, weights, cur)
	}
}

// weights are what the policies that know weights go by, with slow start
// applied; equal: all are the same.
func (c *Cluster) weights(list []*Endpoint, now time.Time) (weights []uint32, equal bool) {
	weights = make([]uint32, len(list))
	equal = true
	for i, e := range list {
		weights[i] = max(e.weight(), 1) // 0 is only here in panic
		equal = equal && weights[i] == weights[0]
	}
	return weights, equal
}

// tried tells whether the request has been to the endpoint.
func (q *Request) tried(e *Endpoint) bool {
	if q.Tried[0] == nil {
		return false
	}
	for _, t := range q.Tried {
		if t == e {
			return true
		}
	}
	return false
}

// untried returns the first endpoint from list[i] on that the request has not
// been to, else list[i].
func untried(list []*Endpoint, i int, q *Request) *Endpoint {
	e := list[i]
	if !q.tried(e) {
		return e
	}
	for n := 1; n < len(list); n++ {
		if i++; i == len(list) {
			i = 0
		}
		if !q.tried(list[i]) {
			return list[i]
		}
	}
	return e
}

// What a random number is drawn for: draws of one request must not depend on
// each other.
const (
	drawCluster = iota + 1
	drawLane
	drawEndpoint
)

// draw returns a random number of the request for one purpose, another one for
// each try.
func (q *Request) draw(purpose uint64) uint64 {
	seed := q.Random
	if seed == 0 {
		return rand.Uint64()
	}
	for _, t := range q.Tried {
		if t == nil {
			break
		}
		purpose += 16
	}
	return mix(seed + purpose*0x9e3779b97f4a7c15)
}

// mix is the finalizer of splitmix64: each bit of z counts in each bit of the
// result.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
