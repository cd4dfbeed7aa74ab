package config

import (
	"strings"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/dockerlb/dockerlb/topology"
)

const (
	hcmFilter    = "envoy.filters.network.http_connection_manager"
	routerFilter = "envoy.filters.http.router"

	// defaultServerName is what Envoy calls itself.
	defaultServerName = "envoy"
	// defaultHeadBytes is Envoy's max_request_headers_kb, and ours.
	defaultHeadBytes = 60 << 10
)

func (c *converter) listener(l *listener.Listener, at string) topology.Listener {
	out := topology.Listener{Name: l.GetName(), Source: topology.FromFile}
	if l.GetAddress() == nil {
		c.fail(at+".address", "is required")
	} else {
		out.Address = c.literal(l.GetAddress(), at+".address")
		if l.GetAddress().GetSocketAddress().GetPortValue() == 0 && out.Address.IsValid() {
			c.fail(at+".address.socket_address.port_value", "want a port")
		}
	}
	if out.Name == "" && out.Address.IsValid() {
		out.Name = out.Address.String() // Envoy invents a UUID; this one lasts
	}
	if len(l.GetFilterChains()) != 1 {
		c.fail(at+".filter_chains", "want one filter chain, with %s", hcmFilter)
		return out
	}
	at = at + ".filter_chains[0]"
	filters := l.GetFilterChains()[0].GetFilters()
	if len(filters) != 1 {
		c.fail(at+".filters", "want one filter, %s", hcmFilter)
		return out
	}
	at += ".filters[0]"
	if filters[0].GetTypedConfig() == nil {
		c.fail(at+".typed_config", "want a typed_config of type %s", hcmType)
		return out
	}
	at += ".typed_config"
	m := new(hcm.HttpConnectionManager)
	if c.typed(filters[0].GetTypedConfig(), m, at) {
		c.manager(m, &out, at)
	}
	return out
}

// manager reads the HTTP connection manager.
func (c *converter) manager(m *hcm.HttpConnectionManager, out *topology.Listener, at string) {
	if t := m.GetCodecType(); t != hcm.HttpConnectionManager_AUTO && t != hcm.HttpConnectionManager_HTTP1 {
		c.fail(at+".codec_type", "%s is not supported: clients are spoken to in HTTP/1.1", t)
	}
	c.httpFilters(m.GetHttpFilters(), at)
	if m.GetStripMatchingHostPort() && m.GetStripAnyHostPort() {
		c.fail(at+".strip_any_host_port", "not together with strip_matching_host_port")
	}
	common := m.GetCommonHttpProtocolOptions()
	head := int(m.GetMaxRequestHeadersKb().GetValue()) << 10
	h := topology.HTTPOptions{
		StatPrefix:         m.GetStatPrefix(),
		ServerName:         m.GetServerName(),
		Via:                m.GetVia(),
		UseRemoteAddress:   m.GetUseRemoteAddress().GetValue(),
		SkipXFFAppend:      m.GetSkipXffAppend(),
		XFFTrustedHops:     m.GetXffNumTrustedHops(),
		GenerateRequestID:  m.GetGenerateRequestId() == nil || m.GetGenerateRequestId().GetValue(),
		PreserveRequestID:  m.GetPreserveExternalRequestId(),
		NormalizePath:      m.GetNormalizePath().GetValue(),
		MergeSlashes:       m.GetMergeSlashes(),
		StripMatchingPort:  m.GetStripMatchingHostPort(),
		StripAnyPort:       m.GetStripAnyHostPort(),
		IgnorePort:         m.GetRouteConfig().GetIgnorePortInHostMatching(),
		AcceptHTTP10:       true,
		EnvoyHeaders:       true,
		MaxHeadBytes:       head,
		MaxHeadFields:      int(common.GetMaxHeadersCount().GetValue()),
		MaxTargetBytes:     head, // Envoy has no limit of its own for it
		HeadTimeout:        limit(m.GetRequestHeadersTimeout()),
		RequestTimeout:     or(m.GetRequestTimeout(), 0),
		IdleTimeout:        limit(common.GetIdleTimeout()),
		StreamIdleTimeout:  limit(m.GetStreamIdleTimeout()),
		MaxRequestsPerConn: common.GetMaxRequestsPerConnection().GetValue(),
	}
	if h.ServerName == "" {
		h.ServerName = defaultServerName
	}
	if head == 0 {
		h.MaxTargetBytes = defaultHeadBytes
	}
	switch m.GetServerHeaderTransformation() {
	case hcm.HttpConnectionManager_OVERWRITE:
		h.ServerTransform = topology.ServerOverwrite
	case hcm.HttpConnectionManager_APPEND_IF_ABSENT:
		h.ServerTransform = topology.ServerAppendIfAbsent
	}
	upgrades := upgradeSet{}
	for i, u := range m.GetUpgradeConfigs() {
		upgrades[c.upgrade(u.GetUpgradeType(), index(at, "upgrade_configs", i))] = u.GetEnabled() == nil || u.GetEnabled().GetValue()
	}
	h.Upgrades = upgrades.allowed()
	out.HTTP = h
	if m.GetRouteConfig() == nil {
		c.fail(at+".route_config", "is required")
		return
	}
	c.routes(m.GetRouteConfig(), out, upgrades, at+".route_config")
}

func (c *converter) httpFilters(filters []*hcm.HttpFilter, at string) {
	if len(filters) != 1 {
		c.fail(at+".http_filters", "want one filter, %s", routerFilter)
		return
	}
	f, at := filters[0], index(at, "http_filters", 0)
	switch {
	case f.GetTypedConfig() != nil:
		c.typed(f.GetTypedConfig(), new(router.Router), at+".typed_config")
	case untyped[f.GetName()] != routerType:
		c.fail(at+".name", "%q is not supported: want %s alone", f.GetName(), routerFilter)
	}
}

// upgradeSet says of each protocol, lower case, whether a connection may change
// to it.
type upgradeSet map[string]bool

func (s upgradeSet) allowed() []string {
	var names []string
	for _, name := range sortedKeys(s) {
		if s[name] {
			names = append(names, name)
		}
	}
	return names
}

func (c *converter) upgrade(name, at string) string {
	name = strings.ToLower(name)
	if name == "connect" || name == "connect-udp" {
		c.fail(at+".upgrade_type", "%s is not supported", strings.ToUpper(name))
	}
	return name
}
