package balancer

import (
	"math"
	"testing"
)

func leastOf(weights ...uint32) (*Balancer, *Route) {
	b := New(Options{})
	c := cluster(weighing(weights...)...)
	c.Policy = "least_request"
	b.Apply(tableOf(c))
	return b, routeTo(b, "web")
}

// Two choices with replacement: a member with more requests than the others is
// only taken where both draws are it.
func TestLeastRequestAvoidsTheBusy(t *testing.T) {
	b, r := leastOf(1, 1, 1, 1)
	member(t, b, "e000").active.Store(100)
	got := tally(b, r, 16000)
	if share := float64(got["e000"]) / 16000; math.Abs(share-1.0/16) > 0.01 {
		t.Errorf("the busy one has %.3f of the requests, want 1/16", share)
	}
	for _, id := range []string{"e001", "e002", "e003"} {
		if share := float64(got[id]) / 16000; math.Abs(share-5.0/16) > 0.02 {
			t.Errorf("%s has %.3f, want 5/16", id, share)
		}
	}
}

// Unequal weights: w/(active+1), exact for a few members and sampled for many.
func TestLeastRequestWeights(t *testing.T) {
	few := []uint32{4, 1, 1}
	many := make([]uint32, 40)
	for i := range many {
		many[i] = 1 + uint32(i%2)*3
	}
	for _, weights := range [][]uint32{few, many} {
		b, r := leastOf(weights...)
		sum := 0.0
		for i, w := range weights {
			if i%5 == 0 {
				member(t, b, weighing(weights...)[i].ID).active.Store(3)
				sum += float64(w) / 4
			} else {
				sum += float64(w)
			}
		}
		const n = 40000
		got := tally(b, r, n)
		for i, w := range weights {
			want := float64(w) / sum
			if i%5 == 0 {
				want /= 4
			}
			if share := float64(got[weighing(weights...)[i].ID]) / n; math.Abs(share-want) > 0.01 {
				t.Errorf("%d members: weight %d, number %d has %.4f, want %.4f", len(weights), w, i, share, want)
			}
		}
	}
}

func TestLeastRequestCountsWhatIsOut(t *testing.T) {
	b, r := leastOf(1, 1)
	l, err := b.Acquire(r, &Request{})
	if err != nil {
		t.Fatal(err)
	}
	if n := l.Endpoint.active.Load(); n != 1 {
		t.Errorf("active: %d, want 1", n)
	}
	l.Done(Outcome{Status: 200})
	if n := l.Endpoint.active.Load(); n != 0 {
		t.Errorf("active after Done: %d, want 0", n)
	}
}

// RANDOM ignores weights, but not that of 0.
func TestRandom(t *testing.T) {
	b := New(Options{})
	c := cluster(weighing(9, 1, 0)...)
	c.Policy = "random"
	b.Apply(tableOf(c))
	got := tally(b, routeTo(b, "web"), 10000)
	if got["e000"] < 4700 || got["e000"] > 5300 || got["e002"] != 0 {
		t.Errorf("weights 9, 1, 0: %v, want halves and none", got)
	}
}

func TestFewChoices(t *testing.T) {
	if n := newLeastRequest(nil, 0).choices; n != 2 {
		t.Errorf("choices not given: %d, want 2", n)
	}
	if n := newLeastRequest(nil, 5).choices; n != 5 {
		t.Errorf("five choices: %d", n)
	}
}
