package balancer

import (
	"context"
	"net/netip"
	"time"

	"github.com/dockerlb/dockerlb/router"
	"github.com/dockerlb/dockerlb/topology"
)

// Balancer is the living table. New makes one; the zero value is not usable.
type Balancer struct{}

// New returns a Balancer with an empty View.
func New(o Options) *Balancer { panic("not built") }

// Run does what needs time: ejections that end, tombstones, slow start,
// warnings. It returns when ctx is done.
func (b *Balancer) Run(ctx context.Context) { panic("not built") }

// Apply makes t the table. One goroutine calls it.
func (b *Balancer) Apply(t *topology.Table) { panic("not built") }

// View is the current generation: one atomic load.
func (b *Balancer) View() *View { panic("not built") }

// Report takes a verdict of health. Any goroutine.
func (b *Balancer) Report(v Verdict) { panic("not built") }

// Override sets or lifts what an operator wants. It fails where no container
// of that name has an endpoint, naming those that have.
func (b *Balancer) Override(o Override) error { panic("not built") }

// Incumbents is the history that the next Build needs.
func (b *Balancer) Incumbents() topology.Incumbents { panic("not built") }

// Snapshot copies what is, for admin. Any goroutine; not for the request path.
func (b *Balancer) Snapshot() Snapshot { panic("not built") }

// InFlight is how many leases are out on the container's endpoints, for
// `lb drain --wait`.
func (b *Balancer) InFlight(container string) int { panic("not built") }

// View is the routes and clusters of one generation, immutable.
type View struct{}

// Generation is the table's.
func (v *View) Generation() uint64 { panic("not built") }

// Listener returns the listener's routes, or nil.
func (v *View) Listener(name string) *Listener { panic("not built") }

// Endpoints calls f for each endpoint of every cluster, for health.
func (v *View) Endpoints(f func(*Endpoint)) { panic("not built") }

// Listener is a listener of a View.
type Listener struct {
	Spec *topology.Listener
}

// Match finds the request's route; nil: none (404, NR).
func (l *Listener) Match(q router.Request) *Route { panic("not built") }

// Route is a route of a View, bound to its clusters.
type Route struct {
	Spec *topology.Route
}

// Acquire chooses an endpoint for the route, waiting (hold) where nobody is
// ready and the cluster's rules allow it, always on the newest generation.
// Done must be called exactly once on the lease. The error is one of Err….
func (b *Balancer) Acquire(r *Route, q *Request) (Lease, error) { panic("not built") }

// Lease is one request's claim on an endpoint.
type Lease struct {
	Endpoint *Endpoint
	Cluster  *Cluster
	// Chosen is the weighted cluster that the route drew (its header
	// mutations); nil for a single one.
	Chosen *topology.WeightedCluster
	// SetSticky: the response must carry the cluster's sticky cookie with
	// Endpoint.StickyValue.
	SetSticky bool
}

// Done ends the claim and feeds counters, outlier detection and breakers.
func (l Lease) Done(o Outcome) { panic("not built") }

// Cluster is a living cluster.
type Cluster struct{}

// Spec is the cluster as the newest table has it.
func (c *Cluster) Spec() *topology.Cluster { panic("not built") }

// TryRetry asks the retry breaker (max_retries or the budget) for one retry;
// RetryDone gives it back.
func (c *Cluster) TryRetry() bool { panic("not built") }

// RetryDone ends a retry that TryRetry allowed.
func (c *Cluster) RetryDone(success bool) { panic("not built") }

// Endpoint is a living endpoint: one incarnation.
type Endpoint struct {
	slot Slot
}

// Spec is the endpoint as the newest table has it.
func (e *Endpoint) Spec() *topology.Endpoint { panic("not built") }

// Address is where to connect.
func (e *Endpoint) Address() netip.AddrPort { panic("not built") }

// Cluster is the endpoint's.
func (e *Endpoint) Cluster() *Cluster { panic("not built") }

// Slot is what Options.NewSlot returned.
func (e *Endpoint) Slot() Slot { return e.slot }

// StickyValue is the opaque cookie value that leads back here; it does not
// tell the address.
func (e *Endpoint) StickyValue() string { panic("not built") }

// ConnOpen asks the breaker (max_connections) for one more connection, and
// counts it; ConnFailed and ConnClosed end what ConnOpen began. Where the
// breaker is open an endpoint without a connection still gets one (facts 4.1).
func (e *Endpoint) ConnOpen() bool { panic("not built") }

// ConnFailed ends a ConnOpen whose dial failed.
func (e *Endpoint) ConnFailed(timeout bool) { panic("not built") }

// ConnClosed ends a connection.
func (e *Endpoint) ConnClosed() { panic("not built") }

// Gone is closed when the endpoint has left for good; upgraded connections
// end by it, after the drain time.
func (e *Endpoint) Gone() <-chan struct{} { panic("not built") }

// DrainDeadline is when what is still in flight is to be cut; zero: not
// draining.
func (e *Endpoint) DrainDeadline() time.Time { panic("not built") }
