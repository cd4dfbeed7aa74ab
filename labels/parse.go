package labels

import (
	"cmp"
	"fmt"
	"maps"
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
		spec:     initialSpec,
		services: map[string]*draft{},
	}
	own := p.own(all)
	for _, l := range own {
		p.read(l)
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
	given     []label // its known keys; lower is the name without the service
	joins     bool    // its cluster is given, well or not
}

// parser is one call of Parse.
type parser struct {
	prefix   string
	spec     Spec
	problems []Problem
	services map[string]*draft
}

// own picks the labels under the prefix, sorted. Of keys that differ only in
// case, the one in lower case counts.
func (p *parser) own(all map[string]string) []label {
	var own []label
	n := len(p.prefix)
	for key, value := range all {
		if len(key) > n && key[n] == '.' && strings.EqualFold(key[:n], p.prefix) {
			own = append(own, label{key: key, lower: strings.ToLower(key[n+1:]), value: strings.TrimSpace(value)})
		}
	}
	slices.SortFunc(own, func(a, b label) int {
		// In ASCII lower case comes after upper case.
		return cmp.Or(strings.Compare(a.lower, b.lower), strings.Compare(b.key, a.key))
	})
	p.spec.Managed = len(own) > 0
	kept := own[:0]
	for _, l := range own {
		if n := len(kept); n > 0 && kept[n-1].lower == l.lower {
			p.problem(Warning, "", l, sameKey(kept[n-1]))
			continue
		}
		kept = append(kept, l)
	}
	return kept
}

func sameKey(first label) fault {
	return fault{reason: "is the same key as " + first.key + ", which counts"}
}

// problem notes what is wrong with a label. An empty service is the whole
// container.
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

// read reads one label.
func (p *parser) read(l label) {
	service, name, of := defaultService, l.lower, ""
	if l.lower == "svc" || strings.HasPrefix(l.lower, "svc.") {
		var f *fault
		if service, name, f = p.splitService(l.lower); f != nil {
			p.problem(Warning, "", l, *f)
			return
		}
		of = service
	}
	k, tail := lookup(name)
	switch {
	case k == nil:
		p.problem(Warning, of, l, p.unknown(service, name))
	case k.planned():
		p.problem(Warning, of, l, fault{reason: "this version does not support it yet; it has no effect"})
	case k.whole != nil:
		p.readWhole(k, of, l)
	default:
		p.readService(k, p.service(service), label{key: l.key, lower: name, value: l.value}, tail)
	}
}

// splitService takes svc.<service>.<name> apart.
func (p *parser) splitService(key string) (service, name string, f *fault) {
	service, name, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(key, "svc"), "."), ".")
	switch {
	case service == "":
		return "", "", &fault{"names no service", "write " + p.prefix + ".svc.<name>.<key>"}
	case strings.Trim(service, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "":
		return "", "", &fault{reason: quote(service) + " is not a name for a service: a to z, 0 to 9, _ and - are allowed"}
	case !ok || name == "":
		return "", "", &fault{"names a service, but none of its keys", "did you mean " + clip(p.full(service, "cluster")) + "?"}
	}
	return service, name, nil
}

// unknown is the fault of a key that the schema does not have.
func (p *parser) unknown(service, name string) fault {
	f := fault{reason: "is not a known label"}
	if s := suggest(name); s != "" {
		f.hint = "did you mean " + p.full(service, s) + "?"
		return f
	}
	// lb.service.web.port and the like.
	if family, rest, ok := strings.Cut(name, "."); ok && service == defaultService {
		if nearest(family, []string{"svc", "service", "services"}) != "" && strings.Contains(rest, ".") {
			f.hint = "did you mean " + clip(p.prefix+".svc."+rest) + "?"
		}
	}
	return f
}

