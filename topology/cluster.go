package topology

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

// builtCluster is a cluster and the routes that lead to it, made from its
// members and what the file says of it. It is immutable.
type builtCluster struct {
	members []*member // those of its group, only while it is made

	cluster   *Cluster
	check     []HealthCheck   // the one that members wait for
	distinct  bool            // no two members have one address
	domains   []*domainRoutes // sorted by listener and domain
	conflicts []Conflict
	notes     []note

	// alike is one of the members, present or past, where all of them ask for
	// the same, each container once; nil: they do not.
	alike  *member
	oldest *member // the earliest created
}

// note is a step that belongs into a container's trace and that only the join
// of several containers could decide.
type note struct {
	container string // id
	step      Step
	lost      string // the endpoint that it does not become after all
}

// domainRoutes are the routes of one cluster on one domain of one listener,
// sorted, with what is needed to settle who gets a contested one.
type domainRoutes struct {
	listener, domain string
	cluster          string
	tombstone        bool
	created          time.Time // of the cluster's earliest created member
	first            string    // its id
	routes           []Route
	askers           [][]string // of each route, the ids behind AskedBy
	host             *host      // where the Builder found a place for them last
}

// buildCluster makes the group's cluster. Equal parts of what it was before are
// used again, so that who depends on them sees by the pointer that nothing
// changed.
func buildCluster(g *group, plain *plainCluster, prefix string) *builtCluster {
	b := &builtCluster{members: g.members}
	defer func() { b.members = nil }()
	if g.static != nil {
		c := g.static.cluster
		b.cluster = &c
	} else {
		policy := b.settle(g.name, &plain.policy, prefix)
		c := policyCluster(g.name, policy)
		c.Disagree = b.conflicts
		b.cluster = &c
		if policy == &plain.policy {
			c.Outlier, b.check = plain.outlier, plain.check
		} else {
			b.check = []HealthCheck{policyCheck(policy)}
		}
		b.routes(g.name, policy, g.built)
		if allAlike(b.members) {
			b.alike = b.members[0]
		}
	}
	b.join(g)
	return b
}

// plainCluster is what the clusters share that set nothing themselves.
type plainCluster struct {
	policy  labels.ClusterPolicy
	outlier *Outlier
	check   []HealthCheck
}

func newPlainCluster(policy *labels.ClusterPolicy) *plainCluster {
	return &plainCluster{policy: *policy, outlier: policyCluster("", policy).Outlier, check: []HealthCheck{policyCheck(policy)}}
}

// moveTo is the cluster with the group's members, which ask for what they did.
func (b *builtCluster) moveTo(g *group) *builtCluster {
	c := *b.cluster
	n := &builtCluster{
		members: g.members, cluster: &c, check: b.check, domains: b.domains, conflicts: b.conflicts,
		alike: b.alike, oldest: b.oldest,
	}
	defer func() { n.members = nil }()
	for _, note := range b.notes {
		if note.lost == "" {
			n.notes = append(n.notes, note)
		}
	}
	n.join(g)
	return n
}

// settle finds each cluster key's value (the defaults where there is none): that of the newest member which gives
// a good one. Where members differ, that is a conflict to show.
func (b *builtCluster) settle(name string, defaults *labels.ClusterPolicy, prefix string) *labels.ClusterPolicy {
	type choice struct {
		by      *member
		setting *labels.Setting
		differs bool // another member says it in other words
	}
	choices := map[string]*choice{}
	for _, m := range b.members {
		for i := range m.service.Settings {
			s := &m.service.Settings[i]
			c := choices[s.Key]
			if c == nil {
				choices[s.Key] = &choice{by: m, setting: s}
				continue
			}
			c.differs = c.differs || s.Text != c.setting.Text
			if m.newerThan(c.by) {
				c.by, c.setting = m, s
			}
		}
	}
	if len(choices) == 0 {
		return defaults
	}
	policy := *defaults
	for _, key := range sortedKeys(choices) {
		c := choices[key]
		c.setting.Apply(&policy)
		if !c.differs {
			continue
		}
		agrees := map[string]bool{} // by the other's words
		conflict := Conflict{
			Kind:   "setting",
			What:   fmt.Sprintf("cluster %s: %s.%s", name, prefix, key),
			Winner: fmt.Sprintf("%s: %s", c.by.decision.container.Name, c.setting.Text),
		}
		for _, m := range b.members {
			i := slices.IndexFunc(m.service.Settings, func(s labels.Setting) bool { return s.Key == key })
			if i < 0 {
				continue
			}
			other := &m.service.Settings[i]
			same, known := agrees[other.Text]
			if !known {
				same = sameSetting(c.setting, other, defaults)
				agrees[other.Text] = same
			}
			if same {
				continue
			}
			loser := m.decision.container
			conflict.Losers = append(conflict.Losers, fmt.Sprintf("%s: %s", loser.Name, other.Text))
			b.notes = append(b.notes, note{container: loser.ID, step: Step{
				Rule: "setting", OK: true,
				Text: fmt.Sprintf("%s.%s is %s for cluster %s: %s, the newest member that says it, has not %s",
					prefix, key, c.setting.Text, name, c.by.decision.container.Name, other.Text),
			}})
		}
		if len(conflict.Losers) == 0 {
			continue // 5s and 5000ms
		}
		slices.Sort(conflict.Losers)
		b.conflicts = append(b.conflicts, conflict)
	}
	return &policy
}

