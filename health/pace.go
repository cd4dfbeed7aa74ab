package health

import "time"

// joiningAttempts is how many checks of a new endpoint take the lane that is
// kept for joins: with the quick start, the first second.
const joiningAttempts = 16

// quickStart are the pauses before the second and later attempts on a new member
// of labels: it is tried at once, 5, 10, 20 and 40 ms after that, then every 100.
var quickStart = [...]time.Duration{5 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond}

const (
	quickPeriod = 100 * time.Millisecond
	// quickCost stretches quickPeriod where many wait at once: a thousand
	// connects per second in all, however many containers never listen.
	quickCost = time.Millisecond
)

// crowd is how many share what checks may cost.
type crowd struct {
	waiting int   // endpoints in their quick start
	load    int64 // checks in a thousand seconds that the labels ask for
}

// steadyLoad is how many checks in a thousand seconds the members of labels may
// cost once they have been ready: a connect costs about 0.1 ms on both sides, and
// a host with thousands of containers is to be next to idle when they are. What
// the engine's events and the requests' own failures (outlier detection) tell is
// told at once however many there are; a probe finds the rest.
const steadyLoad = 100 * 1000

// load is what one endpoint adds to crowd.load. The file's word is kept to.
func (s *settings) load() int64 {
	if !s.Quick || s.Interval <= 0 {
		return 0
	}
	return int64(1000 * time.Second / s.Interval)
}

// stretch makes a period longer where there are too many for it.
func (c crowd) stretch(d time.Duration) time.Duration {
	if c.load <= steadyLoad {
		return d
	}
	return time.Duration(float64(d) * float64(c.load) / steadyLoad)
}

// pace is how long an endpoint rests after r, from the check's end. pending is
// what state.take said.
func pace(st *settings, s state, r result, pending bool, c crowd, traffic bool, random func(time.Duration) time.Duration) time.Duration {
	if s.joining(st) {
		if n := s.attempts - 1; n < uint64(len(quickStart)) {
			return quickStart[n]
		}
		return max(quickPeriod, time.Duration(c.waiting)*quickCost)
	}
	d := interval(st, r.kind == success, pending, traffic)
	if st.Quick && !pending { // a doubt is settled at the usual pace
		d = c.stretch(d)
	}
	return max(time.Millisecond, jittered(st, d, random))
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
