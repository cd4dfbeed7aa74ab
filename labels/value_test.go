package labels

import (
	"slices"
	"strings"
	"testing"
)

// verdict is a parsed value, or the first fault with its hint.
func verdict(v string, fs []fault) string {
	if fs == nil {
		return v
	}
	s := "! " + fs[0].reason
	if fs[0].hint != "" {
		s += "; " + fs[0].hint
	}
	return s
}

func TestHosts(t *testing.T) {
	for in, want := range map[string]string{
		"api.example.com":     "api.example.com",
		"API.Example.COM.":    "api.example.com",
		"*.example.com":       "*.example.com",
		"*":                   "*",
		"localhost":           "localhost",
		"my_service":          "my_service",
		"xn--bcher-kva.ch":    "xn--bcher-kva.ch",
		"10.0.0.1":            "10.0.0.1",
		"::1":                 "[::1]",
		"[::1]":               "[::1]",
		"[2001:DB8::0:1]":     "[2001:db8::1]",
		"example.com:8080":    `! "example.com:8080" is not a host name; without a port: example.com (every port of the listener is meant)`,
		"https://example.com": `! "https://example.com" is not a host name; only the host's name: example.com`,
		"example.com/api":     `! "example.com/api" is not a host name; the path is a label of its own: host example.com, path /api`,
		"*example.com":        `! "*example.com" is not a host name; a wildcard stands for whole labels at the front: *.example.com`,
		"a.*.com":             `! "a.*.com" is not a host name; a wildcard stands for whole labels at the front: *.example.com`,
		"bücher.ch":           `! "bücher.ch" is not a host name; write an international name in its ASCII form: xn--…`,
		"a..b":                `! "a..b" is not a host name`,
		"a b":                 `! "a b" is not a host name`,
		"[::1]:80":            `! "[::1]:80" is not a host name; without a port: [::1] (every port of the listener is meant)`,
		"fe80::1%eth0":        `! "fe80::1%eth0" is not a host name`,
	} {
		if got := verdict(parseHost(in)); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", in, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]Address{
		"10.0.0.5:80":   {"10.0.0.5", 80},
		"10.0.0.5":      {"10.0.0.5", 0},
		"[fd00::5]:80":  {"fd00::5", 80},
		"[fd00::5]":     {"fd00::5", 0},
		"fd00::5":       {"fd00::5", 0},
		"Db.internal":   {"db.internal", 0},
		"db.internal:1": {"db.internal", 1},
	} {
		if got, fs := parseAddress(in); got != want || fs != nil {
			t.Errorf("%q: got %+v, %v", in, got, fs)
		}
	}
	for _, bad := range []string{"10.0.0.256", "10.0.0.5:", "10.0.0.5:0", "[::1]:0", ":80", "http://x", "a b", "x:65536", "[::1", "[db]:80", "1.2.3.4:5:6"} {
		if got, fs := parseAddress(bad); fs == nil {
			t.Errorf("%q: taken for %+v", bad, got)
		}
	}
}

func TestPaths(t *testing.T) {
	for in, want := range map[string]string{
		"/":     "/",
		"/a%20": "/a%20",
		"api":   `! "api" does not begin with a slash; did you mean /api?`,
		"/a?b":  `! "/a?b" has a '?': a path is compared without query and fragment`,
		"/a b":  `! "/a b" has a character that no request's path has; percent-encode it`,
		"/ä":    `! "/ä" has a character that no request's path has; percent-encode it`,
	} {
		if got := verdict(parsePath(in)); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", in, got, want)
		}
	}
}

func TestPortHints(t *testing.T) {
	for in, want := range map[string]string{
		"0":         `! "0" is not a port (1 to 65535)`,
		"65536":     `! "65536" is not a port (1 to 65535)`,
		"8080:80":   `! "8080:80" is not a port (1 to 65535); only the container's port: 80`,
		"8080/tcp":  `! "8080/tcp" is not a port (1 to 65535); only the container's port: 8080`,
		"1:8080/tc": `! "1:8080/tc" is not a port (1 to 65535); only the container's port: 8080`,
	} {
		_, fs := parsePort(in)
		if got := verdict("", fs); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", in, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, good := range []string{"rust_daemons", "Ünïcode", "a/b", "日本", "a:b"} {
		if got, fs := parseName(good); got != good || fs != nil {
			t.Errorf("%q: %v", good, fs)
		}
	}
	for _, bad := range []string{"a b", "a,b", "a\tb", "a\u00a0b", "a\u200bb", "a\x00", "a\xff", strings.Repeat("a", maxName+1)} {
		if _, fs := parseName(bad); fs == nil {
			t.Errorf("%q is taken for a name", bad)
		}
	}
}

