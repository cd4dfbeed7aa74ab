package router

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dockerlb/dockerlb/topology"
)

// matcher is a route's Match, compiled: all of its conditions but those that
// an index has already answered. It is immutable.
type matcher struct {
	path    pathMatcher
	headers []valueMatcher
	query   []valueMatcher
	grpc    bool
}

func compileMatch(m *topology.Match) (matcher, error) {
	c := matcher{grpc: m.GRPC}
	var err error
	if c.path, err = compilePath(m.Path); err != nil {
		return matcher{}, err
	}
	if c.headers, err = compileValues("header", m.Headers); err != nil {
		return matcher{}, err
	}
	if c.query, err = compileValues("query parameter", m.Query); err != nil {
		return matcher{}, err
	}
	return c, nil
}

// matches holds where the path and every other condition hold.
func (c *matcher) matches(q Request, path string) bool {
	return c.path.matches(path) && c.rest(q)
}

// plain reports whether the path is the only condition.
func (c *matcher) plain() bool {
	return !c.grpc && len(c.headers) == 0 && len(c.query) == 0
}

// takesAll reports whether every path that begins with a slash matches.
func (c *matcher) takesAll() bool {
	prefix := c.path.kind == topology.PathRawPrefix || c.path.kind == topology.PathSegmentPrefix
	return c.plain() && prefix && (c.path.text == "/" || c.path.text == "")
}

// rest holds where every condition but the path's holds. It copies strings in
// two cases: a query parameter whose value has an escape, and a condition on
// ":path" where the Request does not answer that itself.
func (c *matcher) rest(q Request) bool {
	if c.grpc && !isGRPC(q) {
		return false
	}
	for i := range c.headers {
		h := &c.headers[i]
		value, ok := field(q, h.name)
		if !h.matches(value, ok) {
			return false
		}
	}
	if len(c.query) > 0 {
		query := q.Query()
		for i := range c.query {
			p := &c.query[i]
			value, ok := parameter(query, p.name)
			if !p.matches(value, ok) {
				return false
			}
		}
	}
	return true
}

// isGRPC is Envoy's Grpc::Common::isGrpcRequestHeaders:
// "application/grpc" alone, or with "+proto" and the like after it.
func isGRPC(q Request) bool {
	ct, ok := q.Header("content-type")
	rest, grpc := strings.CutPrefix(ct, "application/grpc")
	return ok && grpc && (rest == "" || rest[0] == '+')
}

// field is the value of a header or pseudo header. ":scheme" and others that
// Request has no word for are asked of Header.
func field(q Request, name string) (string, bool) {
	switch name {
	case ":method":
		return q.Method(), true
	case ":path":
		// Envoy's has the query. A Request that holds the whole target may
		// answer by itself and save the joining.
		if target, ok := q.Header(":path"); ok {
			return target, true
		}
		return pathAndQuery(q), true
	case ":authority", "host":
		return q.Host(), true
	}
	return q.Header(name)
}

func pathAndQuery(q Request) string {
	query := q.Query()
	if query == "" {
		return q.Path()
	}
	return q.Path() + "?" + query
}

// parameter is the first value of a query parameter, decoded, as Envoy
// compares it. Only a value that has an escape is copied.
func parameter(query, name string) (string, bool) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if decodesTo(key, name) {
			return decode(value), true
		}
	}
	return "", false
}

// decodesTo compares without decoding into a copy.
func decodesTo(s, want string) bool {
	for i := 0; i < len(s); want = want[1:] {
		c, n := decodeByte(s[i:])
		if want == "" || want[0] != c {
			return false
		}
		i += n
	}
	return want == ""
}

// decode undoes percent-encoding and, like Envoy's PercentEncoding::decode,
// leaves alone what is none, and plus signs.
func decode(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		c, n := decodeByte(s[i:])
		out = append(out, c)
		i += n
	}
	return string(out)
}

// decodeByte is the first byte that s, not empty, stands for, and how much of
// s that takes.
func decodeByte(s string) (byte, int) {
	if s[0] == '%' && len(s) >= 3 {
		if c, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
			return byte(c), 3
		}
	}
	return s[0], 1
}

// pathMatcher is a PathSpec, compiled.
type pathMatcher struct {
	kind topology.PathKind
	text string
	fold bool
	re   *regexp.Regexp
}

func compilePath(s topology.PathSpec) (pathMatcher, error) {
	m := pathMatcher{kind: s.Kind, text: s.Text, fold: s.CaseInsensitive}
	if s.Kind == topology.PathRegex {
		var err error
		if m.re, err = compileRegex(s.Text); err != nil {
			return m, fmt.Errorf("path: %w", err)
		}
	}
	return m, nil
}

func (m *pathMatcher) matches(path string) bool {
	switch m.kind {
	case topology.PathExact:
		return equal(path, m.text, m.fold)
	case topology.PathRawPrefix:
		return hasPrefix(path, m.text, m.fold)
	case topology.PathSegmentPrefix:
		return hasPrefix(path, m.text, m.fold) && onBorder(path, len(m.text))
	case topology.PathRegex:
		return m.re.MatchString(path)
	}
	return false
}

// compileRegex anchors at both ends: Envoy's safe_regex matches the whole.
func compileRegex(text string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", text, err)
	}
	return re, nil
}

// valueMatcher is a HeaderMatcher, compiled.
type valueMatcher struct {
	topology.HeaderMatcher
	name string
	re   *regexp.Regexp
}

func compileValues(what string, ms []topology.HeaderMatcher) ([]valueMatcher, error) {
	var out []valueMatcher
	for _, m := range ms {
		v := valueMatcher{HeaderMatcher: m, name: m.Name}
		if what == "header" {
			v.name = strings.ToLower(m.Name)
		}
		if m.Kind == topology.StringRegex {
			// ignore_case "has no effect for the safe_regex match".
			var err error
			if v.re, err = compileRegex(m.Text); err != nil {
				return nil, fmt.Errorf("%s %q: %w", what, m.Name, err)
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// matches compares a value; ok is whether there is one. What is absent fails
// every comparison, inverted or not, except that on presence: Envoy's
// HeaderMatcher ("header2 is not present … will not match").
func (v *valueMatcher) matches(value string, ok bool) bool {
	if !ok && (!v.MissingAsEmpty || v.Kind == topology.StringPresent) {
		return v.Invert && v.Kind == topology.StringPresent
	}
	return v.compare(value) != v.Invert
}

func (v *valueMatcher) compare(value string) bool {
	switch v.Kind {
	case topology.StringPresent:
		return true
	case topology.StringExact:
		return equal(value, v.Text, v.IgnoreCase)
	case topology.StringPrefix:
		return hasPrefix(value, v.Text, v.IgnoreCase)
	case topology.StringSuffix:
		return hasSuffix(value, v.Text, v.IgnoreCase)
	case topology.StringContains:
		return contains(value, v.Text, v.IgnoreCase)
	case topology.StringRegex:
		return v.re.MatchString(value)
	case topology.StringRange:
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && v.From <= n && n < v.To
	}
	return false
}
