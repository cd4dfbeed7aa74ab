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
	spec := p.spec
	switch spec.Policy {
	case "random":
		return random{list}
	case "ring_hash":
		weights, _ := c.weights(list, spec, now)
		return newRing(list, weights, spec)
	case "maglev":
		weights, _ := c.weights(list, spec, now)
		return newMaglev(list, weights, spec)
	case "least_request":
		weights, equal := c.weights(list, spec, now)
		if equal {
			return newLeastRequest(list, spec.ChoiceCount)
		}
		return newWeightedLeast(list, weights)
	default: // round_robin
		weights, equal := c.weights(list, spec, now)
		if equal {
			return &rotation{list, c.cursor(tier, k)}
		}
		return newWeighted(list, weights, c.cursor(tier, k))
	}
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
