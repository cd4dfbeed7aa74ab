package topology

import (
	"net/netip"
	"testing"
)

func TestFilesClusters(t *testing.T) {
	type answer struct {
		name      string
		outcome   Outcome
		addresses []string
	}
	named := func(names ...string) []StaticHost {
		var hosts []StaticHost
		for _, n := range names {
			hosts = append(hosts, StaticHost{Name: n, Port: 80, Template: Endpoint{Weight: 1}})
		}
		return hosts
	}
	for _, tt := range []struct {
		name    string
		kind    ClusterType
		hosts   []StaticHost
		answers []answer
		warm    bool
		want    string
	}{
		{"static", StaticType, []StaticHost{{Address: netip.MustParseAddr("10.0.0.1"), Port: 80}, {Address: netip.MustParseAddr("10.0.0.2"), Port: 80}}, nil,
			true, "10.0.0.1:80 10.0.0.2:80"},
		{"static, twice the same", StaticType, []StaticHost{{Address: netip.MustParseAddr("10.0.0.1"), Port: 80}, {Address: netip.MustParseAddr("10.0.0.1"), Port: 80}}, nil,
			true, "10.0.0.1:80"},
		{"strict, no answer yet", StrictDNS, named("a", "b"), nil, false, ""},
		{"strict, one of two names has answered", StrictDNS, named("a", "b"), []answer{{"a", OutcomeFound, []string{"10.0.0.1", "10.0.0.2"}}},
			true, "10.0.0.1:80 10.0.0.2:80"},
		{"strict, two names, one address", StrictDNS, named("a", "b"),
			[]answer{{"a", OutcomeFound, []string{"10.0.0.1"}}, {"b", OutcomeFound, []string{"10.0.0.1"}}}, true, "10.0.0.1:80"},
		{"strict, the first answer fails", StrictDNS, named("a"), []answer{{"a", OutcomeFailed, nil}}, true, ""},
		{"strict, a later one fails", StrictDNS, named("a"), []answer{{"a", OutcomeFailed, []string{"10.0.0.1"}}}, true, "10.0.0.1:80"},
		{"strict, empty", StrictDNS, named("a"), []answer{{"a", OutcomeEmpty, nil}}, true, ""},
		{"strict, a literal needs no answer", StrictDNS, []StaticHost{{Address: netip.MustParseAddr("10.0.0.1"), Port: 80}, {Name: "a", Port: 80}}, nil,
			true, "10.0.0.1:80"},
		{"logical, no answer yet", LogicalDNS, named("a"), nil, false, ""},
		{"logical, the first address", LogicalDNS, named("a"), []answer{{"a", OutcomeFound, []string{"10.0.0.2", "10.0.0.1"}}}, true, "10.0.0.2:80"},
		{"logical, empty keeps the last", LogicalDNS, named("a"), []answer{{"a", OutcomeEmpty, []string{"10.0.0.2"}}}, true, "10.0.0.2:80"},
		{"logical, failed keeps the last", LogicalDNS, named("a"), []answer{{"a", OutcomeFailed, []string{"10.0.0.2"}}}, true, "10.0.0.2:80"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			s.in.Static.Clusters = []StaticCluster{{Cluster: Cluster{Name: "c", Type: tt.kind}, Hosts: tt.hosts, WaitForWarm: true}}
			for _, a := range tt.answers {
				s.dns(a.name, a.outcome, a.addresses...)
			}
			c := clusterOf(t, s.build(), "c")
			if got := addresses(c); got != tt.want || c.Warm != tt.warm || c.Source != FromFile {
				t.Errorf("%q, warm %t, of %s; want %q, %t", got, c.Warm, c.Source, tt.want, tt.warm)
			}
		})
	}
}

func TestNotWaitingForWarm(t *testing.T) {
	s := newScene(t)
	s.in.Static.Clusters = []StaticCluster{{Cluster: Cluster{Name: "c", Type: StrictDNS}, Hosts: []StaticHost{{Name: "a", Port: 80}}}}
	if c := clusterOf(t, s.build(), "c"); !c.Warm {
		t.Error("it waits")
	}
}

// The logical host lives through every change of its address.
func TestLogicalHostIsOne(t *testing.T) {
	s := newScene(t)
	s.in.Static.Clusters = []StaticCluster{{Cluster: Cluster{Name: "c", Type: LogicalDNS}, Hosts: []StaticHost{{Name: "a", Port: 80}}}}
	s.dns("a", OutcomeFound, "10.0.0.2", "10.0.0.1")
	before := clusterOf(t, s.build(), "c")
	s.dns("a", OutcomeFound, "10.0.0.3")
	after := clusterOf(t, s.build(), "c")
	if before.Endpoints[0].ID != after.Endpoints[0].ID || before.Endpoints[0].Hostname != "a" {
		t.Errorf("%+v, then %+v", before.Endpoints, after.Endpoints)
	}
	if len(before.LogicalAddr) != 2 || len(after.LogicalAddr) != 1 || after.LogicalAddr[0].String() != "10.0.0.3:80" {
		t.Errorf("addresses %v, then %v", before.LogicalAddr, after.LogicalAddr)
	}
}

func TestStrictEndpointsCarryTheirTemplate(t *testing.T) {
	s := newScene(t)
	s.in.Static.Clusters = []StaticCluster{{Cluster: Cluster{Name: "c", Type: StrictDNS}, Hosts: []StaticHost{
		{Name: "a", Port: 80, Template: Endpoint{Weight: 3, Tier: 1, Zone: "z", HealthPort: 81}}}}}
	s.dns("a", OutcomeFound, "10.0.0.1")
	e := clusterOf(t, s.build(), "c").Endpoints[0]
	if e.Weight != 3 || e.Tier != 1 || e.Zone != "z" || e.HealthPort != 81 || e.Hostname != "a" || e.Source != FromDNS {
		t.Errorf("%+v", e)
	}
}
