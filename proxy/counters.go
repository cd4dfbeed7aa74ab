package proxy

import "sync/atomic"

// Counters are a listener's, with Envoy's names (http.<prefix>.
// downstream_…); monotonic but for those with Active.
type Counters struct {
	Listener, StatPrefix                         string
	CxTotal, CxOverflow, CxProtocolError         uint64
	CxRxBytes, CxTxBytes                         uint64
	CxUpgradesTotal, CxIdleTimeout, CxDrainClose uint64
	CxMaxRequests                                uint64
	CxActive, CxUpgradesActive                   int64
	RqTotal, RqCompleted                         uint64
	Rq1xx, Rq2xx, Rq3xx, Rq4xx, Rq5xx            uint64
	RqTimeout, RqHeaderTimeout, RqIdleTimeout    uint64
	RqRxReset, RqTooLarge, RqNonRelativePath     uint64
	RqResponseBeforeComplete, RqWSOnNonWSRoute   uint64
	NoRoute, NoCluster, RqRedirect, RqDirect     uint64
	RqActive                                     int64
}

// counters are the living ones.
type counters struct {
	cxTotal, cxOverflow, cxProtocolError        atomic.Uint64
	rx, tx                                      atomic.Uint64
	upgrades, cxIdle, cxDrain, cxMaxRequests    atomic.Uint64
	cxActive, upgradesActive, rqActive          atomic.Int64
	rqTotal                                     atomic.Uint64
	class                                       [6]atomic.Uint64 // by the first digit
	rqTimeout, headerTimeout, rqIdle            atomic.Uint64
	rxReset, tooLarge, nonRelative, early, noWS atomic.Uint64
	noRoute, noCluster, redirect, direct        atomic.Uint64
}

func (c *counters) status(code int) {
	if i := code / 100; i < len(c.class) {
		c.class[i].Add(1)
	}
}

func (c *counters) snapshot() Counters {
	s := Counters{
		CxTotal: c.cxTotal.Load(), CxOverflow: c.cxOverflow.Load(), CxProtocolError: c.cxProtocolError.Load(),
		CxRxBytes: c.rx.Load(), CxTxBytes: c.tx.Load(),
		CxUpgradesTotal: c.upgrades.Load(), CxIdleTimeout: c.cxIdle.Load(), CxDrainClose: c.cxDrain.Load(),
		CxMaxRequests: c.cxMaxRequests.Load(),
		CxActive:      c.cxActive.Load(), CxUpgradesActive: c.upgradesActive.Load(), RqActive: c.rqActive.Load(),
		RqTotal: c.rqTotal.Load(),
		Rq1xx:   c.class[1].Load(), Rq2xx: c.class[2].Load(), Rq3xx: c.class[3].Load(), Rq4xx: c.class[4].Load(), Rq5xx: c.class[5].Load(),
		RqTimeout: c.rqTimeout.Load(), RqHeaderTimeout: c.headerTimeout.Load(), RqIdleTimeout: c.rqIdle.Load(),
		RqRxReset: c.rxReset.Load(), RqTooLarge: c.tooLarge.Load(), RqNonRelativePath: c.nonRelative.Load(),
		RqResponseBeforeComplete: c.early.Load(), RqWSOnNonWSRoute: c.noWS.Load(),
		NoRoute: c.noRoute.Load(), NoCluster: c.noCluster.Load(), RqRedirect: c.redirect.Load(), RqDirect: c.direct.Load(),
	}
	s.RqCompleted = s.Rq2xx + s.Rq3xx + s.Rq4xx + s.Rq5xx
	return s
}
