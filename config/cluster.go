package config

//lint:file-ignore SA1019 Envoy still honours the cluster's older fields, and files in use have them.

import (
	"net/netip"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	upstreams "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/dockerlb/dockerlb/topology"
)

// Envoy's defaults.
const (
	defaultConnectTimeout   = 5 * time.Second
	defaultUpstreamIdle     = time.Hour
	defaultPanicPercent     = 50
	defaultOverprovisioning = 140
)

func (c *converter) cluster(cl *cluster.Cluster, at string) topology.StaticCluster {
	out := topology.StaticCluster{Cluster: topology.Cluster{
		Name: cl.GetName(), Source: topology.FromFile,
		ConnectTimeout: or(cl.GetConnectTimeout(), defaultConnectTimeout),
		IdleTimeout:    defaultUpstreamIdle,
		PanicPercent:   defaultPanicPercent, Overprovisioning: defaultOverprovisioning,
		IgnoreHealthOnRemoval: cl.GetIgnoreHealthOnHostRemoval(),
		MaxRequestsPerConn:    cl.GetMaxRequestsPerConnection().GetValue(),
	}}
	out.WaitForWarm = cl.GetWaitForWarmOnInit() == nil || cl.GetWaitForWarmOnInit().GetValue()
	c.discovery(cl, &out, at)
	c.lbPolicy(cl, &out.Cluster, at)
	c.connections(cl.GetCommonHttpProtocolOptions(), &out.Cluster, at+".common_http_protocol_options")
	for name, any := range cl.GetTypedExtensionProtocolOptions() {
		here := at + ".typed_extension_protocol_options[" + name + "]"
		if name != httpOptionsType {
			c.fail(here, "not supported: want %s", httpOptionsType)
			continue
		}
		m := new(upstreams.HttpProtocolOptions)
		if c.typed(any, m, here) {
			if m.GetExplicitHttpConfig() != nil && m.GetExplicitHttpConfig().GetHttpProtocolOptions() == nil {
				c.fail(here+".explicit_http_config", "want http_protocol_options: endpoints are spoken to in HTTP/1.1")
			}
			c.connections(m.GetCommonHttpProtocolOptions(), &out.Cluster, here+".common_http_protocol_options")
		}
	}
	if p := cl.GetCommonLbConfig().GetHealthyPanicThreshold(); p != nil {
		out.PanicPercent = uint32(p.GetValue()) // a whole number, as in Envoy
	}
	out.Breakers = c.breakers(cl.GetCircuitBreakers(), at+".circuit_breakers")
	if o := cl.GetOutlierDetection(); o != nil {
		out.Outlier = c.outlier(o, at+".outlier_detection")
	}
	if len(cl.GetHealthChecks()) > 1 {
		c.fail(at+".health_checks[1]", "a second health check: a cluster has one")
	}
	for i, h := range cl.GetHealthChecks() {
		out.HealthChecks = append(out.HealthChecks, c.healthCheck(h, index(at, "health_checks", i)))
	}
	c.hosts(cl.GetLoadAssignment(), &out, at)
	return out
}

// connections reads what holds for each upstream connection.
func (c *converter) connections(o *core.HttpProtocolOptions, out *topology.Cluster, at string) {
	if t := o.GetIdleTimeout(); t != nil {
		out.IdleTimeout = limit(t)
	}
	if n := o.GetMaxRequestsPerConnection(); n != nil {
		out.MaxRequestsPerConn = n.GetValue()
	}
	if o.GetMaxHeadersCount() != nil {
		c.fail(at+".max_headers_count", "not supported for a cluster")
	}
}

// hosts reads the load assignment.
func (c *converter) hosts(a *endpoint.ClusterLoadAssignment, out *topology.StaticCluster, at string) {
	at += ".load_assignment"
	if f := a.GetPolicy().GetOverprovisioningFactor(); f != nil {
		out.Overprovisioning = f.GetValue()
	}
	for i, l := range a.GetEndpoints() {
		here := index(at, "endpoints", i)
		var weights uint64
		for j, e := range l.GetLbEndpoints() {
			h := c.host(e, out.Type, index(here, "lb_endpoints", j))
			h.Template.Tier = l.GetPriority()
			h.Template.Region, h.Template.Zone, h.Template.SubZone = l.GetLocality().GetRegion(), l.GetLocality().GetZone(), l.GetLocality().GetSubZone()
			if out.Type == topology.LogicalDNS {
				h.Template.Tier = 0 // Envoy
			}
			weights += uint64(h.Template.Weight)
			out.Hosts = append(out.Hosts, h)
		}
		if weights > 1<<32-1 {
			c.fail(here+".lb_endpoints", "the sum of the weights must be at most %d", uint32(1<<32-1))
		}
	}
	if out.Type == topology.LogicalDNS && len(out.Hosts) != 1 {
		c.fail(at, "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint")
	}
}

func (c *converter) host(e *endpoint.LbEndpoint, kind topology.ClusterType, at string) topology.StaticHost {
	h := topology.StaticHost{Template: topology.Endpoint{Weight: 1, Hostname: e.GetEndpoint().GetHostname()}}
	if w := e.GetLoadBalancingWeight(); w != nil {
		h.Template.Weight = w.GetValue()
	}
	switch s := e.GetHealthStatus(); s {
	case core.HealthStatus_UNKNOWN, core.HealthStatus_HEALTHY:
	default:
		h.Template.EDSHealth = s.String()
	}
	if hc := e.GetEndpoint().GetHealthCheckConfig(); hc != nil {
		if hc.GetPortValue() > 65535 {
			return h // a rule says so
		}
		h.Template.HealthPort = uint16(hc.GetPortValue())
		h.Template.HealthHost = hc.GetHostname()
		h.Template.NoHealthCheck = hc.GetDisableActiveHealthCheck()
	}
	if e.GetEndpoint() == nil {
		c.fail(at+".endpoint", "is required")
		return h
	}
	sa, where := e.GetEndpoint().GetAddress().GetSocketAddress(), at+".endpoint.address.socket_address"
	if sa == nil {
		c.fail(at+".endpoint.address", "is required")
		return h
	}
	h.Port = c.port(sa, where)
	if h.Port == 0 && sa.GetPortValue() <= 65535 {
		c.fail(where+".port_value", "want a port")
	}
	name := sa.GetAddress()
	ip, err := netip.ParseAddr(name)
	switch {
	case err == nil && ip.Zone() == "":
		h.Address = ip
	case name == "": // a rule says so
	case kind == topology.StaticType:
		c.fail(where+".address", "%q is not an IP address, and a STATIC cluster resolves no names: use type STRICT_DNS (or LOGICAL_DNS)", name)
	case !validName(name):
		c.fail(where+".address", "%q is neither an IP address nor a name", name)
	default:
		h.Name = trimDot(name)
	}
	return h
}

// validName reports whether a name could be asked of DNS: labels of 1 to 63
// octets, 253 in all (RFC 1035 section 2.3.4). Docker's names may have
// underscores.
func validName(name string) bool {
	name = trimDot(name)
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	length := 0
	for i := range len(name) {
		switch ch := name[i]; {
		case ch == '.':
			if length == 0 {
				return false
			}
			length = 0
			continue
		case ch <= ' ' || ch >= 0x7f || ch == '/' || ch == ':' || ch == '*' || ch == '\\' || ch == '@':
			return false
		}
		if length++; length > 63 {
			return false
		}
	}
	return length > 0
}

func trimDot(name string) string {
	if n := len(name); n > 1 && name[n-1] == '.' {
		return name[:n-1]
	}
	return name
}
