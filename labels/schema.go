package labels

import (
	"strings"
	"time"
)

//go:generate go run ./gen -o ../labels.md

// Scope is what a key speaks of.
type Scope byte

const (
	ScopeContainer Scope = 'C' // the container or one of its services; a bad value quarantines it
	ScopeCluster   Scope = 'K' // the cluster's policy; the newest member with a good value wins
	ScopeRoute     Scope = 'R' // a way in; the union of what the members ask for
)

// key is one entry of the schema. Exactly one of the parse functions is set,
// or none where the key is planned: known, and refused as not yet supported.
// They are given a value that is trimmed and not empty (but see emptyOK).
type key struct {
	name    string // without the prefix; a family ends in "<name>"
	scope   Scope
	meaning string // for labels.md
	initial string // the default in the key's own syntax, applied before any label
	shown   string // the default as labels.md puts it, where initial does not say it
	example string // a value that is accepted

	whole   func(*Spec, string) []fault
	service func(*Service, string) []fault
	cluster func(string) (func(*ClusterPolicy), []fault)
	route   func(r *routeKeys, name, value string) []fault

	emptyOK bool
}

func (k *key) planned() bool {
	return k.whole == nil && k.service == nil && k.cluster == nil && k.route == nil
}

// schema is the one table of keys: the parser, the "did you mean", the
// defaults and labels.md come from it. Its order is that of labels.md.
var schema = []key{
	// Joining.
	{name: "cluster", scope: ScopeContainer, example: "rust_daemons",
		meaning: "Join this cluster. The one label that a container needs; nothing is exposed without it. Any printable characters but white space and commas; upper and lower case differ.",
		shown:   "none: the container is ignored", service: func(s *Service, v string) (fs []fault) { s.Cluster, fs = parseName(v); return fs }},
	{name: "enable", scope: ScopeContainer, example: "false", initial: "true",
		meaning: "`false` keeps the labels but stays out. Of the whole container.",
		whole:   func(s *Spec, v string) (fs []fault) { s.Enabled, fs = parseBool(v); return fs }},
	{name: "oneoff", scope: ScopeContainer, example: "true", initial: "false",
		meaning: "Let a container of `docker-compose run` join, which is left out otherwise. Of the whole container.",
		whole:   func(s *Spec, v string) (fs []fault) { s.OneOff, fs = parseBool(v); return fs }},
	{name: "instance", scope: ScopeContainer, example: "edge",
		meaning: "The proxy that owns the container, where several run on one host: the one started with `--instance` of that name. Of the whole container.",
		shown:   "any", whole: func(s *Spec, v string) (fs []fault) { s.Instance, fs = parseName(v); return fs }},

	// Where and how it is reached.
	{name: "port", scope: ScopeContainer, example: "8080",
		meaning: "The port inside the container.",
		shown:   "the single exposed TCP port; where none or several are exposed the container is kept out, and told so",
		service: func(s *Service, v string) (fs []fault) { s.Port, fs = parsePort(v); return fs }},
	{name: "network", scope: ScopeContainer, example: "backend",
		meaning: "The network to reach it on: a name as Compose has it, with or without its `<project>_`.",
		shown:   "a network that the proxy shares, as the embedded DNS answers; without DNS the first by name; where none is shared the container is kept out, naming both sides' networks",
		service: func(s *Service, v string) (fs []fault) { s.Network, fs = parseName(v); return fs }},
	{name: "address", scope: ScopeContainer, example: "10.0.0.5:80",
		meaning: "Reach it at this `host[:port]` instead: an address or a name, IPv6 in brackets.",
		shown:   "the container's own", service: func(s *Service, v string) (fs []fault) { s.Address, fs = parseAddress(v); return fs }},
	{name: "scheme", scope: ScopeContainer, example: "http", initial: "http",
		meaning: "What it speaks. This version speaks `http` (HTTP/1.1).",
		service: func(s *Service, v string) (fs []fault) { s.Scheme, fs = parseScheme(v); return fs }},
	{name: "tls.server_name", scope: ScopeContainer},
	{name: "tls.ca", scope: ScopeContainer},
	{name: "tls.insecure", scope: ScopeContainer},
	{name: "weight", scope: ScopeContainer, example: "10", initial: "1",
		meaning: "Its share of the requests, 0 to 1000, against the other members' weights; 0 takes no traffic.",
		service: func(s *Service, v string) (fs []fault) { s.Weight, fs = parseUint(v, 0, 1000); return fs }},
	{name: "tier", scope: ScopeContainer, example: "1", initial: "0",
		meaning: "Failover level, 0 to 127 (Envoy's priority): 0 first, the next where too few of it are ready.",
		service: func(s *Service, v string) (fs []fault) { s.Tier, fs = parseUint(v, 0, 127); return fs }},
	{name: "zone", scope: ScopeContainer, example: "rack1",
		meaning: "Its locality, as lists show it.",
		shown:   "none", service: func(s *Service, v string) (fs []fault) { s.Zone, fs = parseName(v); return fs }},
	{name: "drain", scope: ScopeContainer, example: "30s",
		meaning: "How long upgraded connections (WebSockets) may go on once it is stopping or drained; then they are cut. Requests in flight are not: they end by their own limits, such as `lb.timeout`.",
		shown:   "the container's stop timeout, else `10s`",
		service: func(s *Service, v string) []fault {
			d, fs := parseDuration(v, 0)
			if fs == nil {
				s.Drain = &d
			}
			return fs
		}},
	{name: "ready", scope: ScopeContainer, example: "docker", initial: "auto",
		meaning: "What makes it ready for traffic. `auto`: Docker's health where a HEALTHCHECK is defined, and our probe (HTTP where `lb.health.path` is set, else a TCP connect). `docker`: Docker's health alone. `probe`: our probe alone. `running`: that it runs.",
		service: func(s *Service, v string) []fault {
			w, fs := parseWord(v, string(ReadyAuto), string(ReadyDocker), string(ReadyProbe), string(ReadyRunning))
			s.Ready = Ready(w)
			return fs
		}},

	// Routes.
	{name: "listener", scope: ScopeRoute, example: "default", initial: "default",
		meaning: "The listeners that carry the route, by name, separated by commas. `default` is the one of `--listen`.",
		route:   func(r *routeKeys, _, v string) []fault { return r.setListeners(v) }},
	{name: "host", scope: ScopeRoute, example: "api.example.com",
		meaning: "Host names, separated by commas, without a port; `*.example.com` stands for every name below it, at any depth.",
		shown:   "any", route: func(r *routeKeys, _, v string) []fault { return r.setHosts(v) }},
	{name: "path", scope: ScopeRoute, example: "/api",
		meaning: "A path prefix, on segment borders: `/api` is `/api` and `/api/x`, not `/apix`.",
		shown:   "`/`", route: func(r *routeKeys, _, v string) []fault { return r.addPath(PathPrefix, v) }},
	{name: "path.exact", scope: ScopeRoute, example: "/favicon.ico",
		meaning: "A whole path. Beside `lb.path` it is one more way in.",
		shown:   "none", route: func(r *routeKeys, _, v string) []fault { return r.addPath(PathExact, v) }},
	{name: "path.regex", scope: ScopeRoute, example: "/v[12]/.*",
		meaning: "A regular expression (RE2) that matches the whole path, without its query. Beside `lb.path` it is one more way in.",
		shown:   "none", route: func(r *routeKeys, _, v string) []fault { return r.addPath(PathRegex, v) }},
	{name: "header.<name>", scope: ScopeRoute, example: "canary",
		meaning: "This request header must have the value; a value that begins with `~` is a regular expression (RE2) for all of it. Several such labels must all hold.",
		shown:   "none", route: func(r *routeKeys, name, v string) []fault { return r.addHeader(name, v) }},
	{name: "strip", scope: ScopeRoute, example: "true", initial: "false",
		meaning: "Take the matched `lb.path` off before the request goes on: `/api/x` arrives as `/x`.",
		route:   func(r *routeKeys, _, v string) (fs []fault) { r.strip, fs = parseBool(v); return fs }},
	{name: "rewrite", scope: ScopeRoute, example: "/v2",
		meaning: "Put this in place of the matched `lb.path`: with `/v2`, `/api/x` arrives as `/v2/x`.",
		shown:   "none", route: func(r *routeKeys, _, v string) (fs []fault) { r.rewrite, fs = parsePath(v); return fs }},
	{name: "https_redirect", scope: ScopeRoute},
	{name: "auth.basic_file", scope: ScopeRoute},
	{name: "auth.forward", scope: ScopeRoute},
	{name: "allow", scope: ScopeRoute},
	{name: "rate", scope: ScopeRoute},
	{name: "compress", scope: ScopeRoute},
	{name: "max_body", scope: ScopeRoute},
	{name: "headers.set.<name>", scope: ScopeRoute},
	{name: "headers.del", scope: ScopeRoute},
	{name: "access_log", scope: ScopeRoute},
	{name: "acme", scope: ScopeRoute},

	// Choosing a member.
	{name: "policy", scope: ScopeCluster, example: "least_request", initial: "round_robin",
		meaning: "How a member is chosen: `round_robin`, `least_request` (the less busy of two), `random` (each alike, whatever its weight), `ring_hash`, `maglev`.",
		cluster: wordKey(func(p *ClusterPolicy) *string { return &p.Policy }, "round_robin", "least_request", "random", "ring_hash", "maglev")},
	{name: "hash", scope: ScopeCluster, example: "header:x-user", initial: "source_ip",
		meaning: "What `ring_hash` and `maglev` hash: `source_ip`, `header:<name>`, `cookie:<name>`.",
		cluster: parseHash},
	{name: "sticky", scope: ScopeCluster, example: "lb_id", emptyOK: true,
		meaning: "The name of a cookie that keeps a client with its member; empty is off.",
		shown:   "off", cluster: parseSticky},
	{name: "slow_start", scope: ScopeCluster, example: "20s", initial: "0s",
		meaning: "How long a new member's weight takes to ramp up; `0s` is off.",
		cluster: durationKey(0, func(p *ClusterPolicy) *time.Duration { return &p.SlowStart })},
	{name: "panic", scope: ScopeCluster, example: "50", initial: "0",
		meaning: "With less than this percentage of the members ready, use all of them; `0` is never.",
		cluster: uintKey(0, 100, func(p *ClusterPolicy) *uint32 { return &p.PanicPercent })},

	// Health.
	{name: "health.path", scope: ScopeCluster, example: "/healthz",
		meaning: "Probe with an HTTP request for this path.",
		shown:   "none: a TCP connect", cluster: parseProbePath},
	{name: "health.port", scope: ScopeCluster, example: "8081",
		meaning: "The probe's port.",
		shown:   "that of the traffic", cluster: parseProbePort},
	{name: "health.host", scope: ScopeCluster, example: "probe.internal",
		meaning: "The probe's Host header.",
		shown:   "the member's address", cluster: parseProbeHost},
	{name: "health.method", scope: ScopeCluster, example: "HEAD", initial: "GET",
		meaning: "The probe's method.",
		cluster: parseProbeMethod},
	{name: "health.status", scope: ScopeCluster, example: "200,204", initial: "200-399",
		meaning: "The statuses that mean healthy: codes and ranges, separated by commas.",
		cluster: func(v string) (func(*ClusterPolicy), []fault) {
			r, fs := parseStatuses(v)
			return func(p *ClusterPolicy) { p.HealthStatus = r }, fs
		}},
	{name: "health.interval", scope: ScopeCluster, example: "5s", initial: "2s",
		meaning: "The time between probes of a member that is ready, at least `10ms`; until it is, after 5, 10, 20, 40, then every 100 ms. All members together are probed at most 100 times a second: with thousands of them the time grows.",
		cluster: durationKey(10*time.Millisecond, func(p *ClusterPolicy) *time.Duration { return &p.HealthInterval })},
	{name: "health.timeout", scope: ScopeCluster, example: "500ms", initial: "1s",
		meaning: "How long a probe may take.",
		cluster: durationKey(time.Millisecond, func(p *ClusterPolicy) *time.Duration { return &p.HealthLimit })},
	{name: "health.rise", scope: ScopeCluster, example: "2", initial: "1",
		meaning: "Successes in a row that make a member ready.",
		cluster: uintKey(1, 1000, func(p *ClusterPolicy) *uint32 { return &p.HealthRise })},
	{name: "health.fall", scope: ScopeCluster, example: "2", initial: "3",
		meaning: "Failures in a row that make it unready.",
		cluster: uintKey(1, 1000, func(p *ClusterPolicy) *uint32 { return &p.HealthFall })},
	{name: "outlier", scope: ScopeCluster, example: "3", initial: "5",
		meaning: "Failed requests in a row that put a member aside for a while; `off` is never. The last member always stays.",
		cluster: parseOutlier},
	{name: "outlier.time", scope: ScopeCluster, example: "10s", initial: "30s",
		meaning: "For how long, times how often it has happened.",
		cluster: durationKey(time.Millisecond, func(p *ClusterPolicy) *time.Duration { return &p.OutlierBaseTime })},
	{name: "outlier.max_percent", scope: ScopeCluster, example: "30", initial: "50",
		meaning: "At most this percentage of the members at once.",
		cluster: uintKey(0, 100, func(p *ClusterPolicy) *uint32 { return &p.OutlierMaxPercent })},

	// Coming and going.
	{name: "hold", scope: ScopeCluster, example: "0s", initial: "5s",
		meaning: "How long a request waits where the cluster has just lost its last ready member, so that a restart costs time and not errors. At most 4096 wait; a cluster without one for 30 s answers at once.",
		cluster: durationKey(0, func(p *ClusterPolicy) *time.Duration { return &p.Hold })},
	{name: "tombstone", scope: ScopeCluster, example: "1h", initial: "10m",
		meaning: "How long the route outlives the last member (503, not 404).",
		cluster: durationKey(0, func(p *ClusterPolicy) *time.Duration { return &p.Tombstone })},

	// Limits.
	{name: "timeout", scope: ScopeCluster, example: "30s", initial: "60s",
		meaning: "Until the response's head, of each try; `0s` is no limit. Who gets none is answered 504: a member that hangs is not left for another, unless `lb.retry.on` has `gateway-error` or `5xx`.",
		cluster: durationKey(0, func(p *ClusterPolicy) *time.Duration { return &p.ResponseTimeout })},
	{name: "timeout.connect", scope: ScopeCluster, example: "1s", initial: "2s",
		meaning: "Until the connection stands.",
		cluster: durationKey(time.Millisecond, func(p *ClusterPolicy) *time.Duration { return &p.ConnectTimeout })},
	{name: "timeout.idle", scope: ScopeCluster, example: "30s", initial: "60s",
		meaning: "How long an unused connection to a member is kept.",
		cluster: durationKey(time.Millisecond, func(p *ClusterPolicy) *time.Duration { return &p.IdleTime })},
	{name: "retry", scope: ScopeCluster, example: "0", initial: "2",
		meaning: "How often a failed request goes to another member, 0 to 10.",
		cluster: uintKey(0, 10, func(p *ClusterPolicy) *uint32 { return &p.Retries })},
	{name: "retry.on", scope: ScopeCluster, example: "connect,reset,503", initial: "connect,reset",
		meaning: "What is tried again: `connect` (no connection: any method), `reset` (cut before the response), `gateway-error` (502, 503, 504), `5xx`, or a status. All but `connect` only for idempotent methods.",
		cluster: parseRetryOn},
	{name: "max_conn", scope: ScopeCluster, example: "200", initial: "1024",
		meaning: "Connections to the cluster, at most.",
		cluster: uintKey(1, maxBreaker, func(p *ClusterPolicy) *uint32 { return &p.MaxConns })},
	{name: "max_pending", scope: ScopeCluster, example: "200", initial: "1024",
		meaning: "Requests that wait for a connection, at most.",
		cluster: uintKey(0, maxBreaker, func(p *ClusterPolicy) *uint32 { return &p.MaxPending })},
	{name: "max_requests", scope: ScopeCluster, example: "200", initial: "1024",
		meaning: "Requests in flight to the cluster, at most; more are answered 503 at once, but for those that `lb.hold` has piled up, which wait for room.",
		cluster: uintKey(1, maxBreaker, func(p *ClusterPolicy) *uint32 { return &p.MaxRequests })},
}

