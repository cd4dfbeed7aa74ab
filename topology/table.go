package topology

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

// Listener is one address that downstream connections come in by, and the
// routes that it carries.
type Listener struct {
	Name    string
	Address netip.AddrPort
	Source  Source
	HTTP    HTTPOptions
	// VirtualHosts: those of the file in its order, then those of labels
	// sorted by domain. No domain stands in two of them.
	VirtualHosts []VirtualHost
}

// HTTPOptions are a listener's HTTP settings; Envoy's HttpConnectionManager
// names stand behind each. A zero limit or duration is the proxy's default
// (its flag), except where noted.
type HTTPOptions struct {
	StatPrefix string
	// ServerHeader: what the Server response header becomes. Envoy's
	// server_name with server_header_transformation.
	ServerName      string
	ServerTransform ServerTransform
	Via             string // via; empty: none
	// UseRemoteAddress and XFFTrustedHops: who is believed. TrustedProxies is
	// the flag's form: peers whose X-Forwarded-* are believed.
	UseRemoteAddress  bool
	SkipXFFAppend     bool
	XFFTrustedHops    uint32
	TrustedProxies    []netip.Prefix
	GenerateRequestID bool
	PreserveRequestID bool // preserve_external_request_id
	NormalizePath     bool
	MergeSlashes      bool
	StripMatchingPort bool // strip_matching_host_port
	StripAnyPort      bool
	IgnorePort        bool // RouteConfiguration.ignore_port_in_host_matching
	AcceptHTTP10      bool
	Upgrades          []string // upgrade_configs; lower case; "websocket"
	EnvoyHeaders      bool     // x-envoy-* towards both sides: a listener of the file

	MaxHeadBytes, MaxHeadFields, MaxTargetBytes int
	MaxBodyBytes                                int64 // 0: no limit
	HeadTimeout, RequestTimeout                 time.Duration
	IdleTimeout, StreamIdleTimeout              time.Duration
	MaxRequestsPerConn                          uint32
	MaxConnections                              uint32
}

type ServerTransform uint8

const (
	ServerPassThrough ServerTransform = iota
	ServerOverwrite
	ServerAppendIfAbsent
)

// VirtualHost is a set of domains and the routes behind them.
type VirtualHost struct {
	Name    string
	Domains []string // lower case; exact, *.suffix, *-suffix, prefix.*, *
	// Routes are tried in order; the first match wins. Build has sorted those
	// of labels: exact before regex before prefix, longer before shorter.
	Routes []Route
	// FallThrough: where no route matches, go on with the next less specific
	// domain. True for the virtual hosts of labels; Envoy does not fall
	// through.
	FallThrough bool
}

// Route is one way from a request to a cluster, or to an answer of our own.
// Exactly one of Clusters, Redirect and Direct is set.
type Route struct {
	// Key names the route for as long as it means the same: listener, domain
	// and match. `list routes` shows it, Incumbents uses it.
	Key    string
	Name   string // of the file; may be empty
	Source Source
	// AskedBy are the names of the containers that asked for it, sorted.
	AskedBy []string
	Match   Match

	Clusters []WeightedCluster
	Redirect *Redirect
	Direct   *DirectResponse

	// Timeout is Envoy's route timeout: from the end of the request to the
	// end of the response, all tries; 0: off. HeadTimeout is that of labels:
	// until the response's head.
	Timeout, HeadTimeout, IdleTimeout time.Duration
	Retry                             RetryPolicy
	Rewrite                           Rewrite
	Upgrades                          []string // allowed here; lower case
	Hash                              []HashSource
	RequestHeaders, ResponseHeaders   HeaderMutation
	ClusterNotFoundCode               int // 0: 503
}

// Match is what a request must be. All conditions must hold.
type Match struct {
	Path       PathSpec
	Headers    []HeaderMatcher
	Query      []HeaderMatcher
	GRPC       bool
	RuntimePct uint32 // reserved
}

// PathSpec compares a path without its query.
type PathSpec struct {
	Kind            PathKind
	Text            string
	CaseInsensitive bool
}

type PathKind uint8

const (
	PathRawPrefix     PathKind = iota // Envoy's prefix: /api matches /apix
	PathSegmentPrefix                 // path_separated_prefix, and labels
	PathExact
	PathRegex // RE2, the whole path
)

// HeaderMatcher compares one header, or one query parameter.
type HeaderMatcher struct {
	Name       string // lower case; ":method", ":path", ":authority" too
	Kind       StringKind
	Text       string
	From, To   int64 // StringRange: [From, To)
	IgnoreCase bool
	Invert     bool
	// MissingAsEmpty is treat_missing_header_as_empty.
	MissingAsEmpty bool
}

