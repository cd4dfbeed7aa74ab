package config

//lint:file-ignore SA1019 Envoy still honours the header matchers of old, and files in use have them.

import (
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/dockerlb/dockerlb/topology"
)

func (c *converter) headerMatcher(h *route.HeaderMatcher, at string) topology.HeaderMatcher {
	out := topology.HeaderMatcher{
		Name: strings.ToLower(h.GetName()), Invert: h.GetInvertMatch(), MissingAsEmpty: h.GetTreatMissingHeaderAsEmpty(),
	}
	switch s := h.GetHeaderMatchSpecifier().(type) {
	case *route.HeaderMatcher_StringMatch:
		c.stringMatcher(s.StringMatch, &out, at+".string_match")
	case *route.HeaderMatcher_ExactMatch:
		out.Kind, out.Text = topology.StringExact, s.ExactMatch
	case *route.HeaderMatcher_PrefixMatch:
		out.Kind, out.Text = topology.StringPrefix, s.PrefixMatch
	case *route.HeaderMatcher_SuffixMatch:
		out.Kind, out.Text = topology.StringSuffix, s.SuffixMatch
	case *route.HeaderMatcher_ContainsMatch:
		out.Kind, out.Text = topology.StringContains, s.ContainsMatch
	case *route.HeaderMatcher_SafeRegexMatch:
		out.Kind, out.Text = topology.StringRegex, c.regex(s.SafeRegexMatch, at+".safe_regex_match")
	case *route.HeaderMatcher_RangeMatch:
		out.Kind, out.From, out.To = topology.StringRange, s.RangeMatch.GetStart(), s.RangeMatch.GetEnd()
		if out.From >= out.To {
			c.fail(at+".range_match", "[%d, %d) has no number in it", out.From, out.To)
		}
	case *route.HeaderMatcher_PresentMatch:
		// "present_match: false" is absence; nothing at all is presence.
		out.Invert = out.Invert != !s.PresentMatch
	}
	return out
}
