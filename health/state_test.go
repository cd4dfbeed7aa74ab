package health

import (
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

// Each letter of a script is a check: s success, d degraded, n refused, t timed
// out, a an answer that says no, r a retriable one, i one with the immediate
// header. Each letter of want is the state after it: H healthy, U not; lower
// case: a threshold is still pending.
func TestStateMachine(t *testing.T) {
	results := map[rune]result{
		's': {kind: success}, 'd': {kind: success, degraded: true},
		'n': {kind: network}, 't': {kind: timeout},
		'a': {kind: active}, 'r': {kind: active, retriable: true}, 'i': {kind: active, immediate: true},
	}
	for _, tt := range []struct {
		name         string
		rise, fall   uint32
		quick        bool
		script, want string
	}{
		{"the first check ever needs one success", 3, 2, false, "s", "H"},
		{"after a failed first check rise counts", 3, 2, false, "nsss", "UuuH"},
		{"a failure begins the count anew", 3, 2, false, "nssnsss", "UuuUuuH"},
		{"network failures count", 1, 3, false, "snnn", "HhhU"},
		{"timeouts count", 1, 2, false, "stn", "HhU"},
		{"a success begins the count anew", 1, 2, false, "snsnn", "HhHhU"},
		{"an active failure leaves at once", 1, 3, false, "sa", "HU"},
		{"a retriable one counts", 1, 2, false, "srr", "HhU"},
		{"back after rise", 2, 1, false, "snss", "HUuH"},
		{"labels: rise counts from the first check", 2, 2, true, "ss", "uH"},
		{"labels: an active failure counts as any", 1, 3, true, "saaa", "HhhU"},
		{"thresholds of zero are one", 0, 0, false, "nsn", "UHU"},
		{"degraded is healthy", 1, 1, false, "dsd", "HHH"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := &settings{HealthCheck: topology.HealthCheck{Rise: tt.rise, Fall: tt.fall, Quick: tt.quick}}
			var s state
			var got strings.Builder
			for _, c := range tt.script {
				pending := s.take(st, results[c])
				mark := "U"
				if s.healthy {
					mark = "H"
				}
				if pending {
					mark = strings.ToLower(mark)
				}
				got.WriteString(mark)
			}
			if got.String() != tt.want {
				t.Errorf("%s gave %s, want %s", tt.script, got.String(), tt.want)
			}
		})
	}
}

func TestStateFlags(t *testing.T) {
	st := &settings{HealthCheck: topology.HealthCheck{Rise: 1, Fall: 1}}
	var s state
	for _, tt := range []struct {
		r    result
		want flags
	}{
		{result{kind: timeout}, flags{timedOut: true}},
		{result{kind: success, degraded: true}, flags{healthy: true, degraded: true}},
		{result{kind: success}, flags{healthy: true}},
		{result{kind: active, immediate: true}, flags{immediate: true}},
		{result{kind: network}, flags{}},
	} {
		s.take(st, tt.r)
		if s.flags != tt.want {
			t.Errorf("after %+v: %+v", tt.r, s.flags)
		}
	}
	if !s.everHealthy {
		t.Error("everHealthy was lost")
	}
}
