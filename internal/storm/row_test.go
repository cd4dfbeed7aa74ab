package storm

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var errTest = errors.New("no such container")

// scene is a window of two seconds with a mark after one.
func scene(idempotent, posts allowance) (*window, time.Time) {
	start := time.Unix(1000, 0)
	op := operation{name: "test", service: "linger", idempotent: idempotent, posts: posts}
	return &window{planned: planned{operation: op}, from: start, to: start.Add(2 * time.Second), mark: start.Add(time.Second)}, start
}

func TestAllowances(t *testing.T) {
	failed := func(shape shape, failure string, due time.Duration) sample {
		return sample{id: "x", shape: shape, due: due, answer: answer{failure: failure}}
	}
	for _, test := range []struct {
		name              string
		idempotent, posts allowance
		sample            sample
		pass              bool
	}{
		{"none: a GET", none, counted, failed(get, "503", 0), false},
		{"none: a kept GET", none, counted, failed(getKept, "reset", 0), false},
		{"none: a handshake", none, counted, failed(handshake, "503", 0), false},
		{"an open WebSocket may not end by itself", counted, counted, failed(message, "reset", 0), false},
		{"a wrong echo may not be", none, none, failed(message, "wrong", 0), false},
		{"none: a POST", none, none, failed(post, "503", 0), false},
		{"counted: a POST", none, counted, failed(post, "reset", 0), true},
		{"counted: not a wrong answer", none, counted, failed(postKept, "wrong", 0), false},
		{"clearly: with a status", none, clearly, failed(post, "502", 0), true},
		{"clearly: not by a reset", none, clearly, failed(post, "reset", 0), false},
		{"clearly: not by a client's error", none, clearly, failed(post, "404", 0), false},
		{"early: at the mark", early, early, failed(get, "timeout", time.Second), true},
		{"early: later", early, early, failed(get, "timeout", time.Second+settled), false},
	} {
		w, start := scene(test.idempotent, test.posts)
		row := judge(w, []sample{test.sample}, newLedger(), start)
		if row.Pass() != test.pass {
			t.Errorf("%s: pass %v, faults %q", test.name, row.Pass(), row.Faults)
		}
		if !test.pass && (len(row.Evidence) != 1 || !strings.Contains(row.Evidence[0], "x")) {
			t.Errorf("%s: evidence %q", test.name, row.Evidence)
		}
	}
}

func TestCutWebSockets(t *testing.T) {
	const ms = time.Millisecond
	start := time.Unix(1000, 0)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	lives := daemonLife{listening: at(-time.Second), last: at(2 * time.Second)}
	dead := daemonLife{listening: at(-time.Second), last: at(490 * ms)}
	stopped := func(signalled time.Duration) daemonLife { d := lives; d.signalled = at(signalled); return d }
	ended := func(end time.Duration) daemonLife { d := lives; d.ended = at(end); return d }
	reset := answer{failure: "reset", daemon: "d"}
	silence := answer{failure: "timeout", daemon: "d"}
	for _, tt := range []struct {
		name   string
		cuts   cutting
		answer answer
		took   time.Duration // due is after 500 ms
		daemon daemonLife
		pass   bool
	}{
		{"its backend lives", noMore, reset, 100 * ms, lives, false},
		{"its backend had its signal", noMore, reset, 100 * ms, stopped(0), true},
		{"its backend had its signal just after", noMore, reset, 100 * ms, stopped(1599 * ms), true},
		{"its backend had its signal later", noMore, reset, 100 * ms, stopped(1601 * ms), false},
		{"its backend ended", noMore, reset, 100 * ms, ended(550 * ms), true},
		{"its backend ended later", noMore, reset, 100 * ms, ended(1700 * ms), false},
		{"silence, and its backend lives", noMore, silence, echoPatience, lives, false},
		{"silence since its backend ended", noMore, silence, echoPatience, ended(550 * ms), true},
		{"silence before its backend ended", noMore, silence, echoPatience, ended(3 * time.Second), false},
		{"its backend died, which this is not to do", noMore, reset, 100 * ms, dead, false},
		{"its backend was killed", ofDead, reset, 100 * ms, dead, true},
		{"another backend was killed", ofDead, reset, 100 * ms, lives, false},
		{"any may be cut", ofAny, reset, 100 * ms, lives, true},
		{"a backend that nobody knows", ofDead, answer{failure: "reset", daemon: "e"}, 100 * ms, dead, false},
		{"a wrong echo", ofAny, answer{failure: "wrong", daemon: "d"}, 100 * ms, stopped(0), false},
	} {
		w, _ := scene(none, none)
		w.cuts = tt.cuts
		l := newLedger()
		l.daemons["d"] = &tt.daemon
		s := sample{id: "x", shape: message, due: 500 * ms, sent: 500 * ms, took: tt.took, answer: tt.answer}
		row := judge(w, []sample{s}, l, start)
		if row.Pass() != tt.pass {
			t.Errorf("%s: pass %v, faults %q", tt.name, row.Pass(), row.Faults)
		}
		if cut := tt.answer.failure != "wrong"; cut && row.Cut != 1 || (row.Failed["ws"] == 1) != (cut && !tt.pass) {
			t.Errorf("%s: %d cut, failed %v", tt.name, row.Cut, row.Failed)
		}
	}
}

