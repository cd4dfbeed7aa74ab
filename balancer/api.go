// Package balancer brings a topology.Table to life: clusters and endpoints that
// keep their position, health, counters and connections across every table
// that does not contradict them. There is no reload.
//
// One control goroutine calls Apply, Report arrives from health, Override from
// an operator. Requests come from any goroutine: View, Match and Acquire take
// no lock, write no map and allocate nothing where a ready endpoint is there.
package balancer

import (
	"errors"
	"net/netip"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// Why Acquire did not give an endpoint. The proxy answers each in its own way.
var (
	// ErrNoCluster: the route's cluster does not exist: NC.
	ErrNoCluster = errors.New("cluster not found")
	// ErrNoEndpoint: nobody is ready, and holding is over or off: UH, 503
	// with Retry-After where the cluster once had members.
	ErrNoEndpoint = errors.New("no healthy upstream")
	// ErrOverflow: a circuit breaker is open: UO, 503, x-envoy-overloaded.
	ErrOverflow = errors.New("overflow")
	// ErrCanceled: Request.Cancel was closed while the request was held.
	ErrCanceled = errors.New("canceled while waiting for an endpoint")
)

// Options is what New needs. Zero fields have defaults.
type Options struct {
	// NewSlot is called once for each endpoint when it is born, from Apply;
	// what it returns hangs on the endpoint and is closed when it is gone. It
	// must not call the Balancer.
	NewSlot func(*Endpoint) Slot
	// OnJoin is called from the control goroutine or health's when an endpoint
	// of labels first takes traffic; took is since the engine's start event
	// (0: unknown).
	OnJoin func(e *Endpoint, took time.Duration)
	// Changed, if set, is called after every new View (never on the request
	// path, never concurrently).
	Changed func(*View)
	// Rebuild, if set, is called from Run when a new table is wanted though no
	// source has news: a tombstone has ended.
	Rebuild func()
}

// Slot is what the proxy keeps for an endpoint: its connection pool.
type Slot interface {
	// Drain closes idle connections and lets busy ones finish; called when
	// the endpoint stops being used (stopping, unhealthy, ejected, drained) or
	// leaves with leases out. The slot stays usable.
	Drain()
	// Close is called once, when the endpoint is gone and its last lease
	// done, from control or from the Done of that lease. A Drain that another
	// goroutine has begun may still end after it.
	Close()
}

// Request is what Acquire looks at, filled by the proxy, one per exchange and
// used again for each try.
type Request struct {
	Hash    uint64 // for ring_hash and maglev; HasHash false: random
	HasHash bool
	// Sticky is the value of the cluster's sticky cookie; empty: none.
	Sticky []byte
	// Tried are the endpoints that this request has already been to; they are
	// avoided while there is another.
	Tried [4]*Endpoint
	// Idempotent: may be sent again, and may go to a Stopping member to its
	// end.
	Idempotent bool
	// Deadline bounds a hold; zero: the cluster's hold alone.
	Deadline time.Time
	// Cancel is closed when the client is gone; nil: never. Only looked at
	// while held. CancelFunc-free: the proxy makes it lazily through
	// OnHold.
	Cancel <-chan struct{}
	// OnHold, if set, is called once when the request begins to wait, so that
	// the proxy can set Cancel only then.
	OnHold func(*Request)
	// Refused: the member that the last try went to refused the connection;
	// with no other member, the request is held and not answered 503.
	Refused bool
	// Random is a random number of the exchange: weighted clusters and
	// policies draw from it.
	Random uint64

	// What Acquire itself remembers from try to try. Setting the whole Request
	// anew, *q = Request{…}, begins another exchange.
	held      int // waits so far
	holdUntil time.Time
}

// Result is what came of a lease.
type Result uint8

const (
	OK          Result = iota // a complete response, Status says which
	ConnectFail               // refused, unreachable, timed out before a byte was sent: UF
	Reset                     // closed or reset before the response's head: UC, UR
	ResetLate                 // after the head
	Timeout                   // no head in time: UT
	Protocol                  // a malformed response: UPE
	Canceled                  // the client went away; says nothing of the endpoint
	Overflow                  // our own max_connections; says nothing of the endpoint either: UO
)

// Outcome is what Done is told.
type Outcome struct {
	Result  Result
	PerTry  bool          // Timeout was per_try_timeout's
	Late    bool          // Timeout came after the response's head: counted, but not held against the endpoint
	Status  int           // of the response; 0: none
	Elapsed time.Duration // until the response's head; 0: not measured
}

// Verdict is what a health check says of an incarnation.
type Verdict struct {
	Endpoint string // Endpoint.ID; dropped if it is gone
	Healthy  bool
	// First is true for the first success ever of this incarnation.
	First     bool
	Degraded  bool
	TimedOut  bool
	Immediate bool // x-envoy-immediate-health-check-fail
	Reason    string
	At        time.Time
}

// Override is what an operator set at run time. It lasts as long as the
// container's incarnation and wins over everything.
type Override struct {
	Container string // id, short id or name
	Drain     *bool  // true: drain; false: undrain
	Weight    *uint32
	// DefaultWeight lifts what Weight has set: the label's counts again.
	DefaultWeight bool
}

// EndpointState is where an endpoint stands, in one word, as list shows it.
type EndpointState string

const (
	StateHealthy   EndpointState = "healthy"
	StateWaiting   EndpointState = "waiting" // not ready yet; Why says for what, and how long
	StateUnhealthy EndpointState = "unhealthy"
	StateEjected   EndpointState = "ejected" // outlier
	StatePaused    EndpointState = "paused"
	StateStopping  EndpointState = "stopping"
	StateDraining  EndpointState = "draining" // by an operator
)

// Snapshot is what admin and the CLI read: plain values, a copy.
type Snapshot struct {
	Table     topology.Table
	Listeners []ListenerStatus
	Clusters  []ClusterStatus
}

type ListenerStatus struct {
	Name    string
	Address netip.AddrPort // as asked
	Source  topology.Source
	Routes  int
}

// ClusterStatus is a cluster's standing and its counters.
type ClusterStatus struct {
	Name, Type, Policy string
	Source             topology.Source
	Warm               bool
	Total, Ready       int
	Panic              bool
	Held               int       // requests that wait now
	Tombstone          time.Time // zero: alive
	Endpoints          []EndpointStatus
	Breakers           topology.Breakers
	Outlier            *topology.Outlier
	Counters           ClusterCounters
	Disagree           []topology.Conflict
}

// ClusterCounters carry Envoy's names: monotonic since start,
// those with Active are gauges.
type ClusterCounters struct {
	RqTotal, RqCompleted, RqTimeout, RqPerTryTimeout, RqCancelled  uint64
	Rq1xx, Rq2xx, Rq3xx, Rq4xx, Rq5xx                              uint64
	RqRetry, RqRetrySuccess, RqRetryOverflow, RqRetryLimitExceeded uint64
	RqPendingOverflow, RqPendingTotal                              uint64
	CxTotal, CxConnectFail, CxConnectTimeout, CxOverflow           uint64
	CxActive, RqActive, RqPendingActive                            int64
	MembershipChange, HealthyPanic                                 uint64
	HeldTotal, HeldTimeout                                         uint64
	NoneHealthy                                                    uint64
	OutlierEnforced, OutlierOverflow                               uint64
	OutlierActive                                                  int64
	HealthAttempt, HealthSuccess, HealthFailure, HealthNetwork     uint64
}

// EndpointStatus is an endpoint's standing and its counters.
type EndpointStatus struct {
	topology.Endpoint
	State EndpointState
	Why   string // `waiting for Docker's first check, about 12s`
	Since time.Time
	// Flags are Envoy's health_flags: "healthy" or "/failed_active_hc…".
	Flags                                                          string
	EffectiveWeight                                                uint32
	OverrideDrain                                                  bool
	OverrideWeight                                                 *uint32
	EjectedUntil                                                   time.Time
	JoinTook                                                       time.Duration // start event to first routable; 0: unknown
	CxTotal, CxConnectFail, RqTotal, RqSuccess, RqError, RqTimeout uint64
	CxActive, RqActive                                             int64
}
