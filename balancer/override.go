package balancer

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// overrides is what an operator set.
type overrides struct {
	drain  bool
	weight *uint32
}

// incarnation is one run of a container, which an override speaks of. Its
// endpoints come and go meanwhile, as its networks and services do.
type incarnation struct {
	container string
	started   int64 // Unix nanoseconds; 0: not known
}

// incarnation is zero for an endpoint of the file, which is its own.
func (e *Endpoint) incarnation() incarnation {
	s := e.Spec()
	if s.Container == "" {
		return incarnation{}
	}
	r := incarnation{container: s.Container}
	if !s.StartedAt.IsZero() {
		r.started = s.StartedAt.UnixNano()
	}
	return r
}

// Override sets or lifts what an operator wants. It fails where no container
// of that name has an endpoint, naming those that have.
func (b *Balancer) Override(o Override) error {
	now := time.Now()
	b.mu.Lock()
	defer b.unlock()
	if o.Weight != nil && *o.Weight > heaviest {
		return fmt.Errorf("weight %d: the most is %d", *o.Weight, heaviest)
	}
	targets, err := b.resolve(o.Container)
	if err != nil {
		return err
	}
	touched := map[*Cluster]bool{}
	for _, e := range targets {
		if o.Drain != nil {
			e.override.drain = *o.Drain
		}
		if o.Weight != nil {
			w := *o.Weight
			e.override.weight = &w
		}
		if o.DefaultWeight {
			e.override.weight = nil
		}
		touched[e.cluster] = true
		if r := e.incarnation(); r != (incarnation{}) {
			if e.override == (overrides{}) {
				delete(b.overrides, r)
			} else {
				b.overrides[r] = e.override
			}
		}
	}
	for c := range touched {
		b.publish(c, now)
	}
	return nil
}

// InFlight is how many leases are out on the container's endpoints, for
// `lb drain --wait`; those of an incarnation that has left count too.
func (b *Balancer) InFlight(container string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, e := range b.byID {
		if e.named(container) {
			n += int(e.active.Load())
		}
	}
	for _, e := range b.leaving {
		if e.named(container) {
			n += int(e.active.Load())
		}
	}
	return n
}

// DrainDeadline is when the upgraded connections that are still open to the
// container will be cut, the latest of its endpoints'; zero: it is not draining,
// or nothing is ever cut.
func (b *Balancer) DrainDeadline(container string) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	var latest time.Time
	look := func(e *Endpoint) {
		if at := e.DrainDeadline(); e.named(container) && e.active.Load() > 0 && at.After(latest) {
			latest = at
		}
	}
	for _, e := range b.byID {
		look(e)
	}
	for _, e := range b.leaving {
		look(e)
	}
	return latest
}

// heaviest is the largest weight that an operator may set.
const heaviest = 1 << 20

// shortest is the shortest prefix of a container's id that is taken for it.
const shortest = 4

// named tells whether what an operator typed is the endpoint's container: its
// name, its id, or the beginning of it; for an endpoint of the file, its
// address.
func (e *Endpoint) named(container string) bool {
	s := e.Spec()
	if s.Container == "" {
		return s.Address.String() == container
	}
	return s.ContainerName == container || len(container) >= shortest && strings.HasPrefix(s.Container, container)
}

// resolve finds the endpoints of one container. Balancer.mu is held.
func (b *Balancer) resolve(container string) ([]*Endpoint, error) {
	var found []*Endpoint
	for _, e := range b.byID {
		if e.named(container) {
			found = append(found, e)
		}
	}
	// A name wins over another container's id that begins like it.
	if exact := slices.DeleteFunc(slices.Clone(found), func(e *Endpoint) bool { return e.Spec().ContainerName != container }); len(exact) > 0 {
		found = exact
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no container %q has an endpoint (there are: %s)", container, list(b.containers()))
	}
	for _, e := range found[1:] {
		if s, t := e.Spec(), found[0].Spec(); s.Container != t.Container {
			return nil, fmt.Errorf("%q could be %s or %s: give more of the id, or the name", container, s.ContainerName, t.ContainerName)
		}
	}
	return found, nil
}

// containers are the names of those that have an endpoint, sorted.
func (b *Balancer) containers() []string {
	var names []string
	for _, e := range b.byID {
		s := e.Spec()
		if s.Container == "" {
			names = append(names, s.Address.String())
		} else {
			names = append(names, s.ContainerName)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// list writes names for people, the first twenty.
func list(names []string) string {
	const most = 20
	if len(names) == 0 {
		return "none"
	}
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// inherit gives the endpoints that this table brought what was set for their
// containers' present runs, and forgets what was set for runs that are over: the
// container is gone, or was started anew. Balancer.mu is held.
func (b *Balancer) inherit(now time.Time) {
	fresh := b.fresh
	b.fresh = nil
	if len(b.overrides) == 0 {
		return
	}
	there := make(map[string]bool)
	for _, t := range b.table.Traces {
		there[t.Container] = true // also without an endpoint: cut off from its network
	}
	for _, e := range b.byID {
		there[e.Spec().Container] = true
	}
	for _, e := range fresh {
		r := e.incarnation()
		for o := range b.overrides {
			if o.container == r.container && o != r {
				delete(b.overrides, o)
			}
		}
		if o, ok := b.overrides[r]; ok {
			e.override = o
			b.publish(e.cluster, now)
		}
	}
	for r := range b.overrides {
		if !there[r.container] {
			delete(b.overrides, r)
		}
	}
}
