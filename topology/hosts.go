package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// hostSet keeps the virtual hosts of labels from one Build to the next.
type hostSet struct {
	byDomain  map[[2]string]*host
	order     []*host // by listener and domain
	build     uint64
	added     []*host // not in order yet
	contested bool    // some host is
	changed   bool    // some host's routes are other ones than in joined
	joined    []Listener
}

// host is one domain of one listener, and the clusters with routes there.
type host struct {
	listener, domain string
	domains          []string        // the one
	now, was         []*domainRoutes // of this Build and of the last, by cluster
	build            uint64          // that last saw it
	gone             bool
	routes           []Route // settled and sorted; shared with tables
	contested        bool    // two clusters asked for one route
}

// settle decides who gets the contested routes.
func (h *hostSet) settle(gs *groups, previous *Table) (conflicts []Conflict, notes []note) {
	if !gs.moved && !h.contested {
		return nil, nil
	}
	gs.moved = false
	h.gather(gs)
	h.contested = false
	var holders map[string]string
	for _, x := range h.order {
		if !x.contested && slices.Equal(x.now, x.was) {
			continue
		}
		h.changed = true
		if len(x.now) == 1 {
			x.routes, x.contested = x.now[0].routes, false
			continue
		}
		if holders == nil {
			holders = heldRoutes(previous)
		}
		c, n, forgotten := x.settle(holders)
		conflicts, notes = append(conflicts, c...), append(notes, n...)
		h.contested = h.contested || x.contested
		gs.forgotten = gs.forgotten || forgotten
	}
	return conflicts, notes
}

// gather sorts the groups' routes into the hosts.
func (h *hostSet) gather(gs *groups) {
	if h.byDomain == nil {
		h.byDomain = map[[2]string]*host{}
	}
	h.build++
	for _, g := range gs.order {
		for _, d := range g.domains() {
			h.add(d)
		}
	}
	before := len(h.order)
	h.order = slices.DeleteFunc(h.order, func(x *host) bool {
		if x.build == h.build {
			return false
		}
		x.gone = true
		delete(h.byDomain, [2]string{x.listener, x.domain})
		return true
	})
	h.changed = h.changed || len(h.order) != before
	h.order = mergeSorted(h.order, h.added, func(a, b *host) int {
		return cmp.Or(cmp.Compare(a.listener, b.listener), cmp.Compare(a.domain, b.domain))
	})
	h.added = h.added[:0]
}

// add takes a cluster's routes on one domain. Clusters come sorted by name.
func (h *hostSet) add(d *domainRoutes) {
	x := d.host
	if x == nil || x.gone {
		x = h.of(d.listener, d.domain)
		d.host = x
	}
	if x.build != h.build {
		x.build = h.build
		x.now, x.was = x.was[:0], x.now
	}
	x.now = append(x.now, d)
}

// of returns the host of that name, made if need be.
func (h *hostSet) of(listener, domain string) *host {
	at := [2]string{listener, domain}
	x := h.byDomain[at]
	if x == nil {
		x = &host{listener: listener, domain: domain, domains: []string{domain}}
		h.byDomain[at] = x
		h.added = append(h.added, x)
	}
	return x
}

// heldRoutes is which cluster holds each route of labels, by the route's key.
func heldRoutes(t *Table) map[string]string {
	held := map[string]string{}
	if t == nil {
		return held
	}
	for i := range t.Listeners {
		for j := range t.Listeners[i].VirtualHosts {
			routes := t.Listeners[i].VirtualHosts[j].Routes
			for k := range routes {
				if r := &routes[k]; r.Source == FromLabels && len(r.Clusters) > 0 {
					held[r.Key] = r.Clusters[0].Name
				}
			}
		}
	}
	return held
}

