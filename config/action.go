package config

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previous "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/dockerlb/dockerlb/topology"
)

const defaultRouteTimeout = 15 * time.Second

// forward reads what a route does with a request that goes to a cluster.
func (c *converter) forward(a *route.RouteAction, s *scope, out *topology.Route, at string) {
	switch spec := a.GetClusterSpecifier().(type) {
	case *route.RouteAction_Cluster:
		out.Clusters = []topology.WeightedCluster{{Name: spec.Cluster, Weight: 1}}
		c.names(spec.Cluster, s, at+".cluster")
	case *route.RouteAction_WeightedClusters:
		c.weighted(spec.WeightedClusters, s, out, at+".weighted_clusters")
	}
	switch a.GetClusterNotFoundResponseCode() {
	case route.RouteAction_NOT_FOUND:
		out.ClusterNotFoundCode = 404
	case route.RouteAction_INTERNAL_SERVER_ERROR:
		out.ClusterNotFoundCode = 500
	}
	out.Timeout = or(a.GetTimeout(), defaultRouteTimeout)
	out.IdleTimeout = limit(a.GetIdleTimeout())
	if p := a.GetPrefixRewrite(); p != "" {
		if out.Match.Path.Kind == topology.PathRegex {
			c.fail(at+".prefix_rewrite", "not with safe_regex: use regex_rewrite")
		}
		out.Rewrite.Prefix, out.Rewrite.SetPrefix = p, true
	}
	if r := a.GetRegexRewrite(); r != nil {
		if out.Rewrite.SetPrefix {
			c.fail(at+".regex_rewrite", "not together with prefix_rewrite")
		}
		out.Rewrite.Regex, out.Rewrite.Substitution = c.substitution(r, at+".regex_rewrite")
	}
	out.Rewrite.Host = a.GetHostRewriteLiteral()
	out.Rewrite.AutoHost = a.GetAutoHostRewrite().GetValue()
	if policy, at := a.GetRetryPolicy(), at+".retry_policy"; policy != nil {
		out.Retry = c.retry(policy, at)
	} else if s.retry != nil {
		out.Retry = c.retry(s.retry, s.retryAt)
	}
	for i, h := range a.GetHashPolicy() {
		out.Hash = append(out.Hash, c.hash(h, index(at, "hash_policy", i)))
	}
	if s.ownUpgrades {
		set := upgradeSet{}
		for name, allowed := range s.upgrades {
			set[name] = allowed
		}
		for i, u := range a.GetUpgradeConfigs() {
			set[c.upgrade(u.GetUpgradeType(), index(at, "upgrade_configs", i))] = u.GetEnabled() == nil || u.GetEnabled().GetValue()
		}
		out.Upgrades = set.allowed()
	}
}

// names notes that a route leads to a cluster.
func (c *converter) names(cluster string, s *scope, at string) {
	if !s.unchecked {
		c.uses = append(c.uses, use{cluster, at})
	}
}

// weighted reads clusters that share a route. Where one of them changes
// headers, each carries the route's changes behind its own: Envoy goes from the
// inside outwards.
func (c *converter) weighted(w *route.WeightedCluster, s *scope, out *topology.Route, at string) {
	var total uint64
	changes, complete := false, true
	for i, one := range w.GetClusters() {
		here := index(at, "clusters", i)
		if one.GetName() == "" {
			c.fail(here+".name", "is required")
		}
		if one.GetWeight() == nil {
			c.fail(here+".weight", "is required")
			complete = false
		}
		c.names(one.GetName(), s, here+".name")
		total += uint64(one.GetWeight().GetValue())
		requests, answers := c.headers(one, here)
		changes = changes || !none(requests) || !none(answers)
		out.Clusters = append(out.Clusters, topology.WeightedCluster{
			Name: one.GetName(), Weight: one.GetWeight().GetValue(), RequestHeaders: requests, ResponseHeaders: answers,
		})
	}
	//lint:ignore SA1019 files in use have it
	given := w.GetTotalWeight()
	switch {
	case len(w.GetClusters()) == 0, !complete: // said already
	case total == 0:
		c.fail(at+".clusters", "the sum of the weights must be greater than 0")
	case total > math.MaxUint32:
		c.fail(at+".clusters", "the sum of the weights must be at most %d", uint32(math.MaxUint32))
	case given != nil && uint64(given.GetValue()) != total:
		c.fail(at+".total_weight", "%d is not the sum of the weights, %d", given.GetValue(), total)
	}
	if !changes {
		return
	}
	for i := range out.Clusters {
		one := &out.Clusters[i]
		one.RequestHeaders = inOrder(one.RequestHeaders, out.RequestHeaders)
		one.ResponseHeaders = inOrder(one.ResponseHeaders, out.ResponseHeaders)
	}
	out.RequestHeaders, out.ResponseHeaders = topology.HeaderMutation{}, topology.HeaderMutation{}
}

