package balancer

import (
	"github.com/dockerlb/dockerlb/topology"
)

// Acquire chooses an endpoint for the route, waiting (hold) where nobody is
// ready and the cluster's rules allow it, always on the newest generation.
// Done must be called exactly once on the lease. The error is one of Err….
func (b *Balancer) Acquire(r *Route, q *Request) (Lease, error) {
	c, chosen := r.cluster(q)
	if c == nil {
		return Lease{}, ErrNoCluster
	}
	for {
		if c.removed.Load() {
			if c = b.View().clusters[c.name]; c == nil {
				return Lease{}, ErrNoCluster
			}
		}
		p := c.picker.Load()
		e, set := p.pick(q)
		if e == nil || q.Refused && q.tried(e) {
			var err error
			if e, err = c.unready(p, q, e); err != nil {
				return Lease{}, err
			}
			if e == nil {
				continue // something changed
			}
		}
		if !c.use.begin(p.maxRequests) {
			if err := c.full(p, q); err != nil {
				return Lease{}, err
			}
			continue
		}
		e.active.Add(1)
		if e.leaving.Load() || c.picker.Load() != p {
			// It left, or was drained, after we read the picker. Who looked at
			// what is in flight before we counted must not be deceived.
			e.release()
			c.use.end()
			continue
		}
		e.count.rqTotal.Add(1)
		return Lease{Endpoint: e, Cluster: c, Chosen: chosen, SetSticky: set}, nil
	}
}

// cluster draws one of the route's clusters, by weight. The draw is the same
// for each try of a request.
func (r *Route) cluster(q *Request) (*Cluster, *topology.WeightedCluster) {
	switch len(r.clusters) {
	case 0:
		return nil, nil
	case 1:
		return r.clusters[0], nil
	}
	if r.total == 0 {
		return nil, nil
	}
	x := mix(q.Random+drawCluster) % r.total
	for i := range r.clusters {
		w := &r.Spec.Clusters[i]
		if x < uint64(w.Weight) {
			return r.clusters[i], w
		}
		x -= uint64(w.Weight)
	}
	return nil, nil
}
