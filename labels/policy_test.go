package labels

import (
	"reflect"
	"testing"
	"time"
)

// The defaults of the labels, in Go: the one place where they stand twice,
// so that a slip in the table is found.
func TestDefaultClusterPolicy(t *testing.T) {
	want := ClusterPolicy{
		Policy: "round_robin", HashSource: "source_ip",
		HealthMethod: "GET", HealthStatus: []StatusRange{{200, 399}},
		HealthInterval: 2 * time.Second, HealthLimit: time.Second, HealthRise: 1, HealthFall: 3,
		Hold: 5 * time.Second, Tombstone: 10 * time.Minute,
		ResponseTimeout: time.Minute, ConnectTimeout: 2 * time.Second, IdleTime: time.Minute,
		Retries: 2, RetryOn: []string{"connect", "reset"},
		MaxConns: 1024, MaxPending: 1024, MaxRequests: 1024,
		OutlierConsecutive: 5, OutlierBaseTime: 30 * time.Second, OutlierMaxPercent: 50,
	}
	if got := DefaultClusterPolicy(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	DefaultClusterPolicy().RetryOn[0] = "x"
	if got := DefaultClusterPolicy().RetryOn[0]; got != "connect" {
		t.Errorf("a caller's write reached the defaults: %s", got)
	}
}
