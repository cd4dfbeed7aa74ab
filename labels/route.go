package labels

import (
	"slices"
	"strings"
)

// routeKeys collects the route keys of one service.
//
// A route never becomes wider than it was meant: where a key that narrows it
// (host, path, header, listener) has no good value left, the route is not
// asked for at all. The good values of other members still count, since a
// cluster's routes are the union of what its members ask for.
type routeKeys struct {
	listeners []string
	hosts     []string
	paths     []PathMatch
	headers   []HeaderMatch
	strip     bool
	rewrite   string

	noListener, noHost, badPath, badHeader bool
}

func (r *routeKeys) setListeners(v string) []fault {
	names, fs := parseList(v)
	r.listeners = nil
	for _, n := range names {
		n, more := parseName(n)
		if more != nil {
			fs = append(fs, more...)
			continue
		}
		r.listeners = append(r.listeners, n)
	}
	slices.Sort(r.listeners)
	r.noListener = len(r.listeners) == 0
	return fs
}

func (r *routeKeys) setHosts(v string) []fault {
	items, fs := parseList(v)
	anyHost := false
	for _, item := range items {
		host, more := parseHost(item)
		switch {
		case more != nil:
			fs = append(fs, more...)
		case host == "*":
			anyHost = true
		default:
			r.hosts = append(r.hosts, host)
		}
	}
	r.noHost = len(r.hosts) == 0 && !anyHost
	if anyHost {
		r.hosts = nil
	}
	slices.Sort(r.hosts)
	r.hosts = slices.Compact(r.hosts)
	return fs
}

func (r *routeKeys) addPath(kind PathKind, v string) []fault {
	parse := parsePath
	if kind == PathRegex {
		parse = parseRegex
	}
	text, fs := parse(v)
	if fs != nil {
		r.badPath = true
		return fs
	}
	if kind == PathPrefix {
		// On segment borders /api/ says no more than /api.
		if text = strings.TrimRight(text, "/"); text == "" {
			text = "/"
		}
	}
	r.paths = append(r.paths, PathMatch{Kind: kind, Text: text})
	return nil
}

func (r *routeKeys) addHeader(name, v string) []fault {
	name, fs := parseToken("header name", name)
	h := HeaderMatch{Name: name, Text: v}
	if fs == nil {
		if h.Text, h.Regex = strings.CutPrefix(v, "~"); h.Regex {
			if h.Text = strings.TrimSpace(h.Text); h.Text == "" {
				fs = faultf("has no expression after the ~")
			} else {
				h.Text, fs = parseRegex(h.Text)
			}
		}
	}
	if fs != nil {
		r.badHeader = true
		return fs
	}
	r.headers = append(r.headers, h)
	return nil
}

// routes are those that the service asks for.
func (r *routeKeys) routes() []Route {
	if r.noListener || r.noHost || r.badHeader || r.badPath && len(r.paths) == 0 {
		return nil
	}
	paths := r.paths
	if len(paths) == 0 {
		paths = []PathMatch{{Kind: PathPrefix, Text: "/"}}
	}
	routes := make([]Route, 0, len(paths))
	for _, p := range paths {
		route := Route{Listeners: r.listeners, Hosts: r.hosts, Path: p, Headers: r.headers}
		if p.Kind != PathRegex {
			route.Strip, route.Rewrite = r.strip && r.rewrite == "", r.rewrite
		}
		routes = append(routes, route)
	}
	return routes
}

// missing notes that a key was given without a value.
func (r *routeKeys) missing(k *key) {
	switch k.name {
	case "listener":
		r.noListener = true
	case "host":
		r.noHost = true
	case "path", "path.exact", "path.regex":
		r.badPath = true
	case "header.<name>":
		r.badHeader = true
	}
}

// idle says whether a key that was given does nothing, and why; full spells a
// key.
func (r *routeKeys) idle(name string, full func(string) string) (fault, bool) {
	switch {
	case name == "strip" && r.strip && r.rewrite != "":
		return fault{reason: "has no effect beside " + full("rewrite")}, true
	case name == "strip" && r.strip && !r.matchesPath(),
		name == "rewrite" && r.rewrite != "" && len(r.paths) > 0 && !r.matchesPath():
		return fault{reason: "has no effect without " + full("path") + " or " + full("path.exact") + ": there is no matched path to take off"}, true
	}
	return fault{}, false
}

// matchesPath reports whether a route has a prefix or a whole path, other than
// "/", that can be taken off.
func (r *routeKeys) matchesPath() bool {
	return r.badPath || slices.ContainsFunc(r.paths, func(p PathMatch) bool { return p.Kind != PathRegex && p.Text != "/" })
}
