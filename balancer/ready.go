package balancer

import (
	"fmt"
	"strings"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// standing is what readiness came to for one endpoint.
type standing struct {
	state EndpointState
	why   string
	class class
}

// class is what a policy may do with an endpoint.
type class uint8

const (
	// out takes nothing, not even in panic: paused, stopping, drained, weight 0.
	out class = iota
	// pending waits for its first check, or asked to be failed: out, and not
	// counted against its tier (Envoy's excluded), but there in panic.
	pending
	// failed takes traffic only in panic.
	failed
	// degraded takes what the healthy ones cannot.
	degraded
	// healthy takes traffic.
	healthy
	// everybody is the class of a panic's rotation, not of an endpoint.
	everybody
)

// ready tells whether the class takes traffic outside of panic.
func (k class) ready() bool { return k == healthy || k == degraded }

// probeState is the last word of our own checks on an endpoint.
type probeState struct {
	known     bool
	healthy   bool
	degraded  bool
	timedOut  bool
	immediate bool
	reason    string
}

// evaluate decides where the endpoint stands. What an operator or Docker wants
// comes before what a check found, and the first obstacle is the one that is
// told. Of weight 0 it is out whatever else it is: it neither counts against its
// tier nor is it there in panic. Balancer.mu is held.
func (e *Endpoint) evaluate(now time.Time) standing {
	st := e.obstacle(now)
	if e.weight() == 0 {
		st.class = out
		if st.why == "" {
			st.why = "weight 0 takes no traffic"
		}
	}
	return st
}

func (e *Endpoint) obstacle(now time.Time) standing {
	s := e.Spec()
	switch {
	case s.Stopping:
		return standing{StateStopping, "its stop signal was sent", out}
	case e.pending && !e.probe.healthy:
		return standing{StateStopping, "left discovery", out}
	case s.Paused:
		return standing{StatePaused, "the container is paused", out}
	case e.override.drain:
		return standing{StateDraining, "drained by an operator", out}
	}
	switch s.EDSHealth {
	case "UNHEALTHY", "TIMEOUT":
		return standing{StateUnhealthy, "health_status " + s.EDSHealth + " in the configuration", failed}
	case "DRAINING":
		return standing{StateDraining, "health_status DRAINING in the configuration", out}
	}
	switch s.DockerHealth {
	case topology.HealthStarting:
		return standing{StateWaiting, "waiting for Docker's first check" + left(",", s.HealthNext, now), pending}
	case topology.HealthUnhealthy:
		return standing{StateUnhealthy, "Docker's health check fails", failed}
	}
	switch {
	case s.NeedsProbe && !e.probe.healthy && e.joined.IsZero():
		return standing{StateWaiting, join("waiting for its first successful probe", e.probe.reason), e.unproven()}
	case e.probe.known && !e.probe.healthy && e.probe.immediate:
		return standing{StateUnhealthy, "it asked to be failed (x-envoy-immediate-health-check-fail)", pending}
	case e.probe.known && !e.probe.healthy:
		return standing{StateUnhealthy, join("its health check fails", e.probe.reason), failed}
	case e.ejection.out:
		return standing{StateEjected, e.ejection.why + left(", back in", e.ejectedUntil(), now), failed}
	case e.probe.degraded:
		return standing{StateHealthy, "degraded, by its health check", degraded}
	case s.EDSHealth == "DEGRADED":
		return standing{StateHealthy, "health_status DEGRADED in the configuration", degraded}
	}
	if s.IgnoredStop {
		return standing{StateHealthy, "it ignored its stop signal", healthy}
	}
	if part := e.ramped(now); part < 1 {
		return standing{StateHealthy, fmt.Sprintf("slow start: %.0f %% of its weight", 100*part), healthy}
	}
	return standing{StateHealthy, "", healthy}
}

// unproven is the class of an endpoint before its first success. Envoy counts
// such a host against its priority, unless ignore_new_hosts_until_first_hc is
// set; a member of labels that starts takes nothing away from its tier.
func (e *Endpoint) unproven() class {
	if e.Spec().Source == topology.FromLabels {
		return pending
	}
	return failed
}

// Unchecked is a cluster of the file that has a host without the first word of
// its active checks; empty: there is none. From control's goroutine, while
// nothing is served yet.
func (b *Balancer) Unchecked() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.byID {
		s := e.Spec()
		if s.NeedsProbe && !e.probe.known && s.Source != topology.FromLabels && !s.Paused {
			return e.cluster.name
		}
	}
	return ""
}

// flags are Envoy's health_flags.
func (e *Endpoint) flags() string {
	var b strings.Builder
	s := e.Spec()
	set := func(on bool, flag string) {
		if on {
			b.WriteString("/" + flag)
		}
	}
	unknown := !e.probe.known && s.NeedsProbe
	set(e.probe.known && !e.probe.healthy || unknown || s.DockerHealth == topology.HealthUnhealthy, "failed_active_hc")
	set(e.ejection.out, "failed_outlier_check")
	set(s.EDSHealth == "UNHEALTHY" || s.EDSHealth == "TIMEOUT" || s.Paused, "failed_eds_health")
	set(e.probe.degraded, "degraded_active_hc")
	set(s.EDSHealth == "DEGRADED", "degraded_eds_health")
	set(e.pending, "pending_dynamic_removal")
	set(unknown && e.unproven() == pending || s.DockerHealth == topology.HealthStarting, "pending_active_hc")
	set(e.probe.immediate, "excluded_via_immediate_hc_fail")
	set(e.probe.known && !e.probe.healthy && e.probe.timedOut, "active_hc_timeout")
	set(s.Stopping || e.override.drain || s.EDSHealth == "DRAINING", "eds_status_draining")
	if b.Len() == 0 {
		return "healthy"
	}
	return b.String()
}

// weight is what counts before slow start: an operator's word, else the
// table's.
func (e *Endpoint) weight() uint32 {
	if e.override.weight != nil {
		return *e.override.weight
	}
	return e.Spec().Weight
}

func left(lead string, until, now time.Time) string {
	if d := until.Sub(now); !until.IsZero() && d > 0 {
		return fmt.Sprintf("%s about %s", lead, max(d.Round(time.Second), time.Second))
	}
	return ""
}

func join(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// Report takes a verdict of health. Any goroutine.
func (b *Balancer) Report(v Verdict) {
	now := time.Now()
	b.mu.Lock()
	e := b.byID[v.Endpoint]
	if e == nil {
		b.mu.Unlock()
		return
	}
	p := probeState{
		known:     true,
		healthy:   v.Healthy,
		degraded:  v.Healthy && v.Degraded,
		timedOut:  !v.Healthy && v.TimedOut,
		immediate: !v.Healthy && v.Immediate,
		reason:    v.Reason,
	}
	was := e.probe
	e.probe = p
	c := e.cluster
	if rule, on := c.outlier(); on && rule.SuccessUnejects && v.Healthy && e.ejection.out {
		e.uneject(now)
		b.settle(c, now)
	} else if was.known != p.known || was.healthy != p.healthy || was.degraded != p.degraded {
		b.settle(c, now)
	}
	removed := e.pending && !v.Healthy
	if removed {
		b.remove(e, now)
		c.keepMembers()
	}
	b.unlock()
	if removed {
		b.changed()
	}
}
