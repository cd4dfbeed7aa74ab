package balancer

import (
	"math"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// rampScale is what a weight of 1 becomes while somebody ramps, so that parts
// of it can be told; and rampSteps how often a ramp is looked at again.
const (
	rampScale = 1000
	rampSteps = 100
)

// ramp is the part of its weight that a member has so long after it joined:
// Envoy's formula. Outside of the window it is 1.
func ramp(s topology.SlowStart, age time.Duration) float64 {
	if s.Window <= 0 || age >= s.Window {
		return 1
	}
	aggression := s.Aggression
	if !(aggression > 0) { // also NaN
		aggression = 1
	}
	part := float64(max(age, time.Millisecond)) / float64(s.Window)
	return max(s.MinPercent/100, math.Pow(part, 1/aggression))
}

// ramps tells whether the cluster's policy knows slow start.
func ramps(spec *topology.Cluster) bool {
	return spec.SlowStart.Window > 0 && (spec.Policy == "round_robin" || spec.Policy == "least_request")
}

// ramped is the part of its weight that an endpoint has now. Balancer.mu is
// held.
func (e *Endpoint) ramped(now time.Time) float64 {
	spec := e.cluster.Spec()
	if !ramps(spec) || e.slowStart.IsZero() {
		return 1
	}
	return ramp(spec.SlowStart, now.Sub(e.slowStart))
}

// weights are what the policies that know weights go by, with slow start
// applied; equal: all are the same. While somebody ramps, the next publish is
// set.
func (c *Cluster) weights(list []*Endpoint, spec *topology.Cluster, now time.Time) (weights []uint64, equal bool) {
	weights = make([]uint64, len(list))
	window := spec.SlowStart.Window
	ramping := false
	if ramps(spec) {
		for _, e := range list {
			ramping = ramping || now.Sub(e.slowStart) < window
		}
	}
	equal = true
	for i, e := range list {
		w := uint64(max(e.weight(), 1)) // 0 is not in any list
		if ramping {
			w = max(1, uint64(math.Round(rampScale*float64(w)*ramp(spec.SlowStart, now.Sub(e.slowStart)))))
		}
		weights[i] = w
		equal = equal && w == weights[0]
	}
	if ramping {
		step := min(max(window/rampSteps, 10*time.Millisecond), time.Second)
		c.refresh = earlier(c.refresh, now.Add(step))
		c.b.poke()
	}
	return weights, equal
}
