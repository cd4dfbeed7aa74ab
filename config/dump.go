package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	previous "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typesv3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/dockerlb/dockerlb/topology"
)

// What follows is the way back: topology's values in Envoy's words, for
// /config_dump. Parse reads them into the same values again, as far as Envoy has
// words for them: it has none for what labels alone can say (hold, sticky
// cookies of our own, falling through to a less specific host).

// Bootstrap is a whole file.
func Bootstrap(s *topology.Static) *bootstrap.Bootstrap {
	b := &bootstrap.Bootstrap{}
	if s.Admin.IsValid() {
		b.Admin = &bootstrap.Admin{Address: address(s.Admin.Addr().String(), s.Admin.Port())}
	}
	if len(s.Listeners)+len(s.Clusters) == 0 {
		return b
	}
	b.StaticResources = &bootstrap.Bootstrap_StaticResources{}
	for i := range s.Listeners {
		b.StaticResources.Listeners = append(b.StaticResources.Listeners, Listener(&s.Listeners[i]))
	}
	for i := range s.Clusters {
		b.StaticResources.Clusters = append(b.StaticResources.Clusters, Cluster(&s.Clusters[i]))
	}
	return b
}

func address(host string, port uint16) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: host, PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

// packed is m as a typed_config. Our own messages always can be.
func packed(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(fmt.Sprintf("config: internal error: %T cannot be packed: %s", m, err))
	}
	return a
}

// Listener is a listener with its routes.
func Listener(l *topology.Listener) *listener.Listener {
	h := &l.HTTP
	m := &hcm.HttpConnectionManager{
		StatPrefix:                text(orElse(h.StatPrefix, l.Name)),
		RouteSpecifier:            &hcm.HttpConnectionManager_RouteConfig{RouteConfig: Routes(l, l.Name, l.VirtualHosts)},
		HttpFilters:               []*hcm.HttpFilter{{Name: routerFilter, ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: packed(&router.Router{})}}},
		Via:                       text(h.Via),
		SkipXffAppend:             h.SkipXFFAppend,
		XffNumTrustedHops:         h.XFFTrustedHops,
		PreserveExternalRequestId: h.PreserveRequestID,
		MergeSlashes:              h.MergeSlashes,
		StripMatchingHostPort:     h.StripMatchingPort,
		RequestHeadersTimeout:     limitMessage(h.HeadTimeout),
		RequestTimeout:            some(h.RequestTimeout),
		StreamIdleTimeout:         limitMessage(h.StreamIdleTimeout),
	}
	if h.ServerName != defaultServerName {
		m.ServerName = text(h.ServerName)
	}
	switch h.ServerTransform {
	case topology.ServerPassThrough:
		m.ServerHeaderTransformation = hcm.HttpConnectionManager_PASS_THROUGH
	case topology.ServerAppendIfAbsent:
		m.ServerHeaderTransformation = hcm.HttpConnectionManager_APPEND_IF_ABSENT
	}
	if h.UseRemoteAddress {
		m.UseRemoteAddress = wrapperspb.Bool(true)
	}
	if !h.GenerateRequestID {
		m.GenerateRequestId = wrapperspb.Bool(false)
	}
	if h.NormalizePath {
		m.NormalizePath = wrapperspb.Bool(true)
	}
	if h.StripAnyPort {
		m.StripPortMode = &hcm.HttpConnectionManager_StripAnyHostPort{StripAnyHostPort: true}
	}
	if h.MaxHeadBytes > 0 {
		m.MaxRequestHeadersKb = wrapperspb.UInt32(uint32(h.MaxHeadBytes >> 10))
	}
	if h.MaxHeadFields > 0 || h.IdleTimeout != 0 || h.MaxRequestsPerConn > 0 {
		m.CommonHttpProtocolOptions = &core.HttpProtocolOptions{
			IdleTimeout: limitMessage(h.IdleTimeout), MaxHeadersCount: count(h.MaxHeadFields), MaxRequestsPerConnection: count(h.MaxRequestsPerConn),
		}
	}
	for _, u := range h.Upgrades {
		m.UpgradeConfigs = append(m.UpgradeConfigs, &hcm.HttpConnectionManager_UpgradeConfig{UpgradeType: u})
	}
	return &listener.Listener{
		Name: text(l.Name), Address: address(l.Address.Addr().String(), l.Address.Port()),
		FilterChains: []*listener.FilterChain{{Filters: []*listener.Filter{{
			Name: hcmFilter, ConfigType: &listener.Filter_TypedConfig{TypedConfig: packed(m)},
		}}}},
	}
}

