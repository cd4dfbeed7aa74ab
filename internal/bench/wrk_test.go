package bench

import (
	"strings"
	"testing"
	"time"
)

func TestParseFigures(t *testing.T) {
	got, err := parseFigures("Running 1s test\nRequests/sec: 12\nfigures 1200 2000500 1500 9000 3 4\n")
	if err != nil {
		t.Fatal(err)
	}
	want := load{requests: 1200, took: 2000500 * time.Microsecond, p50: 1500 * time.Microsecond, p99: 9 * time.Millisecond, errors: 3, statuses: 4}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for name, text := range map[string]string{
		"nothing":            "",
		"an error":           "unable to connect to 127.0.0.1:1 Connection refused",
		"figures cut short":  "figures 1200 2000500",
		"not one was served": "figures 0 2000500 0 0 64 0\n",
	} {
		if _, err := parseFigures(text); err == nil || !strings.Contains(err.Error(), "wrk") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