// sameSetting reports whether two members mean the same, whatever their words.
func sameSetting(a, b *labels.Setting, defaults *labels.ClusterPolicy) bool {
	if a.Text == b.Text {
		return true
	}
	x, y := *defaults, *defaults
	a.Apply(&x)
	b.Apply(&y)
	return reflect.DeepEqual(&x, &y)
}

// join puts the members' endpoints and the file's together. An address that
// appears twice is one endpoint: a container wins over an answer of DNS, since
// it has a life cycle; of two containers the one that is not stopping, then
// the one that started last.
func (b *builtCluster) join(g *group) {
	var listed []*Endpoint
	if g.static != nil {
		listed = g.static.endpoints
	}
	if len(b.members) == 0 {
		b.cluster.Endpoints = listed
		return
	}
	b.distinct = distinctAddresses(b.members, g.placed, g.built != nil && g.built.distinct)
	if b.joinFew(g) {
		return
	}
	endpoints := make([]*Endpoint, 0, len(b.members)+len(listed))
	if len(listed) == 0 && b.distinct {
		for _, m := range b.members {
			endpoints = append(endpoints, m.endpoint)
		}
	} else {
		endpoints = b.unite(endpoints, listed)
	}
	if byID := func(a, b *Endpoint) int { return cmp.Compare(a.ID, b.ID) }; !slices.IsSortedFunc(endpoints, byID) {
		slices.SortFunc(endpoints, byID)
	}
	b.cluster.Endpoints = endpoints
	if g.static == nil {
		b.cluster.HealthChecks = nil
		if slices.ContainsFunc(endpoints, func(e *Endpoint) bool { return e.NeedsProbe }) {
			b.cluster.HealthChecks = b.check
		}
	}
}

// distinctAddresses reports whether no two members have one address, which is
// usual. were: those that are not among placed were so.
func distinctAddresses(members, placed []*member, were bool) bool {
	const few = 16
	if !were && len(members) <= few {
		placed, were = members, true
	}
	if were && len(placed) <= few {
		for _, m := range placed {
			for _, o := range members {
				if o != m && o.endpoint.Address == m.endpoint.Address {
					return false
				}
			}
		}
		return true
	}
	all := make([]netip.AddrPort, len(members))
	for i, m := range members {
		all[i] = m.endpoint.Address
	}
	slices.SortFunc(all, netip.AddrPort.Compare)
	for i := 1; i < len(all); i++ {
		if all[i-1] == all[i] {
			return false
		}
	}
	return true
}

// unite appends the endpoints, each address once.
func (b *builtCluster) unite(to, listed []*Endpoint) []*Endpoint {
	held := make(map[netip.AddrPort]*member, len(b.members))
	for _, m := range b.members {
		if o := held[m.endpoint.Address]; o == nil || m.outranks(o) {
			held[m.endpoint.Address] = m
		}
	}
	for _, m := range b.members {
		holder := held[m.endpoint.Address]
		if holder == m {
			to = append(to, m.endpoint)
			continue
		}
		b.notes = append(b.notes, note{container: m.decision.container.ID, lost: m.endpoint.ID, step: Step{
			Rule: "endpoint",
			Text: fmt.Sprintf("%s in cluster %s is %s already, which is newer or does not stop",
				m.endpoint.Address, m.service.Cluster, holder.name()),
		}})
	}
	for _, e := range listed {
		if held[e.Address] == nil {
			to = append(to, e)
		}
	}
	return to
}

// name is the container, and the service where it has several.
func (m *member) name() string {
	if m.service.Name == defaultService {
		return m.decision.container.Name
	}
	return m.decision.container.Name + " (service " + m.service.Name + ")"
}