type StringKind uint8

const (
	StringPresent StringKind = iota
	StringExact
	StringPrefix
	StringSuffix
	StringContains
	StringRegex // the whole value
	StringRange // a decimal integer
)

// WeightedCluster is one of the clusters that share a route's requests. A
// single one has weight 1.
type WeightedCluster struct {
	Name                            string
	Weight                          uint32
	RequestHeaders, ResponseHeaders HeaderMutation
}

// Redirect answers with a Location.
type Redirect struct {
	Code                       int // 301, 302, 303, 307, 308
	Scheme, Host, Path, Prefix string
	Port                       uint32
	StripQuery                 bool
	Regex, Substitution        string
}

// DirectResponse answers with a body of our own.
type DirectResponse struct {
	Code int
	Body []byte
}

// Rewrite changes the request's target and host on its way.
type Rewrite struct {
	Prefix              string // replaces the matched prefix, where SetPrefix
	SetPrefix           bool
	Regex, Substitution string
	Host                string // host_rewrite_literal
	AutoHost            bool   // auto_host_rewrite
}

// HeaderMutation adds and removes fields, after everything else.
type HeaderMutation struct {
	Remove []string
	Add    []HeaderValue
}

// HeaderValue is one field to add. Append is the action.
type HeaderValue struct {
	Name, Value string
	Action      AppendAction
}

type AppendAction uint8

const (
	AppendOrAdd AppendAction = iota
	AddIfAbsent
	OverwriteOrAdd
	OverwriteIfExists
)

// RetryPolicy is when a request goes to another member. Envoy's names.
type RetryPolicy struct {
	On             []string // connect-failure, reset, 5xx, gateway-error, …; empty: off
	Max            uint32   // attempts after the first
	PerTry         time.Duration
	PerTryIdle     time.Duration
	Codes          []uint32
	BaseInterval   time.Duration // 25 ms
	MaxInterval    time.Duration // 10 × base
	OtherMembers   bool          // previous_hosts: not to one already tried, while there is another
	IdempotentOnly bool          // labels: what may have been processed goes again only if idempotent
}

// HashSource says what a hashing policy hashes.
type HashSource struct {
	Kind     string // source_ip, header, cookie, query
	Name     string
	TTL      time.Duration // cookie: generated where absent, if > 0
	Path     string
	Terminal bool
}

// Cluster is a set of endpoints and how they are used.
type Cluster struct {
	Name   string
	Type   ClusterType
	Source Source // FromFile also where label members joined it
	// Warm is false while a DNS cluster has no first answer yet
	// (wait_for_warm_on_init): /ready waits.
	Warm bool
	// Endpoints are sorted by ID, no address twice. An endpoint that has not
	// changed is the same pointer in the next table.
	Endpoints []*Endpoint

	Policy       string // round_robin, least_request, random, ring_hash, maglev
	ChoiceCount  uint32 // least_request; 2
	RingMin      uint64
	RingMax      uint64
	MaglevSize   uint64
	HashFunction string // xx_hash, murmur_hash_2
	Hash         []HashSource
	Sticky       string // cookie name; empty: off

	ConnectTimeout, IdleTimeout time.Duration
	MaxRequestsPerConn          uint32
	Breakers                    Breakers
	HealthChecks                []HealthCheck
	// IgnoreHealthOnRemoval false keeps a removed but passing DNS host routed
	// (pending_dynamic_removal).
	IgnoreHealthOnRemoval bool
	// Names are what a STRICT_DNS cluster of the file resolves, as host:port:
	// where they change it is the file that dropped a host, and not DNS.
	Names            []string
	Outlier          *Outlier // nil: off
	PanicPercent     uint32   // 0: no panic mode
	Overprovisioning uint32   // 140
	SlowStart        SlowStart

	Hold        time.Duration // how long a request waits for a ready member
	HoldMax     uint32        // waiting at most
	Tombstone   time.Duration
	Disagree    []Conflict       // Kind "setting"
	LogicalAddr []netip.AddrPort // LOGICAL_DNS: the whole answer, for connecting
}

type ClusterType string

const (
	Labels     ClusterType = "LABELS" // made by containers
	StaticType ClusterType = "STATIC"
	StrictDNS  ClusterType = "STRICT_DNS"
	LogicalDNS ClusterType = "LOGICAL_DNS"
)

