package proxy

import (
	"testing"
	"time"
)

func TestLeavings(t *testing.T) {
	type look struct {
		after time.Duration // since the beginning
		parks uint64
		want  bool
	}
	tests := []struct {
		name  string
		looks []look
	}{
		{"nothing was parked", []look{{time.Second, 0, false}, {time.Hour, 0, false}}},
		{"few", []look{{time.Second, leftMin - 1, false}, {time.Hour, leftMin - 1, false}}},
		{"many, once it rests", []look{{time.Second, leftMin, false}, {2 * time.Second, leftMin, true}, {3 * time.Second, leftMin, false}}},
		{"many that go on", []look{{time.Second, leftMin, false}, {2 * time.Second, 2 * leftMin, false}, {3 * time.Second, 2*leftMin + 5, true}}},
		{"again, but not too soon", []look{
			{time.Second, leftMin, false},
			{2 * time.Second, leftMin, true},
			{3 * time.Second, 2 * leftMin, false},
			{2*time.Second + leaveEvery - 1, 2 * leftMin, false},
			{2*time.Second + leaveEvery, 2 * leftMin, true},
		}},
		{"few since", []look{
			{time.Second, leftMin, false},
			{2 * time.Second, leftMin, true},
			{time.Hour, 2*leftMin - 1, false},
			{time.Hour + 1, 2*leftMin - 1, false},
		}},
	}
	begin := time.Unix(1e9, 0)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l leavings
			for i, k := range tt.looks {
				if got := l.due(k.parks, begin.Add(k.after)); got != k.want {
					t.Errorf("look %d: %v, want %v", i, got, k.want)
				}
			}
		})
	}
}
