package balancer

import (
	"sync/atomic"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// Cluster is a living cluster. It persists for as long as the table has one of
// its name.
type Cluster struct {
	b    *Balancer
	name string

	// Read by requests.
	spec    atomic.Pointer[topology.Cluster]
	picker  atomic.Pointer[picker]
	members atomic.Pointer[[]*Endpoint]
	removed atomic.Bool // out of the table; ask the newest View by name
	// lostAt is when nobody was left who could take a request, in Unix
	// nanoseconds; 0: there has never been one.
	lostAt  atomic.Int64
	backAt  atomic.Int64 // when somebody was there again, as lostAt
	traffic atomic.Bool  // a connection was opened, ever
	_       [64]byte     // what is only read above, what each request writes below
	use     usage
	count   clusterCounters

	// Of control, guarded by Balancer.mu.
	endpoints []*Endpoint // as in spec, then those kept past their removal
	cursors   map[cursorKey]*cursor
	born      time.Time
	usable    bool      // at the last publish: somebody could take a request
	emptied   time.Time // when the last member left; zero: has members
	expired   bool      // its tombstone has ended, and Rebuild was called
	sweepAt   time.Time // the next outlier sweep; zero: none
	refresh   time.Time // when to publish again though nothing changes; zero: never
	dirty     bool      // a change waits to be published at refresh
	published time.Time
	cost      time.Duration // of the last publish
	base      endpointCounts
}

// Spec is the cluster as the newest table has it.
func (c *Cluster) Spec() *topology.Cluster { return c.spec.Load() }

// Name is the cluster's.
func (c *Cluster) Name() string { return c.name }

// clusterCounters are those that belong to no endpoint, or that a breaker
// looks at. What an endpoint can count is counted there and summed for a
// Snapshot, so that requests to different endpoints share no cache line for
// it.
type clusterCounters struct {
	retry, retrySuccess, retryOverflow, retryLimit atomic.Uint64
	pendingOverflow, pendingTotal                  atomic.Uint64
	cxOverflow                                     atomic.Uint64
	perTryTimeout                                  atomic.Uint64
	membershipChange, panicked                     atomic.Uint64
	held, heldTimeout                              atomic.Uint64
	noneHealthy                                    atomic.Uint64
	outlierEnforced, outlierOverflow               atomic.Uint64
	outlierActive                                  atomic.Int64
	checks, checkSuccess, checkFailure, checkNet   atomic.Uint64
}

// cursorKey names a rotation: each tier and class has its own, as Envoy keeps
// an index for each host source.
type cursorKey struct {
	tier  uint32
	class class
}

// cursor is the position of a rotation. It is kept across changes of the
// members, so that the rotation goes on where it was.
type cursor struct {
	next atomic.Uint64
	_    [56]byte // its own cache line: every request writes it
}

func (c *Cluster) cursor(tier uint32, k class) *cursor {
	key := cursorKey{tier, k}
	if cur := c.cursors[key]; cur != nil {
		return cur
	}
	cur := new(cursor)
	c.cursors[key] = cur
	return cur
}
