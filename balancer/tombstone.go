package balancer

import (
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// Incumbents is the history that the next Build needs: who holds a route, and
// what each cluster of labels would leave behind if it had no member any more.
// A Build uses a tombstone only where the cluster has none, so one for every
// living cluster is given too: its routes are there in the very table that its
// last member is missing from.
func (b *Balancer) Incumbents() topology.Incumbents {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	inc := topology.Incumbents{Routes: map[string]string{}}
	kept := map[string]int{} // cluster -> index in Tombstones
	for i := range b.table.Clusters {
		spec := &b.table.Clusters[i]
		c := b.clusters[spec.Name]
		if spec.Source != topology.FromLabels || spec.Tombstone <= 0 {
			continue
		}
		until := now.Add(spec.Tombstone)
		if !c.emptied.IsZero() {
			until = c.emptied.Add(spec.Tombstone)
		}
		if !until.After(now) {
			continue
		}
		t := topology.Tombstone{Cluster: *spec, Until: until}
		t.Cluster.Endpoints = nil
		kept[spec.Name] = len(inc.Tombstones)
		inc.Tombstones = append(inc.Tombstones, t)
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
				at, ok := kept[r.Clusters[0].Name]
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

// expire asks for a new table where a tombstone has ended, and returns when it
// will.
func (b *Balancer) expire(c *Cluster, now time.Time) time.Time {
	spec := c.Spec()
	if c.emptied.IsZero() || spec.Source != topology.FromLabels || spec.Tombstone <= 0 {
		return time.Time{}
	}
	ends := c.emptied.Add(spec.Tombstone)
	if ends.After(now) {
		return ends
	}
	if !c.expired && b.options.Rebuild != nil {
		c.expired = true
		b.after = append(b.after, b.options.Rebuild)
	}
	return time.Time{}
}