func TestALoadThatIsLate(t *testing.T) {
	for late, pass := range map[time.Duration]bool{tooLate: true, tooLate + 1: false} {
		w, start := scene(none, none)
		row := judge(w, []sample{{sent: late}, {}}, newLedger(), start)
		if row.Pass() != pass || row.Late != late {
			t.Errorf("%v late: %v, faults %q", late, row.Late, row.Faults)
		}
		var table strings.Builder
		if err := WriteTable(&table, []Row{row}); err != nil || !strings.Contains(table.String(), " late ") || !strings.Contains(table.String(), " 2000 ms ") {
			t.Errorf("table %q, %v", &table, err)
		}
	}
}

func TestAReportOfNothingDoesNotPass(t *testing.T) {
	for _, tt := range []struct {
		rows []Row
		pass bool
	}{
		{nil, false},
		{[]Row{{}}, true},
		{[]Row{{}, {Faults: []string{"lost"}}}, false},
	} {
		if r := (&Report{Rows: tt.rows}); r.Pass() != tt.pass {
			t.Errorf("%d rows: pass %v", len(tt.rows), r.Pass())
		}
	}
}

// The engine was longer away with the last member than the proxy is to hold: who
// was held to the end may fail, who was not may not.
func TestBackTooLate(t *testing.T) {
	const ms = time.Millisecond
	held := sample{due: 500 * ms, sent: 500 * ms, took: time.Second}
	with := func(change func(*sample)) sample { s := held; change(&s); return s }
	for _, tt := range []struct {
		name   string
		back   time.Duration
		sample sample
		more   *daemonLife // beside the old one and the new one
		pass   bool
	}{
		{name: "held to the end", back: 1900 * ms, sample: held, pass: true},
		{name: "not held", back: 1900 * ms, sample: with(func(s *sample) { s.took = 900 * ms })},
		{name: "sent late and not held", back: 1900 * ms, sample: with(func(s *sample) { s.sent += 100 * ms })},
		{name: "due before", back: 1900 * ms, sample: with(func(s *sample) { s.due, s.sent = 300*ms, 300*ms })},
		{name: "back in time", back: 1300 * ms, sample: held},
		{name: "back before the hold was over", back: 1900 * ms, sample: with(func(s *sample) { s.due, s.sent = 1100*ms, 1100*ms })},
		{name: "of the calm cluster", back: 1900 * ms, sample: with(func(s *sample) { s.calm = true })},
		{name: "listens but is never routed", back: 1900 * ms, sample: held, more: &daemonLife{service: "linger", listening: time.Unix(999, 0)}},
	} {
		w, start := scene(none, none)
		w.hold = time.Second
		l := newLedger()
		l.daemons["old"] = &daemonLife{service: "linger", listening: start.Add(-time.Second), signalled: start.Add(400 * ms)}
		l.daemons["new"] = &daemonLife{service: "linger", listening: start.Add(tt.back)}
		if tt.more != nil {
			l.daemons["more"] = tt.more
		}
		tt.sample.shape, tt.sample.failure = get, "503"
		if row := judge(w, []sample{tt.sample}, l, start); row.Pass() != tt.pass || (row.Beyond == 1) != tt.pass {
			t.Errorf("%s: %d beyond, faults %q", tt.name, row.Beyond, row.Faults)
		}
	}
}

