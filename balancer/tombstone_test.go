package balancer

import (
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
				Clusters: []topology.Cluster{file, c},
				Listeners: []topology.Listener{{Name: "default", VirtualHosts: []topology.VirtualHost{
					{Domains: []string{"*"}, Routes: []topology.Route{route, own}}}}},
			}
		}
		b.Apply(table(endpoint("a")))
		inc := b.Incumbents()
		if len(inc.Tombstones) != 0 || len(inc.Routes) != 1 || inc.Routes["default * /"] != "web" {
			t.Fatalf("with a member: %+v", inc)
		}
		time.Sleep(time.Second)
		b.Apply(table())
		until := time.Now().Add(10 * time.Minute)
		time.Sleep(time.Minute)
		b.Apply(table()) // does not begin again
		inc = b.Incumbents()
		if len(inc.Tombstones) != 1 {
			t.Fatalf("without a member: %d tombstones", len(inc.Tombstones))
		}
		stone := inc.Tombstones[0]
		if stone.Cluster.Name != "web" || !stone.Until.Equal(until) || len(stone.Routes) != 1 ||
			stone.Routes[0].Listener != "default" || stone.Routes[0].Domain != "*" || stone.Routes[0].Route.Key != "default * /" {
			t.Errorf("tombstone: %+v", stone)
		}
		if s := b.Snapshot().Clusters[1]; !s.Tombstone.Equal(until) {
			t.Errorf("shown until %s, want %s", s.Tombstone, until)
		}
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if n := len(b.Incumbents().Tombstones); n != 0 || rebuilds != 1 {
			t.Errorf("when it is over: %d tombstones, %d rebuilds asked for; want 0 and 1", n, rebuilds)
		}
		b.Apply(table(endpoint("b")))
		if s := b.Snapshot().Clusters[1]; !s.Tombstone.IsZero() {
			t.Error("a member came, and it is still a tombstone")
		}
	})
}
