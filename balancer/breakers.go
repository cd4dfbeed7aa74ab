package balancer

import (
	"math"
	"sync/atomic"

	"github.com/dockerlb/dockerlb/topology"
)

// usage is what a cluster's circuit breakers measure. Like Envoy's
// they are approximate under races: a limit can be passed by as many as come at
// one instant, never by more.
type usage struct {
	requests, pending, connections, retries, held atomic.Int64
	waiting                                       atomic.Int64 // of the held: for max_requests to let them in
	room                                          chan struct{}
}

// limits are the breakers in force. A cluster that says nothing at all (tests,
// a table made by hand) has Envoy's defaults; a single 0 is a closed door, as
// in Envoy.
func limits(spec *topology.Cluster) topology.Breakers {
	if spec.Breakers == (topology.Breakers{}) {
		return topology.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3}
	}
	return spec.Breakers
}

// begin counts one more request, unless max_requests is reached.
func (u *usage) begin(most int64) bool {
	n := u.requests.Add(1)
	if n > most {
		u.requests.Add(-1)
		return false
	}
	if n < most {
		u.wake()
	}
	return true
}

func (u *usage) end() {
	u.requests.Add(-1)
	u.wake()
}

// TryPending asks the breaker (max_pending_requests) for one more request that
// waits for a connection; PendingDone ends the wait. Held requests do not count:
// HoldMax bounds them.
func (c *Cluster) TryPending() bool {
	if c.use.pending.Add(1) <= int64(limits(c.Spec()).MaxPending) {
		c.count.pendingTotal.Add(1)
		return true
	}
	c.use.pending.Add(-1)
	c.count.pendingOverflow.Add(1)
	return false
}

// PendingDone ends a wait that TryPending allowed.
func (c *Cluster) PendingDone() { c.use.pending.Add(-1) }

// TryRetry asks the retry breaker (max_retries or the budget) for one retry;
// RetryDone gives it back.
func (c *Cluster) TryRetry() bool {
	if c.use.retries.Add(1) <= c.retryLimit() {
		c.count.retry.Add(1)
		return true
	}
	c.use.retries.Add(-1)
	c.count.retryOverflow.Add(1)
	return false
}

// retryLimit is how many retries may be out at once: with a budget, that part
// of the requests that are active or pending, and never less than its minimum.
func (c *Cluster) retryLimit() int64 {
	l := limits(c.Spec())
	if l.BudgetPercent == 0 {
		return int64(l.MaxRetries)
	}
	least := int64(l.BudgetMin)
	if least == 0 {
		least = 3 // min_retry_concurrency
	}
	out := c.use.requests.Load() + c.use.pending.Load()
	return max(int64(math.Floor(l.BudgetPercent*float64(out)/100)), least)
}

// RetryDone ends a retry that TryRetry allowed.
func (c *Cluster) RetryDone(success bool) {
	c.use.retries.Add(-1)
	if success {
		c.count.retrySuccess.Add(1)
	}
}

// RetryLimitExceeded counts a request that had no attempt left.
func (c *Cluster) RetryLimitExceeded() { c.count.retryLimit.Add(1) }

// ConnOpen asks the breaker (max_connections) for one more connection, and
// counts it; ConnFailed and ConnClosed end what ConnOpen began. Where the
// breaker is open an endpoint without a connection still gets one.
func (e *Endpoint) ConnOpen() bool {
	c := e.cluster
	if c.use.connections.Add(1) > int64(limits(c.Spec()).MaxConnections) && e.cxActive.Load() > 0 {
		c.use.connections.Add(-1)
		c.count.cxOverflow.Add(1)
		return false
	}
	if !c.traffic.Load() {
		c.traffic.Store(true)
	}
	e.cxActive.Add(1)
	e.count.cxTotal.Add(1)
	return true
}

// ConnRoom tells whether ConnOpen would allow a connection now; it counts nothing.
func (e *Endpoint) ConnRoom() bool {
	c := e.cluster
	return c.use.connections.Load() < int64(limits(c.Spec()).MaxConnections) || e.cxActive.Load() == 0
}

// ConnFailed ends a ConnOpen whose dial failed.
func (e *Endpoint) ConnFailed(timeout bool) {
	e.count.cxConnectFail.Add(1)
	if timeout {
		e.count.cxConnectTimeout.Add(1)
	}
	e.ConnClosed()
}

// ConnClosed ends a connection.
func (e *Endpoint) ConnClosed() {
	e.cxActive.Add(-1)
	e.cluster.use.connections.Add(-1)
}
