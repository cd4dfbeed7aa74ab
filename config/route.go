package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/dockerlb/dockerlb/topology"
)

// scope is what a route inherits.
type scope struct {
	listener          string
	host              string
	upgrades          upgradeSet
	ownUpgrades       bool // some route has upgrade_configs, so all say theirs
	unchecked         bool // validate_clusters: false
	maxBody           int
	retry             *route.RetryPolicy
	retryAt           string
	requests, answers []topology.HeaderMutation // from the virtual host outwards
}

// defaultMaxBody is Envoy's max_direct_response_body_size_bytes.
const defaultMaxBody = 4096

// routes reads a route configuration into the listener.
func (c *converter) routes(rc *route.RouteConfiguration, out *topology.Listener, upgrades upgradeSet, at string) {
	s := scope{listener: out.Name, upgrades: upgrades, maxBody: defaultMaxBody}
	s.unchecked = rc.GetValidateClusters() != nil && !rc.GetValidateClusters().GetValue()
	if m := rc.GetMaxDirectResponseBodySizeBytes(); m != nil {
		s.maxBody = int(m.GetValue())
	}
	requests, answers := c.headers(rc, at)
	domains, names := map[string]string{}, firsts{}
	for _, v := range rc.GetVirtualHosts() {
		for _, r := range v.GetRoutes() {
			s.ownUpgrades = s.ownUpgrades || len(r.GetRoute().GetUpgradeConfigs()) > 0
		}
	}
	if s.ownUpgrades {
		out.HTTP.Upgrades = nil
	}
	for i, v := range rc.GetVirtualHosts() {
		here := index(at, "virtual_hosts", i)
		c.once(names, v.GetName(), here, "virtual host")
		s := s
		s.host = v.GetName()
		s.retry, s.retryAt = v.GetRetryPolicy(), here+".retry_policy"
		own, ownAnswers := c.headers(v, here)
		s.requests = []topology.HeaderMutation{own, requests}
		s.answers = []topology.HeaderMutation{ownAnswers, answers}
		out.VirtualHosts = append(out.VirtualHosts, c.virtualHost(v, &s, domains, here))
	}
}

func (c *converter) virtualHost(v *route.VirtualHost, s *scope, seen map[string]string, at string) topology.VirtualHost {
	out := topology.VirtualHost{Name: v.GetName()}
	for i, d := range v.GetDomains() {
		here := index(at, "domains", i)
		d = strings.ToLower(d)
		middle := strings.TrimSuffix(strings.TrimPrefix(d, "*"), "*")
		switch first, again := seen[d]; {
		case again:
			c.fail(here, "%q is a domain of virtual host %q, too: a domain stands in one, once", d, first)
		case d == "":
			c.fail(here, "want a domain, or *")
		case strings.Contains(middle, "*") || middle != "" && d[0] == '*' && d[len(d)-1] == '*':
			c.fail(here, "%q: an asterisk stands alone, at the beginning or at the end", d)
		default:
			seen[d] = v.GetName()
			out.Domains = append(out.Domains, d)
		}
	}
	for i, r := range v.GetRoutes() {
		one := c.route(r, s, index(at, "routes", i))
		one.Key = fmt.Sprintf("%s/%s/%d", s.listener, v.GetName(), i)
		out.Routes = append(out.Routes, one)
	}
	return out
}

func (c *converter) route(r *route.Route, s *scope, at string) topology.Route {
	out := topology.Route{Name: r.GetName(), Source: topology.FromFile}
	out.Match = c.match(r.GetMatch(), at+".match")
	requests, answers := c.headers(r, at)
	s = &scope{
		listener: s.listener, host: s.host, upgrades: s.upgrades, ownUpgrades: s.ownUpgrades, unchecked: s.unchecked, maxBody: s.maxBody,
		retry: s.retry, retryAt: s.retryAt,
		requests: append([]topology.HeaderMutation{requests}, s.requests...),
		answers:  append([]topology.HeaderMutation{answers}, s.answers...),
	}
	out.RequestHeaders, out.ResponseHeaders = inOrder(s.requests...), inOrder(s.answers...)
	switch a := r.GetAction().(type) {
	case *route.Route_Route:
		c.forward(a.Route, s, &out, at+".route")
	case *route.Route_Redirect:
		out.Redirect = c.redirect(a.Redirect, out.Match.Path.Kind, at+".redirect")
	case *route.Route_DirectResponse:
		out.Direct = c.direct(a.DirectResponse, s.maxBody, at+".direct_response")
	}
	if out.Clusters == nil {
		out.RequestHeaders = topology.HeaderMutation{} // nobody is sent a request
	}
	return out
}

func (c *converter) match(m *route.RouteMatch, at string) topology.Match {
	var out topology.Match
	fold := m.GetCaseSensitive() != nil && !m.GetCaseSensitive().GetValue()
	switch p := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix:
		out.Path = topology.PathSpec{Kind: topology.PathRawPrefix, Text: p.Prefix, CaseInsensitive: fold}
	case *route.RouteMatch_Path:
		out.Path = topology.PathSpec{Kind: topology.PathExact, Text: p.Path, CaseInsensitive: fold}
	case *route.RouteMatch_PathSeparatedPrefix:
		out.Path = topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: p.PathSeparatedPrefix, CaseInsensitive: fold}
	case *route.RouteMatch_SafeRegex:
		// case_sensitive has no effect on a regular expression.
		out.Path = topology.PathSpec{Kind: topology.PathRegex, Text: c.regex(p.SafeRegex, at+".safe_regex")}
	}
	if strings.ContainsAny(out.Path.Text, "?#") && out.Path.Kind != topology.PathRegex {
		c.fail(at, "path %q: a path has no query or fragment", out.Path.Text)
	}
	for i, h := range m.GetHeaders() {
		out.Headers = append(out.Headers, c.headerMatcher(h, index(at, "headers", i)))
	}
	for i, q := range m.GetQueryParameters() {
		here := index(at, "query_parameters", i)
		one := topology.HeaderMatcher{Name: q.GetName()}
		switch s := q.GetQueryParameterMatchSpecifier().(type) {
		case *route.QueryParameterMatcher_StringMatch:
			c.stringMatcher(s.StringMatch, &one, here+".string_match")
		case *route.QueryParameterMatcher_PresentMatch:
			one.Invert = !s.PresentMatch
		}
		out.Query = append(out.Query, one)
	}
	out.GRPC = m.GetGrpc() != nil
	return out
}

func (c *converter) stringMatcher(m *matcher.StringMatcher, out *topology.HeaderMatcher, at string) {
	out.IgnoreCase = m.GetIgnoreCase()
	switch s := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		out.Kind, out.Text = topology.StringExact, s.Exact
	case *matcher.StringMatcher_Prefix:
		out.Kind, out.Text = topology.StringPrefix, s.Prefix
	case *matcher.StringMatcher_Suffix:
		out.Kind, out.Text = topology.StringSuffix, s.Suffix
	case *matcher.StringMatcher_Contains:
		out.Kind, out.Text = topology.StringContains, s.Contains
	case *matcher.StringMatcher_SafeRegex:
		out.Kind, out.Text, out.IgnoreCase = topology.StringRegex, c.regex(s.SafeRegex, at+".safe_regex"), false
	}
}

// regex is a regular expression of RE2, which Go's are.
func (c *converter) regex(m *matcher.RegexMatcher, at string) string {
	if _, err := regexp.Compile(m.GetRegex()); err != nil {
		c.fail(at+".regex", "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return m.GetRegex()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
