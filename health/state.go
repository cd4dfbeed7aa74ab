package health

// kind is what a check ended in.
type kind uint8

const (
	success kind = iota
	network      // refused, reset, closed: counts towards the threshold
	timeout      // counts too, and is shown as active_hc_timeout
	active       // the endpoint answered, and said no: unhealthy at once
)

// result is what one check found.
type result struct {
	kind kind
	// retriable: an active failure that only counts towards the threshold
	// (retriable_statuses).
	retriable bool
	degraded  bool // x-envoy-degraded
	immediate bool // x-envoy-immediate-health-check-fail
	reason    string
}

// flags are what the balancer is told; a change of them is news.
type flags struct {
	healthy, degraded, timedOut, immediate bool
}

// state is Envoy's ActiveHealthCheckSession: a new endpoint starts as failed.
type state struct {
	flags
	attempts    uint64
	everHealthy bool
	rise, fall  uint32 // in a row
}

// joining tells whether the endpoint is in its quick start.
func (s state) joining(st *settings) bool { return st.Quick && !s.everHealthy }

// take moves on by r. It returns true where a threshold has been approached and
// not reached: then Envoy's edge intervals hold.
func (s *state) take(st *settings, r result) (pending bool) {
	first := s.attempts == 0
	s.attempts++
	if r.kind == success {
		s.fall = 0
		if !s.healthy {
			s.rise++
			// Envoy: a host whose first check ever succeeds is healthy at
			// once. For labels lb.health.rise is what is needed to join.
			if !(first && !st.Quick) && s.rise < st.Rise {
				return true
			}
		}
		s.rise = 0
		s.flags = flags{healthy: true, degraded: r.degraded}
		s.everHealthy = true
		return false
	}
	s.rise = 0
	if s.healthy {
		s.fall++
		// For labels lb.health.fall is what is needed to leave, whatever the
		// check ended in; Envoy fails at once where the endpoint said no.
		counts := r.kind != active || r.retriable || st.Quick
		if counts && s.fall < st.Fall {
			return true
		}
	}
	s.fall = 0
	s.flags = flags{timedOut: r.kind == timeout, immediate: r.immediate}
	return false
}