// Routes are virtual hosts of a listener as a route configuration.
func Routes(l *topology.Listener, name string, hosts []topology.VirtualHost) *route.RouteConfiguration {
	// Labels lead to clusters that come and go.
	rc := &route.RouteConfiguration{Name: text(name), ValidateClusters: wrapperspb.Bool(false), IgnorePortInHostMatching: l.HTTP.IgnorePort}
	largest := 0
	names := map[string]bool{}
	for i := range hosts {
		v := &hosts[i]
		out := &route.VirtualHost{Name: text(orElse(v.Name, "routes"))}
		for n := 2; names[out.Name]; n++ {
			out.Name = fmt.Sprintf("%s #%d", text(orElse(v.Name, "routes")), n)
		}
		names[out.Name] = true
		for _, d := range v.Domains {
			out.Domains = append(out.Domains, text(d))
		}
		for j := range v.Routes {
			if d := v.Routes[j].Direct; d != nil {
				largest = max(largest, len(d.Body))
			}
			out.Routes = append(out.Routes, routeMessage(&v.Routes[j]))
		}
		rc.VirtualHosts = append(rc.VirtualHosts, out)
	}
	if largest > defaultMaxBody {
		rc.MaxDirectResponseBodySizeBytes = count(largest)
	}
	return rc
}

func routeMessage(r *topology.Route) *route.Route {
	out := &route.Route{Name: text(r.Name), Match: matchMessage(&r.Match)}
	out.RequestHeadersToAdd, out.RequestHeadersToRemove = mutationMessage(&r.RequestHeaders)
	out.ResponseHeadersToAdd, out.ResponseHeadersToRemove = mutationMessage(&r.ResponseHeaders)
	switch {
	case r.Redirect != nil:
		out.Action = &route.Route_Redirect{Redirect: redirectMessage(r.Redirect)}
	case r.Direct != nil:
		d := &route.DirectResponseAction{Status: uint32(r.Direct.Code)}
		switch body := r.Direct.Body; {
		case len(body) == 0:
		case utf8.Valid(body):
			d.Body = &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: string(body)}}
		default:
			d.Body = &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: body}}
		}
		out.Action = &route.Route_DirectResponse{DirectResponse: d}
	default:
		out.Action = &route.Route_Route{Route: actionMessage(r)}
	}
	return out
}

