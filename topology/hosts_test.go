package topology

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

func TestRoutesAreTheUnionOfWhatMembersAskFor(t *testing.T) {
	s := newScene(t)
	s.add("web-1", "lb.cluster=web lb.host=b.test,a.test")
	s.add("web-2", "lb.cluster=web lb.host=b.test,a.tset") // a typo adds a route and takes none
	table := s.build()
	same(t, "routes", routes(t, table, "default"), []string{
		"a.test: default a.test prefix / -> web",
		"a.tset: default a.tset prefix / -> web",
		"b.test: default b.test prefix / -> web",
	})
	for _, v := range table.Listeners[0].VirtualHosts {
		want := map[string][]string{"a.test": {"web-1"}, "a.tset": {"web-2"}, "b.test": {"web-1", "web-2"}}[v.Name]
		if !slices.Equal(v.Routes[0].AskedBy, want) || !v.FallThrough {
			t.Errorf("%s: asked by %v, fall through %t", v.Name, v.Routes[0].AskedBy, v.FallThrough)
		}
	}
}

func TestOrderInsideAVirtualHost(t *testing.T) {
	s := newScene(t)
	s.add("root", "lb.cluster=root")
	s.add("api", "lb.cluster=api lb.path=/api")
	s.add("v1", "lb.cluster=v1 lb.path=/api/v1")
	s.add("canary", "lb.cluster=canary lb.path=/api/v1 lb.header.x-env=canary")
	s.add("regex", "lb.cluster=regex lb.path.regex=/v[12]/.*")
	s.add("exact", "lb.cluster=exact lb.path.exact=/api")
	same(t, "routes", routes(t, s.build(), "default"), []string{
		"*: default * exact /api -> exact",
		"*: default * regex /v[12]/.* -> regex",
		"*: default * prefix /api/v1 x-env=canary -> canary",
		"*: default * prefix /api/v1 -> v1",
		"*: default * prefix /api -> api",
		"*: default * prefix / -> root",
	})
}

func TestRewrite(t *testing.T) {
	for _, tt := range []struct {
		path, rewrite string
		strip         bool
		want          Rewrite
	}{
		{"/api", "", true, Rewrite{SetPrefix: true}},
		{"/api", "/v2", false, Rewrite{SetPrefix: true, Prefix: "/v2"}},
		{"/api", "/v2/", false, Rewrite{SetPrefix: true, Prefix: "/v2"}},
		{"/api/", "/v2", false, Rewrite{SetPrefix: true, Prefix: "/v2/"}},
		{"/api/", "", true, Rewrite{SetPrefix: true, Prefix: "/"}},
		{"/api", "/", false, Rewrite{SetPrefix: true}},
		{"/", "/v2", false, Rewrite{SetPrefix: true, Prefix: "/v2/"}},
		{"/", "", true, Rewrite{}},
		{"/api", "", false, Rewrite{}},
	} {
		r := labels.Route{Path: labels.PathMatch{Text: tt.path}, Strip: tt.strip, Rewrite: tt.rewrite}
		if got := rewriteOf(&r); got != tt.want {
			t.Errorf("%s strip %t rewrite %q: %+v, want %+v", tt.path, tt.strip, tt.rewrite, got, tt.want)
		}
	}
}

func TestContestedRoute(t *testing.T) {
	const key = "default a.test prefix /"
	contested := func(t *testing.T) *scene {
		s := newScene(t)
		s.add("old-1", "lb.cluster=old lb.host=a.test")
		s.add("new-1", "lb.cluster=new lb.host=a.test")
		return s
	}
	holder := func(t *testing.T, s *scene) string {
		t.Helper()
		table := s.build()
		r := routes(t, table, "default")
		if len(r) != 1 || len(table.Conflicts) != 1 {
			t.Fatalf("routes %v, conflicts %+v", r, table.Conflicts)
		}
		c := table.Conflicts[0]
		if c.Kind != "route" || c.What != key || r[0] != "a.test: "+key+" -> "+c.Winner {
			t.Errorf("%s, but %+v", r[0], c)
		}
		return c.Winner
	}
	t.Run("at start the earliest created member", func(t *testing.T) {
		s := contested(t)
		if got := holder(t, s); got != "old" {
			t.Errorf("%s", got)
		}
		table := s.build()
		for name, want := range map[string]string{
			"old-1": "+ route: " + key + " is held, though asked for by cluster new too",
			"new-1": "- route: " + key + " is held by cluster old: cluster new does not get it",
		} {
			if tr := traceOf(t, table, name); !strings.Contains(steps(tr), want) || tr.Verdict != Routed {
				t.Errorf("%s: %s, no step %q in:\n%s", name, tr.Verdict, want, steps(tr))
			}
		}
	})
	t.Run("ties by id", func(t *testing.T) {
		s := contested(t)
		first := s.in.Membership.Containers[0] // sorted by id
		for _, c := range s.in.Membership.Containers {
			c.Created = dawn
		}
		if got := holder(t, s); got != first.Spec.Services[0].Cluster {
			t.Errorf("%s", got)
		}
	})
	t.Run("the incumbent keeps it", func(t *testing.T) {
		s := contested(t)
		s.in.Incumbents.Previous = held("new", key)
		if got := holder(t, s); got != "new" {
			t.Errorf("%s", got)
		}
	})
	t.Run("an incumbent that is gone does not", func(t *testing.T) {
		s := contested(t)
		s.in.Incumbents.Previous, s.in.Incumbents.Expired = held("gone", key), []string{"gone"}
		if got := holder(t, s); got != "old" {
			t.Errorf("%s", got)
		}
	})
	t.Run("a tombstone keeps it", func(t *testing.T) {
		s := contested(t)
		s.in.Incumbents.Previous = held("gone", key)
		if got := holder(t, s); got != "gone" {
			t.Errorf("%s", got)
		}
	})
}

