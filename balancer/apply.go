package balancer

import (
	"cmp"
	"slices"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// Apply makes t the table. One goroutine calls it; t and what it points to are
// never written again.
//
// Only what differs from the table before is touched: a cluster whose settings
// and endpoints are equal keeps its picker, a listener whose matches are equal
// keeps its router.
func (b *Balancer) Apply(t *topology.Table) {
	now := time.Now()
	b.mu.Lock()
	old := b.view.Load()
	clusters := b.clusters
	same := b.sameNames(t)
	if !same {
		clusters = make(map[string]*Cluster, len(t.Clusters))
	}
	for i, spec := range t.Clusters {
		if same && spec == b.table.Clusters[i] {
			continue
		}
		c := b.clusters[spec.Name]
		if c == nil {
			c = b.newCluster(spec, now)
		} else if before := c.Spec(); before != spec && !(sameSettings(before, spec) && sameEndpoints(before.Endpoints, spec.Endpoints)) {
			b.update(c, spec, now)
		}
		if !same {
			clusters[spec.Name] = c
		}
	}
	if !same {
		for name, c := range b.clusters {
			if clusters[name] == nil {
				b.removeCluster(c, now)
			}
		}
	}
	b.clusters, b.table = clusters, t
	b.inherit(now)

	v := &View{generation: t.Generation, number: old.number + 1, changed: b.touched, clusters: clusters, listeners: make(map[string]*Listener, len(t.Listeners))}
	for i := range t.Listeners {
		spec := &t.Listeners[i]
		v.listeners[spec.Name] = newListener(spec, old.listeners[spec.Name], clusters, same)
	}
	b.view.Store(v)
	b.tickTouched(now)
	b.touched = nil
	b.unlock()
	b.changed()
}

// sameNames tells whether t has clusters of the same names as the table
// before. Balancer.mu is held.
func (b *Balancer) sameNames(t *topology.Table) bool {
	return slices.EqualFunc(t.Clusters, b.table.Clusters, func(x, y *topology.Cluster) bool { return x == y || x.Name == y.Name })
}

func (b *Balancer) newCluster(spec *topology.Cluster, now time.Time) *Cluster {
	c := &Cluster{b: b, name: spec.Name, born: now, cursors: map[cursorKey]*cursor{}}
	c.use.room = make(chan struct{}, 1)
	c.spec.Store(&topology.Cluster{Name: spec.Name})
	c.picker.Store(&picker{cluster: c, spec: c.Spec(), changed: make(chan struct{})})
	b.update(c, spec, now)
	return c
}

// update brings a cluster to spec: endpoints that both have live on, by ID.
func (b *Balancer) update(c *Cluster, spec *topology.Cluster, now time.Time) {
	before := c.Spec()
	c.spec.Store(spec)
	b.touched = append(b.touched, c)
	b.applies++
	next := make([]*Endpoint, 0, len(spec.Endpoints))
	old := c.endpoints
	for _, s := range spec.Endpoints {
		// Nearly always the next of the old ones, or the one after it.
		for len(old) > 0 && old[0].id < s.ID {
			old = old[1:]
		}
		var e *Endpoint
		if len(old) > 0 && old[0].id == s.ID {
			e, old = old[0], old[1:]
		} else {
			e = b.byID[s.ID]
		}
		if e == nil {
			e = newEndpoint(c, s, now)
			b.byID[s.ID] = e
			b.fresh = append(b.fresh, e)
			c.count.membershipChange.Add(1)
		} else {
			e.spec.Store(s)
			e.pending = false
		}
		e.seen = b.applies
		next = append(next, e)
	}
	var gone []*Endpoint
	for _, e := range c.endpoints {
		switch {
		case e.seen == b.applies:
		case e.outlivesDiscovery(spec) && slices.Equal(before.Names, spec.Names):
			e.pending = true
			next = append(next, e)
		default:
			gone = append(gone, e)
		}
	}
	if len(next) > len(spec.Endpoints) {
		slices.SortFunc(next, func(a, b *Endpoint) int { return cmp.Compare(a.id, b.id) })
	}
	c.endpoints = next
	c.keepMembers()
	switch {
	case len(next) > 0:
		c.emptied, c.expired = time.Time{}, false
	case c.emptied.IsZero():
		c.emptied = now
	}
	c.schedule(now)
	b.publish(c, now)
	// Only now: a request that still held the old picker comes back to the new
	// one when it sees that its endpoint is leaving.
	for _, e := range gone {
		c.count.membershipChange.Add(1)
		b.forget(e, now)
	}
}

// keepMembers publishes the list of members for View.Endpoints.
func (c *Cluster) keepMembers() {
	list := c.endpoints
	c.members.Store(&list)
}

// remove takes one endpoint out of its cluster. Balancer.mu is held.
func (b *Balancer) remove(e *Endpoint, now time.Time) {
	c := e.cluster
	b.touched = append(b.touched, c)
	c.endpoints = slices.DeleteFunc(slices.Clone(c.endpoints), func(o *Endpoint) bool { return o == e })
	c.count.membershipChange.Add(1)
	b.publish(c, now)
	b.forget(e, now)
}

// forget ends an endpoint that no picker has any more: it takes no new lease,
// its slot is closed when the last one is over.
func (b *Balancer) forget(e *Endpoint, now time.Time) {
	delete(b.byID, e.id)
	if e.ejection.out {
		e.cluster.count.outlierActive.Add(-1)
	}
	e.startDrain(now)
	e.leaving.Store(true)
	b.leaving = append(b.leaving, e)
	if e.active.Load() == 0 {
		b.after = append(b.after, e.close)
	} else if e.slot != nil {
		b.after = append(b.after, e.slot.Drain)
	}
}

func (b *Balancer) removeCluster(c *Cluster, now time.Time) {
	gone := c.endpoints
	c.endpoints = nil
	c.keepMembers()
	c.removed.Store(true)
	b.touched = append(b.touched, c)
	b.publish(c, now)
	for _, e := range gone {
		b.forget(e, now)
	}
}

// outlivesDiscovery tells whether an endpoint that discovery no longer names
// stays for as long as its active check passes: Envoy's STRICT_DNS
// clusters with health_checks. A file that names other hosts is another matter:
// in Envoy that is a new cluster.
func (e *Endpoint) outlivesDiscovery(c *topology.Cluster) bool {
	s := e.Spec()
	return c.Type == topology.StrictDNS && s.Source == topology.FromDNS &&
		len(c.HealthChecks) > 0 && !c.IgnoreHealthOnRemoval && !s.NoHealthCheck && e.probe.known && e.probe.healthy
}
