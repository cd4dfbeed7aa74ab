// Package router finds the route of a request: a listener's virtual hosts and
// routes, compiled once per table, matched without a lock and without
// allocation.
//
// The order is Envoy's: exact domain, then suffix wildcards, longest first,
// then prefix wildcards, longest first, then "*"; inside a virtual host the
// first route that matches. A virtual host with FallThrough goes on with the
// next less specific domain.
//
// What a match costs does not grow with the number of routes: domains are
// found by hash, paths by a radix tree that is searched for the first route
// in order. Only routes on a regular expression or without regard to case are
// tried one by one.
package router

import (
	"fmt"
	"strings"

	"github.com/dockerlb/dockerlb/topology"
)

// Request is what a match looks at. The proxy's exchange implements it over
// the bytes of the request's head; the strings are valid for the call only.
type Request interface {
	Host() string   // of Host or :authority, lower case, with its port if there is one
	Path() string   // without the query
	Query() string  // without the question mark
	Method() string //
	// Header returns the field's value, several of them joined by a comma.
	// It is asked for pseudo headers too: ":path" (the target with its query)
	// may be answered here to save it from being joined, ":scheme" only here.
	Header(lowerName string) (value string, ok bool)
}

// Router is a listener's routes, compiled. It is immutable: any number of
// goroutines may use it.
type Router struct {
	routes   []*topology.Route
	matchers []matcher // of routes
	hosts    []virtualHost
	domains  domains
	naming   naming
}

// virtualHost is a topology.VirtualHost, compiled: the routes first to end-1.
type virtualHost struct {
	first, end  int
	paths       *pathIndex // nil where there are too few routes to need one
	fallThrough bool       // also: a virtual host of labels, with their reading of a name
	// catchAll: the first route takes every path that begins with a slash, as
	// that of a container with a host alone does. It spares a match the look
	// at the route itself, which among thousands is not in the cache.
	catchAll bool
}

// indexedFrom is the number of routes in a virtual host from which an index
// is cheaper than trying them.
const indexedFrom = 4

// Compile compiles a listener's routes, and keeps pointers to them: l is not
// to be written any more. A route that does not compile (a bad regular
// expression) is an error that names it: config and labels have checked them
// before.
func Compile(l *topology.Listener) (*Router, error) {
	var routes, names int
	for i := range l.VirtualHosts {
		routes += len(l.VirtualHosts[i].Routes)
		names += len(l.VirtualHosts[i].Domains)
	}
	r := &Router{
		routes:   make([]*topology.Route, 0, routes),
		matchers: make([]matcher, 0, routes),
		hosts:    make([]virtualHost, 0, len(l.VirtualHosts)),
		domains:  newDomains(names),
		naming:   newNaming(l),
	}
	for i := range l.VirtualHosts {
		if err := r.add(&l.VirtualHosts[i]); err != nil {
			return nil, fmt.Errorf("listener %q: %w", l.Name, err)
		}
	}
	r.domains.seal()
	return r, nil
}

func (r *Router) add(vh *topology.VirtualHost) error {
	for _, d := range vh.Domains {
		r.domains.add(d, len(r.hosts), vh.FallThrough)
	}
	h := virtualHost{first: len(r.routes), fallThrough: vh.FallThrough}
	for i := range vh.Routes {
		route := &vh.Routes[i]
		m, err := compileMatch(&route.Match)
		if err != nil {
			return fmt.Errorf("virtual host %q: route %d %q: %w", vh.Name, i, route.Key, err)
		}
		r.routes = append(r.routes, route)
		r.matchers = append(r.matchers, m)
	}
	h.end = len(r.routes)
	h.catchAll = h.first < h.end && r.matchers[h.first].takesAll()
	if h.end-h.first >= indexedFrom {
		h.paths = newPathIndex(r.matchers, h.first, h.end)
	}
	r.hosts = append(r.hosts, h)
	return nil
}

// Routes are all routes of the listener, in the order of the table.
func (r *Router) Routes() []*topology.Route { return r.routes }

// Match returns the index of the request's route in Routes, or -1. It
// allocates nothing (but see matcher.rest for two rare exceptions).
func (r *Router) Match(q Request) int {
	n := r.naming.names(q.Host())
	s := search{r: r, q: q, path: q.Path(), route: none}
	d := &r.domains
	if s.exact(d, n) || s.suffix(d, n) || s.prefix(d, n) {
		return s.route
	}
	if d.any != none {
		s.in(d.any)
	}
	return s.route
}

// none stands for no route and no virtual host.
const none = -1

// search is one Match on its way from the most specific domain to the least.
// Its methods report whether it has ended.
type search struct {
	r     *Router
	q     Request
	path  string
	route int
}

// in tries a virtual host. The search ends with a route, or where the virtual
// host does not let it go on (Envoy: "no fall-through").
func (s *search) in(host int) bool {
	h := &s.r.hosts[host]
	switch {
	case h.catchAll && strings.HasPrefix(s.path, "/"):
		s.route = h.first
	case h.paths != nil:
		s.route = h.paths.first(s.q, s.path, s.r.matchers)
	default:
		for i := h.first; i < h.end; i++ {
			if s.r.matchers[i].matches(s.q, s.path) {
				s.route = i
				break
			}
		}
	}
	return s.route != none || !h.fallThrough
}
