package bench

import (
	"slices"
	"testing"
	"time"
)

func TestNewSample(t *testing.T) {
	s := newSample(
		load{requests: 1000, took: 2 * time.Second, p50: 1500 * time.Microsecond, p99: 4 * time.Millisecond, errors: 1, statuses: 2},
		usage{cpu: time.Second}, usage{cpu: 1010 * time.Millisecond, rss: 3 << 20},
	)
	want := [figureCount]float64{requestsPerSecond: 500, cpuPerRequest: 10, p50: 1.5, p99: 4, resident: 3}
	if s.figures != want {
		t.Errorf("got %v, want %v", s.figures, want)
	}
	if n := (series{s, s}).failures(); n != 6 {
		t.Errorf("%d failures, want 6", n)
	}
}

func TestMedian(t *testing.T) {
	tests := []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{4}, 4},
		{[]float64{9, 1, 4}, 4},
		{[]float64{9, 1, 4, 5}, 4.5},
	}
	for _, tt := range tests {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median of %v is %v, want %v", tt.values, got, tt.want)
		}
	}
}

// A ratio is of two figures of the same round, so that a slow minute of the
// machine is in both.
func TestRatiosAreWithinARound(t *testing.T) {
	at := func(cpu ...float64) (s series) {
		for _, v := range cpu {
			s = append(s, sample{figures: [figureCount]float64{cpuPerRequest: v}})
		}
		return s
	}
	got := at(10, 40, 12, 7).ratios(at(20, 80, 0), cpuPerRequest)
	if want := []float64{0.5, 0.5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
