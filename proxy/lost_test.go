package proxy

import (
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// An endpoint that leaves without having been told to stop will hardly answer: a
// GET that waits there is answered by another; a POST, which it may have
// processed, waits on.
func TestRequestsLeaveALostEndpoint(t *testing.T) {
	silent, release := make(chan string, 2), make(chan struct{})
	lost := wire.Listen(t, func(c *wire.Conn) {
		head, err := c.ReadHead()
		if err != nil {
			return
		}
		silent <- head
		<-release
		c.Play(ok200)
	})
	well := wire.Listen(t, wire.Answer("HTTP/1.1 203 Well\r\nContent-Length: 0\r\n\r\n"))
	r := newRig(t, setup{
		cluster: func(c *topology.Cluster) {
			c.Type, c.Source = topology.Labels, topology.FromLabels
			for _, e := range c.Endpoints {
				e.Source = topology.FromLabels
			}
		},
		route: func(r *topology.Route) {
			r.Retry = topology.RetryPolicy{On: []string{"reset"}, Max: 2, OtherMembers: true, IdempotentOnly: true}
		},
	}, lost.Addr(), well.Addr())

	all := r.table.Clusters[0].Endpoints
	r.members(all[:1])
	get, post := r.dial(), r.dial()
	for method, c := range map[string]*client{"GET": get, "POST": post} {
		c.send(method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
		if head := <-silent; !strings.HasPrefix(head, method) {
			t.Fatalf("it was sent %q", head)
		}
	}
	r.members(all[1:])
	if got := get.head(); status(got) != "203" {
		t.Errorf("GET: %q", got)
	}
	close(release)
	if got := post.head(); status(got) != "200" {
		t.Errorf("POST: %q", got)
	}
}

// One that was told to stop answers what it has, in its own time; so may one
// that a file no longer names.
func TestLost(t *testing.T) {
	for _, c := range []struct {
		what     string
		source   topology.Source
		stopping bool
		lost     bool
	}{
		{"it left without a word", topology.FromLabels, false, true},
		{"it was told to stop", topology.FromLabels, true, false},
		{"the file changed", topology.FromFile, false, false},
	} {
		r := newRig(t, setup{cluster: func(cl *topology.Cluster) {
			for _, e := range cl.Endpoints {
				e.Source, e.Stopping = c.source, c.stopping
			}
		}}, refusing(t))
		var e *balancer.Endpoint
		r.b.View().Endpoints(func(m *balancer.Endpoint) { e = m })
		if e.Lost() {
			t.Errorf("%s: lost while it is a member", c.what)
		}
		r.members(nil)
		if e.Lost() != c.lost {
			t.Errorf("%s: lost=%t, want %t", c.what, !c.lost, c.lost)
		}
	}
}

// members gives the cluster other endpoints.
func (r *rig) members(endpoints []*topology.Endpoint) {
	c := *r.table.Clusters[0]
	c.Endpoints = endpoints
	r.table.Generation++
	r.table.Clusters = []*topology.Cluster{&c}
	r.apply()
}
