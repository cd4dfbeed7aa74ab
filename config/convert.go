package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3" // a typed_config
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/dockerlb/dockerlb/topology"
)

const (
	hcmFilter    = "envoy.filters.network.http_connection_manager"
	routerFilter = "envoy.filters.http.router"

	defaultConnectTimeout = 5 * time.Second
	defaultRouteTimeout   = 15 * time.Second
)

// converter turns Envoy's types into ours, collecting what does not fit.
type converter struct {
	lines map[string]int
	errs  Errors
}

// fail reports at path, or at what is nearest above it in the file.
func (c *converter) fail(path, format string, args ...any) {
	at := path
	for at != "" && c.lines[at] == 0 {
		at = at[:max(0, strings.LastIndexAny(at, ".["))]
	}
	c.errs = append(c.errs, Error{Line: c.lines[at], Path: path, Reason: fmt.Sprintf(format, args...)})
}

func (c *converter) bootstrap(b *bootstrap.Bootstrap) *topology.Static {
	s := &topology.Static{}
	if a := b.GetAdmin().GetAddress(); a != nil {
		s.Admin = c.literal(a, "admin.address")
	}
	names := map[string]bool{}
	for i, l := range b.GetStaticResources().GetListeners() {
		at := fmt.Sprintf("static_resources.listeners[%d]", i)
		out := c.listener(l, at)
		if names[out.Name] {
			c.fail(at+".name", "a second listener %q", out.Name)
		}
		names[out.Name] = true
		s.Listeners = append(s.Listeners, out)
	}
	clusters := map[string]bool{}
	for i, cl := range b.GetStaticResources().GetClusters() {
		at := fmt.Sprintf("static_resources.clusters[%d]", i)
		if clusters[cl.GetName()] {
			c.fail(at+".name", "a second cluster %q", cl.GetName())
		}
		clusters[cl.GetName()] = true
		s.Clusters = append(s.Clusters, c.cluster(cl, at))
	}
	return s
}

// literal is an address that must be an IP.
func (c *converter) literal(a *core.Address, at string) netip.AddrPort {
	at += ".socket_address"
	ip, err := netip.ParseAddr(a.GetSocketAddress().GetAddress())
	if err != nil {
		c.fail(at+".address", "%q is not an IP address", a.GetSocketAddress().GetAddress())
	}
	return netip.AddrPortFrom(ip, c.port(a, at))
}

func (c *converter) port(a *core.Address, at string) uint16 {
	sa := a.GetSocketAddress()
	if sa.GetProtocol() != core.SocketAddress_TCP {
		c.fail(at+".protocol", "%s is not supported", sa.GetProtocol())
	}
	if sa.GetPortValue() > 65535 {
		c.fail(at+".port_value", "%d is not a port", sa.GetPortValue())
		return 0
	}
	return uint16(sa.GetPortValue())
}

func (c *converter) listener(l *listener.Listener, at string) topology.Listener {
	out := topology.Listener{Name: l.GetName(), Source: topology.FromFile}
	if l.GetAddress() == nil {
		c.fail(at, "no address")
	} else {
		out.Address = c.literal(l.GetAddress(), at+".address")
	}
	if out.Name == "" {
		out.Name = out.Address.String()
	}
	if len(l.GetFilterChains()) != 1 || len(l.GetFilterChains()[0].GetFilters()) != 1 {
		c.fail(at+".filter_chains", "want one filter chain with one filter, %s", hcmFilter)
		return out
	}
	at += ".filter_chains[0].filters[0]"
	f := l.GetFilterChains()[0].GetFilters()[0]
	m := new(hcm.HttpConnectionManager)
	if f.GetTypedConfig() == nil || f.GetTypedConfig().UnmarshalTo(m) != nil {
		c.fail(at, "want a typed_config of %s", hcmFilter)
		return out
	}
	at += ".typed_config"
	if t := m.GetCodecType(); t != hcm.HttpConnectionManager_AUTO && t != hcm.HttpConnectionManager_HTTP1 {
		c.fail(at+".codec_type", "%s is not supported", t)
	}
	if n := len(m.GetHttpFilters()); n != 1 || m.GetHttpFilters()[0].GetName() != routerFilter {
		c.fail(at+".http_filters", "want %s alone", routerFilter)
	}
	out.HTTP = topology.HTTPOptions{
		StatPrefix: m.GetStatPrefix(), ServerName: "envoy", ServerTransform: topology.ServerOverwrite,
		GenerateRequestID: true, EnvoyHeaders: true,
	}
	if m.GetRouteConfig() == nil {
		c.fail(at, "no route_config")
	}
	domains := map[string]bool{}
	for i, v := range m.GetRouteConfig().GetVirtualHosts() {
		out.VirtualHosts = append(out.VirtualHosts, c.virtualHost(v, out.Name, domains, fmt.Sprintf("%s.route_config.virtual_hosts[%d]", at, i)))
	}
	return out
}

func (c *converter) virtualHost(v *route.VirtualHost, listener string, seen map[string]bool, at string) topology.VirtualHost {
	out := topology.VirtualHost{Name: v.GetName()}
	if len(v.GetDomains()) == 0 {
		c.fail(at, "no domains")
	}
	for i, d := range v.GetDomains() {
		d = strings.ToLower(d)
		if seen[d] {
			c.fail(fmt.Sprintf("%s.domains[%d]", at, i), "%q stands in two virtual hosts, or twice", d)
		}
		seen[d] = true
		out.Domains = append(out.Domains, d)
	}
	for i, r := range v.GetRoutes() {
		one := c.route(r, fmt.Sprintf("%s.routes[%d]", at, i))
		one.Key = fmt.Sprintf("%s/%s/%d", listener, v.GetName(), i)
		out.Routes = append(out.Routes, one)
	}
	return out
}

