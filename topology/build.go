package topology

import (
	"cmp"
	"reflect"
	"slices"
)

// Build joins the sources into a Table. It is pure: equal inputs give equal
// tables, whatever the order of any map or list.
func Build(in Inputs) *Table { return new(Builder).Build(in) }

// Builder builds one Table after the other and does again only what a change
// touches. Its result is always what Build gives: it recognises what has not
// changed by the pointers of immutable values, never by guessing. The zero
// value is ready; one goroutine uses it.
//
// Parts of its tables are shared between them: they are never to be written.
type Builder struct {
	world   world
	static  Static
	answers map[Query]Answer

	entries  []*entry // by container id
	byName   []*entry // those with a trace, by container name
	clusters map[string]*clusterSlot
	names    []string // of clusters, sorted
	unnamed  bool     // names lacks a new cluster
	hosts    hostSet
	asked    nameMemo
}

// entry is a container that Build knows.
type entry struct {
	container *Container
	decision  *decision // nil: carries none of our labels
	gone      bool
	rank      int // in byName

	// trace is the decision's with the notes of the last Build.
	trace *Trace
	notes []note
	made  *decision // that trace was made from
}

// clusterSlot holds a cluster between two Builds.
type clusterSlot struct {
	members []*member // of the Build that runs
	static  *expandedStatic
	buried  *Tombstone
	built   *builtCluster
}

// Build is the package's Build, at the cost of what changed.
func (b *Builder) Build(in Inputs) *Table {
	listeners, names := joinListeners(&in.Static, &in.Defaults)
	containers := sortedContainers(in.Membership.Containers)
	fresh := b.see(&in, names, containers)
	b.decide(containers, fresh)
	b.expand(&in)
	b.gather(&in)

	t := &Table{Generation: in.Generation}
	var notes []note
	t.Clusters = make([]Cluster, 0, len(b.names))
	b.hosts.begin()
	for _, name := range b.names {
		slot := b.clusters[name]
		switch {
		case slot.static != nil || len(slot.members) > 0:
			b.build(name, slot, &in)
			t.Clusters = append(t.Clusters, slot.built.cluster)
			t.Conflicts = append(t.Conflicts, slot.built.conflicts...)
			notes = append(notes, slot.built.notes...)
			for _, d := range slot.built.domains {
				b.hosts.add(d)
			}
		default:
			c := slot.buried.Cluster
			c.Endpoints = nil
			t.Clusters = append(t.Clusters, c)
			for _, d := range buriedDomains(slot.buried) {
				b.hosts.add(d)
			}
		}
	}
	conflicts, lost := b.hosts.settle(in.Incumbents.Routes)
	t.Conflicts = append(t.Conflicts, conflicts...)
	slices.SortFunc(t.Conflicts, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.What, b.What))
	})
	t.Listeners = b.hosts.listeners(listeners)
	t.Traces = b.traces(append(notes, lost...))
	return t
}

// see takes in what all decisions look at, and reports whether it is other
// than at the last Build.
func (b *Builder) see(in *Inputs, names listenerNames, containers []*Container) (fresh bool) {
	w := world{
		self:      in.Membership.Self,
		prefix:    nameOr(in.Defaults.Prefix, "lb"),
		instance:  in.Defaults.Instance,
		listeners: names,
		file:      fileClusters(&in.Static),
	}
	old := b.world
	old.answers, old.peer = nil, nil
	fresh = !reflect.DeepEqual(w, old)
	w.answers, w.peer = in.Answers.Names, peers(containers)
	b.world = w
	return fresh
}

// fileClusters tells for each cluster of the file whether it has active checks.
func fileClusters(s *Static) map[string]bool {
	m := make(map[string]bool, len(s.Clusters))
	for i := range s.Clusters {
		m[s.Clusters[i].Name] = len(s.Clusters[i].HealthChecks) > 0
	}
	return m
}

// sortedContainers are the containers by id, as Membership promises them. One
// that two engines report (the same engine, configured twice) counts once.
func sortedContainers(cs []*Container) []*Container {
	inOrder := true
	for i := 1; i < len(cs) && inOrder; i++ {
		inOrder = cs[i-1].ID < cs[i].ID
	}
	if inOrder {
		return cs
	}
	cs = slices.SortedStableFunc(slices.Values(cs), func(a, b *Container) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Engine, b.Engine))
	})
	return slices.CompactFunc(cs, func(a, b *Container) bool { return a.ID == b.ID })
}

// decide brings the entries in line with the containers. An unchanged
// container is the same pointer, and its decision stands while the answers and
// the peer that it rests on do.
func (b *Builder) decide(containers []*Container, fresh bool) {
	answered := !sameMap(b.answers, b.world.answers)
	b.answers = b.world.answers
	old := b.entries
	next := make([]*entry, 0, len(containers))
	changed := false
	for _, c := range containers {
		for len(old) > 0 && old[0].container.ID < c.ID {
			old[0].gone, changed = true, true
			old = old[1:]
		}
		var e *entry
		if len(old) > 0 && old[0].container.ID == c.ID {
			e, old = old[0], old[1:]
		} else {
			e = &entry{}
			b.byName = append(b.byName, e)
			changed = true
		}
		if e.container == nil || e.container.Name != c.Name {
			changed = true
		}
		if fresh || e.container != c || !b.stands(e.decision, answered) {
			e.container, e.decision = c, decide(c, &b.world)
			if e.decision != nil {
				e.decision.entry = e
			}
		}
		next = append(next, e)
	}
	for _, e := range old {
		e.gone, changed = true, true
	}
	b.entries = next
	if changed {
		b.byName = slices.DeleteFunc(b.byName, func(e *entry) bool { return e.gone })
		slices.SortFunc(b.byName, func(x, y *entry) int {
			return cmp.Or(cmp.Compare(x.container.Name, y.container.Name), cmp.Compare(x.container.ID, y.container.ID))
		})
		for i, e := range b.byName {
			e.rank = i
		}
	}
}

