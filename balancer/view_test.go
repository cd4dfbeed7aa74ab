package balancer

import (
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

// get is a request for a path.
type get string

func (g get) Host() string                 { return "example.com" }
func (g get) Path() string                 { return string(g) }
func (g get) Query() string                { return "" }
func (g get) Method() string               { return "GET" }
func (g get) Header(string) (string, bool) { return "", false }

// routed is a table with one listener, whose routes lead by their path to the
// cluster of that name: /web to web.
func routed(askedBy string, clusters ...topology.Cluster) *topology.Table {
	t := tableOf(clusters...)
	v := topology.VirtualHost{Domains: []string{"*"}}
	for _, name := range []string{"web", "other"} {
		v.Routes = append(v.Routes, topology.Route{
			Key: name, Source: topology.FromLabels, AskedBy: []string{askedBy},
			Match:    topology.Match{Path: topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/" + name}},
			Clusters: []topology.WeightedCluster{{Name: name, Weight: 1}},
		})
	}
	t.Listeners = []topology.Listener{{Name: "default", VirtualHosts: []topology.VirtualHost{v}}}
	return t
}

func TestMatchLeadsToTheCluster(t *testing.T) {
	b := New(Options{})
	if b.View() == nil || b.View().Listener("default") != nil || b.View().Generation() != 0 {
		t.Fatal("the first View is not an empty one")
	}
	b.Apply(routed("web-1", cluster(endpoint("a"))))
	l := b.View().Listener("default")
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
	if r := l.Match(get("/nowhere")); r != nil {
		t.Errorf("/nowhere matches %s", r.Spec.Key)
	}
	if got := take(b, l.Match(get("/web/x")), &Request{}); got != "a" {
		t.Errorf("/web/x went to %s", got)
	}
	if got := take(b, l.Match(get("/other")), &Request{}); got != ErrNoCluster.Error() {
		t.Errorf("a route whose cluster is not there: %s", got)
	}
}

// A member that comes changes who asked for the route, not how it is matched.
func TestRouterIsKept(t *testing.T) {
	b := New(Options{})
	b.Apply(routed("web-1", cluster(endpoint("a"))))
	before := b.View().Listener("default")
	other := cluster(endpoint("b"))
	other.Name = "other"
	b.Apply(routed("web-2", other, cluster(endpoint("a"))))
	after := b.View().Listener("default")
	if before.router != after.router {
		t.Error("equal matches were compiled again")
	}
	r := after.Match(get("/other"))
	if r.Spec.AskedBy[0] != "web-2" {
		t.Errorf("the route is that of an older table: %v", r.Spec.AskedBy)
	}
	if got := take(b, r, &Request{}); got != "b" {
		t.Errorf("the route is not bound to the cluster that came: %s", got)
	}
	changed := routed("web-2", other, cluster(endpoint("a")))
	changed.Listeners[0].VirtualHosts[0].Routes[1].Match.Path.Text = "/third"
	b.Apply(changed)
	if r := b.View().Listener("default").Match(get("/third")); r == nil || r.Spec.Key != "other" {
		t.Error("a changed match was not compiled")
	}
}

func TestRequestPathAllocatesNothing(t *testing.T) {
	b := New(Options{})
	b.Apply(routed("web-1", cluster(endpoint("a"), endpoint("b", func(e *topology.Endpoint) { e.Weight = 3 }))))
	q := new(Request)
	if n := testing.AllocsPerRun(1000, func() {
		r := b.View().Listener("default").Match(get("/web"))
		l, err := b.Acquire(r, q)
		if err != nil {
			t.Fatal(err)
		}
		l.Done(Outcome{Status: 200})
	}); n != 0 {
		t.Errorf("%v allocations from View to Done, want 0", n)
	}
}

func TestRoutesThatDoNotCompile(t *testing.T) {
	b := New(Options{})
	bad := routed("web-1", cluster(endpoint("a")))
	bad.Listeners[0].VirtualHosts[0].Routes[0].Match.Path = topology.PathSpec{Kind: topology.PathRegex, Text: "("}
	b.Apply(bad)
	l := b.View().Listener("default")
	if l.Err() == nil || l.Match(get("/web")) != nil {
		t.Errorf("error %v", l.Err())
	}
}