// A service that no daemon names may be there all the time.
func TestNobodyKnownIsNobodyAway(t *testing.T) {
	for _, service := range []string{"", "calm"} {
		w, start := scene(none, none)
		w.hold = time.Second
		l := newLedger()
		l.daemons["a"] = &daemonLife{service: service, listening: start.Add(1900 * time.Millisecond)}
		if row := judge(w, []sample{{took: time.Second, answer: answer{failure: "503"}}}, l, start); row.Pass() || row.Beyond != 0 {
			t.Errorf("service %q: %d beyond", service, row.Beyond)
		}
	}
}

func TestTheCalmClusterMayLoseNothing(t *testing.T) {
	w, start := scene(counted, counted)
	row := judge(w, []sample{{shape: post, calm: true, answer: answer{failure: "503"}}}, newLedger(), start)
	if row.Pass() || row.Calm != 1 {
		t.Errorf("%+v", row)
	}
}

func TestTwiceIsNeverAllowed(t *testing.T) {
	w, start := scene(counted, counted)
	l := newLedger()
	l.posts["x"] = []processing{{"a", start}, {"b", start.Add(time.Millisecond)}}
	l.daemons["a"], l.daemons["b"] = &daemonLife{}, &daemonLife{}
	row := judge(w, []sample{{id: "x", shape: post}}, l, start)
	if row.Pass() || row.Twice != 1 || !strings.Contains(row.Evidence[0], "1ms apart") {
		t.Errorf("%+v", row)
	}
}

func TestAnAnswerThatNobodyGave(t *testing.T) {
	w, start := scene(counted, counted)
	if row := judge(w, []sample{{id: "x", shape: post}}, newLedger(), start); row.Pass() {
		t.Errorf("%+v", row)
	}
}

func TestNearAStop(t *testing.T) {
	w, start := scene(none, none)
	l := newLedger()
	l.daemons["a"] = &daemonLife{signalled: start.Add(time.Second)}
	var samples []sample
	for _, sent := range []time.Duration{997, 998, 1000, 1002, 1003} {
		samples = append(samples, sample{sent: sent * time.Millisecond})
	}
	if row := judge(w, samples, l, start); row.NearStop != 3 || row.Sent != 5 {
		t.Errorf("%+v", row)
	}
}

func TestAnOperationThatDidNotTakePlaceDoesNotPass(t *testing.T) {
	w, start := scene(none, none)
	if row := judge(w, nil, newLedger(), start); row.Pass() {
		t.Error("nothing was sent")
	}
	w.err = errTest
	row := judge(w, []sample{{}}, newLedger(), start)
	if row.Pass() || !strings.Contains(row.Faults[0], errTest.Error()) {
		t.Errorf("faults %q", row.Faults)
	}
}

func TestAround(t *testing.T) {
	w, start := scene(none, none)
	w.ran = []stepTime{{"stop", start, start.Add(10 * time.Millisecond)}, {"start", start.Add(20 * time.Millisecond), start.Add(30 * time.Millisecond)}}
	for at, want := range map[time.Duration]string{
		-time.Millisecond:     "before the first step",
		3 * time.Millisecond:  `3ms into "stop"`,
		15 * time.Millisecond: `5ms after "stop"`,
		20 * time.Millisecond: `0s into "start"`,
		50 * time.Millisecond: `20ms after "start"`,
	} {
		if got := w.around(start.Add(at)); got != want {
			t.Errorf("at %v: %q, want %q", at, got, want)
		}
	}
}
