package balancer

import (
	"sync/atomic"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

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
func (l Lease) Done(o Outcome) {
	e := l.Endpoint
	e.count.done(o)
	if o.Result == Timeout && o.PerTry {
		l.Cluster.count.perTryTimeout.Add(1)
	}
	e.observe(o)
	l.Cluster.use.end()
	e.release()
}

// observe keeps what a hold and the last resort need to know: whether the
// endpoint refuses connections, and since when.
func (e *Endpoint) observe(o Outcome) {
	if o.Result == ConnectFail {
		now := time.Now()
		e.refusedSince.CompareAndSwap(0, now.UnixNano())
		if e.Spec().Stopping && e.refusing.CompareAndSwap(false, true) {
			e.cluster.lostAt.Store(now.UnixNano())
			e.cluster.b.tell(detection{e, refusal})
		}
	} else if o.Result != Canceled && o.Result != Overflow && e.refusedSince.Load() != 0 {
		e.refusedSince.Store(0)
	}
	e.judge(o)
}

// endpointCounters are an endpoint's own, written by requests.
type endpointCounters struct {
	rqTotal, rqSuccess, rqError, rqTimeout, rqCancelled atomic.Uint64
	classes                                             [6]atomic.Uint64 // by the first digit of the status
	cxTotal, cxConnectFail, cxConnectTimeout            atomic.Uint64
}

func (n *endpointCounters) done(o Outcome) {
	if c := o.Status / 100; c > 0 && c < len(n.classes) {
		n.classes[c].Add(1)
	}
	switch {
	case o.Result == Overflow: // ConnOpen has counted it
	case o.Result == Canceled:
		n.rqCancelled.Add(1)
	case o.Result == Timeout:
		n.rqTimeout.Add(1)
		n.rqError.Add(1)
	case o.Result != OK || o.Status >= 500:
		n.rqError.Add(1)
	default:
		n.rqSuccess.Add(1)
	}
}

// endpointCounts is a sum of endpointCounters.
type endpointCounts struct {
	rqTotal, rqSuccess, rqError, rqTimeout, rqCancelled uint64
	classes                                             [6]uint64
	cxTotal, cxConnectFail, cxConnectTimeout            uint64
}

func (s *endpointCounts) add(e *Endpoint) {
	n := &e.count
	s.rqTotal += n.rqTotal.Load()
	s.rqSuccess += n.rqSuccess.Load()
	s.rqError += n.rqError.Load()
	s.rqTimeout += n.rqTimeout.Load()
	s.rqCancelled += n.rqCancelled.Load()
	for i := range s.classes {
		s.classes[i] += n.classes[i].Load()
	}
	s.cxTotal += n.cxTotal.Load()
	s.cxConnectFail += n.cxConnectFail.Load()
	s.cxConnectTimeout += n.cxConnectTimeout.Load()
}