func (c *converter) route(r *route.Route, at string) topology.Route {
	out := topology.Route{Name: r.GetName(), Source: topology.FromFile}
	m := r.GetMatch()
	switch p := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix:
		out.Match.Path = topology.PathSpec{Kind: topology.PathRawPrefix, Text: p.Prefix}
	case *route.RouteMatch_Path:
		out.Match.Path = topology.PathSpec{Kind: topology.PathExact, Text: p.Path}
	case *route.RouteMatch_PathSeparatedPrefix:
		out.Match.Path = topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: p.PathSeparatedPrefix}
	default:
		c.fail(at+".match", "no prefix, path or path_separated_prefix")
	}
	if cs := m.GetCaseSensitive(); cs != nil {
		out.Match.Path.CaseInsensitive = !cs.GetValue()
	}
	switch a := r.GetAction().(type) {
	case *route.Route_Route:
		if a.Route.GetCluster() == "" {
			c.fail(at+".route", "no cluster")
		}
		out.Clusters = []topology.WeightedCluster{{Name: a.Route.GetCluster(), Weight: 1}}
		out.Timeout = or(a.Route.GetTimeout(), defaultRouteTimeout)
		out.IdleTimeout = or(a.Route.GetIdleTimeout(), 0)
		if p := a.Route.GetPrefixRewrite(); p != "" {
			out.Rewrite.Prefix, out.Rewrite.SetPrefix = p, true
		}
		out.Rewrite.Host = a.Route.GetHostRewriteLiteral()
	case *route.Route_DirectResponse:
		code := a.DirectResponse.GetStatus()
		if code < 200 || code > 599 {
			c.fail(at+".direct_response.status", "%d is not within 200 to 599", code)
		}
		out.Direct = &topology.DirectResponse{Code: int(code), Body: []byte(a.DirectResponse.GetBody().GetInlineString())}
	default:
		c.fail(at, "no route or direct_response")
	}
	return out
}

func or(d *durationpb.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.AsDuration()
}

func (c *converter) cluster(cl *cluster.Cluster, at string) topology.StaticCluster {
	out := topology.StaticCluster{Cluster: topology.Cluster{
		Name: cl.GetName(), Source: topology.FromFile,
		ConnectTimeout: or(cl.GetConnectTimeout(), defaultConnectTimeout),
		PanicPercent:   50, Overprovisioning: 140,
		Breakers: topology.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3},
	}}
	if out.Name == "" {
		c.fail(at, "no name")
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
	}
	policies := map[cluster.Cluster_LbPolicy]string{
		cluster.Cluster_ROUND_ROBIN: "round_robin", cluster.Cluster_LEAST_REQUEST: "least_request",
		cluster.Cluster_RANDOM: "random", cluster.Cluster_RING_HASH: "ring_hash", cluster.Cluster_MAGLEV: "maglev",
	}
	if out.Policy = policies[cl.GetLbPolicy()]; out.Policy == "" {
		c.fail(at+".lb_policy", "%s is not supported", cl.GetLbPolicy())
	}
	out.Family = map[cluster.Cluster_DnsLookupFamily]topology.LookupFamily{
		cluster.Cluster_V4_ONLY: topology.LookupV4Only, cluster.Cluster_V6_ONLY: topology.LookupV6Only,
		cluster.Cluster_V4_PREFERRED: topology.LookupV4Preferred, cluster.Cluster_ALL: topology.LookupAll,
	}[cl.GetDnsLookupFamily()] // else AUTO, which is zero
	out.Refresh = c.refresh(cl, at)
	out.WaitForWarm = cl.GetWaitForWarmOnInit() == nil || cl.GetWaitForWarmOnInit().GetValue()
	for i, l := range cl.GetLoadAssignment().GetEndpoints() {
		for j, e := range l.GetLbEndpoints() {
			here := fmt.Sprintf("%s.load_assignment.endpoints[%d].lb_endpoints[%d]", at, i, j)
			h := topology.StaticHost{Template: topology.Endpoint{Weight: 1, Tier: l.GetPriority(), Hostname: e.GetEndpoint().GetHostname()}}
			if w := e.GetLoadBalancingWeight(); w != nil {
				h.Template.Weight = w.GetValue()
			}
			a, where := e.GetEndpoint().GetAddress(), here+".endpoint.address.socket_address"
			h.Port = c.port(a, where)
			name := a.GetSocketAddress().GetAddress()
			ip, err := netip.ParseAddr(name)
			switch {
			case err == nil:
				h.Address = ip
			case name == "":
				c.fail(where, "no address")
			case out.Type == topology.StaticType:
				c.fail(where+".address", "%q is not an IP address: a cluster of type STATIC has no names; use STRICT_DNS or LOGICAL_DNS", name)
			default:
				h.Name = name
			}
			out.Hosts = append(out.Hosts, h)
		}
	}
	if out.Type == topology.LogicalDNS && len(out.Hosts) != 1 {
		c.fail(at+".load_assignment", "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint")
	}
	return out
}
