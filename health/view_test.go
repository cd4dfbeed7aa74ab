package health

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/topology"
)

// Whatever changes from View to View, and also where a View was skipped: who is
// checked are the endpoints of the last.
func TestApplyFollowsViews(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	c := newChecker(Options{Report: func(balancer.Verdict) {}}, nil) // does not run
	b := balancer.New(balancer.Options{})
	clusters := map[string]*topology.Cluster{}
	for step := range 300 {
		for range 1 + r.IntN(3) {
			name := fmt.Sprintf("c%d", r.IntN(6))
			if r.IntN(4) == 0 {
				delete(clusters, name)
				continue
			}
			cl := &topology.Cluster{Name: name, Type: topology.Labels, HealthChecks: []topology.HealthCheck{labelCheck}}
			for i := range r.IntN(5) {
				cl.Endpoints = append(cl.Endpoints, &topology.Endpoint{
					ID: fmt.Sprintf("%s/%d", name, i), NeedsProbe: r.IntN(4) > 0, Paused: r.IntN(4) == 0, Weight: 1,
					Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 1}), uint16(1+r.IntN(3))),
				})
			}
			clusters[name] = cl
		}
		table := &topology.Table{Generation: uint64(step)}
		want := map[string]netip.AddrPort{}
		for _, cl := range clusters {
			table.Clusters = append(table.Clusters, cl)
			for _, e := range cl.Endpoints {
				if e.NeedsProbe {
					want[e.ID] = e.Address
				}
			}
		}
		slices.SortFunc(table.Clusters, func(a, b *topology.Cluster) int { return int(a.Name[1]) - int(b.Name[1]) })
		b.Apply(table)
		if r.IntN(5) == 0 {
			continue
		}
		c.Apply(b.View())
		load := int64(0)
		for id, s := range c.sessions {
			if want[id] != s.target.address {
				t.Fatalf("step %d: %s is checked at %s, want %s", step, id, s.target.address, want[id])
			}
			load += s.target.settings.load()
		}
		if len(c.sessions) != len(want) || len(c.clusters) != len(clusters) || c.load != load || c.waiting != len(want) {
			t.Fatalf("step %d: %d sessions, want %d; %d clusters, want %d; load %d, want %d; %d waiting",
				step, len(c.sessions), len(want), len(c.clusters), len(clusters), c.load, load, c.waiting)
		}
	}
}
