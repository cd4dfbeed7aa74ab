package balancer

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

func TestReadiness(t *testing.T) {
	yes, no := true, false
	type E = topology.Endpoint
	for _, test := range []struct {
		name      string
		endpoint  func(*E)
		verdict   *bool
		immediate bool
		drain     bool
		state     EndpointState
		why       string // a part of it
		flags     string
		routed    bool
	}{
		{name: "running", state: StateHealthy, flags: "healthy", routed: true},
		{name: "paused", endpoint: func(e *E) { e.Paused = true }, state: StatePaused, flags: "/failed_eds_health"},
		{name: "stopping", endpoint: func(e *E) { e.Stopping = true }, state: StateStopping, flags: "/eds_status_draining", routed: true}, // last resort
		{name: "ignored its stop", endpoint: func(e *E) { e.IgnoredStop = true }, state: StateHealthy, why: "ignored its stop signal", flags: "healthy", routed: true},
		{name: "immediately failed", verdict: &no, immediate: true, state: StateUnhealthy, why: "asked to be failed", flags: "/failed_active_hc/excluded_via_immediate_hc_fail"},
		{name: "weight 0", endpoint: func(e *E) { e.Weight = 0 }, state: StateHealthy, why: "weight 0", flags: "healthy"},
		{name: "drained", drain: true, state: StateDraining, why: "operator", flags: "/eds_status_draining"},
		{name: "Docker healthy", endpoint: func(e *E) { e.DockerHealth = topology.HealthHealthy }, state: StateHealthy, flags: "healthy", routed: true},
		{name: "no HEALTHCHECK", endpoint: func(e *E) { e.DockerHealth = topology.HealthNone }, state: StateHealthy, flags: "healthy", routed: true},
		{name: "Docker unhealthy", endpoint: func(e *E) { e.DockerHealth = topology.HealthUnhealthy }, state: StateUnhealthy, why: "Docker's", flags: "/failed_active_hc"},
		{name: "Docker starting", endpoint: func(e *E) { e.DockerHealth, e.HealthNext = topology.HealthStarting, time.Now().Add(12*time.Second) },
			state: StateWaiting, why: "waiting for Docker's first check, about 12s", flags: "/pending_active_hc"},
		{name: "Docker starting, passing probe", endpoint: func(e *E) { e.DockerHealth = topology.HealthStarting }, verdict: &yes,
			state: StateWaiting, flags: "/pending_active_hc"},
		{name: "not probed", endpoint: func(e *E) { e.NeedsProbe = true }, state: StateWaiting, why: "first successful probe", flags: "/failed_active_hc/pending_active_hc"},
		{name: "probe passes", endpoint: func(e *E) { e.NeedsProbe = true }, verdict: &yes, state: StateHealthy, flags: "healthy", routed: true},
		{name: "never passed", endpoint: func(e *E) { e.NeedsProbe = true }, verdict: &no, state: StateWaiting, why: "refused", flags: "/failed_active_hc"},
		{name: "probe fails", verdict: &no, state: StateUnhealthy, why: "refused", flags: "/failed_active_hc"},
		{name: "of the file, not probed", endpoint: func(e *E) { e.NeedsProbe, e.Source = true, topology.FromFile }, state: StateWaiting, flags: "/failed_active_hc"},
		{name: "EDS unhealthy", endpoint: func(e *E) { e.EDSHealth = "UNHEALTHY" }, state: StateUnhealthy, flags: "/failed_eds_health"},
		{name: "EDS timeout", endpoint: func(e *E) { e.EDSHealth = "TIMEOUT" }, state: StateUnhealthy, flags: "/failed_eds_health"},
		{name: "EDS draining", endpoint: func(e *E) { e.EDSHealth = "DRAINING" }, state: StateDraining, flags: "/eds_status_draining"},
		{name: "EDS degraded", endpoint: func(e *E) { e.EDSHealth = "DEGRADED" }, state: StateHealthy, flags: "/degraded_eds_health", routed: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(Options{})
				e := endpoint("a")
				if test.endpoint != nil {
					test.endpoint(&e)
				}
				b.Apply(tableOf(cluster(e)))
				if v := test.verdict; v != nil {
					reason := ""
					if !*v {
						reason = "refused"
					}
					b.Report(Verdict{Endpoint: "a", Healthy: *v, Reason: reason, Immediate: test.immediate})
				}
				if test.drain {
					if err := b.Override(Override{Container: "a", Drain: &yes}); err != nil {
						t.Fatal(err)
					}
				}
				got := b.Snapshot().Clusters[0].Endpoints[0]
				if got.State != test.state || got.Flags != test.flags || !strings.Contains(got.Why, test.why) {
					t.Errorf("%s, flags %s (%s); want %s, %s (%s)", got.State, got.Flags, got.Why, test.state, test.flags, test.why)
				}
				if routed := take(b, routeTo(b, "web"), &Request{}) == "a"; routed != test.routed {
					t.Errorf("routed: %t, want %t", routed, test.routed)
				}
			})
		})
	}
}

// A member that stops being ready loses its idle connections, once.
func TestSlotDrainsWhenNotReady(t *testing.T) {
	b := New(Options{NewSlot: newPool})
	b.Apply(tableOf(cluster(endpoint("a"), endpoint("b"))))
	p := poolOf(member(t, b, "a"))
	b.Report(Verdict{Endpoint: "a", Healthy: false})
	b.Report(Verdict{Endpoint: "a", Healthy: false, Reason: "still"})
	if n := p.drained.Load(); n != 1 {
		t.Errorf("drained %d times, want once", n)
	}
	b.Report(Verdict{Endpoint: "a", Healthy: true})
	b.Report(Verdict{Endpoint: "a", Healthy: false})
	if n := p.drained.Load(); n != 2 {
		t.Errorf("drained %d times after it failed again, want twice", n)
	}
}
