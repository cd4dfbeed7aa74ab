package router

import (
	"slices"
	"strings"
)

// domains finds virtual hosts by the name that a request asks for. Each table
// holds indices of Router.hosts.
type domains struct {
	exact            map[string]int
	suffixes, prefix wildcards
	any              int
	// ofFile and ofLabels tell whether there are exact domains of each kind: a
	// name that none of them can have is not looked up.
	ofFile, ofLabels bool
}

// wildcards are domains with a star at one end, keyed by what is left of them.
type wildcards struct {
	hosts   map[string]int
	lengths []wildcardLength // longest first
}

// wildcardLength is a length of which there are wildcards. Where all of them
// meet their star at a dot, as nearly all do, a look at one byte of the name
// tells that none can match.
type wildcardLength struct {
	n      int
	dotted bool
}

func newDomains(size int) domains {
	return domains{exact: make(map[string]int, size), any: none}
}

// add enters a domain; no domain comes twice (config and Build see to that).
func (d *domains) add(domain string, host int, ofLabels bool) {
	switch {
	case domain == "*":
		d.any = host
	case strings.HasPrefix(domain, "*"):
		d.suffixes.add(domain[1:], domain[1] == '.', host)
	case strings.HasSuffix(domain, "*"):
		d.prefix.add(domain[:len(domain)-1], domain[len(domain)-2] == '.', host)
	default:
		d.exact[domain] = host
		d.ofFile, d.ofLabels = d.ofFile || !ofLabels, d.ofLabels || ofLabels
	}
}

func (w *wildcards) add(part string, dotted bool, host int) {
	if w.hosts == nil {
		w.hosts = map[string]int{}
	}
	w.hosts[part] = host
	for i := range w.lengths {
		if w.lengths[i].n == len(part) {
			w.lengths[i].dotted = w.lengths[i].dotted && dotted
			return
		}
	}
	w.lengths = append(w.lengths, wildcardLength{len(part), dotted})
}

// seal ends the adding.
func (d *domains) seal() {
	longestFirst := func(a, b wildcardLength) int { return b.n - a.n }
	slices.SortFunc(d.suffixes.lengths, longestFirst)
	slices.SortFunc(d.prefix.lengths, longestFirst)
}

// suffix finds the wildcard of that length that ends name. "A wildcard never
// matches the empty string."
func (w *wildcards) suffix(name string, l wildcardLength) int {
	at := len(name) - l.n
	if at <= 0 || l.dotted && name[at] != '.' {
		return none
	}
	return find(w.hosts, name[at:])
}

// prefix finds the wildcard of that length that begins name.
func (w *wildcards) prefix(name string, l wildcardLength) int {
	if l.n >= len(name) || l.dotted && name[l.n-1] != '.' {
		return none
	}
	return find(w.hosts, name[:l.n])
}

func find(hosts map[string]int, name string) int {
	if i, ok := hosts[name]; ok {
		return i
	}
	return none
}

// The search by domain. Where a request's name reads differently for the
// virtual hosts of the file and for those of labels (see names), each kind is
// asked for its own reading, and at equal length the file comes first.

func (s *search) exact(d *domains, n names) bool {
	if !n.differ() {
		return s.try(find(d.exact, n.file), n, false)
	}
	return d.ofFile && s.try(find(d.exact, n.file), n, false) ||
		d.ofLabels && s.try(find(d.exact, n.labels), n, true)
}

func (s *search) suffix(d *domains, n names) bool {
	for _, l := range d.suffixes.lengths {
		if s.try(d.suffixes.suffix(n.file, l), n, false) {
			return true
		}
		if n.differ() && s.try(d.suffixes.suffix(n.labels, l), n, true) {
			return true
		}
	}
	return false
}

func (s *search) prefix(d *domains, n names) bool {
	for _, l := range d.prefix.lengths {
		if s.try(d.prefix.prefix(n.file, l), n, false) {
			return true
		}
		if n.differ() && s.try(d.prefix.prefix(n.labels, l), n, true) {
			return true
		}
	}
	return false
}

// try is in, for a virtual host that was found by one of the names.
func (s *search) try(host int, n names, byLabelsName bool) bool {
	if host == none || n.differ() && s.r.hosts[host].fallThrough != byLabelsName {
		return false
	}
	return s.in(host)
}
