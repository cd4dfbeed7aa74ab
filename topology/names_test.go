package topology

import (
	"fmt"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	s := newScene(t)
	s.weAreOn("backend 172.20.0.2", "bridge 172.17.0.2", "edge 172.22.0.2")
	short := func(name string) string { return id(name)[:12] }
	s.add("web-1", "lb.cluster=web lb.svc.b.cluster=web2") // two services, one question
	s.add("web-2", "lb.cluster=web lb.network=edge", on("backend 172.20.0.4", "edge 172.22.0.4"))
	s.add("named", "lb.cluster=web lb.address=DB.local.:81")
	s.add("literal", "lb.cluster=web lb.address=10.0.0.1:81")
	s.add("exited", "lb.cluster=web", is(StateExited))
	s.add("disabled", "lb.cluster=web lb.enable=false")
	s.add("unlabelled", "")
	s.add("elsewhere", "lb.cluster=web", on("other 172.29.0.3"))
	s.add("bridged", "lb.cluster=web", on("bridge 172.17.0.3"))
	s.add("hosted", "lb.cluster=web", onTheHost)
	s.add("sidecar", "lb.cluster=web", borrowing("unlabelled"))
	s.in.Static.Clusters = []StaticCluster{{
		Cluster: Cluster{Name: "file", Type: StrictDNS}, Family: LookupV4Only, Refresh: RefreshPolicy{Rate: time.Second},
		Hosts: []StaticHost{{Name: "daemon1", Port: 80}, {Name: "daemon1", Port: 81}, {Name: "daemon2", Port: 80}},
	}}
	want := map[string]bool{
		fmt.Sprintf("%s member", short("web-1")):      true,
		fmt.Sprintf("%s.edge member", short("web-2")): true,
		fmt.Sprintf("%s member", short("unlabelled")): true,
		"db.local name": true,
		"daemon1 name of file, family 1, every 1s": true,
		"daemon2 name of file, family 1, every 1s": true,
	}
	got := Names(s.in.Membership, s.in.Static)
	for i, q := range got {
		text := q.Name + " member"
		if q.Kind == QueryName {
			text = q.Name + " name"
		}
		if q.Cluster != "" {
			text += fmt.Sprintf(" of %s, family %d, every %s", q.Cluster, q.Family, q.Refresh.Rate)
		}
		if !want[text] {
			t.Errorf("asks for %s", text)
		}
		delete(want, text)
		if i > 0 && compareQueries(got[i-1], q) >= 0 {
			t.Errorf("%v stands before %v", got[i-1], q)
		}
	}
	for text := range want {
		t.Errorf("does not ask for %s", text)
	}

	s.in.Membership.Self.EmbeddedDNS = false
	for _, q := range Names(s.in.Membership, Static{}) {
		if q.Kind == QueryMember {
			t.Errorf("asks for %s though there is no embedded DNS", q.Name)
		}
	}
}