var redirectCodes = map[route.RedirectAction_RedirectResponseCode]int{
	route.RedirectAction_MOVED_PERMANENTLY:  301,
	route.RedirectAction_FOUND:              302,
	route.RedirectAction_SEE_OTHER:          303,
	route.RedirectAction_TEMPORARY_REDIRECT: 307,
	route.RedirectAction_PERMANENT_REDIRECT: 308,
}

func (c *converter) redirect(r *route.RedirectAction, match topology.PathKind, at string) *topology.Redirect {
	out := &topology.Redirect{
		Code: redirectCodes[r.GetResponseCode()], Scheme: r.GetSchemeRedirect(), Host: r.GetHostRedirect(), Port: r.GetPortRedirect(),
		Path: r.GetPathRedirect(), Prefix: r.GetPrefixRewrite(), StripQuery: r.GetStripQuery(),
	}
	if r.GetHttpsRedirect() {
		out.Scheme = "https"
	}
	if out.Prefix != "" && match == topology.PathRegex {
		c.fail(at+".prefix_rewrite", "not with safe_regex: use regex_rewrite")
	}
	if strings.Contains(out.Path, "?") {
		out.StripQuery = true // the query of path_redirect takes the place of the request's
	}
	if s := r.GetRegexRewrite(); s != nil {
		out.Regex, out.Substitution = c.substitution(s, at+".regex_rewrite")
	}
	return out
}

// substitution is a pattern and what replaces it, in Go's words: RE2's \1 is
// ${1}.
func (c *converter) substitution(s *matcher.RegexMatchAndSubstitute, at string) (pattern, with string) {
	pattern = c.regex(s.GetPattern(), at+".pattern")
	groups := 0
	if re, err := regexp.Compile(pattern); err == nil {
		groups = re.NumSubexp()
	}
	text := s.GetSubstitution()
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case ch == '$':
			b.WriteString("$$")
		case ch != '\\':
			b.WriteByte(ch)
		case i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9':
			i++
			if group := int(text[i] - '0'); group > groups {
				c.fail(at+".substitution", "\\%d: the pattern has %d groups", group, groups)
			}
			fmt.Fprintf(&b, "${%c}", text[i])
		case i+1 < len(text) && text[i+1] == '\\':
			i++
			b.WriteByte('\\')
		default:
			c.fail(at+".substitution", "a backslash is followed by a digit or a backslash")
		}
	}
	return pattern, b.String()
}

