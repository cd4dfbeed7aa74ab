package storm

import (
	"strings"
	"testing"
	"time"
)

func TestLedger(t *testing.T) {
	l, err := parseLedger(strings.NewReader(strings.Join([]string{
		"1000000000 a listening",
		"1020000000 a GET / r1",
		"1030000000 a POST /echo p1",
		"2000000000 a signal",
		"2000000500 a signal",
		"2003000000 a POST /echo p2",
		"2004000000 b POST /echo p2",
		"2500000000 a end",
		"",
	}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	from, to := time.Unix(1, 0), time.Unix(3, 0)
	if got := l.join(from, to); got != 20*time.Millisecond {
		t.Errorf("join %v", got)
	}
	if got, any := l.leave(from, to); got != 3*time.Millisecond || !any {
		t.Errorf("leave %v, %v", got, any)
	}
	if _, any := l.leave(time.Unix(2, 1), to); any {
		t.Error("a stop before the window counts")
	}
	if got := l.stops(from, to); len(got) != 1 || !got[0].Equal(time.Unix(2, 0)) {
		t.Errorf("stops %v", got)
	}
	if len(l.posts["p1"]) != 1 || len(l.posts["p2"]) != 2 || l.posts["p2"][1].daemon != "b" {
		t.Errorf("posts %v", l.posts)
	}
}

func TestAway(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, int64(s*1e9)) }
	l := &ledger{daemons: map[string]*daemonLife{
		"old":     {listening: at(-9), signalled: at(1), ended: at(1.2)},
		"older":   {listening: at(-9), signalled: at(0.5)},
		"new":     {listening: at(7)},
		"another": {listening: at(-9)}, // of another service
		"killed":  {listening: at(2), ended: at(3)},
	}}
	for _, tt := range []struct {
		name       string
		daemons    []string
		gone, back float64
	}{
		{"one after the other", []string{"old", "older", "new"}, 1, 7},
		{"one in between", []string{"old", "killed", "new"}, 3, 7},
		{"somebody stays", []string{"old", "another", "new"}, 0, 0},
		{"nobody comes back", []string{"old"}, 1, 10},
		{"nobody at first", []string{"new"}, 0, 7},
	} {
		all := map[string]bool{}
		for _, d := range tt.daemons {
			all[d] = true
		}
		gone, back := l.away(all, at(0), at(10))
		if want := at(tt.back).Sub(at(tt.gone)); back.Sub(gone) != want || want > 0 && !gone.Equal(at(tt.gone)) {
			t.Errorf("%s: away from %v for %v, want %v", tt.name, gone.Sub(at(0)), back.Sub(gone), want)
		}
	}
}

func TestLedgerThatIsDamaged(t *testing.T) {
	for _, text := range []string{"1000 a", "soon a listening"} {
		if _, err := parseLedger(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
