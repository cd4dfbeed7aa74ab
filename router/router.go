// Package router finds the route of a request: a listener's virtual hosts and
// routes, compiled once per table, matched without a lock and without
// allocation.
//
// The order is Envoy's: exact domain, then suffix wildcards, longest first,
// then prefix wildcards, longest first, then "*"; inside a virtual host the
// first route that matches. A virtual host with FallThrough goes on with the
// next less specific domain.
package router

import (
	"fmt"
	"slices"
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
	Header(lowerName string) (value string, ok bool)
}

// Router is a listener's routes, compiled. It is immutable.
type Router struct {
	routes []*topology.Route
	hosts  []host
	http   topology.HTTPOptions
	exact  map[string]int32
	suffix map[string]int32 // without the star
	prefix map[string]int32 // without the star
	any    int32            // -1: none
	// The lengths of the wildcards, longest first.
	suffixLens, prefixLens []int
}

// host is a virtual host, compiled.
type host struct {
	first       int // index of its first route
	matchers    []matcher
	fallThrough bool
}

// Compile compiles a listener's routes. A route that does not compile (a bad
// regular expression) is an error that names it: config and labels have
// checked them before.
func Compile(l *topology.Listener) (*Router, error) {
	r := &Router{http: l.HTTP, any: -1, exact: map[string]int32{}, suffix: map[string]int32{}, prefix: map[string]int32{}}
	for i := range l.VirtualHosts {
		vh := &l.VirtualHosts[i]
		h := host{first: len(r.routes), fallThrough: vh.FallThrough}
		for j := range vh.Routes {
			route := &vh.Routes[j]
			m, err := compileMatch(&route.Match)
			if err != nil {
				return nil, fmt.Errorf("listener %s: virtual host %s: route %s: %w", l.Name, vh.Name, route.Key, err)
			}
			h.matchers = append(h.matchers, m)
			r.routes = append(r.routes, route)
		}
		r.hosts = append(r.hosts, h)
		for _, d := range vh.Domains {
			r.addDomain(d, int32(i))
		}
	}
	r.suffixLens, r.prefixLens = lengths(r.suffix), lengths(r.prefix)
	return r, nil
}

func (r *Router) addDomain(d string, i int32) {
	switch {
	case d == "*":
		r.any = i
	case strings.HasPrefix(d, "*"):
		r.suffix[d[1:]] = i
	case strings.HasSuffix(d, "*"):
		r.prefix[d[:len(d)-1]] = i
	default:
		r.exact[d] = i
	}
}

func lengths(m map[string]int32) []int {
	var ls []int
	for s := range m {
		if !slices.Contains(ls, len(s)) {
			ls = append(ls, len(s))
		}
	}
	slices.Sort(ls)
	slices.Reverse(ls)
	return ls
}

// Match returns the index of the request's route in Routes, or -1.
func (r *Router) Match(q Request) int {
	name := q.Host()
	if n := portAt(name); n >= 0 {
		name = name[:n]
	}
	if i, ok := r.exact[name]; ok {
		if n, done := r.in(i, q); done {
			return n
		}
	}
	for _, n := range r.suffixLens {
		if n < len(name) {
			if i, ok := r.suffix[name[len(name)-n:]]; ok {
				if n, done := r.in(i, q); done {
					return n
				}
			}
		}
	}
	for _, n := range r.prefixLens {
		if n < len(name) {
			if i, ok := r.prefix[name[:n]]; ok {
				if n, done := r.in(i, q); done {
					return n
				}
			}
		}
	}
	if r.any >= 0 {
		n, _ := r.in(r.any, q)
		return n
	}
	return -1
}

// in matches inside a virtual host; done is false where the search goes on.
func (r *Router) in(i int32, q Request) (n int, done bool) {
	h := &r.hosts[i]
	path := q.Path()
	for j := range h.matchers {
		if h.matchers[j].matches(q, path) {
			return h.first + j, true
		}
	}
	return -1, !h.fallThrough
}

// portAt is where the port of a Host begins, or -1.
func portAt(host string) int {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.IndexByte(host[i:], ']') >= 0 {
		return -1
	}
	return i
}

// Routes are all routes of the listener, in the order of the table.
func (r *Router) Routes() []*topology.Route { return r.routes }
