package balancer

import (
	"slices"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// Incumbents is the history that the next Build needs: which cluster holds a
// route, and what the clusters of labels that have lost their last member left
// behind, until it is time to forget them. The caller must not write to it.
func (b *Balancer) Incumbents() topology.Incumbents {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.history == nil {
		b.history = b.remember()
	}
	now := time.Now()
	inc := *b.history
	inc.Tombstones = slices.DeleteFunc(slices.Clone(inc.Tombstones), func(t topology.Tombstone) bool { return !t.Until.After(now) })
	return inc
}

// remember reads the history out of the present table. Balancer.mu is held.
func (b *Balancer) remember() *topology.Incumbents {
	inc := &topology.Incumbents{Routes: map[string]string{}}
	dead := map[string]int{} // cluster -> index in Tombstones
	for i := range b.table.Clusters {
		spec := &b.table.Clusters[i]
		if until := b.clusters[spec.Name].tombstone(); !until.IsZero() {
			dead[spec.Name] = len(inc.Tombstones)
			inc.Tombstones = append(inc.Tombstones, topology.Tombstone{Cluster: *spec, Until: until})
		}
	}
	for i := range b.table.Listeners {
		l := &b.table.Listeners[i]
		for j := range l.VirtualHosts {
			v := &l.VirtualHosts[j]
			for k := range v.Routes {
				r := &v.Routes[k]
				if r.Source != topology.FromLabels || len(r.Clusters) == 0 {
					continue
				}
				inc.Routes[r.Key] = r.Clusters[0].Name
				at, ok := dead[r.Clusters[0].Name]
				if !ok {
					continue
				}
				for _, domain := range v.Domains {
					t := &inc.Tombstones[at]
					t.Routes = append(t.Routes, topology.TombstoneRoute{Listener: l.Name, Domain: domain, Route: *r})
				}
			}
		}
	}
	return inc
}

// tombstone is until when a cluster of labels without members keeps its
// routes; zero: it has members, or is not of labels.
func (c *Cluster) tombstone() time.Time {
	spec := c.Spec()
	if c.emptied.IsZero() || spec.Source != topology.FromLabels {
		return time.Time{}
	}
	return c.emptied.Add(spec.Tombstone)
}

// expire asks for a new table where a tombstone has ended, and returns when it
// will.
func (b *Balancer) expire(c *Cluster, now time.Time) time.Time {
	ends := c.tombstone()
	if ends.After(now) {
		return ends
	}
	if !ends.IsZero() && !c.expired && b.options.Rebuild != nil {
		c.expired = true
		b.after = append(b.after, b.options.Rebuild)
	}
	return time.Time{}
}
