package topology

import (
	"cmp"
	"slices"

	"github.com/dockerlb/dockerlb/labels"
)

// groups keeps the clusters from one Build to the next, and which of them a
// change has touched.
type groups struct {
	byName map[string]*group
	order  []*group // by name; those of the table
	plain  *plainCluster
	added  []*group // not in order yet
	shrunk bool     // order has some that are gone
	dirty  []*group // to be made again
	// empty have neither members nor a place in the file: what they keep are
	// the routes of the members that left.
	empty map[*group]struct{}
	// moved: some group's routes are other ones than at the last Build.
	moved bool
	// forgotten: a group without members has lost a route for good.
	forgotten bool
}

// group is what is to become one cluster.
type group struct {
	name    string
	members []*member // by container id, then service
	static  *expandedStatic
	kept    *keptCluster
	built   *builtCluster // nil where kept
	dirty   bool
	gone    bool
	// placed are the members that came, or have another address, since built.
	placed []*member
	// came and left are the members that built does not have, and has; one that
	// asks for something else is in both.
	came, left []*member
	// in and out are the endpoints that the members have, and had, other than
	// built.
	in, out []*Endpoint
	// asks: what the members ask for is other than built was made from, not
	// only where they are and how they do.
	asks bool
}

// keptCluster is a cluster of labels that has lost its last member: it keeps
// its routes for a while, so that requests are held or get 503, not 404.
type keptCluster struct {
	cluster *Cluster
	domains []*domainRoutes
}

// cluster is the table's.
func (g *group) cluster() *Cluster {
	if g.built != nil {
		return g.built.cluster
	}
	return g.kept.cluster
}

// domains are its routes.
func (g *group) domains() []*domainRoutes {
	if g.built != nil {
		return g.built.domains
	}
	return g.kept.domains
}

// of returns the group of that name, made if need be.
func (gs *groups) of(name string) *group {
	g := gs.byName[name]
	if g == nil {
		if gs.byName == nil {
			gs.byName, gs.empty = map[string]*group{}, map[*group]struct{}{}
		}
		g = &group{name: name}
		gs.byName[name] = g
		gs.empty[g] = struct{}{}
		gs.added = append(gs.added, g)
	}
	return g
}

// touch notes that g has to be made again; asks: its routes and settings too.
func (gs *groups) touch(g *group, asks bool) {
	if !g.dirty {
		g.dirty = true
		gs.dirty = append(gs.dirty, g)
	}
	g.asks = g.asks || asks
	if len(g.members) == 0 && g.static == nil {
		gs.empty[g] = struct{}{}
	} else {
		delete(gs.empty, g)
	}
}

// replace puts the members of one decision about a container in the place of
// those of the decision before; either may be nil.
func (gs *groups) replace(was, now *decision) {
	var g *group
	if now != nil {
		for _, m := range now.members {
			if g == nil || g.name != m.service.Cluster {
				g = gs.of(m.service.Cluster)
			}
			i, found := slices.BinarySearchFunc(g.members, m, compareMembers)
			if found {
				old := g.members[i]
				if old.endpoint.Address != m.endpoint.Address {
					g.placed = append(g.placed, m)
				}
				g.members[i] = m
				g.in, g.out = append(g.in, m.endpoint), append(g.out, old.endpoint)
				asks := !old.asksLike(m)
				if asks {
					g.came, g.left = append(g.came, m), append(g.left, old)
				}
				gs.touch(g, asks)
			} else {
				g.members = slices.Insert(g.members, i, m)
				g.placed, g.came, g.in = append(g.placed, m), append(g.came, m), append(g.in, m.endpoint)
				gs.touch(g, true)
			}
		}
	}
	if was == nil {
		return
	}
	for _, m := range was.members {
		g := gs.of(m.service.Cluster)
		if i, found := slices.BinarySearchFunc(g.members, m, compareMembers); found && g.members[i] == m {
			g.members = slices.Delete(g.members, i, i+1)
			g.left, g.out = append(g.left, m), append(g.out, m.endpoint)
			gs.touch(g, true)
		}
	}
}

func compareMembers(a, b *member) int {
	if a.decision.container == b.decision.container {
		return cmp.Compare(a.service.Name, b.service.Name)
	}
	return cmp.Or(cmp.Compare(a.decision.container.ID, b.decision.container.ID), cmp.Compare(a.service.Name, b.service.Name))
}

// asksLike reports whether m, of the same container and service, has the same
// say in what becomes of its cluster's settings and routes.
func (m *member) asksLike(o *member) bool {
	a, b := m.decision.container, o.decision.container
	return a.Name == b.Name && a.Created.Equal(b.Created) && m.agrees(o)
}

// agrees reports whether both members ask for the same routes and settings, in
// the same words.
func (m *member) agrees(o *member) bool {
	return slices.EqualFunc(m.claims, o.claims, func(x, y claim) bool { return x.key == y.key && x.rewrite == y.rewrite }) &&
		(sameSlice(m.service.Settings, o.service.Settings) ||
			slices.EqualFunc(m.service.Settings, o.service.Settings, func(x, y labels.Setting) bool { return x.Key == y.Key && x.Text == y.Text }))
}

