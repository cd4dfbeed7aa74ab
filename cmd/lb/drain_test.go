package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/admin"
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

// Another process answers: its 0 is not that nothing is in flight, and what it
// does not know must not be called drained.
func TestDrainNoticesAnotherProcess(t *testing.T) {
	for _, tt := range []struct{ name, before, after string }{
		{"an upgrade", "7@2026-01-02T03:04:05Z", "7@2026-01-02T03:04:06Z"}, // containers that take turns
		{"of a version that says who it is", "", "8@2026-01-02T03:04:05Z"},
		{"to one that does not", "7@2026-01-02T03:04:05Z", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				st := admin.InFlight{Container: "web-1", InFlight: 2, Process: tt.before}
				if r.URL.Path == "/lb/v1/in_flight" {
					st.InFlight, st.Process = 0, tt.after
				}
				_ = json.NewEncoder(w).Encode(st)
			}))
			defer s.Close()
			addr := strings.TrimPrefix(s.URL, "http://")
			out, errs, code := lb(t, "drain web-1 --wait --admin "+addr)
			if code != exitFailed || out != "" {
				t.Errorf("%d %q", code, out)
			}
			for _, want := range []string{"web-1: ", addr, "--takeover", "knows nothing of the drain", `run "lb drain web-1 --wait" again`} {
				if !strings.Contains(errs, want) {
					t.Errorf("%q does not speak of %q", errs, want)
				}
			}
		})
	}
}