func (c *converter) direct(d *route.DirectResponseAction, most int, at string) *topology.DirectResponse {
	out := &topology.DirectResponse{Code: int(d.GetStatus())}
	if d.GetBody() == nil {
		return out
	}
	at += ".body"
	switch s := d.GetBody().GetSpecifier().(type) {
	case *core.DataSource_InlineString:
		out.Body = []byte(s.InlineString)
	case *core.DataSource_InlineBytes:
		out.Body = slices.Clone(s.InlineBytes)
	case *core.DataSource_Filename:
		if s.Filename == "" {
			return out // a rule says so
		}
		info, err := os.Stat(s.Filename)
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a file", s.Filename)
		}
		if err == nil && info.Size() <= int64(most) {
			out.Body, err = read(s.Filename)
		} else if err == nil {
			err = fmt.Errorf("%s has %d bytes, more than max_direct_response_body_size_bytes, %d", s.Filename, info.Size(), most)
		}
		if err != nil {
			c.fail(at+".filename", "%s", err)
		}
	}
	if len(out.Body) > most {
		c.fail(at, "%d bytes, more than max_direct_response_body_size_bytes, %d", len(out.Body), most)
	}
	if len(out.Body) == 0 {
		out.Body = nil
	}
	return out
}

// retryOn are the conditions that the data plane knows, of Envoy's.
var retryOn = []string{
	"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream", "retriable-4xx", "retriable-status-codes",
}

func (c *converter) retry(p *route.RetryPolicy, at string) topology.RetryPolicy {
	out := topology.RetryPolicy{Max: 1, PerTry: or(p.GetPerTryTimeout(), 0)}
	for _, on := range strings.Split(p.GetRetryOn(), ",") {
		switch on = strings.TrimSpace(on); {
		case on == "":
		case slices.Contains(retryOn, on):
			out.On = append(out.On, on)
		default:
			c.fail(at+".retry_on", "%q is not supported; there are: %s", on, strings.Join(retryOn, ", "))
		}
	}
	if n := p.GetNumRetries(); n != nil {
		out.Max = n.GetValue()
	}
	for i, code := range p.GetRetriableStatusCodes() {
		if code < 100 || code > 599 {
			c.fail(index(at, "retriable_status_codes", i), "%d is not a status", code)
		}
		out.Codes = append(out.Codes, code)
	}
	for i, h := range p.GetRetryHostPredicate() {
		here := index(at, "retry_host_predicate", i)
		if h.GetTypedConfig() != nil {
			c.typed(h.GetTypedConfig(), new(previous.PreviousHostsPredicate), here+".typed_config")
		} else if h.GetName() != "envoy.retry_host_predicates.previous_hosts" {
			c.fail(here+".name", "%q is not supported: want envoy.retry_host_predicates.previous_hosts", h.GetName())
		}
		out.OtherMembers = true
	}
	if b := p.GetRetryBackOff(); b != nil {
		out.BaseInterval = or(b.GetBaseInterval(), 0)
		out.MaxInterval = or(b.GetMaxInterval(), 0)
		if b.GetMaxInterval() != nil && out.MaxInterval < out.BaseInterval {
			c.fail(at+".retry_back_off.max_interval", "must be at least base_interval, %s", out.BaseInterval)
		}
	}
	return out
}

func (c *converter) hash(h *route.RouteAction_HashPolicy, at string) topology.HashSource {
	out := topology.HashSource{Terminal: h.GetTerminal()}
	switch s := h.GetPolicySpecifier().(type) {
	case *route.RouteAction_HashPolicy_Header_:
		out.Kind, out.Name = "header", strings.ToLower(s.Header.GetHeaderName())
	case *route.RouteAction_HashPolicy_Cookie_:
		out.Kind, out.Name, out.Path = "cookie", s.Cookie.GetName(), s.Cookie.GetPath()
		if t := s.Cookie.GetTtl(); t != nil {
			out.TTL = t.AsDuration()
			if out.TTL <= 0 {
				c.fail(at+".cookie.ttl", "0 (a cookie of the browser's session) is not supported")
			}
		}
	case *route.RouteAction_HashPolicy_ConnectionProperties_:
		out.Kind = "source_ip"
		if !s.ConnectionProperties.GetSourceIp() {
			c.fail(at+".connection_properties.source_ip", "want true: there is nothing else to hash")
		}
	case *route.RouteAction_HashPolicy_QueryParameter_:
		out.Kind, out.Name = "query", s.QueryParameter.GetName()
	}
	return out
}
