package balancer

import (
	"fmt"
	"slices"

	"github.com/dockerlb/dockerlb/router"
	"github.com/dockerlb/dockerlb/topology"
)

// View is the routes and clusters of one generation, immutable. The clusters
// in it are the living ones.
type View struct {
	generation uint64
	number     uint64     // of Applies
	changed    []*Cluster // since the View before; one may stand there twice
	listeners  map[string]*Listener
	clusters   map[string]*Cluster
}

// Generation is the table's.
func (v *View) Generation() uint64 { return v.generation }

// Listener returns the listener's routes, or nil.
func (v *View) Listener(name string) *Listener { return v.listeners[name] }

// Cluster returns the cluster of that name, or nil.
func (v *View) Cluster(name string) *Cluster { return v.clusters[name] }

// Clusters calls f for each cluster, in no order.
func (v *View) Clusters(f func(*Cluster)) {
	for _, c := range v.clusters {
		f(c)
	}
}

// Number counts the Views of a Balancer.
func (v *View) Number() uint64 { return v.number }

// Changed are the clusters that are other than in the View before, those that
// are gone (Removed) among them. One may stand there twice.
func (v *View) Changed() []*Cluster { return v.changed }

// Removed tells whether the table has no such cluster any more.
func (c *Cluster) Removed() bool { return c.removed.Load() }

// Members are the cluster's endpoints of now, sorted by ID: a list that is never
// written again, the same for as long as nobody joins, leaves or changes.
func (c *Cluster) Members() []*Endpoint {
	if list := c.members.Load(); list != nil {
		return *list
	}
	return nil
}

// Endpoints calls f for each endpoint of every cluster, for health. They are
// those of now, not of the View's generation.
func (v *View) Endpoints(f func(*Endpoint)) {
	for _, c := range v.clusters {
		for _, e := range c.Members() {
			f(e)
		}
	}
}

// Listener is a listener of a View.
type Listener struct {
	Spec   *topology.Listener
	router *router.Router
	routes []*Route // as in router.Routes
	err    error    // the routes did not compile: none of them matches
}

// Match finds the request's route; nil: none (404, NR).
func (l *Listener) Match(q router.Request) *Route {
	if l.router == nil {
		return nil
	}
	if i := l.router.Match(q); i >= 0 {
		return l.routes[i]
	}
	return nil
}

// Err is why the listener's routes do not compile; nil: they do. config and
// labels check them before, so this is a fault of ours that the owner logs.
func (l *Listener) Err() error { return l.err }

// Route is a route of a View, bound to its clusters.
type Route struct {
	Spec     *topology.Route
	clusters []*Cluster // as in Spec.Clusters; nil where it does not exist
	total    uint64     // of the weights
}

// bind returns the route with the living clusters that it names.
func bind(spec *topology.Route, clusters map[string]*Cluster) *Route {
	r := &Route{Spec: spec}
	if len(spec.Clusters) == 0 {
		return r
	}
	r.clusters = make([]*Cluster, len(spec.Clusters))
	for i := range spec.Clusters {
		r.clusters[i] = clusters[spec.Clusters[i].Name]
		r.total += uint64(spec.Clusters[i].Weight)
	}
	return r
}

// newListener binds the listener of a table. The compiled router of the
// previous generation is kept where what it was compiled from is equal; whole
// where nothing at all has changed.
func newListener(spec *topology.Listener, old *Listener, clusters map[string]*Cluster, sameClusters bool) *Listener {
	l := &Listener{Spec: spec}
	if old != nil && sameRouting(old.Spec, spec) {
		l.router, l.err = old.router, old.err
		if sameClusters && sameRoutes(old.Spec, spec) {
			l.routes = old.routes
			return l
		}
	} else {
		l.router, l.err = router.Compile(spec)
		if l.err != nil {
			l.router = nil
			l.err = fmt.Errorf("listener %s: %w", spec.Name, l.err)
		}
	}
	if l.router == nil {
		return l
	}
	// The router keeps the order of the table; its own pointers may be those
	// of an older table with equal matches.
	for i := range spec.VirtualHosts {
		routes := spec.VirtualHosts[i].Routes
		for j := range routes {
			l.routes = append(l.routes, bind(&routes[j], clusters))
		}
	}
	return l
}

// sameRouting tells whether two listeners compile to the same router: all that
// a match looks at is equal, whatever the routes then do.
func sameRouting(a, b *topology.Listener) bool {
	if a == b {
		return true
	}
	x, y := &a.HTTP, &b.HTTP
	if x.StripMatchingPort != y.StripMatchingPort || x.StripAnyPort != y.StripAnyPort || x.IgnorePort != y.IgnorePort ||
		a.Address != b.Address {
		return false
	}
	if sameSlice(a.VirtualHosts, b.VirtualHosts) {
		return true
	}
	return slices.EqualFunc(a.VirtualHosts, b.VirtualHosts, func(v, w topology.VirtualHost) bool {
		if v.FallThrough != w.FallThrough || !slices.Equal(v.Domains, w.Domains) {
			return false
		}
		return sameSlice(v.Routes, w.Routes) || slices.EqualFunc(v.Routes, w.Routes, func(r, s topology.Route) bool {
			return r.Match.Path == s.Match.Path && r.Match.GRPC == s.Match.GRPC && r.Match.RuntimePct == s.Match.RuntimePct &&
				slices.Equal(r.Match.Headers, s.Match.Headers) && slices.Equal(r.Match.Query, s.Match.Query)
		})
	})
}

// sameRoutes tells whether two listeners share the very same routes.
func sameRoutes(a, b *topology.Listener) bool {
	if len(a.VirtualHosts) != len(b.VirtualHosts) {
		return false
	}
	for i := range a.VirtualHosts {
		if !sameSlice(a.VirtualHosts[i].Routes, b.VirtualHosts[i].Routes) {
			return false
		}
	}
	return true
}

// sameSlice tells whether two slices are the same memory, or both empty.
func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