func actionMessage(r *topology.Route) *route.RouteAction {
	a := &route.RouteAction{Timeout: durationpb.New(r.Timeout), IdleTimeout: limitMessage(r.IdleTimeout)}
	if r.Timeout == defaultRouteTimeout {
		a.Timeout = nil
	}
	alone := len(r.Clusters) == 1 && r.Clusters[0].Weight == 1 && none(r.Clusters[0].RequestHeaders) && none(r.Clusters[0].ResponseHeaders)
	if alone {
		a.ClusterSpecifier = &route.RouteAction_Cluster{Cluster: text(r.Clusters[0].Name)}
	} else {
		w := &route.WeightedCluster{}
		for i := range r.Clusters {
			c := &r.Clusters[i]
			one := &route.WeightedCluster_ClusterWeight{Name: text(c.Name), Weight: wrapperspb.UInt32(c.Weight)}
			one.RequestHeadersToAdd, one.RequestHeadersToRemove = mutationMessage(&c.RequestHeaders)
			one.ResponseHeadersToAdd, one.ResponseHeadersToRemove = mutationMessage(&c.ResponseHeaders)
			w.Clusters = append(w.Clusters, one)
		}
		a.ClusterSpecifier = &route.RouteAction_WeightedClusters{WeightedClusters: w}
	}
	switch r.ClusterNotFoundCode {
	case 404:
		a.ClusterNotFoundResponseCode = route.RouteAction_NOT_FOUND
	case 500:
		a.ClusterNotFoundResponseCode = route.RouteAction_INTERNAL_SERVER_ERROR
	}
	switch w := &r.Rewrite; {
	case w.SetPrefix:
		a.PrefixRewrite = text(orElse(w.Prefix, "/"))
	case w.Regex != "":
		a.RegexRewrite = substitutionMessage(w.Regex, w.Substitution)
	}
	switch {
	case r.Rewrite.Host != "":
		a.HostRewriteSpecifier = &route.RouteAction_HostRewriteLiteral{HostRewriteLiteral: text(r.Rewrite.Host)}
	case r.Rewrite.AutoHost:
		a.HostRewriteSpecifier = &route.RouteAction_AutoHostRewrite{AutoHostRewrite: wrapperspb.Bool(true)}
	}
	a.RetryPolicy = retryMessage(&r.Retry)
	for i := range r.Hash {
		a.HashPolicy = append(a.HashPolicy, hashMessage(&r.Hash[i]))
	}
	for _, u := range r.Upgrades {
		a.UpgradeConfigs = append(a.UpgradeConfigs, &route.RouteAction_UpgradeConfig{UpgradeType: text(u)})
	}
	return a
}

func retryMessage(p *topology.RetryPolicy) *route.RetryPolicy {
	if len(p.On) == 0 && p.Max == 0 && p.PerTry == 0 && len(p.Codes) == 0 && !p.OtherMembers && p.BaseInterval == 0 {
		return nil
	}
	out := &route.RetryPolicy{RetryOn: strings.Join(p.On, ","), NumRetries: wrapperspb.UInt32(p.Max), RetriableStatusCodes: p.Codes}
	if p.PerTry > 0 {
		out.PerTryTimeout = durationpb.New(p.PerTry)
	}
	if p.OtherMembers {
		out.RetryHostPredicate = []*route.RetryPolicy_RetryHostPredicate{{
			Name:       "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &route.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: packed(&previous.PreviousHostsPredicate{})},
		}}
	}
	if p.BaseInterval > 0 {
		out.RetryBackOff = &route.RetryPolicy_RetryBackOff{BaseInterval: durationpb.New(p.BaseInterval), MaxInterval: some(p.MaxInterval)}
	}
	return out
}

func hashMessage(h *topology.HashSource) *route.RouteAction_HashPolicy {
	out := &route.RouteAction_HashPolicy{Terminal: h.Terminal}
	switch h.Kind {
	case "header":
		out.PolicySpecifier = &route.RouteAction_HashPolicy_Header_{Header: &route.RouteAction_HashPolicy_Header{HeaderName: text(h.Name)}}
	case "cookie":
		out.PolicySpecifier = &route.RouteAction_HashPolicy_Cookie_{Cookie: &route.RouteAction_HashPolicy_Cookie{Name: text(h.Name), Path: text(h.Path), Ttl: some(h.TTL)}}
	case "query":
		out.PolicySpecifier = &route.RouteAction_HashPolicy_QueryParameter_{QueryParameter: &route.RouteAction_HashPolicy_QueryParameter{Name: text(h.Name)}}
	default:
		out.PolicySpecifier = &route.RouteAction_HashPolicy_ConnectionProperties_{ConnectionProperties: &route.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true}}
	}
	return out
}

