package router

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/dockerlb/dockerlb/topology"
)

// naive is the reference that the Router is held against: it looks at every
// domain and every route in turn, straight from the table, by the words of
// the rules and without any code of the Router's.
func naive(l *topology.Listener, q *request) int {
	bare := regexp.MustCompile(`:[^:\]]*$`).ReplaceAllString(q.host, "")
	fileName := q.host
	if l.HTTP.IgnorePort || l.HTTP.StripAnyPort || l.HTTP.StripMatchingPort && q.host == bare+":"+strconv.Itoa(int(l.Address.Port())) {
		fileName = bare
	}
	labelsName := strings.TrimSuffix(bare, ".")

	// specificity sorts the domains that match; 0 is no match.
	const longest = 1 << 10
	specificity := func(domain string, labels bool) int {
		name := fileName
		if labels {
			name = labelsName
		}
		n := len(domain)
		switch {
		case domain == "*":
			return 1
		case domain == name && !strings.Contains(domain, "*"):
			return 4 * longest
		case domain[0] == '*' && len(name) >= n && strings.HasSuffix(name, domain[1:]):
			return 2*longest + n
		case domain[n-1] == '*' && len(name) >= n && strings.HasPrefix(name, domain[:n-1]):
			return longest + n
		}
		return 0
	}
	below := 16 * longest
	for {
		at, found, first := 0, -1, 0
		var vh *topology.VirtualHost
		for i := range l.VirtualHosts {
			v := &l.VirtualHosts[i]
			for _, d := range v.Domains {
				s := 2 * specificity(d, v.FallThrough)
				if s > 0 && !v.FallThrough {
					s++ // the file first, among the equally specific
				}
				if s < below && s > at {
					at, vh, found = s, v, first
				}
			}
			first += len(v.Routes)
		}
		if vh == nil {
			return -1
		}
		for i := range vh.Routes {
			if naiveMatch(&vh.Routes[i].Match, q) {
				return found + i
			}
		}
		if !vh.FallThrough {
			return -1
		}
		below = at
	}
}

func naiveMatch(m *topology.Match, q *request) bool {
	path, text := q.path, m.Path.Text
	if m.Path.CaseInsensitive && m.Path.Kind != topology.PathRegex {
		path, text = strings.ToLower(path), strings.ToLower(text)
	}
	ok := false
	switch m.Path.Kind {
	case topology.PathExact:
		ok = path == text
	case topology.PathRawPrefix:
		ok = strings.HasPrefix(path, text)
	case topology.PathSegmentPrefix:
		trimmed := strings.TrimSuffix(text, "/")
		ok = text == "" || path == text || strings.HasPrefix(path, trimmed+"/")
	case topology.PathRegex:
		ok = regexp.MustCompile("^(?:" + text + ")$").MatchString(path)
	}
	ct := q.headers["content-type"]
	if m.GRPC && ct != "application/grpc" && !strings.HasPrefix(ct, "application/grpc+") {
		return false
	}
	for _, h := range m.Headers {
		var value string
		var there bool
		switch h.Name {
		case ":method":
			value, there = q.method, true
		case ":path":
			value, there = q.path, true
			if q.query != "" {
				value += "?" + q.query
			}
		case ":authority":
			value, there = q.host, true
		default:
			value, there = q.headers[h.Name]
		}
		ok = ok && naiveValue(h, value, there)
	}
	for _, p := range m.Query {
		value, there := "", false
		for _, pair := range strings.Split(q.query, "&") {
			k, v, _ := strings.Cut(pair, "=")
			if q.query != "" && k == p.Name && !there {
				value, there = v, true
			}
		}
		ok = ok && naiveValue(p, value, there)
	}
	return ok
}

func naiveValue(h topology.HeaderMatcher, value string, there bool) bool {
	if h.Kind == topology.StringPresent {
		return there != h.Invert
	}
	if !there && !h.MissingAsEmpty {
		return false
	}
	text := h.Text
	if h.IgnoreCase && h.Kind != topology.StringRegex {
		value, text = strings.ToLower(value), strings.ToLower(text)
	}
	ok := false
	switch h.Kind {
	case topology.StringExact:
		ok = value == text
	case topology.StringPrefix:
		ok = strings.HasPrefix(value, text)
	case topology.StringSuffix:
		ok = strings.HasSuffix(value, text)
	case topology.StringContains:
		ok = strings.Contains(value, text)
	case topology.StringRegex:
		ok = regexp.MustCompile("^(?:" + text + ")$").MatchString(value)
	case topology.StringRange:
		n, err := strconv.ParseInt(value, 10, 64)
		ok = err == nil && h.From <= n && n < h.To
	}
	return ok != h.Invert
}
