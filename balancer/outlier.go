package balancer

import (
	"sync/atomic"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// outlierCounters are what detection goes by, written by requests.
type outlierCounters struct {
	row5xx, rowGateway, rowLocal atomic.Uint32 // in a row
	asked                        atomic.Bool   // a detection is on its way to Run
	total, success               atomic.Uint64 // since the last sweep
}

// ejection is an endpoint's passive health, guarded by Balancer.mu.
type ejection struct {
	out        bool
	why        string
	at, until  time.Time
	multiplier int
}

// detection is one endpoint that has failed too often.
type detection struct {
	e *Endpoint
}

func (c *Cluster) outlierSpec() *topology.Outlier { return c.Spec().Outlier }

func (e *Endpoint) judge(o Outcome) {}

func (b *Balancer) detected(d detection, now time.Time) {}

func (c *Cluster) nextSweep(now time.Time) time.Time { return time.Time{} }

func (b *Balancer) sweep(c *Cluster, now time.Time) time.Time { return time.Time{} }

func (e *Endpoint) uneject() { e.ejection.out = false }
