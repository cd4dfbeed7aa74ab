package labels

import (
	"reflect"
	"testing"
)

func TestRoutes(t *testing.T) {
	listeners := []string{"default"}
	root := PathMatch{PathPrefix, "/"}
	for _, c := range []struct {
		name   string
		labels map[string]string
		want   []Route
	}{
		{"none", nil, []Route{{Listeners: listeners, Path: root}}},
		{"hosts", map[string]string{"lb.host": "B.com, a.com., *.c.com,b.com"}, []Route{{Listeners: listeners, Hosts: []string{"*.c.com", "a.com", "b.com"}, Path: root}}},
		{"any host", map[string]string{"lb.host": "*, a.com"}, []Route{{Listeners: listeners, Path: root}}},
		{"listeners", map[string]string{"lb.listener": "public, internal"}, []Route{{Listeners: []string{"internal", "public"}, Path: root}}},
		{"path", map[string]string{"lb.path": "/api/", "lb.strip": "yes"}, []Route{{Listeners: listeners, Path: PathMatch{PathPrefix, "/api"}, Strip: true}}},
		{"root", map[string]string{"lb.path": "//"}, []Route{{Listeners: listeners, Path: root}}},
		{"three paths", map[string]string{"lb.path": "/a", "lb.path.exact": "/b/", "lb.path.regex": "/c+", "lb.rewrite": "/x"}, []Route{
			{Listeners: listeners, Path: PathMatch{PathPrefix, "/a"}, Rewrite: "/x"},
			{Listeners: listeners, Path: PathMatch{PathExact, "/b/"}, Rewrite: "/x"},
			{Listeners: listeners, Path: PathMatch{PathRegex, "/c+"}},
		}},
		{"headers", map[string]string{"lb.header.X-Env": "Canary", "lb.header.accept": "~ text/.*"}, []Route{{Listeners: listeners, Path: root,
			Headers: []HeaderMatch{{Name: "accept", Text: "text/.*", Regex: true}, {Name: "x-env", Text: "Canary"}}}}},

		// A bad value never makes a route wider.
		{"one bad host", map[string]string{"lb.host": "a.com, b.com:1"}, []Route{{Listeners: listeners, Hosts: []string{"a.com"}, Path: root}}},
		{"only a bad host", map[string]string{"lb.host": "b.com:1"}, nil},
		{"empty host", map[string]string{"lb.host": ""}, nil},
		{"bad listener", map[string]string{"lb.listener": "a b"}, nil},
		{"bad path", map[string]string{"lb.path": "api"}, nil},
		{"bad path beside a good one", map[string]string{"lb.path": "api", "lb.path.exact": "/b"}, []Route{{Listeners: listeners, Path: PathMatch{PathExact, "/b"}}}},
		{"bad regex", map[string]string{"lb.path.regex": "("}, nil},
		{"bad header", map[string]string{"lb.header.x": "~("}, nil},
		{"empty header", map[string]string{"lb.header.x": ""}, nil},
		// These do not narrow a route: the default holds.
		{"bad strip", map[string]string{"lb.path": "/a", "lb.strip": "maybe"}, []Route{{Listeners: listeners, Path: PathMatch{PathPrefix, "/a"}}}},
		{"bad rewrite", map[string]string{"lb.path": "/a", "lb.rewrite": "x"}, []Route{{Listeners: listeners, Path: PathMatch{PathPrefix, "/a"}}}},
	} {
		all := map[string]string{"lb.cluster": "c"}
		for k, v := range c.labels {
			all[k] = v
		}
		spec, _ := Parse("lb", all)
		if got := spec.Services[0].Routes; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
	}
}