func redirectMessage(d *topology.Redirect) *route.RedirectAction {
	out := &route.RedirectAction{HostRedirect: text(d.Host), PortRedirect: d.Port, StripQuery: d.StripQuery}
	for code, number := range redirectCodes {
		if number == d.Code {
			out.ResponseCode = code
		}
	}
	if d.Scheme != "" {
		out.SchemeRewriteSpecifier = &route.RedirectAction_SchemeRedirect{SchemeRedirect: text(d.Scheme)}
	}
	switch {
	case d.Path != "":
		out.PathRewriteSpecifier = &route.RedirectAction_PathRedirect{PathRedirect: text(d.Path)}
	case d.Prefix != "":
		out.PathRewriteSpecifier = &route.RedirectAction_PrefixRewrite{PrefixRewrite: text(d.Prefix)}
	case d.Regex != "":
		out.PathRewriteSpecifier = &route.RedirectAction_RegexRewrite{RegexRewrite: substitutionMessage(d.Regex, d.Substitution)}
	}
	return out
}

// substitutionMessage undoes converter.substitution.
func substitutionMessage(pattern, with string) *matcher.RegexMatchAndSubstitute {
	var b strings.Builder
	for i := 0; i < len(with); i++ {
		switch {
		case strings.HasPrefix(with[i:], "$$"):
			b.WriteByte('$')
			i++
		case strings.HasPrefix(with[i:], "${") && i+3 < len(with) && with[i+3] == '}':
			b.WriteByte('\\')
			b.WriteByte(with[i+2])
			i += 3
		case with[i] == '\\':
			b.WriteString(`\\`)
		default:
			b.WriteByte(with[i])
		}
	}
	return &matcher.RegexMatchAndSubstitute{Pattern: regexMessage(pattern), Substitution: text(b.String())}
}

func regexMessage(pattern string) *matcher.RegexMatcher {
	return &matcher.RegexMatcher{Regex: text(pattern)}
}

func matchMessage(m *topology.Match) *route.RouteMatch {
	out := &route.RouteMatch{}
	switch p := &m.Path; {
	case p.Kind == topology.PathExact:
		out.PathSpecifier = &route.RouteMatch_Path{Path: text(p.Text)}
	case p.Kind == topology.PathRegex:
		out.PathSpecifier = &route.RouteMatch_SafeRegex{SafeRegex: regexMessage(p.Text)}
	case p.Kind == topology.PathSegmentPrefix && len(p.Text) > 1 && !strings.HasSuffix(p.Text, "/"):
		out.PathSpecifier = &route.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: text(p.Text)}
	default: // one that ends with a slash is on a border by itself
		out.PathSpecifier = &route.RouteMatch_Prefix{Prefix: text(p.Text)}
	}
	if m.Path.CaseInsensitive {
		out.CaseSensitive = wrapperspb.Bool(false)
	}
	for i := range m.Headers {
		h := &m.Headers[i]
		one := &route.HeaderMatcher{Name: text(h.Name), InvertMatch: h.Invert, TreatMissingHeaderAsEmpty: h.MissingAsEmpty}
		switch h.Kind {
		case topology.StringPresent:
			one.HeaderMatchSpecifier = &route.HeaderMatcher_PresentMatch{PresentMatch: true}
		case topology.StringRange:
			one.HeaderMatchSpecifier = &route.HeaderMatcher_RangeMatch{RangeMatch: &typesv3.Int64Range{Start: h.From, End: h.To}}
		default:
			one.HeaderMatchSpecifier = &route.HeaderMatcher_StringMatch{StringMatch: stringMessage(h)}
		}
		out.Headers = append(out.Headers, one)
	}
	for i := range m.Query {
		q := &m.Query[i]
		one := &route.QueryParameterMatcher{Name: text(q.Name)}
		if q.Kind == topology.StringPresent {
			one.QueryParameterMatchSpecifier = &route.QueryParameterMatcher_PresentMatch{PresentMatch: !q.Invert}
		} else {
			one.QueryParameterMatchSpecifier = &route.QueryParameterMatcher_StringMatch{StringMatch: stringMessage(q)}
		}
		out.QueryParameters = append(out.QueryParameters, one)
	}
	if m.GRPC {
		out.Grpc = &route.RouteMatch_GrpcRouteMatchOptions{}
	}
	return out
}

