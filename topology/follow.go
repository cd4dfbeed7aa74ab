package topology

import (
	"cmp"
	"slices"
)

// A cluster of thousands is most often one service, whose containers carry the
// same labels. Where one of those comes or goes, the routes and settings are
// what they were, but for the names of those who ask.

// followed is how many members may have come and gone for follow to be cheaper
// than making the cluster anew.
const followed = 16

// allAlike reports whether all members ask for the same, each container once.
func allAlike(members []*member) bool {
	for i, m := range members[1:] {
		if m.decision.container.ID == members[i].decision.container.ID || !m.agrees(members[0]) {
			return false
		}
	}
	return true
}

// follows reports whether follow can make the group's cluster.
func (b *builtCluster) follows(g *group) bool {
	if b.alike == nil || g.static != nil || len(g.came)+len(g.left) > followed {
		return false
	}
	for _, m := range g.came {
		if !m.agrees(b.alike) || g.twice(m) {
			return false
		}
	}
	for _, m := range g.left {
		if m.decision.container.ID == b.oldest.decision.container.ID {
			return false // who is the next is not known
		}
	}
	return true
}

// twice reports whether the member's container is in the group by another of
// its services too.
func (g *group) twice(m *member) bool {
	i, _ := slices.BinarySearchFunc(g.members, m, compareMembers)
	for _, near := range [...]int{i - 1, i + 1} {
		if near >= 0 && near < len(g.members) && g.members[near].decision.container.ID == m.decision.container.ID {
			return true
		}
	}
	return false
}

// follow is the cluster with those who came and without those who left.
func (b *builtCluster) follow(g *group) *builtCluster {
	n := b.moveTo(g)
	for _, m := range g.came {
		if n.oldest.newerThan(m) {
			n.oldest = m
		}
	}
	if len(b.domains) == 0 {
		return n
	}
	// All routes are asked for by all members.
	askers := b.domains[0].askers[0]
	names, ids := slices.Clone(b.domains[0].routes[0].AskedBy), slices.Clone(askers)
	for _, m := range g.left {
		if i, found := findAsker(names, ids, m); found {
			names, ids = slices.Delete(names, i, i+1), slices.Delete(ids, i, i+1)
		}
	}
	for _, m := range g.came {
		i, _ := findAsker(names, ids, m)
		names, ids = slices.Insert(names, i, m.decision.container.Name), slices.Insert(ids, i, m.decision.container.ID)
	}
	n.domains = make([]*domainRoutes, len(b.domains))
	for i, d := range b.domains {
		with := *d
		with.created, with.first = n.oldest.decision.container.Created, n.oldest.decision.container.ID
		with.routes, with.askers = slices.Clone(d.routes), make([][]string, len(d.routes))
		for j := range with.routes {
			with.routes[j].AskedBy, with.askers[j] = names, ids
		}
		n.domains[i] = &with
	}
	return n
}

// joinFew is join at the cost of what changed: where all addresses were and are
// distinct, only the endpoints that came and went make a difference. It reports
// false where join has to do it.
func (b *builtCluster) joinFew(g *group) bool {
	was := g.built
	if was == nil || was.cluster.Source != FromLabels || g.static != nil || !was.distinct || !b.distinct || len(g.in)+len(g.out) > followed {
		return false
	}
	find := func(list []*Endpoint, id string) (int, bool) {
		return slices.BinarySearchFunc(list, id, func(e *Endpoint, id string) int { return cmp.Compare(e.ID, id) })
	}
	endpoints := make([]*Endpoint, 0, len(was.cluster.Endpoints)+len(g.in))
	endpoints = append(endpoints, was.cluster.Endpoints...)
	for _, e := range g.out {
		i, found := find(endpoints, e.ID)
		if !found || endpoints[i] != e {
			return false
		}
		endpoints = slices.Delete(endpoints, i, i+1)
	}
	for _, e := range g.in {
		i, _ := find(endpoints, e.ID)
		endpoints = slices.Insert(endpoints, i, e)
	}
	some := g.in // that may have to be probed
	if was.cluster.HealthChecks != nil {
		some = endpoints
	}
	b.cluster.Endpoints, b.cluster.HealthChecks = endpoints, nil
	if slices.ContainsFunc(some, func(e *Endpoint) bool { return e.NeedsProbe }) {
		b.cluster.HealthChecks = b.check
	}
	return true
}

// findAsker finds the member's place among those who ask, who are sorted by
// name, then id.
func findAsker(names, ids []string, m *member) (int, bool) {
	c := m.decision.container
	i, _ := slices.BinarySearch(names, c.Name)
	for i < len(names) && names[i] == c.Name && ids[i] < c.ID {
		i++
	}
	return i, i < len(ids) && ids[i] == c.ID
}
