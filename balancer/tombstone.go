package balancer

import (
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// Incumbents is the history that the next Build needs: the table in force, and
// which of its clusters have been without members for long enough.
func (b *Balancer) Incumbents() topology.Incumbents {
	b.mu.Lock()
	defer b.mu.Unlock()
	inc := topology.Incumbents{Previous: b.table}
	now := time.Now()
	for _, spec := range b.table.Clusters { // sorted by name
		if len(spec.Endpoints) > 0 {
			continue
		}
		if until := b.clusters[spec.Name].tombstone(); !until.IsZero() && !until.After(now) {
			inc.Expired = append(inc.Expired, spec.Name)
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
