package health

import "time"

// joiningAttempts is how many checks of a new endpoint take the lane that is
// kept for joins: with the quick start, the first second.
const joiningAttempts = 16

// quickStart are the moments after the first attempt, which is immediate, at
// which a new member of labels is tried: after 5, 10, 20, 40 ms, then every 100.
var quickStart = [...]time.Duration{5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond}

const (
	quickPeriod = 100 * time.Millisecond
	// quickCost stretches quickPeriod where many wait at once: a thousand
	// connects per second in all, however many containers never listen.
	quickCost = time.Millisecond
)

// pace is how long an endpoint rests after r, from the check's end. pending is
// what state.take said, waiting how many endpoints are in their quick start.
func pace(st *settings, s state, r result, pending bool, waiting int, traffic bool, random func(time.Duration) time.Duration) time.Duration {
	if s.joining(st) {
		if n := s.attempts - 1; n < uint64(len(quickStart)) {
			return quickStart[n]
		}
		return max(quickPeriod, time.Duration(waiting)*quickCost)
	}
	return max(time.Millisecond, jittered(st, interval(st, r.kind == success, pending, traffic), random))
}

// interval is HealthCheckerImplBase::interval: by the result, and by whether it
// has brought about a change that a threshold still holds back.
func interval(st *settings, healthy, pending, traffic bool) time.Duration {
	if !traffic && st.NoTraffic > 0 {
		if healthy && !pending {
			return or(st.NoTrafficHealthy, st.NoTraffic)
		}
		return st.NoTraffic
	}
	switch {
	case healthy && pending:
		return or(st.HealthyEdge, st.Interval)
	case healthy:
		return st.Interval
	case pending:
		return or(st.UnhealthyEdge, or(st.Unhealthy, st.Interval))
	default:
		return or(st.Unhealthy, st.Interval)
	}
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// jittered adds interval_jitter, a random time below it.
func jittered(st *settings, d time.Duration, random func(time.Duration) time.Duration) time.Duration {
	if st.IntervalJitter > 0 {
		d += random(st.IntervalJitter)
	}
	return d
}