// forgetFile takes the file's word back for all clusters.
func (gs *groups) forgetFile() {
	for _, g := range gs.byName {
		if g.static != nil {
			gs.setFile(g, nil)
		}
	}
}

func (gs *groups) setFile(g *group, x *expandedStatic) {
	g.static = x
	gs.touch(g, true)
}

// keep decides about the clusters without members: those that had some in the
// table before, or none and not for too long, keep their routes. last is the
// table that these groups were made into.
func (gs *groups) keep(inc *Incumbents, last *Table) {
	if inc.Previous != last || gs.forgotten {
		gs.forgotten = false
		for g := range gs.empty {
			g.kept = nil
		}
		if inc.Previous != nil {
			for _, c := range inc.Previous.Clusters {
				if c.Source == FromLabels {
					gs.of(c.Name)
				}
			}
		}
	}
	want := map[string]*group{}
	for g := range gs.empty {
		c := inc.cluster(g.name)
		if _, over := slices.BinarySearch(inc.Expired, g.name); over || c == nil || c.Source != FromLabels || c.Tombstone <= 0 {
			gs.remove(g)
			continue
		}
		if g.kept == nil {
			if len(c.Endpoints) > 0 {
				without := *c
				without.Endpoints, without.Disagree = nil, nil
				c = &without
			}
			g.kept = &keptCluster{cluster: c}
			want[g.name] = g
			gs.moved = true
		}
		g.built = nil
	}
	if len(want) > 0 {
		keepRoutes(inc.Previous, want)
	}
}

func (gs *groups) remove(g *group) {
	delete(gs.byName, g.name)
	delete(gs.empty, g)
	g.dirty, g.gone, g.built, g.kept = false, true, nil, nil
	gs.shrunk, gs.moved = true, true
}

// cluster is that of the table before; nil: there is none.
func (inc *Incumbents) cluster(name string) *Cluster {
	if inc.Previous == nil {
		return nil
	}
	all := inc.Previous.Clusters
	i, found := slices.BinarySearchFunc(all, name, func(c *Cluster, name string) int { return cmp.Compare(c.Name, name) })
	if !found {
		return nil
	}
	return all[i]
}

// keepRoutes reads the routes of the groups out of the table before.
func keepRoutes(t *Table, of map[string]*group) {
	for i := range t.Listeners {
		l := &t.Listeners[i]
		for j := range l.VirtualHosts {
			v := &l.VirtualHosts[j]
			for k := range v.Routes {
				r := &v.Routes[k]
				if r.Source != FromLabels || len(r.Clusters) == 0 {
					continue
				}
				g := of[r.Clusters[0].Name]
				if g == nil {
					continue
				}
				for _, domain := range v.Domains {
					g.kept.add(l.Name, domain, g.name, r)
				}
			}
		}
	}
	for _, g := range of {
		for _, d := range g.kept.domains {
			slices.SortFunc(d.routes, func(a, b Route) int { return compareRoutes(&a, &b) })
			d.askers = make([][]string, len(d.routes))
		}
		slices.SortFunc(g.kept.domains, compareDomains)
	}
}

// add keeps one route, which nobody asks for any more.
func (k *keptCluster) add(listener, domain, cluster string, r *Route) {
	i := slices.IndexFunc(k.domains, func(d *domainRoutes) bool { return d.listener == listener && d.domain == domain })
	if i < 0 {
		i = len(k.domains)
		k.domains = append(k.domains, &domainRoutes{listener: listener, domain: domain, cluster: cluster, tombstone: true})
	}
	k.domains[i].routes = append(k.domains[i].routes, *r)
}

// build makes the groups again that were touched; all of them where fresh.
func (gs *groups) build(defaults *labels.ClusterPolicy, prefix string, fresh bool) {
	todo := gs.dirty
	fresh = fresh || gs.plain == nil
	if fresh {
		gs.plain = newPlainCluster(defaults)
		todo = todo[:0]
		for _, g := range gs.byName {
			g.asks = true
			todo = append(todo, g)
		}
	}
	for _, g := range todo {
		g.dirty = false
		if len(g.members) == 0 && g.static == nil {
			g.settled()
			continue // kept, or gone
		}
		was := g.built
		switch {
		case !g.asks:
			g.built = was.moveTo(g)
		case fresh || was == nil || !was.follows(g):
			g.built = buildCluster(g, gs.plain, prefix)
		default:
			g.built = was.follow(g)
		}
		g.asks, g.kept = false, nil
		g.settled()
		gs.moved = gs.moved || was == nil || !slices.Equal(was.domains, g.built.domains)
	}
	gs.dirty = gs.dirty[:0]
	gs.sort()
}

// settled forgets how the group differs from what was built.
func (g *group) settled() { g.placed, g.came, g.left, g.in, g.out = nil, nil, nil, nil, nil }

// sort brings order in line with byName.
func (gs *groups) sort() {
	isGone := func(g *group) bool { return g.gone }
	if gs.shrunk {
		gs.order, gs.added = slices.DeleteFunc(gs.order, isGone), slices.DeleteFunc(gs.added, isGone)
		gs.shrunk = false
	}
	gs.order = mergeSorted(gs.order, gs.added, func(a, b *group) int { return cmp.Compare(a.name, b.name) })
	gs.added = gs.added[:0]
}
