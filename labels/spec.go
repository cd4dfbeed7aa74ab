// Package labels turns what a container says about itself, its "lb." labels,
// into a Spec, and says what is wrong with them in Problems.
//
// One table, the schema, drives everything that speaks of labels: the parser,
// the "did you mean", the reference in labels.md. A key that is not in the
// table does not exist.
//
// Nothing is ignored in silence, and no label of one container can harm another
// one: see Severity.
package labels

import (
	"net/netip"
	"time"
)

// Spec is what one container says about itself. It is parsed once, when the
// container is first seen (labels of a container cannot change), and is
// immutable from then on.
type Spec struct {
	// Managed is true where the container carries any label under our prefix.
	Managed bool
	// Enabled is lb.enable: false keeps the labels but stays out.
	Enabled bool
	// OneOff is lb.oneoff: true lets a Compose one-off container join.
	OneOff bool
	// Instance is lb.instance: which proxy owns the container; empty is any.
	Instance string
	// Services are the memberships that the container asks for, sorted by
	// name; the short form is the one named "default". Empty where no
	// lb.cluster is given.
	Services []Service
}

// Service is one membership: a port of the container in a cluster, and the
// routes that lead there. lb.svc.<name>.<key> or, for the name "default",
// lb.<key>.
type Service struct {
	Name    string
	Cluster string

	// Container keys (scope C).
	Port    uint16         // 0: the container's single exposed TCP port
	Network string         // empty: see the schema
	Address Address        // lb.address; zero: the container's own
	Scheme  Scheme         // what the endpoint speaks
	TLS     TLS            // upstream TLS, for SchemeHTTPS
	Weight  uint32         // 0 to 1000; 0 takes no traffic
	Tier    uint32         // failover level, 0 first
	Zone    string         // locality
	Drain   *time.Duration // nil: the container's StopTimeout
	Ready   Ready

	// Routes are the routes that this member asks for (scope R); a service
	// without a route key asks for one: any host, every path, listener
	// "default". Empty where a bad value would have made the route wider than
	// it was meant: then this member asks for none.
	Routes []Route

	// Settings are the good values of the cluster keys (scope K), sorted by
	// key. Where members disagree topology.Build decides.
	Settings []Setting
}

// Address is lb.address: a literal address or a name, and perhaps a port.
type Address struct {
	Host string // empty: not given
	Port uint16 // 0: not given
}

// Scheme is what an endpoint speaks.
type Scheme string

const (
	SchemeHTTP  Scheme = "http"
	SchemeHTTPS Scheme = "https"
	SchemeH2C   Scheme = "h2c"
	SchemeTCP   Scheme = "tcp"
)

// TLS is how an endpoint that speaks https is verified.
type TLS struct {
	ServerName string
	CAFile     string
	Insecure   bool
}

// Ready is what makes an endpoint ready for traffic.
type Ready string

const (
	ReadyAuto    Ready = "auto"    // Docker's health where a HEALTHCHECK is defined, and our probe
	ReadyDocker  Ready = "docker"  // Docker's health alone
	ReadyProbe   Ready = "probe"   // our probe alone
	ReadyRunning Ready = "running" // running is enough
)

// Route is one way in that a member asks for.
type Route struct {
	Listeners []string // names; never empty; "default" is the one of --listen
	Hosts     []string // lower case, sorted, without port; "*.x" allowed; empty: any
	Path      PathMatch
	Headers   []HeaderMatch // all must match; sorted by name
	Strip     bool          // drop the matched prefix
	Rewrite   string        // replace the matched prefix; empty: leave
}

// PathKind is how a path is compared.
type PathKind uint8

const (
	PathPrefix PathKind = iota // on segment borders: /api matches /api and /api/x, not /apix
	PathExact
	PathRegex // RE2, the whole path
)

// PathMatch matches a request's path, without its query.
type PathMatch struct {
	Kind PathKind
	Text string
}

// HeaderMatch matches one request header.
type HeaderMatch struct {
	Name  string // lower case
	Text  string
	Regex bool
}

// Setting is one good value of a cluster key. Apply writes it into a
// ClusterPolicy; Key and Text are for comparing and for showing.
type Setting struct {
	Key   string // without the prefix: "policy", "health.path"
	Text  string // as the user wrote it
	apply func(*ClusterPolicy)
}

// Apply sets the value in p.
func (s Setting) Apply(p *ClusterPolicy) {
	if s.apply != nil {
		s.apply(p)
	}
}

// ClusterPolicy is what the cluster keys (scope K) speak of, typed. The zero
// value is not useful: start from DefaultClusterPolicy.
type ClusterPolicy struct {
	Policy     string // round_robin, least_request, random, ring_hash, maglev
	HashSource string // source_ip, header, cookie
	HashName   string // of the header or the cookie
	Sticky     string // cookie name; empty: off

	HealthPath                  string
	HealthPort                  uint16
	HealthHost, HealthMethod    string
	HealthStatus                []StatusRange
	HealthInterval, HealthLimit time.Duration
	HealthRise, HealthFall      uint32

	SlowStart                                 time.Duration
	Hold, Tombstone                           time.Duration
	ResponseTimeout, ConnectTimeout, IdleTime time.Duration

	Retries                           uint32
	RetryOn                           []string // connect, reset, gateway-error, 5xx, or a status
	MaxConns, MaxPending, MaxRequests uint32
	OutlierConsecutive                uint32 // 0: off
	OutlierBaseTime                   time.Duration
	OutlierMaxPercent, PanicPercent   uint32
}

// StatusRange is a closed range of status codes.
type StatusRange struct{ From, To uint16 }

// Severity is what a Problem does to the container.
type Severity uint8

const (
	// Warning: an unknown key, or one that has no effect; the container is
	// still routed.
	Warning Severity = iota
	// Skipped: a bad value of a cluster or route key; the next newest
	// container's good value counts, else the default.
	Skipped
	// Quarantined: a bad value of a container key; this container alone is
	// kept out.
	Quarantined
)

func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Skipped:
		return "skipped"
	case Quarantined:
		return "quarantined"
	}
	return "unknown"
}

// Problem is one thing that is wrong with a container's labels. It is data for
// the log, `list`, the web page and `explain`; never a crash, never silence.
type Problem struct {
	Severity Severity
	Service  string // empty: the whole container; "default": the short form
	Label    string // the full key, with the prefix
	Value    string
	Reason   string // `"eighty" is not a port`
	Hint     string // `did you mean lb.port?`; empty: none
}

// Literal returns the address as a literal, if it is one.
func (a Address) Literal() (netip.Addr, bool) {
	ip, err := netip.ParseAddr(a.Host)
	return ip, err == nil
}
