package balancer

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"testing"

	"github.com/dockerlb/dockerlb/internal/leakcheck"
	"github.com/dockerlb/dockerlb/topology"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// endpoint makes an endpoint of labels; mod changes it.
func endpoint(id string, mod ...func(*topology.Endpoint)) topology.Endpoint {
	n := byte(0)
	for _, c := range []byte(id) {
		n = n*31 + c
	}
	e := topology.Endpoint{
		ID: id, Source: topology.FromLabels, Weight: 1,
		Address:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 18, 0, n}), 8080),
		Container: fmt.Sprintf("%x", sha256.Sum256([]byte(id))), ContainerName: id,
	}
	for _, f := range mod {
		f(&e)
	}
	return e
}

// cluster makes a cluster of labels, "web", of these endpoints.
func cluster(endpoints ...topology.Endpoint) topology.Cluster {
	c := topology.Cluster{
		Name: "web", Type: topology.Labels, Source: topology.FromLabels, Policy: "round_robin", Overprovisioning: 140,
	}
	for _, e := range endpoints {
		c.Endpoints = append(c.Endpoints, &e)
	}
	return c
}

// tableOf makes a table of clusters.
func tableOf(clusters ...topology.Cluster) *topology.Table {
	t := &topology.Table{Generation: 1}
	for _, c := range clusters {
		t.Clusters = append(t.Clusters, &c)
	}
	return t
}

// routeTo binds a route to clusters of the present View.
func routeTo(b *Balancer, names ...string) *Route {
	spec := &topology.Route{}
	for _, n := range names {
		spec.Clusters = append(spec.Clusters, topology.WeightedCluster{Name: n, Weight: 1})
	}
	return bind(spec, b.View().clusters)
}

// take acquires and gives back, and returns the endpoint's ID or the error.
func take(b *Balancer, r *Route, q *Request) string {
	l, err := b.Acquire(r, q)
	if err != nil {
		return err.Error()
	}
	l.Done(Outcome{Status: 200})
	return l.Endpoint.ID()
}
