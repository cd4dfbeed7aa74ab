package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDrainWaits(t *testing.T) {
	b := running(t, nil)
	b.inFlight = []int{2, 1, 0}
	b.drainBy = time.Now().Add(41*time.Second + 400*time.Millisecond)
	out, errs, code := lb(t, "drain demo-daemon-1 --wait")
	if code != 0 || out != "demo-daemon-1: drained\n" || errs != "demo-daemon-1: 2 in flight, 41s left\n" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if !slices.Equal(b.log, []string{"demo-daemon-1 drain=true"}) || len(b.inFlight) != 1 {
		t.Errorf("overrides %q, answers left %v: it has not waited", b.log, b.inFlight)
	}
}

func TestDrainGivesUp(t *testing.T) {
	b := running(t, nil)
	b.inFlight = []int{1}
	out, errs, code := lb(t, "drain demo-daemon-1 --wait --timeout 1ms")
	if code != exitTimeout || out != "" || !strings.Contains(errs, "1 request still in flight after 1ms; it stays out of rotation") {
		t.Errorf("%d %q %q", code, out, errs)
	}
}
