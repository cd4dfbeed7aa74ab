package topology

import (
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

// One container, and what becomes of it. reason and has are what the user
// reads.
func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name    string
		labels  string
		options []option
		setup   func(*scene)
		verdict Verdict
		reason  string // all of it
		has     string // a line of the steps
		address string
	}{
		{name: "one label is enough", labels: "lb.cluster=web",
			verdict: Routed, address: "172.20.0.3:8080", has: "+ port: 8080, its only exposed TCP port"},
		{name: "no cluster", labels: "lb.port=80",
			verdict: Out, reason: "cluster: no lb.cluster"},
		{name: "lb.enable", labels: "lb.cluster=web lb.enable=false",
			verdict: Out, reason: "enable: lb.enable is false"},
		{name: "another proxy's", labels: "lb.cluster=web lb.instance=edge",
			verdict: Out, reason: `instance: for the proxy "edge", this one is none`},
		{name: "ours by name", labels: "lb.cluster=web lb.instance=edge", setup: func(s *scene) { s.in.Defaults.Instance = "edge" },
			verdict: Routed, address: "172.20.0.3:8080"},
		{name: "a one-off", labels: "lb.cluster=web", options: []option{oneOff},
			verdict: Out, reason: "oneoff: made by `docker-compose run`; lb.oneoff: true lets it in"},
		{name: "a one-off that wants in", labels: "lb.cluster=web lb.oneoff=true", options: []option{oneOff},
			verdict: Routed, address: "172.20.0.3:8080"},
		{name: "exited", labels: "lb.cluster=web", options: []option{is(StateExited)},
			verdict: NotRunning, reason: "state: exited"},
		{name: "restarting in its back-off", labels: "lb.cluster=web", options: []option{is(StateRestarting)},
			verdict: NotRunning, reason: "state: restarting"},
		{name: "paused stays a member", labels: "lb.cluster=web", options: []option{is(StatePaused)},
			verdict: Routed, address: "172.20.0.3:8080", has: "+ state: paused: takes no requests"},
		{name: "stopping stays a member", labels: "lb.cluster=web", options: []option{stopping},
			verdict: Stopping, reason: "state: stopping", address: "172.20.0.3:8080"},
		{name: "several ports", labels: "lb.cluster=web", options: []option{exposing(443, 80)},
			verdict: Quarantined, reason: "port: several TCP ports are exposed (80, 443): choose one with lb.port"},
		{name: "several ports and lb.port", labels: "lb.cluster=web lb.port=443", options: []option{exposing(443, 80)},
			verdict: Routed, address: "172.20.0.3:443", has: "+ port: 443, by lb.port"},
		{name: "no port", labels: "lb.cluster=web", options: []option{exposing()},
			verdict: Quarantined, reason: "port: it exposes no TCP port: say with lb.port which one it listens on"},
		{name: "a UDP port is none", labels: "lb.cluster=web", options: []option{func(c *Container) { c.Ports[0].Protocol = "udp" }},
			verdict: Quarantined, reason: "port: it exposes no TCP port: say with lb.port which one it listens on"},
		{name: "published twice is one port", labels: "lb.cluster=web", options: []option{exposing(80, 80)},
			verdict: Routed, address: "172.20.0.3:80"},
		{name: "a bad container key", labels: "lb.cluster=web lb.port=eighty",
			verdict: Quarantined, has: "- label: lb.port: "},
		{name: "an unknown listener", labels: "lb.cluster=web lb.listener=edge",
			verdict: Routed, address: "172.20.0.3:8080", has: `- route: no listener "edge" (there are: default)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			if tt.setup != nil {
				tt.setup(s)
			}
			s.add("web-1", tt.labels, tt.options...)
			table := s.build()
			tr := traceOf(t, table, "web-1")
			if tr.Verdict != tt.verdict {
				t.Errorf("verdict %q, want %q; steps:\n%s", tr.Verdict, tt.verdict, steps(tr))
			}
			if tt.has == "" && tr.Reason != tt.reason {
				t.Errorf("reason %q, want %q", tr.Reason, tt.reason)
			}
			if !strings.Contains(steps(tr), tt.has) {
				t.Errorf("no step %q in:\n%s", tt.has, steps(tr))
			}
			if tt.address == "" {
				if len(table.Clusters) != 0 || len(tr.Endpoints) != 0 {
					t.Errorf("clusters %v, endpoints %v; want none", table.Clusters, tr.Endpoints)
				}
				return
			}
			c := clusterOf(t, table, "web")
			if got := addresses(c); got != tt.address {
				t.Errorf("address %s, want %s", got, tt.address)
			}
			if len(tr.Endpoints) != 1 || tr.Endpoints[0] != c.Endpoints[0].ID {
				t.Errorf("trace names %v, the endpoint is %s", tr.Endpoints, c.Endpoints[0].ID)
			}
		})
	}
}

func TestUnlabelledContainersLeaveNoTrace(t *testing.T) {
	s := newScene(t)
	s.add("db", "")
	if table := s.build(); len(table.Traces) != 0 || len(table.Clusters) != 0 {
		t.Errorf("traces %v, clusters %v", table.Traces, table.Clusters)
	}
}

func TestUnknownListenerIsAProblemThatNamesTheKnown(t *testing.T) {
	s := newScene(t)
	s.in.Defaults.Listeners = append(s.in.Defaults.Listeners, Listener{Name: "internal"})
	s.add("web-1", "lb.cluster=web lb.listener=edge,internal")
	table := s.build()
	tr := traceOf(t, table, "web-1")
	want := labels.Problem{Severity: labels.Skipped, Service: "default", Label: "lb.listener", Value: "edge",
		Reason: `no listener "edge"`, Hint: "there are: default, internal"}
	if len(tr.Problems) != 1 || tr.Problems[0] != want {
		t.Errorf("problems %+v, want %+v", tr.Problems, want)
	}
	same(t, "internal", routes(t, table, "internal"), []string{"*: internal * prefix / -> web"})
}

func TestServicesOfOneContainer(t *testing.T) {
	s := newScene(t)
	s.add("app", "lb.cluster=web lb.port=80 lb.svc.api.cluster=api lb.svc.api.port=81 lb.svc.api.host=api.test lb.svc.bad.cluster=bad", exposing(80, 81))
	table := s.build()
	tr := traceOf(t, table, "app")
	if tr.Verdict != Routed || tr.Reason != "" || len(tr.Endpoints) != 2 {
		t.Errorf("verdict %s, reason %q, endpoints %v", tr.Verdict, tr.Reason, tr.Endpoints)
	}
	want := "- port: service bad: several TCP ports are exposed (80, 81): choose one with lb.svc.bad.port"
	if !strings.Contains(steps(tr), want) {
		t.Errorf("no step %q in:\n%s", want, steps(tr))
	}
	same(t, "clusters", tr.Clusters, []string{"api", "bad", "web"})
	same(t, "routes", routes(t, table, "default"), []string{"*: default * prefix / -> web", "api.test: default api.test prefix / -> api"})
}

func TestReadiness(t *testing.T) {
	for _, tt := range []struct {
		ready  string
		health Health
		docker Health
		probe  bool
	}{
		{"", HealthNone, HealthNone, true},
		{"", HealthStarting, HealthStarting, true},
		{"auto", HealthUnhealthy, HealthUnhealthy, true},
		{"docker", HealthStarting, HealthStarting, false},
		{"docker", HealthNone, HealthNone, false},
		{"probe", HealthUnhealthy, HealthNone, true},
		{"running", HealthUnhealthy, HealthNone, false},
	} {
		t.Run(tt.ready+" "+string(tt.health), func(t *testing.T) {
			s := newScene(t)
			text := "lb.cluster=web"
			if tt.ready != "" {
				text += " lb.ready=" + tt.ready
			}
			s.add("web-1", text, feels(tt.health))
			c := clusterOf(t, s.build(), "web")
			e := c.Endpoints[0]
			if e.DockerHealth != tt.docker || e.NeedsProbe != tt.probe || e.NoHealthCheck == tt.probe {
				t.Errorf("docker %s, probe %t, no check %t; want %s, %t", e.DockerHealth, e.NeedsProbe, e.NoHealthCheck, tt.docker, tt.probe)
			}
			if (len(c.HealthChecks) == 1) != tt.probe {
				t.Errorf("%d checks", len(c.HealthChecks))
			}
		})
	}
}

func TestEndpointCarriesTheContainersKeys(t *testing.T) {
	s := newScene(t)
	c := s.add("web-1", "lb.cluster=web lb.weight=7 lb.tier=1 lb.zone=rack1", func(c *Container) { c.StopTimeout = 20 * time.Second })
	s.add("web-2", "lb.cluster=web lb.drain=3s")
	for _, e := range clusterOf(t, s.build(), "web").Endpoints {
		if e.ContainerName == "web-2" {
			if e.Drain != 3*time.Second || e.Weight != 1 {
				t.Errorf("web-2: drain %s, weight %d", e.Drain, e.Weight)
			}
			continue
		}
		if e.Weight != 7 || e.Tier != 1 || e.Zone != "rack1" || e.Drain != 20*time.Second || e.Container != c.ID || e.Scheme != labels.SchemeHTTP {
			t.Errorf("%+v", e)
		}
	}
}

// An incarnation lives through everything but a new start: its id is that of
// the container and of the engine's endpoint, never the address.
func TestIncarnation(t *testing.T) {
	s := newScene(t)
	c := s.add("web-1", "lb.cluster=web")
	before := clusterOf(t, s.build(), "web").Endpoints[0].ID

	listed := *c // what the list alone knew
	listed.StartedAt, listed.Inspected = time.Time{}, false
	s.in.Membership.Containers = []*Container{&listed}
	if got := clusterOf(t, s.build(), "web").Endpoints[0].ID; got != before {
		t.Errorf("id %s before inspect, %s after", got, before)
	}
	restarted := *c
	restarted.Networks = []Attachment{c.Networks[0]}
	restarted.Networks[0].EndpointID = id("another")
	s.in.Membership.Containers = []*Container{&restarted}
	if got := clusterOf(t, s.build(), "web").Endpoints[0].ID; got == before {
		t.Errorf("id %s after a restart too", got)
	}
}
