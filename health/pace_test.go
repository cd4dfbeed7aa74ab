package health

import (
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

func most(n time.Duration) time.Duration { return n - 1 }

func least(time.Duration) time.Duration { return 0 }

func TestInterval(t *testing.T) {
	const s = time.Second
	bare := topology.HealthCheck{Interval: 10 * s}
	full := topology.HealthCheck{
		Interval: 10 * s, Unhealthy: 20 * s, UnhealthyEdge: 3 * s, HealthyEdge: 4 * s,
		NoTraffic: 60 * s, NoTrafficHealthy: 90 * s,
	}
	noEdge := topology.HealthCheck{Interval: 10 * s, Unhealthy: 20 * s, NoTraffic: 60 * s}
	for _, tt := range []struct {
		name                      string
		hc                        topology.HealthCheck
		healthy, pending, traffic bool
		want                      time.Duration
	}{
		{"interval", bare, true, false, true, 10 * s},
		{"healthy_edge_interval", full, true, true, true, 4 * s},
		{"healthy_edge_interval defaults to interval", bare, true, true, true, 10 * s},
		{"unhealthy_interval", full, false, false, true, 20 * s},
		{"unhealthy_interval defaults to interval", bare, false, false, true, 10 * s},
		{"unhealthy_edge_interval", full, false, true, true, 3 * s},
		{"unhealthy_edge_interval defaults to unhealthy_interval", noEdge, false, true, true, 20 * s},
		{"unhealthy_edge_interval defaults to interval", bare, false, true, true, 10 * s},
		{"no_traffic_healthy_interval", full, true, false, false, 90 * s},
		{"no_traffic_healthy_interval defaults to no_traffic_interval", noEdge, true, false, false, 60 * s},
		{"no_traffic_interval, pending", full, true, true, false, 60 * s},
		{"no_traffic_interval, unhealthy", full, false, false, false, 60 * s},
		{"no_traffic_interval not given (labels)", bare, true, false, false, 10 * s},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := interval(&settings{HealthCheck: tt.hc}, tt.healthy, tt.pending, tt.traffic); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPaceJitterAndFloor(t *testing.T) {
	st := &settings{HealthCheck: topology.HealthCheck{Interval: time.Second, IntervalJitter: 500 * time.Millisecond}}
	if got := pace(st, state{}, result{}, false, crowd{}, true, most); got != 1500*time.Millisecond-1 {
		t.Errorf("interval_jitter: %v", got)
	}
	if got := pace(&settings{}, state{}, result{}, false, crowd{}, true, least); got != time.Millisecond {
		t.Errorf("floor: %v", got)
	}
}

// Thousands of members are not checked as often as one: 100 checks a second in
// all. A doubt is settled at the usual pace, and the file's word is kept to.
func TestManyAreCheckedLessOften(t *testing.T) {
	label := &settings{topology.HealthCheck{Quick: true, Interval: 2 * time.Second}}
	file := &settings{topology.HealthCheck{Interval: 2 * time.Second}}
	ready := state{everHealthy: true}
	of := func(n int64) crowd { return crowd{load: n * label.load()} }
	for _, tt := range []struct {
		name    string
		st      *settings
		members int64
		r       result
		pending bool
		want    time.Duration
	}{
		{"200", label, 200, result{}, false, 2 * time.Second},
		{"5,000", label, 5000, result{}, false, 50 * time.Second},
		{"5,000, one fails", label, 5000, result{kind: network}, true, 2 * time.Second},
		{"5,000, one is down", label, 5000, result{kind: network}, false, 50 * time.Second},
		{"a file's", file, 5000, result{}, false, 2 * time.Second},
	} {
		if got := pace(tt.st, ready, tt.r, tt.pending, of(tt.members), true, least); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if n := file.load(); n != 0 {
		t.Errorf("an endpoint of the file adds %d", n)
	}
}