// held is a table in which a cluster of labels holds a route on a.test.
func held(cluster, key string) *Table {
	return &Table{
		Clusters: []*Cluster{{Name: cluster, Type: Labels, Source: FromLabels, Warm: true, Tombstone: time.Minute, Endpoints: []*Endpoint{{ID: "old"}}}},
		Listeners: []Listener{{Name: "default", VirtualHosts: []VirtualHost{{Domains: []string{"a.test"}, Routes: []Route{
			{Key: key, Source: FromLabels, Clusters: []WeightedCluster{{Name: cluster, Weight: 1}}}}}}}},
	}
}

// From the last member's leaving until its time is over, or a member comes.
func TestClusterWithoutMembersKeepsItsRoutes(t *testing.T) {
	const key = "default a.test prefix /"
	s := newScene(t)
	web := s.add("web-1", "lb.cluster=web lb.host=a.test lb.tombstone=1m")
	var b Builder
	build := func() *Table {
		s.in.Generation++
		table := b.Build(s.in)
		s.in.Incumbents.Previous = table
		return table
	}
	build()
	web.State = StateExited
	s.in.Membership.Containers = []*Container{{}}
	*s.in.Membership.Containers[0] = *web
	for range 3 {
		table := build()
		same(t, "without members", routes(t, table, "default"), []string{"a.test: " + key + " -> web"})
		if c := clusterOf(t, table, "web"); len(c.Endpoints) != 0 {
			t.Errorf("endpoints %+v", c.Endpoints)
		}
	}
	t.Run("a member comes", func(t *testing.T) {
		with := *s
		with.in.Membership.Containers = slices.Clone(s.in.Membership.Containers)
		with.add("web-2", "lb.cluster=web lb.host=b.test")
		same(t, "alive", routes(t, with.build(), "default"), []string{"b.test: default b.test prefix / -> web"})
	})
	s.in.Incumbents.Expired = []string{"web"}
	if table := build(); len(table.Clusters) != 0 || len(routes(t, table, "default")) != 0 {
		t.Errorf("after its time: %d clusters, routes %v", len(table.Clusters), routes(t, table, "default"))
	}
}

// lb.tombstone: 0s keeps nothing.
func TestClusterWithoutTombstone(t *testing.T) {
	s := newScene(t)
	s.in.Incumbents.Previous = held("web", "default a.test prefix /")
	s.in.Incumbents.Previous.Clusters[0].Tombstone = 0
	if table := s.build(); len(table.Clusters) != 0 {
		t.Errorf("%d clusters", len(table.Clusters))
	}
}

// The file's virtual hosts keep their order and come first; where a domain
// stands in both, the file's routes do. One of several domains is split off.
func TestRoutesOfFileAndLabels(t *testing.T) {
	s := newScene(t)
	route := func(key string) []Route {
		return []Route{{Key: key, Source: FromFile, Clusters: []WeightedCluster{{Name: "f", Weight: 1}}}}
	}
	s.in.Static.Listeners = []Listener{{Name: "default", Address: netip.MustParseAddrPort("0.0.0.0:80"), Source: FromFile,
		VirtualHosts: []VirtualHost{
			{Name: "two", Domains: []string{"b.test", "a.test"}, Routes: route("file two")},
			{Name: "all", Domains: []string{"*"}, Routes: route("file all")},
		}}}
	s.add("web-1", "lb.cluster=web lb.host=a.test,c.test")
	table := s.build()
	same(t, "routes", routes(t, table, "default"), []string{
		"b.test: file two -> f",
		"a.test: file two -> f", "a.test: default a.test prefix / -> web",
		"*: file all -> f",
		"c.test: default c.test prefix / -> web",
	})
	if len(table.Listeners) != 1 || table.Listeners[0].Address.Port() != 80 {
		t.Errorf("listeners %+v", table.Listeners)
	}
	if n := len(s.in.Static.Listeners[0].VirtualHosts[0].Domains); n != 2 {
		t.Errorf("the file's own value was written: %d domains", n)
	}
	seen := map[string]bool{}
	for _, v := range table.Listeners[0].VirtualHosts {
		for _, d := range v.Domains {
			if seen[d] {
				t.Errorf("domain %s stands in two virtual hosts", d)
			}
			seen[d] = true
		}
		if v.FallThrough != (v.Name == "c.test") {
			t.Errorf("%s: fall through %t", v.Name, v.FallThrough)
		}
	}
}

// A listener of the file on the flag's address takes its place, and labels
// that name the flag's lead there.
func TestAFilesListenerOnTheSameAddress(t *testing.T) {
	s := newScene(t)
	s.in.Static.Listeners = []Listener{{Name: "listener_0", Address: netip.MustParseAddrPort("127.0.0.1:10000"), Source: FromFile}}
	s.add("web-1", "lb.cluster=web")
	table := s.build()
	if len(table.Listeners) != 1 {
		t.Fatalf("listeners %+v", table.Listeners)
	}
	same(t, "routes", routes(t, table, "listener_0"), []string{"*: listener_0 * prefix / -> web"})
}
