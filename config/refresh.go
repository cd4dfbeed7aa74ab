package config

//lint:file-ignore SA1019 Envoy still honours the cluster's dns_ fields, and files in use have them.

import (
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/dockerlb/dockerlb/topology"
)

const defaultRefreshRate = 5 * time.Second

// refresh is when the cluster's names are asked again.
func (c *converter) refresh(cl *cluster.Cluster, at string) topology.RefreshPolicy {
	p := topology.RefreshPolicy{
		Rate:        or(cl.GetDnsRefreshRate(), defaultRefreshRate),
		Jitter:      or(cl.GetDnsJitter(), 0),
		RespectTTL:  cl.GetRespectDnsTtl(),
		FirstTTL:    cl.GetType() == cluster.Cluster_LOGICAL_DNS,
		FailureBase: or(cl.GetDnsFailureRefreshRate().GetBaseInterval(), 0),
		FailureMax:  or(cl.GetDnsFailureRefreshRate().GetMaxInterval(), 0),
	}
	if p.Rate <= time.Millisecond {
		c.fail(at+".dns_refresh_rate", "must be more than 1 ms")
	}
	return p
}