// outranks decides between two containers with one address.
func (m *member) outranks(o *member) bool {
	a, b := m.decision.container, o.decision.container
	if a.Stopping != b.Stopping {
		return b.Stopping
	}
	return cmp.Or(a.StartedAt.Compare(b.StartedAt), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) > 0
}

// routes unites what the members ask for: equal ones are one.
func (b *builtCluster) routes(name string, policy *labels.ClusterPolicy, prev *builtCluster) {
	type wish struct {
		claim  *claim
		by     *member // the newest, whose strip and rewrite count
		askers []*decision
	}
	wishes := map[string]*wish{}
	oldest := b.members[0]
	for _, m := range b.members {
		if oldest.newerThan(m) {
			oldest = m
		}
		for i := range m.claims {
			c := &m.claims[i]
			w := wishes[c.key]
			if w == nil {
				w = &wish{claim: c, by: m}
				wishes[c.key] = w
			} else if m.newerThan(w.by) {
				w.claim, w.by = c, m
			}
			if n := len(w.askers); n == 0 || w.askers[n-1] != m.decision {
				w.askers = append(w.askers, m.decision)
			}
		}
	}
	b.oldest = oldest
	byDomain := map[[2]string]*domainRoutes{}
	for _, key := range sortedKeys(wishes) {
		w := wishes[key]
		at := [2]string{w.claim.listener, w.claim.domain}
		d := byDomain[at]
		if d == nil {
			d = &domainRoutes{
				listener: at[0], domain: at[1], cluster: name,
				created: oldest.decision.container.Created, first: oldest.decision.container.ID,
			}
			byDomain[at] = d
			b.domains = append(b.domains, d)
		}
		route := policyRoute(w.claim, name, policy)
		slices.SortFunc(w.askers, func(x, y *decision) int { return x.entry.rank - y.entry.rank }) // by name
		ids := make([]string, len(w.askers))
		route.AskedBy = make([]string, len(w.askers))
		for i, d := range w.askers {
			route.AskedBy[i], ids[i] = d.container.Name, d.container.ID
		}
		at0, _ := slices.BinarySearchFunc(d.routes, route, func(x, y Route) int { return compareRoutes(&x, &y) })
		d.routes = slices.Insert(d.routes, at0, route)
		d.askers = slices.Insert(d.askers, at0, ids)
		b.differ(name, w.by, w.claim)
	}
	slices.SortFunc(b.domains, compareDomains)
	b.reuse(prev)
}

// differ shows members that ask for the same route with another strip or
// rewrite: the newest one's counts.
func (b *builtCluster) differ(name string, by *member, chosen *claim) {
	var losers []string
	for _, m := range b.members {
		i := slices.IndexFunc(m.claims, func(c claim) bool { return c.key == chosen.key && c.rewrite != chosen.rewrite })
		if i < 0 {
			continue
		}
		losers = append(losers, m.decision.container.Name)
		b.notes = append(b.notes, note{container: m.decision.container.ID, step: Step{
			Rule: "route", OK: true,
			Text: fmt.Sprintf("%s: strip and rewrite are those of %s, the newest member that asks for it", chosen.key, by.decision.container.Name),
		}})
	}
	if losers == nil {
		return
	}
	slices.Sort(losers)
	b.conflicts = append(b.conflicts, Conflict{
		Kind: "setting", What: fmt.Sprintf("cluster %s: strip and rewrite of route %s", name, chosen.key),
		Winner: by.decision.container.Name, Losers: losers,
	})
	b.cluster.Disagree = b.conflicts
}

// reuse takes over what is as it was before.
func (b *builtCluster) reuse(prev *builtCluster) {
	if prev == nil {
		return
	}
	for i, d := range b.domains {
		at, ok := slices.BinarySearchFunc(prev.domains, d, compareDomains)
		if ok && d.equal(prev.domains[at]) {
			b.domains[i] = prev.domains[at]
		}
	}
}

func (d *domainRoutes) equal(o *domainRoutes) bool {
	if !d.created.Equal(o.created) || d.first != o.first || len(d.routes) != len(o.routes) {
		return false
	}
	for i := range d.routes {
		// A route may be asked for by thousands: those are compared first,
		// and not by reflection.
		if !slices.Equal(d.askers[i], o.askers[i]) || !slices.Equal(d.routes[i].AskedBy, o.routes[i].AskedBy) {
			return false
		}
		x, y := d.routes[i], o.routes[i]
		x.AskedBy, y.AskedBy = nil, nil
		if !reflect.DeepEqual(&x, &y) {
			return false
		}
	}
	return true
}

func compareDomains(a, b *domainRoutes) int {
	return cmp.Or(cmp.Compare(a.listener, b.listener), cmp.Compare(a.domain, b.domain))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
