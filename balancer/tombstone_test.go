package balancer

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

func TestTombstone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rebuilds := 0
		b := New(Options{Rebuild: func() { rebuilds++ }})
		defer run(b)()
		table := func(e ...topology.Endpoint) *topology.Table {
			c := cluster(e...)
			c.Tombstone = 10 * time.Minute
			file := cluster()
			file.Name, file.Source, file.Tombstone = "file", topology.FromFile, time.Minute
			route := topology.Route{Key: "default * /", Source: topology.FromLabels, Clusters: []topology.WeightedCluster{{Name: "web", Weight: 1}}}
			own := topology.Route{Key: "file * /", Source: topology.FromFile, Clusters: []topology.WeightedCluster{{Name: "file", Weight: 1}}}
			return &topology.Table{
				Clusters: []*topology.Cluster{&file, &c},
				Listeners: []topology.Listener{{Name: "default", VirtualHosts: []topology.VirtualHost{
					{Domains: []string{"*"}, Routes: []topology.Route{route, own}}}}},
			}
		}
		apply := func(t *topology.Table) *topology.Table { b.Apply(t); return t }
		if now, inc := apply(table(endpoint("a"))), b.Incumbents(); inc.Previous != now || len(inc.Expired) != 0 {
			t.Fatalf("with a member: %+v", inc)
		}
		time.Sleep(time.Second)
		b.Apply(table())
		until := time.Now().Add(10 * time.Minute)
		time.Sleep(time.Minute)
		// Another table without one does not begin again.
		if now, inc := apply(table()), b.Incumbents(); inc.Previous != now || len(inc.Expired) != 0 {
			t.Fatalf("without a member: %+v", inc)
		}
		if s := b.Snapshot().Clusters[1]; !s.Tombstone.Equal(until) {
			t.Errorf("shown until %s, want %s", s.Tombstone, until)
		}
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if over := b.Incumbents().Expired; !slices.Equal(over, []string{"web"}) || rebuilds != 1 {
			t.Errorf("when it is over: %v, %d rebuilds asked for; want web and 1", over, rebuilds)
		}
		b.Apply(table(endpoint("b")))
		if s := b.Snapshot().Clusters[1]; !s.Tombstone.IsZero() {
			t.Error("a member came, and it is still a tombstone")
		}
	})
}
