package bench

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var out strings.Builder
	w := &works[0]
	at := func(rps, cpu float64) sample {
		return sample{figures: [figureCount]float64{requestsPerSecond: rps, cpuPerRequest: cpu, p50: 1, p99: 2, resident: 3}}
	}
	r := &run{o: Options{Out: &out}, results: map[string]map[string]series{w.key: {
		nameLB:      {at(90, 11), at(80, 12), at(70, 13)},
		nameHAProxy: {at(100, 10), at(100, 10), at(100, 10)},
		nameReverse: {at(10, 100), at(10, 100), at(10, 100)},
	}}}
	r.table(w, []*live{{contender: contender{name: nameLB}}, {contender: contender{name: nameHAProxy}}, {contender: contender{name: nameReverse}}})
	got := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"lb 80 (70–90) 0.80 – 12.0 (11.0–13.0) 1.20 – 1.00 2.0 (2.0–2.0) 3.0 0",
		"missed: 1.20 × haproxy's CPU per request (target: at most 1.05): by 14 %",
		"missed: 0.80 × haproxy's requests/s (target: at least 0.95): by 16 %",
		"met: 0.12 × ReverseProxy's CPU per request (target: at most 0.25)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// Of two peers the better one counts: the worst ratio.
func TestJudgeTakesTheBetterPeer(t *testing.T) {
	var out strings.Builder
	at := func(rps float64) series {
		return series{{figures: [figureCount]float64{requestsPerSecond: rps}}}
	}
	w := &work{key: "x"}
	r := &run{o: Options{Out: &out}, results: map[string]map[string]series{"x": {nameLB: at(120), nameHAProxy: at(80), nameNginx: at(110)}}}
	r.judge(w, &target{requestsPerSecond, []string{nameHAProxy, nameNginx}, 1.2, true})
	if got := out.String(); !strings.Contains(got, "missed: 1.09 × haproxy's and nginx's requests/s") {
		t.Errorf("got %q", got)
	}
}
