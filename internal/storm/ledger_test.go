package storm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLedger(t *testing.T) {
	l := newLedger()
	err := l.read(strings.NewReader(strings.Join([]string{
		"1000000000 a listening web",
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
	if got := l.daemons["a"].service; got != "web" {
		t.Errorf("service %q", got)
	}
	if len(l.posts["p1"]) != 1 || len(l.posts["p2"]) != 2 || l.posts["p2"][1].daemon != "b" {
		t.Errorf("posts %v", l.posts)
	}
}

// What is read later adds to what is known: a daemon of the first seed lives on
// in the second.
func TestLedgerGoesOn(t *testing.T) {
	l := newLedger()
	for _, text := range []string{"1000000000 a listening web\n", "2000000000 a signal\n3000000000 b listening\n"} {
		if err := l.read(strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if a := l.daemons["a"]; a.service != "web" || a.listening.IsZero() || a.signalled.IsZero() {
		t.Errorf("a: %+v", a)
	}
	if b := l.daemons["b"]; b.service != "" || b.listening.IsZero() {
		t.Errorf("b: %+v", b)
	}
}

func TestGaps(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, int64(s*1e9)) }
	life := func(service string, listening, signalled, last, ended float64) *daemonLife {
		d := &daemonLife{service: service, listening: at(listening)}
		for moment, field := range map[float64]*time.Time{signalled: &d.signalled, last: &d.last, ended: &d.ended} {
			if moment != 0 {
				*field = at(moment)
			}
		}
		return d
	}
	old, next := life("web", -9, 1, 0.9, 1.2), life("web", 7, 0, 0, 0)
	for _, tt := range []struct {
		name    string
		daemons []*daemonLife
		want    []float64 // from, to, from, to …
	}{
		{"one after the other", []*daemonLife{old, next, life("web", -9, 0.5, 0.4, 0.6)}, []float64{1, 7}},
		{"two gaps", []*daemonLife{old, next, life("web", 2, 0, 0, 3)}, []float64{1, 2, 3, 7}},
		{"somebody stays", []*daemonLife{old, next, life("web", -9, 0, 0, 0)}, nil},
		{"who died without a word is not known to be gone", []*daemonLife{old, next, life("web", -9, 0, 0.5, 0)}, nil},
		{"nobody comes back", []*daemonLife{old}, []float64{1, 10}},
		{"nobody comes back in time", []*daemonLife{old, life("web", 11, 0, 0, 0)}, []float64{1, 10}},
		{"nobody at first", []*daemonLife{next}, []float64{0, 7}},
		{"listens and is never routed", []*daemonLife{old, life("web", 2.5, 0, 0, 0)}, []float64{1, 2.5}},
		{"requests on their way", []*daemonLife{life("web", -9, 1, 1.05, 1.2), next}, []float64{1.05, 7}},
		{"serves on until its end", []*daemonLife{life("web", -9, 1, 1.5, 3), next}, []float64{3, 7}},
		{"serves on until it is killed", []*daemonLife{life("web", -9, 1, 2.5, 0), next}, []float64{2.5, 7}},
		{"another service", []*daemonLife{old, next, life("shop", -9, 0, 0, 0)}, []float64{1, 7}},
		{"nobody known", []*daemonLife{life("", -9, 1, 0, 0), life("shop", 7, 0, 0, 0)}, nil},
	} {
		l := newLedger()
		for i, d := range tt.daemons {
			l.daemons[fmt.Sprint(i)] = d
		}
		var got []float64
		for _, g := range l.gaps("web", at(0), at(10)) {
			got = append(got, g.from.Sub(at(0)).Seconds(), g.to.Sub(at(0)).Seconds())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: gaps %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestLedgerThatIsDamaged(t *testing.T) {
	for _, text := range []string{
		"1000 a", "soon a listening", "1000 a listening web shop", "1000 a signal web", "1000 a end 1",
		"1000 a POST", "1000 a POST echo p1", "1000 a POST /echo p1 p2", "1000 a listenin",
	} {
		if err := newLedger().read(strings.NewReader("1000 a listening\n" + text)); err == nil || !strings.Contains(err.Error(), "line 2: \""+text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