// Endpoint is one address of a cluster, as an incarnation.
type Endpoint struct {
	// ID names the incarnation: cluster, source, container id and its start
	// time (or the engine's EndpointID), port. Never the address of a
	// container, which Docker reuses within milliseconds.
	ID       string
	Address  netip.AddrPort
	Hostname string // Envoy's hostname: the DNS name, or the container's name
	Source   Source
	Scheme   labels.Scheme
	TLS      labels.TLS

	// Of labels only.
	Container, ContainerName string
	Engine                   string
	Unconfirmed              bool // DNS has not (yet) confirmed the address
	Disputed                 bool // DNS gave it, the engine another

	Weight          uint32 // 0 takes no traffic
	Tier            uint32 // Envoy's priority
	Zone            string
	Region, SubZone string

	// What stands against it, as discovery sees it.
	Paused       bool
	DockerHealth Health    // HealthNone where lb.ready does not ask Docker
	HealthNext   time.Time // when Docker's next check is due
	NeedsProbe   bool      // not ready before our own first success
	Stopping     bool
	StoppingAt   time.Time
	StopTimeout  time.Duration
	IgnoredStop  bool
	Drain        time.Duration
	StartEvent   time.Time // engine's timeNano of `start`; zero: unknown
	StartedAt    time.Time // of the container's run; zero: not known yet

	HealthPort    uint16 // 0: that of Address
	HealthHost    string
	NoHealthCheck bool
	EDSHealth     string // HealthStatus of the file: "", UNHEALTHY, DRAINING, DEGRADED
}

// Breakers are Envoy's CircuitBreakers, priority DEFAULT.
type Breakers struct {
	MaxConnections, MaxPending, MaxRequests, MaxRetries uint32
	BudgetPercent                                       float64 // 0: MaxRetries counts
	BudgetMin                                           uint32
}

// HealthCheck is one active check; Envoy's core.HealthCheck.
type HealthCheck struct {
	Kind            string // http, tcp, grpc
	Interval, Limit time.Duration
	Rise, Fall      uint32
	// Quick: until the first success probe after 5, 10, 20, 40, then every
	// 100 ms (labels).
	Quick                                                              bool
	Path, Host, Method                                                 string
	Statuses                                                           []labels.StatusRange
	Retriable                                                          []labels.StatusRange
	Service                                                            string // gRPC
	Send, Receive                                                      []byte // TCP
	Port                                                               uint16
	InitialJitter, IntervalJitter                                      time.Duration
	NoTraffic, NoTrafficHealthy, Unhealthy, UnhealthyEdge, HealthyEdge time.Duration
	RequestHeaders                                                     HeaderMutation
	ReuseConnection                                                    bool
}

// Outlier is Envoy's OutlierDetection.
type Outlier struct {
	Consecutive5xx, ConsecutiveGateway, ConsecutiveLocal uint32
	Enforce5xx, EnforceGateway, EnforceLocal             uint32 // per cent
	Interval, BaseEjection, MaxEjection, Jitter          time.Duration
	MaxPercent                                           uint32
	AlwaysEjectOne, SplitErrors                          bool
	SuccessUnejects                                      bool
	// KeepLast: never the last member (labels).
	KeepLast                                                                     bool
	SuccessRateMinHosts, SuccessRateVolume, SuccessRateStdev, EnforceSuccessRate uint32
	FailurePctThreshold, FailurePctMinHosts, FailurePctVolume, EnforceFailurePct uint32
}

// SlowStart ramps a new member's weight. Envoy's SlowStartConfig.
type SlowStart struct {
	Window     time.Duration // 0: off
	Aggression float64       // 1
	MinPercent float64       // of the weight at least, 0 to 100; Envoy's default is 10
}

// Static is what the bootstrap file says.
type Static struct {
	Generation uint64
	Path       string
	LoadedAt   time.Time
	Admin      netip.AddrPort // zero: not given
	Listeners  []Listener
	Clusters   []StaticCluster
	// Bootstrap is the file as canonical JSON of Envoy's v3 Bootstrap, for
	// /config_dump. It is never written.
	Bootstrap json.RawMessage
}

// StaticCluster is a cluster of the file before its names are resolved.
type StaticCluster struct {
	Cluster     // without Endpoints
	Hosts       []StaticHost
	Family      LookupFamily
	Refresh     RefreshPolicy
	WaitForWarm bool
}

// StaticHost is one lb_endpoint of the file.
type StaticHost struct {
	Name     string     // DNS name; empty: Address
	Address  netip.Addr // literal
	Port     uint16
	Template Endpoint // weight, tier, locality, health fields
}
