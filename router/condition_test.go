package router

import (
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		spec  topology.PathSpec
		hits  []string
		fails []string
	}{
		{topology.PathSpec{Kind: topology.PathRawPrefix, Text: "/api"}, []string{"/api", "/api/x", "/apix"}, []string{"/", "/ap", "/API", ""}},
		{topology.PathSpec{Kind: topology.PathRawPrefix, Text: "/"}, []string{"/", "/x"}, []string{"", "*"}},
		{topology.PathSpec{Kind: topology.PathRawPrefix, Text: "/Api", CaseInsensitive: true}, []string{"/aPI/x"}, []string{"/ap"}},
		{topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/api"}, []string{"/api", "/api/", "/api/x"}, []string{"/apix", "/", "/API/x"}},
		{topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/api", CaseInsensitive: true}, []string{"/API/x"}, []string{"/APIx"}},
		{topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/"}, []string{"/", "/x", "//"}, []string{"", "*"}},
		{topology.PathSpec{Kind: topology.PathExact, Text: "/api"}, []string{"/api"}, []string{"/api/", "/ap", "/Api"}},
		{topology.PathSpec{Kind: topology.PathExact, Text: "/api", CaseInsensitive: true}, []string{"/Api"}, []string{"/Api/"}},
		{topology.PathSpec{Kind: topology.PathExact, Text: "*"}, []string{"*"}, []string{"/"}},
		// The whole path, whatever the expression's own alternatives.
		{topology.PathSpec{Kind: topology.PathRegex, Text: "/a|/b"}, []string{"/a", "/b"}, []string{"/a/", "/ab", "x/b", "/b\n"}},
		// safe_regex: "case_sensitive is ignored".
		{topology.PathSpec{Kind: topology.PathRegex, Text: "/a", CaseInsensitive: true}, []string{"/a"}, []string{"/A"}},
		{topology.PathSpec{Kind: topology.PathRegex, Text: "(?i)/a"}, []string{"/A"}, nil},
	} {
		m, err := compileMatch(&topology.Match{Path: c.spec})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.hits {
			if !m.matches(&request{path: p}, p) {
				t.Errorf("%+v does not match %q", c.spec, p)
			}
		}
		for _, p := range c.fails {
			if m.matches(&request{path: p}, p) {
				t.Errorf("%+v matches %q", c.spec, p)
			}
		}
	}
}

// TestHeaderConditions is a row per kind of comparison; absent says what holds
// where the field is not there.
func TestHeaderConditions(t *testing.T) {
	for _, c := range []struct {
		m           topology.HeaderMatcher
		hits, fails []string
		absent      bool
	}{
		{topology.HeaderMatcher{Kind: topology.StringPresent}, []string{"", "a"}, nil, false},
		{topology.HeaderMatcher{Kind: topology.StringPresent, Invert: true}, nil, []string{"", "a"}, true},
		{topology.HeaderMatcher{Kind: topology.StringExact, Text: "a"}, []string{"a"}, []string{"", "A", "ab"}, false},
		{topology.HeaderMatcher{Kind: topology.StringExact, Text: "a", IgnoreCase: true}, []string{"a", "A"}, []string{"b"}, false},
		{topology.HeaderMatcher{Kind: topology.StringExact, Text: "k", IgnoreCase: true}, []string{"K"}, []string{"\u212a"}, false},
		// "The header2 header is not present. The header matcher rule will not match."
		{topology.HeaderMatcher{Kind: topology.StringExact, Text: "a", Invert: true}, []string{"b", ""}, []string{"a"}, false},
		{topology.HeaderMatcher{Kind: topology.StringExact, Text: "a", Invert: true, MissingAsEmpty: true}, []string{"b", ""}, []string{"a"}, true},
		{topology.HeaderMatcher{Kind: topology.StringExact, Text: "", MissingAsEmpty: true}, []string{""}, []string{"a"}, true},
		{topology.HeaderMatcher{Kind: topology.StringPrefix, Text: "ab"}, []string{"ab", "abc"}, []string{"a", "Ab", "xab"}, false},
		{topology.HeaderMatcher{Kind: topology.StringPrefix, Text: "ab", IgnoreCase: true}, []string{"ABc"}, []string{"a"}, false},
		{topology.HeaderMatcher{Kind: topology.StringSuffix, Text: "bc"}, []string{"bc", "abc"}, []string{"c", "abC", "bcd"}, false},
		{topology.HeaderMatcher{Kind: topology.StringSuffix, Text: "bc", IgnoreCase: true}, []string{"aBC"}, []string{"c"}, false},
		{topology.HeaderMatcher{Kind: topology.StringContains, Text: "b"}, []string{"b", "abc"}, []string{"", "aBc"}, false},
		{topology.HeaderMatcher{Kind: topology.StringContains, Text: "b", IgnoreCase: true}, []string{"aBc"}, []string{"ac"}, false},
		{topology.HeaderMatcher{Kind: topology.StringRegex, Text: `\d{3}`}, []string{"123"}, []string{"1234", "12", ""}, false},
		{topology.HeaderMatcher{Kind: topology.StringRegex, Text: `\d{3}`, Invert: true}, []string{"1234"}, []string{"123"}, false},
		{topology.HeaderMatcher{Kind: topology.StringRegex, Text: `a`, IgnoreCase: true}, []string{"a"}, []string{"A"}, false},
		{topology.HeaderMatcher{Kind: topology.StringRange, From: -10, To: 0}, []string{"-1", "-10"}, []string{"0", "-11", "-1somestring", "10.9", ""}, false},
		{topology.HeaderMatcher{Kind: topology.StringRange, From: 1, To: 10, Invert: true, MissingAsEmpty: true}, []string{"", "0", "x"}, []string{"1", "9"}, true},
	} {
		c.m.Name = "X-Name" // names are compared in lower case
		m, err := compileMatch(&topology.Match{Headers: []topology.HeaderMatcher{c.m}})
		if err != nil {
			t.Fatal(err)
		}
		holds := func(v string) bool {
			return m.rest(&request{headers: map[string]string{"x-name": v}})
		}
		for _, v := range c.hits {
			if !holds(v) {
				t.Errorf("%+v does not match %q", c.m, v)
			}
		}
		for _, v := range c.fails {
			if holds(v) {
				t.Errorf("%+v matches %q", c.m, v)
			}
		}
		if m.rest(&request{}) != c.absent {
			t.Errorf("%+v: absent gives %t", c.m, !c.absent)
		}
	}
}

func TestPseudoHeaders(t *testing.T) {
	q := &request{host: "a.com:80", path: "/p", query: "x=1", method: "POST", headers: map[string]string{":scheme": "https"}}
	for name, want := range map[string]string{
		":method": "POST", ":path": "/p?x=1", ":authority": "a.com:80", "host": "a.com:80", "Host": "a.com:80", ":scheme": "https",
	} {
		m, err := compileMatch(&topology.Match{Headers: []topology.HeaderMatcher{{Name: name, Kind: topology.StringExact, Text: want}}})
		if err != nil {
			t.Fatal(err)
		}
		if !m.rest(q) {
			t.Errorf("%s is not %q", name, want)
		}
	}
	if got, _ := field(&request{path: "/p"}, ":path"); got != "/p" {
		t.Errorf(":path without a query: %q", got)
	}
	if got, _ := field(&request{path: "/p", headers: map[string]string{":path": "/p?"}}, ":path"); got != "/p?" {
		t.Errorf(":path that the request answers: %q", got)
	}
}

func TestQueryParameters(t *testing.T) {
	for _, c := range []struct {
		query, name, value string
		there              bool
	}{
		{"", "a", "", false},
		{"a", "a", "", true},
		{"a=1&a=2", "a", "1", true}, // the first
		{"b=1&a=2", "a", "2", true},
		{"ab=1", "a", "", false},
		{"a=1=2", "a", "1=2", true},
		{"%61=1", "a", "1", true},
		{"a=%41%2b+", "a", "A++", true},
		{"a=%4", "a", "%4", true},
		{"a=%zz", "a", "%zz", true},
		{"a%=1", "a%", "1", true},
		{"&&a=1", "a", "1", true},
		{"a;b=1", "b", "", false},
	} {
		value, there := parameter(c.query, c.name)
		if value != c.value || there != c.there {
			t.Errorf("%s in %q: %q, %t", c.name, c.query, value, there)
		}
	}
}

func TestGRPC(t *testing.T) {
	m, err := compileMatch(&topology.Match{GRPC: true})
	if err != nil {
		t.Fatal(err)
	}
	for ct, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc-web": false, "application/grpcx": false, "text/html": false,
	} {
		if got := m.rest(&request{headers: map[string]string{"content-type": ct}}); got != want {
			t.Errorf("%s: %t", ct, got)
		}
	}
	if m.rest(&request{}) {
		t.Error("a request without a content type is taken for gRPC")
	}
}

// A route that does not compile is named.
func TestCompileErrors(t *testing.T) {
	for _, m := range []topology.Match{
		{Path: topology.PathSpec{Kind: topology.PathRegex, Text: "("}},
		{Headers: []topology.HeaderMatcher{{Name: "x", Kind: topology.StringRegex, Text: "("}}},
		{Query: []topology.HeaderMatcher{{Name: "x", Kind: topology.StringRegex, Text: "("}}},
	} {
		_, err := Compile(&topology.Listener{Name: "edge", VirtualHosts: []topology.VirtualHost{{Name: "a.com", Routes: []topology.Route{{Key: "good"}, {Key: "bad", Match: m}}}}})
		if err == nil || !strings.Contains(err.Error(), `listener "edge": virtual host "a.com": route 1 "bad"`) {
			t.Errorf("%+v: %v", m, err)
		}
	}
}