// stands reports whether a decision about an unchanged container still holds.
func (b *Builder) stands(d *decision, answered bool) bool {
	if d == nil {
		return true
	}
	if id := d.container.NetworkOf; id != "" && b.world.peer(id) != d.peer {
		return false
	}
	if answered {
		for i := range d.asked {
			if a := b.world.answers[d.asked[i].query]; !sameAddresses(d.asked[i].answer, a) {
				return false
			}
		}
	}
	return true
}

// expand brings the file's clusters in line with the answers.
func (b *Builder) expand(in *Inputs) {
	if b.clusters == nil {
		b.clusters = map[string]*clusterSlot{}
	}
	for _, slot := range b.clusters {
		slot.members, slot.buried = slot.members[:0], nil
	}
	if !sameSlice(b.static.Clusters, in.Static.Clusters) {
		for _, slot := range b.clusters {
			slot.static = nil
		}
	}
	b.static = in.Static
	for i := range in.Static.Clusters {
		c := &in.Static.Clusters[i]
		slot := b.slot(c.Name)
		if !slot.static.current(c, in.Answers.Names) {
			slot.static = expand(c, in.Answers.Names)
		}
	}
}

func (b *Builder) slot(name string) *clusterSlot {
	s := b.clusters[name]
	if s == nil {
		s = &clusterSlot{}
		b.clusters[name] = s
		b.unnamed = true
	}
	return s
}

// gather sorts the members into their clusters, and lists the clusters.
func (b *Builder) gather(in *Inputs) {
	var s *clusterSlot
	name := ""
	for _, e := range b.entries {
		if e.decision == nil {
			continue
		}
		for _, m := range e.decision.members {
			if s == nil || m.service.Cluster != name {
				name = m.service.Cluster
				s = b.slot(name)
			}
			s.members = append(s.members, m)
		}
	}
	for i := range in.Incumbents.Tombstones {
		t := &in.Incumbents.Tombstones[i]
		b.slot(t.Cluster.Name).buried = t
	}
	for name, s := range b.clusters {
		if len(s.members) == 0 && s.static == nil && s.buried == nil {
			delete(b.clusters, name)
			b.unnamed = true
		}
	}
	if !b.unnamed {
		return
	}
	b.unnamed = false
	b.names = b.names[:0]
	for name := range b.clusters {
		b.names = append(b.names, name)
	}
	slices.Sort(b.names)
}

// build makes the cluster, unless it is what it was.
func (b *Builder) build(name string, s *clusterSlot, in *Inputs) {
	if s.built != nil && s.built.file == s.static && slices.Equal(s.built.members, s.members) {
		return
	}
	s.built = buildCluster(name, s.members, s.static, &in.Defaults.Policy, b.world.prefix, s.built)
}

// traces are the decisions' traces, by container name, with the notes that the
// join of several containers added.
func (b *Builder) traces(notes []note) []*Trace {
	byContainer := map[string][]note{}
	for _, n := range notes {
		byContainer[n.container] = append(byContainer[n.container], n)
	}
	traces := make([]*Trace, 0, len(b.byName))
	for _, e := range b.byName {
		if e.decision == nil {
			continue
		}
		var ns []note
		if len(byContainer) > 0 {
			ns = byContainer[e.container.ID]
		}
		if e.made != e.decision || !slices.Equal(e.notes, ns) {
			e.trace, e.notes, e.made = annotate(e.decision.trace, ns), ns, e.decision
		}
		traces = append(traces, e.trace)
	}
	return traces
}

// annotate returns the trace with the notes.
func annotate(t *Trace, notes []note) *Trace {
	if len(notes) == 0 {
		return t
	}
	n := *t
	n.Steps, n.Endpoints = slices.Clone(t.Steps), slices.Clone(t.Endpoints)
	for _, note := range notes {
		n.Steps = append(n.Steps, note.step)
		if note.lost == "" {
			continue
		}
		n.Endpoints = slices.DeleteFunc(n.Endpoints, func(id string) bool { return id == note.lost })
		if len(n.Endpoints) == 0 {
			n.Verdict, n.Reason = Quarantined, note.step.String()
		}
	}
	return &n
}

// sameSlice reports whether both are the same memory: values that cross
// between the rooms are never written again.
func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func sameMap(a, b map[Query]Answer) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

// sameAddresses compares what a member's decision rests on: not the order of
// the records, which the embedded DNS shuffles.
func sameAddresses(a, b Answer) bool {
	return a.Outcome == b.Outcome && a.Error == b.Error && slices.Equal(a.Addresses, b.Addresses)
}