// settle unites the routes of several clusters on one domain. forgotten: a
// cluster without members has lost one.
func (x *host) settle(incumbents map[string]string) (conflicts []Conflict, notes []note, forgotten bool) {
	type asker struct {
		by    *domainRoutes
		index int
	}
	askers := map[string][]asker{}
	for _, d := range x.now {
		for i := range d.routes {
			key := d.routes[i].Key
			askers[key] = append(askers[key], asker{d, i})
		}
	}
	x.routes, x.contested = nil, false
	for _, key := range sortedKeys(askers) {
		all := askers[key]
		winner := all[0]
		for _, a := range all[1:] {
			if a.by.outranks(winner.by, incumbents[key]) {
				winner = a
			}
		}
		x.routes = append(x.routes, winner.by.routes[winner.index])
		if len(all) == 1 {
			continue
		}
		x.contested = true
		conflict := Conflict{Kind: "route", What: key, Winner: winner.by.cluster}
		for _, a := range all {
			if a == winner {
				continue
			}
			conflict.Losers = append(conflict.Losers, a.by.cluster)
			forgotten = forgotten || a.by.tombstone
			for _, id := range a.by.askers[a.index] {
				notes = append(notes, note{container: id, step: Step{Rule: "route",
					Text: fmt.Sprintf("%s is held by cluster %s: cluster %s does not get it", key, winner.by.cluster, a.by.cluster)}})
			}
		}
		if winner.by.tombstone {
			conflicts = append(conflicts, conflict)
			continue
		}
		for _, id := range winner.by.askers[winner.index] {
			notes = append(notes, note{container: id, step: Step{Rule: "route", OK: true,
				Text: fmt.Sprintf("%s is held, though asked for by cluster %s too", key, strings.Join(conflict.Losers, ", "))}})
		}
		conflicts = append(conflicts, conflict)
	}
	slices.SortFunc(x.routes, func(a, b Route) int { return compareRoutes(&a, &b) })
	return conflicts, notes, forgotten
}

// outranks decides between two clusters that ask for one route: the one that
// holds it, else one that is remembered as its holder, else the one with the
// earliest created member.
func (d *domainRoutes) outranks(o *domainRoutes, incumbent string) bool {
	if (d.cluster == incumbent) != (o.cluster == incumbent) {
		return d.cluster == incumbent
	}
	if d.tombstone != o.tombstone {
		return d.tombstone
	}
	return cmp.Or(d.created.Compare(o.created), cmp.Compare(d.first, o.first), cmp.Compare(d.cluster, o.cluster)) < 0
}

// listeners puts the virtual hosts of labels into their listeners. Where a
// domain stands in the file too, the file's routes come first. changed: all are
// other listeners than at the last Build.
func (h *hostSet) listeners(all []Listener, changed bool) []Listener {
	if h.joined != nil && !changed && !h.changed {
		return h.joined
	}
	h.changed = false
	hosts := h.order
	joined := make([]Listener, 0, len(all))
	for _, l := range all {
		from, _ := slices.BinarySearchFunc(hosts, l.Name, func(x *host, name string) int { return cmp.Compare(x.listener, name) })
		to := from
		for to < len(hosts) && hosts[to].listener == l.Name {
			to++
		}
		joined = append(joined, joinHosts(l, hosts[from:to]))
	}
	h.joined = joined
	return joined
}

// joinHosts adds the hosts of labels to one listener. A virtual host of the
// file with several domains, one of which labels speak of too, is split, so
// that their routes do not reach the other domains.
func joinHosts(l Listener, hosts []*host) Listener {
	file := map[string]bool{}
	for i := range l.VirtualHosts {
		for _, d := range l.VirtualHosts[i].Domains {
			file[d] = true
		}
	}
	own := make([]VirtualHost, 0, 2*len(l.VirtualHosts)+len(hosts))
	added := make([]VirtualHost, 0, len(hosts))
	shared := map[string][]Route{}
	for _, x := range hosts {
		if file[x.domain] {
			shared[x.domain] = x.routes
			continue
		}
		added = append(added, VirtualHost{Name: x.domain, Domains: x.domains, Routes: x.routes, FallThrough: true})
	}
	for _, v := range l.VirtualHosts {
		rest := v
		rest.Domains = nil
		var split []VirtualHost
		for _, d := range v.Domains {
			routes, ok := shared[d]
			if !ok {
				rest.Domains = append(rest.Domains, d)
				continue
			}
			one := v
			one.Domains = []string{d}
			one.Routes = slices.Concat(v.Routes, routes)
			split = append(split, one)
		}
		if len(rest.Domains) > 0 {
			own = append(own, rest)
		}
		own = append(own, split...)
	}
	l.VirtualHosts = append(own, added...)
	return l
}