// TestPolicyValues is a row per form of the cluster keys' values.
func TestPolicyValues(t *testing.T) {
	for _, c := range []struct {
		key, value string
		bad        bool
		holds      func(*ClusterPolicy) bool
	}{
		{key: "policy", value: "Least_Request", holds: func(p *ClusterPolicy) bool { return p.Policy == "least_request" }},
		{key: "hash", value: "source_ip", holds: func(p *ClusterPolicy) bool { return p.HashSource == "source_ip" && p.HashName == "" }},
		{key: "hash", value: "header:X-User", holds: func(p *ClusterPolicy) bool { return p.HashSource == "header" && p.HashName == "x-user" }},
		{key: "hash", value: "cookie:Id", holds: func(p *ClusterPolicy) bool { return p.HashSource == "cookie" && p.HashName == "Id" }},
		{key: "hash", value: "header:", bad: true},
		{key: "hash", value: "header", bad: true},
		{key: "hash", value: "source_ip:x", bad: true},
		{key: "hash", value: "cookie:a b", bad: true},
		{key: "sticky", value: "lb_id", holds: func(p *ClusterPolicy) bool { return p.Sticky == "lb_id" }},
		{key: "sticky", value: "", holds: func(p *ClusterPolicy) bool { return p.Sticky == "" }},
		{key: "sticky", value: "a;b", bad: true},
		{key: "health.path", value: "/h?x=1", holds: func(p *ClusterPolicy) bool { return p.HealthPath == "/h?x=1" }},
		{key: "health.path", value: "?x", bad: true},
		{key: "health.path", value: "/h?a b", bad: true},
		{key: "health.method", value: "head", holds: func(p *ClusterPolicy) bool { return p.HealthMethod == "HEAD" }},
		{key: "health.method", value: "CONNECT", bad: true},
		{key: "health.host", value: "a.example:80", holds: func(p *ClusterPolicy) bool { return p.HealthHost == "a.example:80" }},
		{key: "health.host", value: "[::1]:80", holds: func(p *ClusterPolicy) bool { return p.HealthHost == "[::1]:80" }},
		{key: "health.host", value: "a:b", bad: true},
		{key: "health.host", value: "a\r\nb", bad: true},
		{key: "health.status", value: "200, 300-302", holds: func(p *ClusterPolicy) bool {
			return slices.Equal(p.HealthStatus, []StatusRange{{200, 200}, {300, 302}})
		}},
		{key: "health.status", value: "302-300", bad: true},
		{key: "health.status", value: "2xx", bad: true},
		{key: "health.status", value: "200,", bad: true},
		{key: "health.interval", value: "0s", bad: true},
		{key: "health.timeout", value: "0", bad: true},
		{key: "health.rise", value: "0", bad: true},
		{key: "hold", value: "0", holds: func(p *ClusterPolicy) bool { return p.Hold == 0 }},
		{key: "hold", value: "-1s", bad: true},
		{key: "hold", value: "721h", bad: true},
		{key: "timeout.connect", value: "0s", bad: true},
		{key: "retry", value: "11", bad: true},
		{key: "retry.on", value: "connect,503,5xx", holds: func(p *ClusterPolicy) bool {
			return slices.Equal(p.RetryOn, []string{"connect", "503", "5xx"})
		}},
		{key: "retry.on", value: "200", bad: true},
		{key: "retry.on", value: "conect", bad: true},
		{key: "max_conn", value: "0", bad: true},
		{key: "max_conn", value: "4294967297", bad: true},
		{key: "outlier", value: "off", holds: func(p *ClusterPolicy) bool { return p.OutlierConsecutive == 0 }},
		{key: "outlier", value: "never", bad: true},
		{key: "panic", value: "101", bad: true},
	} {
		spec, problems := Parse("lb", map[string]string{"lb.cluster": "c", "lb." + c.key: c.value})
		if c.bad {
			if len(problems) != 1 || problems[0].Severity != Skipped || len(spec.Services[0].Settings) != 0 {
				t.Errorf("%s: %q: problems %q, settings %v: it is not skipped", c.key, c.value, texts(problems), spec.Services[0].Settings)
			}
			continue
		}
		if len(problems) != 0 || len(spec.Services[0].Settings) != 1 {
			t.Errorf("%s: %q: problems %q", c.key, c.value, texts(problems))
			continue
		}
		p := DefaultClusterPolicy()
		spec.Services[0].Settings[0].Apply(&p)
		if !c.holds(&p) {
			t.Errorf("%s: %q gives %+v", c.key, c.value, p)
		}
	}
}
