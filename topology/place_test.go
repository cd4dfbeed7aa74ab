package topology

import (
	"strings"
	"testing"
)

// Where an address comes from: the table of the architecture, row by row.
func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		name        string
		labels      string // besides lb.cluster=web
		options     []option
		setup       func(*scene) // before the container is there
		dns         func(*scene) // after
		address     string       // empty: none
		unconfirmed bool
		disputed    bool
		has         string // a step
	}{
		{name: "DNS agrees",
			dns:     func(s *scene) { s.dns("web-1", OutcomeFound, "172.20.0.3") },
			address: "172.20.0.3:8080", has: "+ address: 172.20.0.3, confirmed by DNS"},
		{name: "DNS has not answered", address: "172.20.0.3:8080", unconfirmed: true,
			has: "+ address: 172.20.0.3, from the engine, unconfirmed: DNS has not answered yet"},
		{name: "DNS fails",
			dns:     func(s *scene) { s.dns("web-1", OutcomeFailed) },
			address: "172.20.0.3:8080", unconfirmed: true, has: "unconfirmed: DNS failed: SERVFAIL"},
		{name: "DNS fails after it had agreed",
			dns:     func(s *scene) { s.dns("web-1", OutcomeFailed, "172.20.0.3") },
			address: "172.20.0.3:8080", has: "confirmed by DNS"},
		{name: "DNS is silent",
			dns:     func(s *scene) { s.dns("web-1", OutcomeEmpty) },
			address: "172.20.0.3:8080", unconfirmed: true, has: "unconfirmed: DNS knows no address"},
		{name: "DNS disagrees",
			dns:     func(s *scene) { s.dns("web-1", OutcomeFound, "172.20.0.9") },
			address: "172.20.0.9:8080", disputed: true,
			has: "+ address: 172.20.0.9, by DNS, which disagrees with the engine's 172.20.0.3"},
		{name: "shared network is named", address: "172.20.0.3:8080", unconfirmed: true, has: "+ network: backend (shared with us)"},
		{name: "IPv6 only", options: []option{on("backend fd00::3")}, address: "[fd00::3]:8080", unconfirmed: true},

		{name: "no shared network", options: []option{on("default 172.21.0.3", "edge 172.22.0.3")},
			setup: func(s *scene) { s.weAreOn("backend 172.20.0.2", "front 172.23.0.2") },
			has:   "- network: none shared with us (it has: default, edge; we have: backend, front)"},
		{name: "we have no network", setup: func(s *scene) { s.weAreOn() },
			has: "- network: none shared with us (it has: backend; we have: none)"},
		{name: "no address yet", options: []option{on("backend")}, has: "- network: no address on backend yet"},
		{name: "the same name is not the same network",
			setup: func(s *scene) { s.in.Membership.Self.Networks[0].NetworkID = id("another backend") },
			has:   "- network: none shared with us"},

		{name: "several shared: the first by name until DNS answers",
			setup:   func(s *scene) { s.weAreOn("a 172.21.0.2", "b 172.22.0.2") },
			options: []option{on("a 172.21.0.3", "b 172.22.0.3")},
			address: "172.21.0.3:8080", unconfirmed: true},
		{name: "several shared: DNS says which",
			setup:   func(s *scene) { s.weAreOn("a 172.21.0.2", "b 172.22.0.2") },
			options: []option{on("a 172.21.0.3", "b 172.22.0.3")},
			dns:     func(s *scene) { s.dns("web-1", OutcomeFound, "172.22.0.3") },
			address: "172.22.0.3:8080", has: "+ network: b (shared with us)"},
		{name: "lb.network", labels: "lb.network=b",
			setup:   func(s *scene) { s.weAreOn("a 172.21.0.2", "b 172.22.0.2") },
			options: []option{on("a 172.21.0.3", "b 172.22.0.3")},
			address: "172.22.0.3:8080", unconfirmed: true, has: "+ network: b (shared with us, by lb.network)"},
		{name: "lb.network without Compose's project", labels: "lb.network=back",
			setup:   func(s *scene) { s.weAreOn("shop_back 172.21.0.2") },
			options: []option{of("shop"), on("shop_back 172.21.0.3")},
			address: "172.21.0.3:8080", unconfirmed: true, has: "+ network: shop_back (shared with us, by lb.network)"},
		{name: "lb.network not attached", labels: "lb.network=edge",
			setup:   func(s *scene) { s.weAreOn("backend 172.20.0.2", "edge 172.22.0.2") },
			options: []option{on("backend 172.20.0.3", "default 172.21.0.3")},
			has:     `- network: "edge" not attached (it has: backend, default; we have: backend, edge)`},
		{name: "lb.network not ours", labels: "lb.network=default",
			options: []option{on("backend 172.20.0.3", "default 172.21.0.3")},
			has:     `- network: "default" is not one of ours (it has: backend, default; we have: backend)`},

		{name: "default bridge: inspect alone",
			setup:   func(s *scene) { s.weAreOn("bridge 172.17.0.2") },
			options: []option{on("bridge 172.17.0.3")},
			address: "172.17.0.3:8080", has: "+ address: 172.17.0.3, from the engine: there is no embedded DNS to ask"},
		{name: "on the host: inspect alone", setup: (*scene).weAreOnTheHost,
			options: []option{on("a 172.21.0.3", "b 172.22.0.3")},
			address: "172.21.0.3:8080", has: "+ network: a (reached from the host)"},
		{name: "on the host: lb.network", labels: "lb.network=b", setup: (*scene).weAreOnTheHost,
			options: []option{on("a 172.21.0.3", "b 172.22.0.3")}, address: "172.22.0.3:8080"},
		{name: "on the host: no network", setup: (*scene).weAreOnTheHost, options: []option{on("none")},
			has: "- network: it is on no network that has addresses (it has: none)"},
		{name: "on a host that reaches no container",
			setup:   func(s *scene) { s.weAreOnTheHost(); s.in.Membership.Self.PublishedOnly = true },
			options: []option{publishing(8080, "0.0.0.0:32768")},
			address: "127.0.0.1:32768", has: "+ address: 127.0.0.1:32768, where port 8080 is published"},
		{name: "on a host that reaches no container, nothing published",
			setup: func(s *scene) { s.weAreOnTheHost(); s.in.Membership.Self.PublishedOnly = true },
			has:   "- address: port 8080 is not published"},

		{name: "lb.address", labels: "lb.address=10.0.0.5:81", address: "10.0.0.5:81", has: "+ address: 10.0.0.5:81, by lb.address"},
		{name: "lb.address without a port", labels: "lb.address=10.0.0.5", address: "10.0.0.5:8080"},
		{name: "lb.address by name, not answered", labels: "lb.address=db.local:81",
			has: "- address: waiting for the first answer for db.local, by lb.address"},
		{name: "lb.address by name", labels: "lb.address=db.local:81",
			dns:     func(s *scene) { s.dns("db.local", OutcomeFound, "fd00::9", "10.0.0.8", "10.0.0.7") },
			address: "10.0.0.7:81", has: "+ address: 10.0.0.7:81, the address of db.local, by lb.address"},
		{name: "lb.address by name that fails", labels: "lb.address=db.local:81",
			dns: func(s *scene) { s.dns("db.local", OutcomeFailed) },
			has: "- address: db.local, by lb.address, is not resolved: SERVFAIL"},
		{name: "lb.address by name without address", labels: "lb.address=db.local:81",
			dns: func(s *scene) { s.dns("db.local", OutcomeEmpty) },
			has: "- address: db.local, by lb.address, has no address"},

		{name: "host network, we too", labels: "lb.port=80", setup: (*scene).weAreOnTheHost, options: []option{onTheHost},
			address: "127.0.0.1:80", has: "+ network: the host's, which is ours too"},
		{name: "host network, we in a container", labels: "lb.port=80", options: []option{onTheHost},
			address: "172.20.0.1:80", has: "+ address: 172.20.0.1:80, the gateway of backend: it must listen there, not on 127.0.0.1 alone"},
		{name: "host network, lb.network says through which", labels: "lb.port=80 lb.network=edge", options: []option{onTheHost},
			setup:   func(s *scene) { s.weAreOn("backend 172.20.0.2", "edge 172.22.0.2") },
			address: "172.22.0.1:80"},
		{name: "host network, no gateway", labels: "lb.port=80", options: []option{onTheHost},
			setup: func(s *scene) { s.weAreOn("backend fd00::2") },
			has:   "- network: it uses the host's network, and none of ours has a gateway to the host (we have: backend)"},
		{name: "host network exposes nothing", options: []option{onTheHost}, has: "- port: it exposes no TCP port"},

		{name: "borrowed network", labels: "lb.port=80", options: []option{borrowing("vpn")},
			setup:   func(s *scene) { s.add("vpn", "") },
			address: "172.20.0.3:80", unconfirmed: true, has: "+ network: that of vpn, which it shares"},
		{name: "borrowed network, confirmed", labels: "lb.port=80", options: []option{borrowing("vpn")},
			setup:   func(s *scene) { s.add("vpn", "") },
			dns:     func(s *scene) { s.dns("vpn", OutcomeFound, "172.20.0.3") },
			address: "172.20.0.3:80", has: "confirmed by DNS"},
		{name: "borrowed network, the peer's port", options: []option{borrowing("vpn")},
			setup:   func(s *scene) { s.add("vpn", "") },
			address: "172.20.0.3:8080", unconfirmed: true, has: "+ port: 8080, vpn's only exposed TCP port"},
		{name: "borrowed network, own port first", options: []option{borrowing("vpn"), exposing(90)},
			setup:   func(s *scene) { s.add("vpn", "") },
			address: "172.20.0.3:90", unconfirmed: true, has: "+ port: 90, its only exposed TCP port"},
		{name: "borrowed network, the peer has exited", labels: "lb.port=80", options: []option{borrowing("vpn")},
			setup: func(s *scene) { s.add("vpn", "", is(StateExited)) },
			has:   "- network: it uses the network of vpn, which is exited"},
		{name: "borrowed network, no peer", labels: "lb.port=80", options: []option{borrowing("vpn")},
			has: "- network: it uses the network of container " + id("vpn")[:12] + ", which is not there"},
		{name: "borrowed host network", labels: "lb.port=80", options: []option{borrowing("vpn")},
			setup:   func(s *scene) { s.add("vpn", "", onTheHost) },
			address: "172.20.0.1:80"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			if tt.setup != nil {
				tt.setup(s)
			}
			s.add("web-1", "lb.cluster=web "+tt.labels, append([]option{on("backend 172.20.0.3")}, tt.options...)...)
			if tt.dns != nil {
				tt.dns(s)
			}
			table := s.build()
			tr := traceOf(t, table, "web-1")
			if !strings.Contains(steps(tr), tt.has) {
				t.Errorf("no step %q in:\n%s", tt.has, steps(tr))
			}
			if tt.address == "" {
				if tr.Verdict != Quarantined || len(table.Clusters) > 0 || !strings.Contains(tt.has, tr.Reason[:20]) {
					t.Errorf("verdict %s (%s), clusters %v; want it quarantined for that step", tr.Verdict, tr.Reason, table.Clusters)
				}
				return
			}
			if len(table.Clusters) == 0 {
				t.Fatalf("no cluster; steps:\n%s", steps(tr))
			}
			e := clusterOf(t, table, "web").Endpoints[0]
			if e.Address.String() != tt.address || e.Unconfirmed != tt.unconfirmed || e.Disputed != tt.disputed {
				t.Errorf("%s, unconfirmed %t, disputed %t; want %s, %t, %t\n%s",
					e.Address, e.Unconfirmed, e.Disputed, tt.address, tt.unconfirmed, tt.disputed, steps(tr))
			}
		})
	}
}

// After a restart the old answer is about the old address: it must not win
// over the engine's new one.
func TestAnOldAnswerIsNoWordOnANewAddress(t *testing.T) {
	s := newScene(t)
	c := s.add("web-1", "lb.cluster=web")
	s.dns("web-1", OutcomeFound, "172.20.0.3")
	restarted := *c
	restarted.Networks = []Attachment{attachment("web-1 again", "backend 172.20.0.7")}
	s.in.Membership.Containers = []*Container{&restarted}
	e := clusterOf(t, s.build(), "web").Endpoints[0]
	if e.Address.String() != "172.20.0.7:8080" || !e.Unconfirmed || e.Disputed {
		t.Errorf("%s, unconfirmed %t, disputed %t", e.Address, e.Unconfirmed, e.Disputed)
	}
}
