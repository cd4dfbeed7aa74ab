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
	if got := pace(st, state{}, result{}, false, 0, true, most); got != 1500*time.Millisecond-1 {
		t.Errorf("interval_jitter: %v", got)
	}
	if got := pace(&settings{}, state{}, result{}, false, 0, true, least); got != time.Millisecond {
		t.Errorf("floor: %v", got)
	}
}