const maxBreaker = 1_000_000

// The values that a Spec, a service and its route start from.
var (
	initialSpec    Spec
	initialService Service
	initialRoute   routeKeys
)

// byName finds an entry; families are under their stem ("header.").
var byName = map[string]*key{}

// init fills what is derived from the table. A default that does not parse is
// a fault of the table, found by every test that runs.
func init() {
	for i := range schema {
		k := &schema[i]
		byName[strings.TrimSuffix(k.name, "<name>")] = k
		if k.initial == "" {
			continue
		}
		var fs []fault
		switch {
		case k.whole != nil:
			fs = k.whole(&initialSpec, k.initial)
		case k.service != nil:
			fs = k.service(&initialService, k.initial)
		case k.route != nil:
			fs = k.route(&initialRoute, "", k.initial)
		case k.cluster != nil:
			var apply func(*ClusterPolicy)
			if apply, fs = k.cluster(k.initial); fs == nil {
				apply(&initialPolicy)
			}
		}
		if fs != nil {
			panic("labels: the default of " + k.name + ": " + fs[0].reason)
		}
	}
}

// lookup finds the entry of a key without prefix and service; tail is the
// <name> of a family.
func lookup(name string) (k *key, tail string) {
	if k := byName[name]; k != nil && !k.family() {
		return k, ""
	}
	for _, stem := range [...]string{"header.", "headers.set."} {
		if tail, ok := strings.CutPrefix(name, stem); ok {
			return byName[stem], tail
		}
	}
	return nil, ""
}

func (k *key) family() bool { return strings.HasSuffix(k.name, "<name>") }

// Key is an entry of the schema, for references and completion.
type Key struct {
	Name    string // without the prefix; a family ends in "<name>"
	Scope   Scope
	Meaning string // Markdown
	Default string // Markdown
	Example string // a value
}

// Keys are the keys that this version supports, in the order of labels.md.
func Keys() []Key {
	var keys []Key
	for i := range schema {
		k := &schema[i]
		if k.planned() {
			continue
		}
		shown := k.shown
		if shown == "" {
			shown = "`" + k.initial + "`"
		}
		keys = append(keys, Key{Name: k.name, Scope: k.scope, Meaning: k.meaning, Default: shown, Example: k.example})
	}
	return keys
}
