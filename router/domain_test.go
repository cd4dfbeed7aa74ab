package router

import (
	"net/netip"
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

// everywhere is a route for each domain, of the file or of labels.
func everywhere(fallThrough bool, path string, domains ...string) []topology.VirtualHost {
	var vhs []topology.VirtualHost
	for _, d := range domains {
		vhs = append(vhs, topology.VirtualHost{Name: d, Domains: []string{d}, FallThrough: fallThrough,
			Routes: []topology.Route{{Key: d + path, Match: topology.Match{Path: topology.PathSpec{Text: path}}}}})
	}
	return vhs
}

func compile(t testing.TB, l *topology.Listener) *Router {
	t.Helper()
	r, err := Compile(l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// key is the Key of the route that q is sent to, "" for none.
func key(r *Router, q Request) string {
	if i := r.Match(q); i >= 0 {
		return r.Routes()[i].Key
	}
	return ""
}

var (
	ofFile   = everywhere(false, "", "foo.com", "www.foo.com", "*.foo.com", "*-bar.foo.com", "*.bar.foo.com", "foo.*", "foo-*", "foo.com.*", "port.com:8080", "[::1]", "[::2]:8080", "*")
	ofLabels = everywhere(true, "", "foo.com", "*.foo.com", "*.bar.foo.com", "[::1]", "10.0.0.1")
)

// domainCases are hosts, and the domain that each finds among those of the
// file and among those of labels.
var domainCases = []struct{ host, file, labels string }{
	{"foo.com", "foo.com", "foo.com"},
	{"www.foo.com", "www.foo.com", "*.foo.com"},
	{"a.foo.com", "*.foo.com", "*.foo.com"},
	{"a.b.foo.com", "*.foo.com", "*.foo.com"},
	{"a.bar.foo.com", "*.bar.foo.com", "*.bar.foo.com"},
	{"x-bar.foo.com", "*-bar.foo.com", "*.foo.com"},
	{"-bar.foo.com", "*.foo.com", "*.foo.com"}, // "*-bar.foo.com" would match the empty string
	{".foo.com", "*", ""},                      // so would "*.foo.com"
	{"foo.org", "foo.*", ""},
	{"foo.", "*", ""},
	{"foo-x", "foo-*", ""},
	{"foo.com.au", "foo.com.*", ""}, // longest prefix first
	{"", "*", ""},
	{"other.com", "*", ""},

	// A port counts for the file's domains, never for those of labels.
	{"foo.com:8080", "foo.*", "foo.com"},
	{"port.com:8080", "port.com:8080", ""},
	{"port.com", "*", ""},
	{"[::1]", "[::1]", "[::1]"},
	{"[::1]:8080", "*", "[::1]"},
	{"[::2]:8080", "[::2]:8080", ""},
	{"10.0.0.1:80", "*", "10.0.0.1"},

	// The dot that ends a name is dropped for labels alone.
	{"foo.com.", "foo.*", "foo.com"},
	{"foo.com.:8080", "foo.com.*", "foo.com"},
	{"a.foo.com.", "*", "*.foo.com"},
}

func TestDomains(t *testing.T) {
	file := compile(t, &topology.Listener{VirtualHosts: ofFile})
	labels := compile(t, &topology.Listener{VirtualHosts: ofLabels})
	for _, c := range domainCases {
		if got := key(file, &request{host: c.host, path: "/"}); got != c.file {
			t.Errorf("file: host %q finds %q, want %q", c.host, got, c.file)
		}
		if got := key(labels, &request{host: c.host, path: "/"}); got != c.labels {
			t.Errorf("labels: host %q finds %q, want %q", c.host, got, c.labels)
		}
	}
}

func TestPortOptions(t *testing.T) {
	vhs := everywhere(false, "", "a.com", "a.com:8080", "*")
	for name, c := range map[string]struct {
		http topology.HTTPOptions
		want map[string]string
	}{
		"none": {topology.HTTPOptions{}, map[string]string{
			"a.com": "a.com", "a.com:8080": "a.com:8080", "a.com:9090": "*"}},
		"ignore": {topology.HTTPOptions{IgnorePort: true}, map[string]string{
			"a.com": "a.com", "a.com:8080": "a.com", "a.com:9090": "a.com"}},
		"strip any": {topology.HTTPOptions{StripAnyPort: true}, map[string]string{
			"a.com": "a.com", "a.com:8080": "a.com", "a.com:9090": "a.com"}},
		"strip matching": {topology.HTTPOptions{StripMatchingPort: true}, map[string]string{
			"a.com": "a.com", "a.com:9090": "a.com", "a.com:8080": "a.com:8080", "a.com:909": "*", "a.com:19090": "*"}},
	} {
		r := compile(t, &topology.Listener{Address: netip.MustParseAddrPort("0.0.0.0:9090"), HTTP: c.http, VirtualHosts: vhs})
		for host, want := range c.want {
			if got := key(r, &request{host: host, path: "/"}); got != want {
				t.Errorf("%s: host %q finds %q, want %q", name, host, got, want)
			}
		}
	}
}

// Envoy does not fall through; the virtual hosts of labels do, also into those
// of the file.
func TestFallThrough(t *testing.T) {
	q := &request{host: "a.foo.com", path: "/b"}
	for _, c := range []struct {
		name string
		vhs  []topology.VirtualHost
		want string
	}{
		{"file", append(everywhere(false, "/a", "a.foo.com"), everywhere(false, "/b", "*.foo.com", "*")...), ""},
		{"labels", append(everywhere(true, "/a", "a.foo.com"), everywhere(true, "/b", "*.foo.com", "*")...), "*.foo.com/b"},
		{"labels, twice", append(everywhere(true, "/a", "a.foo.com", "*.foo.com"), everywhere(true, "/b", "*")...), "*/b"},
		{"labels to file", append(everywhere(true, "/a", "a.foo.com"), everywhere(false, "/b", "*")...), "*/b"},
		{"labels, then file's end", append(everywhere(true, "/a", "a.foo.com"), append(everywhere(false, "/a", "*.foo.com"), everywhere(true, "/b", "*")...)...), ""},
	} {
		if got := key(compile(t, &topology.Listener{VirtualHosts: c.vhs}), q); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Where a host reads differently for the file and for labels, the file comes
// first only where it has the more or equally specific domain.
func TestFileAndLabelsTogether(t *testing.T) {
	vhs := append(everywhere(false, "", "a.com:80", "*.com:80"), everywhere(true, "", "a.com", "b.com")...)
	r := compile(t, &topology.Listener{VirtualHosts: vhs})
	for host, want := range map[string]string{
		"a.com:80": "a.com:80",
		"a.com:81": "a.com",
		"b.com:80": "b.com",
		"c.com:80": "*.com:80",
	} {
		if got := key(r, &request{host: host, path: "/"}); got != want {
			t.Errorf("host %q finds %q, want %q", host, got, want)
		}
	}
}
