package balancer

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// Endpoint is a living endpoint: one incarnation.
type Endpoint struct {
	slot    Slot
	id      string
	cluster *Cluster
	sticky  string

	// Read and written by requests.
	spec     atomic.Pointer[topology.Endpoint]
	leaving  atomic.Bool // out of the table: no new lease
	closed   atomic.Bool // its slot is closed
	refusing atomic.Bool // Stopping, and has refused a connection since
	// refusedSince is when it began to refuse connections, in Unix
	// nanoseconds; 0: it does not.
	refusedSince atomic.Int64
	active       atomic.Int64 // leases
	cxActive     atomic.Int64
	count        endpointCounters
	outlier      outlierCounters
	gone         atomic.Pointer[signal]
	drainBy      atomic.Int64 // DrainDeadline in Unix nanoseconds; 0: not draining

	// Of control, guarded by Balancer.mu.
	probe    probeState
	ejection ejection
	override overrides
	// wasStopping: it was so when first seen, and its readiness is not known.
	wasStopping bool
	pending     bool   // removed from discovery, kept for as long as its check passes
	seen        uint64 // Balancer.applies when a table last named it
	drained     bool   // Slot.Drain was called for the present withdrawal
	stand       standing
	since       time.Time // of stand.state
	joined      time.Time // when it first became routable; zero: not yet
	joinTook    time.Duration
	slowStart   time.Time // when its ramp began
}

func newEndpoint(c *Cluster, spec *topology.Endpoint, now time.Time) *Endpoint {
	e := &Endpoint{id: spec.ID, cluster: c, sticky: stickyValue(spec.ID), since: now, wasStopping: spec.Stopping}
	e.spec.Store(spec)
	e.gone.Store(newSignal())
	if c.b.options.NewSlot != nil {
		e.slot = c.b.options.NewSlot(e)
	}
	return e
}

// stickyValue is the cookie value of an incarnation: the same in every process
// that knows it, so that a replaced proxy leads clients back to where they
// were, and not to be read backwards.
func stickyValue(id string) string {
	sum := sha256.Sum256([]byte("sticky " + id))
	return hex.EncodeToString(sum[:8])
}

// ID is the incarnation's name: topology.Endpoint.ID.
func (e *Endpoint) ID() string { return e.id }

// Spec is the endpoint as the newest table has it.
func (e *Endpoint) Spec() *topology.Endpoint { return e.spec.Load() }

// Address is where to connect.
func (e *Endpoint) Address() netip.AddrPort { return e.spec.Load().Address }

// Cluster is the endpoint's.
func (e *Endpoint) Cluster() *Cluster { return e.cluster }

// Slot is what Options.NewSlot returned.
func (e *Endpoint) Slot() Slot { return e.slot }

// StickyValue is the opaque cookie value that leads back here; it does not
// tell the address.
func (e *Endpoint) StickyValue() string { return e.sticky }

// release ends one lease. Where it was the last of an endpoint that has left,
// the slot is closed: leaving is set before the last reader looks at active,
// so one of the two sees the other.
func (e *Endpoint) release() {
	if e.active.Add(-1) == 0 && e.leaving.Load() {
		e.close()
	}
}

// close closes the slot, once.
func (e *Endpoint) close() {
	if e.closed.CompareAndSwap(false, true) && e.slot != nil {
		e.slot.Close()
	}
}