func stringMessage(h *topology.HeaderMatcher) *matcher.StringMatcher {
	out := &matcher.StringMatcher{IgnoreCase: h.IgnoreCase}
	switch t := text(h.Text); h.Kind {
	case topology.StringPrefix:
		out.MatchPattern = &matcher.StringMatcher_Prefix{Prefix: t}
	case topology.StringSuffix:
		out.MatchPattern = &matcher.StringMatcher_Suffix{Suffix: t}
	case topology.StringContains:
		out.MatchPattern = &matcher.StringMatcher_Contains{Contains: t}
	case topology.StringRegex:
		out.MatchPattern = &matcher.StringMatcher_SafeRegex{SafeRegex: regexMessage(h.Text)}
	default:
		out.MatchPattern = &matcher.StringMatcher_Exact{Exact: t}
	}
	return out
}

var appendActions = map[topology.AppendAction]core.HeaderValueOption_HeaderAppendAction{
	topology.AddIfAbsent:       core.HeaderValueOption_ADD_IF_ABSENT,
	topology.OverwriteOrAdd:    core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	topology.OverwriteIfExists: core.HeaderValueOption_OVERWRITE_IF_EXISTS,
}

func mutationMessage(m *topology.HeaderMutation) (add []*core.HeaderValueOption, remove []string) {
	for _, v := range m.Add {
		add = append(add, &core.HeaderValueOption{
			Header:       &core.HeaderValue{Key: text(v.Name), Value: text(strings.ReplaceAll(v.Value, "%", "%%"))},
			AppendAction: appendActions[v.Action], KeepEmptyValue: v.Value == "",
		})
	}
	for _, name := range m.Remove {
		remove = append(remove, text(name))
	}
	return add, remove
}

// text is s as protobuf takes it.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// some is a duration that is there where it is not 0.
func some(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// limitMessage undoes limit. A negative one is off, too.
func limitMessage(d time.Duration) *durationpb.Duration {
	if d < 0 || d == off {
		return durationpb.New(0)
	}
	return some(d)
}

// count is a number that is there where it is not 0.
func count[N int | uint32](n N) *wrapperspb.UInt32Value {
	if n == 0 {
		return nil
	}
	return wrapperspb.UInt32(uint32(n))
}

func count64(n uint64) *wrapperspb.UInt64Value {
	if n == 0 {
		return nil
	}
	return wrapperspb.UInt64(n)
}

// Labelled is a cluster that containers make, as a file could say it: STATIC,
// with the addresses of now. A member that takes no new requests is draining.
func Labelled(c *topology.Cluster) *topology.StaticCluster {
	out := &topology.StaticCluster{Cluster: *c, WaitForWarm: true}
	out.Type, out.Endpoints = topology.StaticType, nil
	out.HealthChecks = slices.DeleteFunc(slices.Clone(c.HealthChecks), func(h topology.HealthCheck) bool {
		return h.Interval <= 0 || h.Limit <= 0 || h.Rise == 0 || h.Fall == 0
	})
	out.HealthChecks = out.HealthChecks[:min(len(out.HealthChecks), 1)]
	for _, now := range c.Endpoints {
		e := *now
		if e.Stopping || e.Weight == 0 {
			e.EDSHealth = "DRAINING"
		} else if e.Paused {
			e.EDSHealth = "UNHEALTHY"
		}
		e.Weight = max(e.Weight, 1)
		out.Hosts = append(out.Hosts, topology.StaticHost{Address: e.Address.Addr(), Port: e.Address.Port(), Template: e})
	}
	return out
}

func ip(h *topology.StaticHost) string {
	if h.Name != "" {
		return text(h.Name)
	}
	if h.Address == (netip.Addr{}) {
		return ""
	}
	return h.Address.String()
}
