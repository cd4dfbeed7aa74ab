package balancer

import (
	"cmp"
	"slices"
	"time"
)

// Snapshot copies what is, for admin. Any goroutine; not for the request path.
func (b *Balancer) Snapshot() Snapshot {
	now := time.Now()
	b.mu.Lock()
	defer b.unlock()
	b.reap(now)
	s := Snapshot{Table: *b.table}
	v := b.view.Load()
	for i := range b.table.Listeners {
		l := &b.table.Listeners[i]
		st := ListenerStatus{Name: l.Name, Address: l.Address, Source: l.Source}
		for j := range l.VirtualHosts {
			st.Routes += len(l.VirtualHosts[j].Routes)
		}
		s.Listeners = append(s.Listeners, st)
	}
	for _, c := range v.clusters {
		s.Clusters = append(s.Clusters, b.status(c, now))
	}
	slices.SortFunc(s.Clusters, func(a, b ClusterStatus) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

func (b *Balancer) status(c *Cluster, now time.Time) ClusterStatus {
	spec, p := c.Spec(), c.picker.Load()
	st := ClusterStatus{
		Name:     c.name,
		Type:     string(spec.Type),
		Policy:   spec.Policy,
		Source:   spec.Source,
		Warm:     spec.Warm,
		Total:    len(c.endpoints),
		Ready:    p.ready,
		Panic:    p.panic,
		Held:     int(c.use.held.Load()),
		Breakers: limits(spec),
		Outlier:  spec.Outlier,
		Disagree: spec.Disagree,

		Tombstone: c.tombstone(),
	}
	sum := c.base
	for _, e := range b.leaving {
		if e.cluster == c {
			sum.add(e)
		}
	}
	for _, e := range c.endpoints {
		sum.add(e)
		st.Endpoints = append(st.Endpoints, e.status(now))
	}
	st.Counters = c.counters(&sum)
	return st
}

func (c *Cluster) counters(sum *endpointCounts) ClusterCounters {
	n := &c.count
	return ClusterCounters{
		RqTotal:     sum.rqTotal,
		RqCompleted: sum.classes[1] + sum.classes[2] + sum.classes[3] + sum.classes[4] + sum.classes[5],
		RqTimeout:   sum.rqTimeout - min(sum.rqTimeout, n.perTryTimeout.Load()), RqPerTryTimeout: n.perTryTimeout.Load(), RqCancelled: sum.rqCancelled,
		Rq1xx: sum.classes[1], Rq2xx: sum.classes[2], Rq3xx: sum.classes[3], Rq4xx: sum.classes[4], Rq5xx: sum.classes[5],
		RqRetry: n.retry.Load(), RqRetrySuccess: n.retrySuccess.Load(), RqRetryOverflow: n.retryOverflow.Load(),
		RqRetryLimitExceeded: n.retryLimit.Load(),
		RqPendingOverflow:    n.pendingOverflow.Load(), RqPendingTotal: n.pendingTotal.Load(),
		CxTotal: sum.cxTotal, CxConnectFail: sum.cxConnectFail, CxConnectTimeout: sum.cxConnectTimeout,
		CxOverflow: n.cxOverflow.Load(), CxActive: c.use.connections.Load(),
		RqActive: c.use.requests.Load(), RqPendingActive: c.use.pending.Load() + c.use.held.Load(),
		MembershipChange: n.membershipChange.Load(), HealthyPanic: n.panicked.Load(),
		HeldTotal: n.held.Load(), HeldTimeout: n.heldTimeout.Load(), NoneHealthy: n.noneHealthy.Load(),
		OutlierEnforced: n.outlierEnforced.Load(), OutlierOverflow: n.outlierOverflow.Load(), OutlierActive: n.outlierActive.Load(),
		HealthAttempt: n.checks.Load(), HealthSuccess: n.checkSuccess.Load(), HealthFailure: n.checkFailure.Load(),
		HealthNetwork: n.checkNet.Load(),
	}
}

func (e *Endpoint) status(now time.Time) EndpointStatus {
	n := &e.count
	stand := e.evaluate(now) // again: what it waits for has come nearer
	st := EndpointStatus{
		Endpoint: *e.Spec(),
		State:    stand.state, Why: stand.why, Since: e.since,
		Flags:           e.flags(),
		EffectiveWeight: e.weight(),
		OverrideDrain:   e.override.drain,
		JoinTook:        e.joinTook,
		CxTotal:         n.cxTotal.Load(), CxConnectFail: n.cxConnectFail.Load(),
		RqTotal: n.rqTotal.Load(), RqSuccess: n.rqSuccess.Load(), RqError: n.rqError.Load(), RqTimeout: n.rqTimeout.Load(),
		CxActive: e.cxActive.Load(), RqActive: e.active.Load(),
	}
	if w := e.override.weight; w != nil {
		weight := *w
		st.OverrideWeight = &weight
	}
	if e.ejection.out {
		st.EjectedUntil = e.ejectedUntil()
	}
	return st
}
