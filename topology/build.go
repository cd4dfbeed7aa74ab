package topology

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/dockerlb/dockerlb/labels"
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
	policy  labels.ClusterPolicy
	static  Static
	flags   []Listener // Defaults.Listeners
	answers map[Query]Answer
	given   []*Container // as the last Build sorted them
	last    *Table       // what the last Build gave

	entries []*entry // by container id
	byName  []*entry // those with a trace, by container name
	groups  groups
	hosts   hostSet
	asked   nameMemo
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

// Build is the package's Build, at the cost of what changed.
func (b *Builder) Build(in Inputs) *Table {
	listeners, names := joinListeners(&in.Static, &in.Defaults)
	containers := b.sorted(in.Membership.Containers)
	fresh := b.see(&in, names, containers)
	b.decide(containers, fresh)
	b.expand(&in)
	b.groups.keep(&in.Incumbents, b.last)
	b.groups.build(&b.policy, b.world.prefix, fresh)

	t := &Table{Generation: in.Generation, At: in.At, Clusters: make([]*Cluster, 0, len(b.groups.order))}
	var notes []note
	for _, g := range b.groups.order {
		t.Clusters = append(t.Clusters, g.cluster())
		if g.built != nil {
			t.Conflicts = append(t.Conflicts, g.built.conflicts...)
			notes = append(notes, g.built.notes...)
		}
	}
	conflicts, lost := b.hosts.settle(&b.groups, in.Incumbents.Previous)
	t.Conflicts = append(t.Conflicts, conflicts...)
	slices.SortFunc(t.Conflicts, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.What, b.What))
	})
	t.Listeners = b.hosts.listeners(listeners, fresh || !sameSlice(b.static.Listeners, in.Static.Listeners) || !sameSlice(b.flags, in.Defaults.Listeners))
	b.static, b.flags = in.Static, in.Defaults.Listeners
	t.Traces = b.traces(append(notes, lost...))
	b.last = t
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
	fresh = !reflect.DeepEqual(w, old) || !reflect.DeepEqual(b.policy, in.Defaults.Policy)
	w.answers, w.peer = in.Answers.Names, peers(containers)
	b.world, b.policy = w, in.Defaults.Policy
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

// sorted is sortedContainers, at the cost of what changed since the last time.
func (b *Builder) sorted(cs []*Container) []*Container {
	if !sameSlice(b.given, cs) {
		if !inOrder(cs, b.given) {
			cs = sortedContainers(cs)
		}
		b.given = cs
	}
	return b.given
}

// inOrder reports whether the containers are sorted by id, each once. known
// are so: neighbours that are neighbours there need no look.
func inOrder(cs, known []*Container) bool {
	at := 0 // in known, of cs[i-1] if it is there
	for i := 1; i < len(cs); i++ {
		if at+1 < len(known) && known[at] == cs[i-1] && known[at+1] == cs[i] {
			at++
			continue
		}
		if cs[i-1].ID >= cs[i].ID {
			return false
		}
		for skip := 1; skip <= 2; skip++ {
			if at+skip < len(known) && known[at+skip] == cs[i] {
				at += skip
				break
			}
		}
	}
	return true
}

// sortedContainers are the containers by id, as Membership promises them. One
// that two engines report (the same engine, configured twice) counts once.
func sortedContainers(cs []*Container) []*Container {
	if inOrder(cs, nil) {
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
	var added []*entry
	changed, renamed := false, false
	drop := func(e *entry) {
		e.gone, changed = true, true
		b.groups.replace(e.decision, nil)
	}
	for _, c := range containers {
		for len(old) > 0 && old[0].container != c && old[0].container.ID < c.ID {
			drop(old[0])
			old = old[1:]
		}
		var e *entry
		if len(old) > 0 && (old[0].container == c || old[0].container.ID == c.ID) {
			e, old = old[0], old[1:]
		} else {
			e = &entry{}
			added = append(added, e)
			changed = true
		}
		if fresh || e.container != c || !b.stands(e.decision, answered) {
			renamed = renamed || e.container != nil && e.container.Name != c.Name
			was := e.decision
			e.container, e.decision = c, decide(c, &b.world)
			if e.decision != nil {
				e.decision.entry = e
			}
			b.groups.replace(was, e.decision)
		}
		next = append(next, e)
	}
	for _, e := range old {
		drop(e)
	}
	b.entries = next
	if changed || renamed {
		byName := func(x, y *entry) int {
			return cmp.Or(cmp.Compare(x.container.Name, y.container.Name), cmp.Compare(x.container.ID, y.container.ID))
		}
		b.byName = slices.DeleteFunc(b.byName, func(e *entry) bool { return e.gone })
		if renamed {
			slices.SortFunc(b.byName, byName)
		}
		b.byName = mergeSorted(b.byName, added, byName)
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
	if d.borrows && b.world.peer(d.container.NetworkOf) != d.peer {
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
	if !sameSlice(b.static.Clusters, in.Static.Clusters) {
		b.groups.forgetFile()
	}
	for i := range in.Static.Clusters {
		c := &in.Static.Clusters[i]
		g := b.groups.of(c.Name)
		if !g.static.current(c, in.Answers.Names) {
			b.groups.setFile(g, expand(c, in.Answers.Names))
		}
	}
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
