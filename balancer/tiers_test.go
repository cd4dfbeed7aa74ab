package balancer

import (
	"fmt"
	"slices"
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

// Envoy's documented examples of priorities, degraded members and panic.
func TestSpread(t *testing.T) {
	for _, test := range []struct {
		name  string
		panic uint32
		tiers []tier
		want  string // load+degraded of each tier, ! where in panic
	}{
		{"all healthy", 0, []tier{{total: 100, healthy: 100}, {total: 100, healthy: 100}}, "100+0 0+0"},
		{"72 of 100", 0, []tier{{total: 100, healthy: 72}, {total: 100, healthy: 100}}, "100+0 0+0"},
		{"71 of 100", 0, []tier{{total: 100, healthy: 71}, {total: 100, healthy: 100}}, "99+0 1+0"},
		{"50 of 100", 0, []tier{{total: 100, healthy: 50}, {total: 100, healthy: 100}}, "70+0 30+0"},
		{"25 of 100", 0, []tier{{total: 100, healthy: 25}, {total: 100, healthy: 100}}, "35+0 65+0"},
		{"none of 100", 0, []tier{{total: 100}, {total: 100, healthy: 100}}, "0+0 100+0"},
		{"25 and 25 of 100", 0, []tier{{total: 100, healthy: 25}, {total: 100, healthy: 25}}, "50+0 50+0"},
		{"25 and none", 0, []tier{{total: 100, healthy: 25}, {total: 100}}, "100+0 0+0"},
		{"three tiers", 0, []tier{{total: 100, healthy: 20}, {total: 100, healthy: 20}, {total: 100, healthy: 10}}, "40+0 40+0 20+0"},
		{"nobody", 0, []tier{{total: 100}, {total: 100}}, "0+0 0+0"},
		{"degraded fill up", 0, []tier{{total: 100, healthy: 50, degraded: 50}}, "70+30"},
		{"only degraded", 0, []tier{{total: 100, degraded: 10}}, "0+100"},
		{"the next tier before the degraded", 0, []tier{{total: 100, healthy: 25, degraded: 25}, {total: 100, healthy: 25, degraded: 75}}, "35+30 35+0"},
		{"half of one tier", 50, []tier{{total: 10, healthy: 5, all: 10}}, "100+0"},
		{"under half of one tier", 50, []tier{{total: 10, healthy: 4, all: 10}}, "100+0!"},
		{"none of one tier", 50, []tier{{total: 10, all: 10}}, "100+0!"},
		{"no panic while the next tier is well", 50, []tier{{total: 10, healthy: 1, all: 10}, {total: 10, healthy: 10, all: 10}}, "14+0 86+0"},
		{"one tier in panic", 50, []tier{{total: 100, healthy: 5, all: 100}, {total: 100, healthy: 65, all: 100}}, "8+0! 92+0"},
		{"all tiers in panic: by hosts", 50, []tier{{total: 10, all: 10}, {total: 30, all: 30}}, "25+0! 75+0!"},
		{"excluded members do not count", 50, []tier{{total: 2, healthy: 2, all: 10}}, "100+0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tiers := slices.Clone(test.tiers)
			spread(tiers, 140, test.panic)
			got := ""
			for _, x := range tiers {
				got += fmt.Sprintf(" %d+%d", x.load, x.degradedLoad)
				if x.panic {
					got += "!"
				}
			}
			if got = got[1:]; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// tally counts where n requests go. Random is drawn anew for each.
func tally(b *Balancer, r *Route, n int) map[string]int {
	got := map[string]int{}
	for range n {
		got[take(b, r, &Request{})]++
	}
	return got
}

func TestTiers(t *testing.T) {
	tiered := func(id string, tier uint32) topology.Endpoint {
		return endpoint(id, func(e *topology.Endpoint) { e.Tier = tier })
	}
	b := New(Options{})
	b.Apply(tableOf(cluster(tiered("a", 0), tiered("b", 0), tiered("c", 1))))
	r := routeTo(b, "web")
	if got := tally(b, r, 100); got["a"] != 50 || got["b"] != 50 {
		t.Errorf("with the first tier well: %v", got)
	}
	b.Report(Verdict{Endpoint: "a", Healthy: false})
	// Half of the first tier: 70 % stay there.
	if got := tally(b, r, 10000); got["a"] != 0 || got["b"] < 6700 || got["b"] > 7300 {
		t.Errorf("with half of the first tier well: %v, want 70 %% on b", got)
	}
	if got := take(b, r, &Request{Tried: [4]*Endpoint{member(t, b, "b")}}); got != "c" {
		t.Errorf("a retry went to %s, want the other tier's c", got)
	}
	b.Report(Verdict{Endpoint: "b", Healthy: false})
	if got := tally(b, r, 100); got["c"] != 100 {
		t.Errorf("with the first tier down: %v", got)
	}
}

func TestPanicUsesAll(t *testing.T) {
	b := New(Options{})
	c := cluster(endpoint("a"), endpoint("b"), endpoint("c", func(e *topology.Endpoint) { e.Paused = true }))
	c.PanicPercent = 50
	b.Apply(tableOf(c))
	r := routeTo(b, "web")
	b.Report(Verdict{Endpoint: "a", Healthy: false})
	if got := tally(b, r, 10); got["b"] != 10 {
		t.Errorf("half are well: %v, want b alone", got)
	}
	b.Report(Verdict{Endpoint: "b", Healthy: false})
	if got := tally(b, r, 10); got["a"] != 5 || got["b"] != 5 {
		t.Errorf("in panic: %v, want a and b; the paused one answers nobody", got)
	}
	if s := b.Snapshot().Clusters[0]; !s.Panic || s.Counters.HealthyPanic != 10 {
		t.Errorf("panic: %t, counted %d times, want 10", s.Panic, s.Counters.HealthyPanic)
	}
}

func TestDegradedIsSecondBest(t *testing.T) {
	b := New(Options{})
	b.Apply(tableOf(cluster(endpoint("a"), endpoint("b"))))
	r := routeTo(b, "web")
	b.Report(Verdict{Endpoint: "b", Healthy: true, Degraded: true})
	if got := tally(b, r, 10000); got["a"] < 6700 || got["a"] > 7300 || got["b"] == 0 {
		t.Errorf("one of two degraded: %v, want 70 %% on a", got)
	}
	b.Report(Verdict{Endpoint: "a", Healthy: false})
	if got := tally(b, r, 100); got["b"] != 100 {
		t.Errorf("only the degraded one: %v", got)
	}
}
