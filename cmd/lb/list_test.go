package main

import (
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/admin"
)

func TestFileLine(t *testing.T) {
	now := time.Unix(1800000000, 0)
	for _, tt := range []struct {
		errors int
		first  string
		want   string
	}{
		{0, "", "file: envoy.yaml, loaded 3m0s ago"},
		{1, "line 3: admin.x: unknown field", "file: envoy.yaml, loaded 3m0s ago; its newest version is not in force: line 3: admin.x: unknown field"},
		{2, "line 3: admin.x: unknown field", "file: envoy.yaml, loaded 3m0s ago; its newest version is not in force, 2 errors: lb validate --config envoy.yaml"},
	} {
		f := &admin.FileState{Path: "envoy.yaml", LoadedAt: now.Add(-3 * time.Minute), Errors: tt.errors, Error: tt.first}
		if got := fileLine(f, now); got != tt.want {
			t.Errorf("%d errors: %s\nwant: %s", tt.errors, got, tt.want)
		}
	}
}
