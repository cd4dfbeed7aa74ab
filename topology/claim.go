package topology

import (
	"cmp"
	"slices"
	"strings"

	"github.com/dockerlb/dockerlb/labels"
)

// claim is a route that a member asks for, before it is settled who gets it.
type claim struct {
	key      string // Route.Key
	listener string
	domain   string
	match    Match
	rewrite  Rewrite
}

// anyDomain is where a route without lb.host stands.
const anyDomain = "*"

// claimsOf is one claim for each host that the route names.
func claimsOf(listener string, r *labels.Route) []claim {
	hosts := r.Hosts
	if len(hosts) == 0 {
		hosts = []string{anyDomain}
	}
	claims := make([]claim, 0, len(hosts))
	for _, host := range hosts {
		c := claim{listener: listener, domain: host, match: matchOf(r), rewrite: rewriteOf(r)}
		c.key = routeKey(listener, host, &c.match)
		claims = append(claims, c)
	}
	return claims
}

func matchOf(r *labels.Route) Match {
	m := Match{Path: PathSpec{Kind: PathSegmentPrefix, Text: r.Path.Text}}
	switch r.Path.Kind {
	case labels.PathExact:
		m.Path.Kind = PathExact
	case labels.PathRegex:
		m.Path.Kind = PathRegex
	default:
		if m.Path.Text == "" {
			m.Path.Text = "/"
		}
	}
	for _, h := range r.Headers {
		kind := StringExact
		if h.Regex {
			kind = StringRegex
		}
		m.Headers = append(m.Headers, HeaderMatcher{Name: h.Name, Kind: kind, Text: h.Text})
	}
	return m
}

// routeKey names a route by what it means: `default api.example.com prefix
// /v1 x-env=canary`. Equal routes have equal keys.
func routeKey(listener, domain string, m *Match) string {
	var b strings.Builder
	b.WriteString(listener)
	b.WriteByte(' ')
	b.WriteString(domain)
	switch m.Path.Kind {
	case PathExact:
		b.WriteString(" exact ")
	case PathRegex:
		b.WriteString(" regex ")
	default:
		b.WriteString(" prefix ")
	}
	b.WriteString(m.Path.Text)
	for _, h := range m.Headers {
		b.WriteByte(' ')
		b.WriteString(h.Name)
		if h.Kind == StringRegex {
			b.WriteByte('~')
		}
		b.WriteByte('=')
		b.WriteString(h.Text)
	}
	return b.String()
}

// compareRoutes is the order of label routes in a virtual host: exact before
// regex before prefix, longer before shorter, more conditions before fewer.
func compareRoutes(a, b *Route) int {
	return cmp.Or(
		cmp.Compare(pathRank(a.Match.Path.Kind), pathRank(b.Match.Path.Kind)),
		cmp.Compare(len(b.Match.Path.Text), len(a.Match.Path.Text)),
		cmp.Compare(len(b.Match.Headers), len(a.Match.Headers)),
		cmp.Compare(a.Key, b.Key),
	)
}

func pathRank(k PathKind) int {
	switch k {
	case PathExact:
		return 0
	case PathRegex:
		return 1
	}
	return 2
}

// defaultListener is the one of --listen.
const defaultListener = "default"

// listenerNames are the listeners that labels may name.
type listenerNames struct {
	known []string // sorted
	alias map[string]string
}

// find returns the listener's own name: a flag's listener may have been
// replaced by one of the file.
func (n *listenerNames) find(name string) (string, bool) {
	if to, ok := n.alias[name]; ok {
		return to, true
	}
	_, ok := slices.BinarySearch(n.known, name)
	return name, ok
}

func (n listenerNames) String() string { return nameOr(strings.Join(n.known, ", "), "none") }

// joinListeners is the file's listeners, and those of the flags that the file
// does not replace: by name, or by listening on the same address. Sorted by
// name. Where no flag gives the default listener, it is the file's first.
func joinListeners(s *Static, d *Defaults) ([]Listener, listenerNames) {
	all := slices.Clone(s.Listeners)
	n := listenerNames{alias: map[string]string{}}
	for _, l := range d.Listeners {
		if i := slices.IndexFunc(s.Listeners, func(f Listener) bool { return f.Name == l.Name || sameAddress(f, l) }); i >= 0 {
			if s.Listeners[i].Name != l.Name {
				n.alias[l.Name] = s.Listeners[i].Name
			}
			continue
		}
		all = append(all, l)
	}
	if len(s.Listeners) > 0 && !slices.ContainsFunc(slices.Concat(all, d.Listeners), func(l Listener) bool { return l.Name == defaultListener }) {
		n.alias[defaultListener] = s.Listeners[0].Name
	}
	slices.SortStableFunc(all, func(a, b Listener) int { return cmp.Compare(a.Name, b.Name) })
	for _, l := range all {
		n.known = append(n.known, l.Name)
	}
	return all, n
}

// sameAddress reports whether only one of the two can be opened.
func sameAddress(a, b Listener) bool {
	x, y := a.Address, b.Address
	if x.Port() != y.Port() || x.Port() == 0 {
		return false
	}
	return x.Addr() == y.Addr() || x.Addr().IsUnspecified() || y.Addr().IsUnspecified()
}
