package labels

import (
	"fmt"
	"slices"
	"strings"
)

// defaultService is the name of the service that the short form speaks of.
const defaultService = "default"

// Parse reads the labels under the prefix ("lb") out of all labels of a
// container. Equal inputs give equal outputs: problems come in the order of
// the labels. It keeps no reference to the map.
func Parse(prefix string, all map[string]string) (Spec, []Problem) {
	p := parser{
		prefix:   strings.ToLower(strings.TrimSuffix(prefix, ".")),
		services: map[string]*draft{},
	}
	own := p.own(all)
	for i := range schema {
		if k := &schema[i]; k.whole != nil && k.initial != "" {
			k.whole(&p.spec, k.initial)
		}
	}
	for _, l := range own {
		p.label(l)
	}
	p.finish(own)
	return p.spec, p.problems
}

// label is one label of ours.
type label struct {
	key   string // as the user wrote it
	lower string // lower case, without the prefix
	value string // trimmed
}

// draft is a service while its labels are read.
type draft struct {
	Service
	routeKeys routeKeys
	given     []label // all keys of the service that are known
	seen      map[string]string
	cluster   bool // lb.cluster was given, well or not
}

type parser struct {
	prefix   string
	spec     Spec
	problems []Problem
	services map[string]*draft
}

// own picks the labels under the prefix, sorted. Where two keys differ only in
// case the one in lower case comes first, and wins.
func (p *parser) own(all map[string]string) []label {
	var own []label
	n := len(p.prefix)
	for key, value := range all {
		if len(key) > n && key[n] == '.' && strings.EqualFold(key[:n], p.prefix) {
			own = append(own, label{key: key, lower: strings.ToLower(key[n+1:]), value: strings.TrimSpace(value)})
		}
	}
	slices.SortFunc(own, func(a, b label) int {
		if c := strings.Compare(a.lower, b.lower); c != 0 {
			return c
		}
		// Lower case sorts after upper case.
		return strings.Compare(b.key, a.key)
	})
	p.spec.Managed = len(own) > 0
	return own
}

func (p *parser) problem(s Severity, service string, l label, f fault) {
	p.problems = append(p.problems, Problem{Severity: s, Service: service, Label: clip(l.key), Value: clip(l.value), Reason: f.reason, Hint: f.hint})
}

// full is a key as a user writes it.
func (p *parser) full(service, name string) string {
	if service == defaultService {
		return p.prefix + "." + name
	}
	return p.prefix + ".svc." + service + "." + name
}

// service finds or begins a service.
func (p *parser) service(name string) *draft {
	d := p.services[name]
	if d == nil {
		d = &draft{Service: Service{Name: name}, seen: map[string]string{}}
		for i := range schema {
			k := &schema[i]
			if k.initial == "" {
				continue
			}
			if k.service != nil {
				k.service(&d.Service, k.initial)
			}
			if k.route != nil {
				k.route(&d.routeKeys, "", k.initial)
			}
		}
		p.services[name] = d
	}
	return d
}

// label reads one label.
func (p *parser) label(l label) {
	service, name := defaultService, l.lower
	if rest, ok := strings.CutPrefix(l.lower, "svc."); ok || l.lower == "svc" {
		var f *fault
		if service, name, f = splitService(p.prefix, rest); f != nil {
			p.problem(Warning, "", l, *f)
			return
		}
	}
	k, tail := lookup(name)
	if k == nil {
		p.problem(Warning, serviceOf(service), l, p.unknown(service, name))
		return
	}
	if k.planned() {
		p.problem(Warning, serviceOf(service), l, fault{reason: "this version does not support it yet"})
		return
	}
	if k.whole != nil {
		p.whole(k, service, l)
		return
	}
	d := p.service(service)
	if first, ok := d.seen[name]; ok {
		p.problem(Warning, serviceOf(service), l, fault{reason: "is the same key as " + first + ", which counts"})
		return
	}
	d.seen[name] = l.key
	d.given = append(d.given, l)
	d.cluster = d.cluster || k.name == "cluster"
	fs := d.set(k, tail, l.value)
	for _, f := range fs {
		// A bad value of a container key keeps the whole container out.
		if k.scope == ScopeContainer {
			p.problem(Quarantined, "", l, f)
		} else {
			p.problem(Skipped, service, l, f)
		}
	}
}

// whole reads a key of the whole container.
func (p *parser) whole(k *key, service string, l label) {
	if service != defaultService {
		p.problem(Quarantined, "", l, fault{"speaks of the whole container, not of one service", "write " + p.full(defaultService, k.name)})
		return
	}
	if l.value == "" {
		p.problem(Quarantined, "", l, fault{reason: "is empty"})
		return
	}
	for _, f := range k.whole(&p.spec, l.value) {
		p.problem(Quarantined, "", l, f)
	}
}

// set reads one value into the service.
func (d *draft) set(k *key, tail, value string) []fault {
	if value == "" && !k.emptyOK {
		return d.empty(k)
	}
	switch {
	case k.service != nil:
		return k.service(&d.Service, value)
	case k.route != nil:
		return k.route(&d.routeKeys, tail, value)
	default:
		apply, fs := k.cluster(value)
		if fs == nil {
			d.Settings = append(d.Settings, Setting{Key: k.name, Text: value, apply: apply})
		}
		return fs
	}
}

func splitService(prefix, rest string) (service, name string, f *fault) {
	service, name, ok := strings.Cut(rest, ".")
	switch {
	case service == "":
		return "", "", &fault{"the service has no name", "write " + prefix + ".svc.<name>.<key>"}
	case !ok || name == "":
		return "", "", &fault{"names a service and no key", "did you mean " + prefix + ".svc." + clip(service) + ".cluster?"}
	}
	return service, name, nil
}

// serviceOf is how a Problem names the service.
func serviceOf(name string) string { return name }

func (p *parser) unknown(service, name string) fault {
	f := fault{reason: "is not a known label"}
	if s := suggest(name); s != "" {
		f.hint = "did you mean " + p.full(service, s) + "?"
	}
	return f
}

func (p *parser) finish(own []label) {
	_ = own
	names := make([]string, 0, len(p.services))
	for name := range p.services {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		d := p.services[name]
		if d.Cluster == "" {
			continue
		}
		d.Routes = d.routeKeys.routes()
		slices.SortFunc(d.Settings, func(a, b Setting) int { return strings.Compare(a.Key, b.Key) })
		p.spec.Services = append(p.spec.Services, d.Service)
	}
}

func (d *draft) empty(k *key) []fault {
	return []fault{{reason: fmt.Sprintf("%s is empty", k.name)}}
}

func parseCluster(v string) (string, []fault) { return parseName(v) }

func parseScheme(v string) (Scheme, []fault) {
	w, fs := parseWord(v, "http", "https", "h2c", "grpc", "tcp")
	if fs == nil && w != "http" {
		fs = faultf("this version does not speak %s to endpoints yet", w)
	}
	return Scheme(w), fs
}