// readWhole reads a key of the whole container.
func (p *parser) readWhole(k *key, of string, l label) {
	var fs []fault
	switch {
	case of != "":
		fs = withHint(faultf("speaks of the whole container, not of a service"), "write %s", p.full(defaultService, k.name))
	case l.value == "":
		fs = faultf("is empty")
	default:
		fs = k.whole(&p.spec, l.value)
	}
	for _, f := range fs {
		p.problem(Quarantined, "", l, f)
	}
}

// service finds or begins a service.
func (p *parser) service(name string) *draft {
	d := p.services[name]
	if d == nil {
		d = &draft{Service: initialService, routeKeys: initialRoute}
		d.Name = name
		p.services[name] = d
	}
	return d
}

// readService reads a key of a service.
func (p *parser) readService(k *key, d *draft, l label, tail string) {
	// lb.port and lb.svc.default.port are the same key.
	if i := slices.IndexFunc(d.given, func(g label) bool { return g.lower == l.lower }); i >= 0 {
		p.problem(Warning, d.Name, l, sameKey(d.given[i]))
		return
	}
	d.given = append(d.given, l)
	d.joins = d.joins || k.name == "cluster"
	for _, f := range d.set(k, tail, l.value) {
		if k.scope == ScopeContainer {
			p.problem(Quarantined, "", l, f)
		} else {
			p.problem(Skipped, d.Name, l, f)
		}
	}
}

// set reads one value.
func (d *draft) set(k *key, tail, value string) []fault {
	if value == "" && !k.emptyOK {
		d.routeKeys.missing(k)
		return faultf("is empty")
	}
	switch {
	case k.service != nil:
		return k.service(&d.Service, value)
	case k.route != nil:
		return k.route(&d.routeKeys, tail, value)
	}
	apply, fs := k.cluster(value)
	if fs == nil {
		d.Settings = append(d.Settings, Setting{Key: k.name, Text: value, apply: apply})
	}
	return fs
}

// finish makes the services of the drafts, and says which join nothing.
func (p *parser) finish(own []label) {
	names := slices.Sorted(maps.Keys(p.services))
	joins := slices.ContainsFunc(names, func(n string) bool { return p.services[n].joins })
	for _, name := range names {
		d := p.services[name]
		if !d.joins {
			p.idleService(d, joins)
			continue
		}
		for _, l := range d.given {
			if f, idle := d.routeKeys.idle(l.lower, func(name string) string { return p.full(d.Name, name) }); idle {
				p.problem(Warning, d.Name, l, f)
			}
		}
		if d.Cluster == "" {
			continue // quarantined
		}
		d.Routes = d.routeKeys.routes()
		slices.SortFunc(d.Settings, func(a, b Setting) int { return strings.Compare(a.Key, b.Key) })
		p.spec.Services = append(p.spec.Services, d.Service)
	}

	justOut := len(own) == 1 && own[0].lower == "enable" && !p.spec.Enabled
	if len(own) > 0 && !joins && !justOut && onlyDefault(names) {
		p.problem(Warning, "", label{key: p.full(defaultService, "cluster")},
			fault{reason: "nothing joins: " + p.full(defaultService, "cluster") + " is missing"})
	}
}

func onlyDefault(names []string) bool {
	return len(names) == 0 || len(names) == 1 && names[0] == defaultService
}

// idleService says that a service has no cluster, where that is not said of
// the whole container.
func (p *parser) idleService(d *draft, othersJoin bool) {
	var keys []string
	for _, l := range d.given {
		keys = append(keys, l.key)
	}
	l := label{key: p.full(d.Name, "cluster")}
	switch {
	case d.Name != defaultService:
		p.problem(Warning, d.Name, l, fault{
			fmt.Sprintf("service %q joins nothing: %s is missing, and %s does not speak of it", clip(d.Name), clip(l.key), p.full(defaultService, "cluster")),
			"it is needed for " + clip(strings.Join(keys, ", "))})
	case othersJoin:
		p.problem(Warning, d.Name, l, fault{
			clip(strings.Join(keys, ", ")) + " without effect: " + l.key + " is missing, and no other service has them from here",
			"write them for each service: " + p.full("<name>", d.given[0].lower)})
	}
}
