// Package router finds the route of a request: a listener's virtual hosts and
// routes, compiled once per table, matched without a lock and without
// allocation.
//
// The order is Envoy's: exact domain, then suffix wildcards, longest first,
// then prefix wildcards, longest first, then "*"; inside a virtual host the
// first route that matches. A virtual host with FallThrough goes on with the
// next less specific domain.
package router

import "github.com/dockerlb/dockerlb/topology"

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
}

// Compile compiles a listener's routes. A route that does not compile (a bad
// regular expression) is an error that names it: config and labels have
// checked them before.
func Compile(l *topology.Listener) (*Router, error) {
	panic("not built")
}

// Match returns the index of the request's route in Routes, or -1.
func (r *Router) Match(q Request) int {
	panic("not built")
}

// Routes are all routes of the listener, in the order of the table.
func (r *Router) Routes() []*topology.Route { return r.routes }
