package config

//lint:file-ignore SA1019 Envoy still honours the cluster's dns_ fields, and files in use have them.

import (
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	dns "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/dockerlb/dockerlb/topology"
)

const defaultRefreshRate = 5 * time.Second

// failureRate is dns_failure_refresh_rate, of either message.
type failureRate interface {
	GetBaseInterval() *durationpb.Duration
	GetMaxInterval() *durationpb.Duration
}

// discovery reads where the cluster's endpoints come from, and when its names
// are asked again.
func (c *converter) discovery(cl *cluster.Cluster, out *topology.StaticCluster, at string) {
	if t := cl.GetClusterType(); t != nil {
		at += ".cluster_type"
		m := new(dns.DnsCluster)
		switch {
		case t.GetTypedConfig() == nil:
			c.fail(at, "want envoy.clusters.dns with a typed_config of type %s", dnsClusterType)
		case c.typed(t.GetTypedConfig(), m, at+".typed_config"):
			c.dnsCluster(m, out, at+".typed_config")
		}
		return
	}
	switch t := cl.GetType(); t {
	case cluster.Cluster_STATIC:
		out.Type = topology.StaticType
	case cluster.Cluster_STRICT_DNS:
		out.Type = topology.StrictDNS
	case cluster.Cluster_LOGICAL_DNS:
		out.Type = topology.LogicalDNS
	default:
		c.fail(at+".type", "%s is not supported", t)
		out.Type = topology.StrictDNS // to go on with
	}
	switch cl.GetDnsLookupFamily() {
	case cluster.Cluster_V4_ONLY:
		out.Family = topology.LookupV4Only
	case cluster.Cluster_V6_ONLY:
		out.Family = topology.LookupV6Only
	case cluster.Cluster_V4_PREFERRED:
		out.Family = topology.LookupV4Preferred
	case cluster.Cluster_ALL:
		out.Family = topology.LookupAll
	}
	out.Refresh = topology.RefreshPolicy{
		Rate: or(cl.GetDnsRefreshRate(), defaultRefreshRate), Jitter: or(cl.GetDnsJitter(), 0),
		RespectTTL: cl.GetRespectDnsTtl(), FirstTTL: out.Type == topology.LogicalDNS,
	}
	if f := cl.GetDnsFailureRefreshRate(); f != nil {
		c.failureRate(f, &out.Refresh, at+".dns_failure_refresh_rate")
	}
}

// dnsCluster is the newer spelling of the two DNS types.
func (c *converter) dnsCluster(m *dns.DnsCluster, out *topology.StaticCluster, at string) {
	out.Type = topology.StrictDNS
	if m.GetAllAddressesInSingleEndpoint() {
		out.Type = topology.LogicalDNS
	}
	switch name := m.GetDnsLookupFamily().String(); name {
	case "UNSPECIFIED", "AUTO":
	case "V4_ONLY":
		out.Family = topology.LookupV4Only
	case "V6_ONLY":
		out.Family = topology.LookupV6Only
	case "V4_PREFERRED":
		out.Family = topology.LookupV4Preferred
	case "ALL":
		out.Family = topology.LookupAll
	default:
		c.fail(at+".dns_lookup_family", "%s is not supported", name)
	}
	out.Refresh = topology.RefreshPolicy{
		Rate: or(m.GetDnsRefreshRate(), defaultRefreshRate), Jitter: or(m.GetDnsJitter(), 0),
		RespectTTL: m.GetRespectDnsTtl(), FirstTTL: out.Type == topology.LogicalDNS,
	}
	if f := m.GetDnsFailureRefreshRate(); f != nil {
		c.failureRate(f, &out.Refresh, at+".dns_failure_refresh_rate")
	}
}

func (c *converter) failureRate(f failureRate, p *topology.RefreshPolicy, at string) {
	p.FailureBase, p.FailureMax = or(f.GetBaseInterval(), 0), or(f.GetMaxInterval(), 0)
	if f.GetMaxInterval() != nil && p.FailureMax < p.FailureBase {
		c.fail(at+".max_interval", "must be at least base_interval, %s", p.FailureBase)
	}
}
