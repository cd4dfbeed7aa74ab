package balancer

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// weighing makes endpoints e0, e1, … of these weights.
func weighing(weights ...uint32) []topology.Endpoint {
	var list []topology.Endpoint
	for i, w := range weights {
		list = append(list, endpoint(fmt.Sprintf("e%03d", i), func(e *topology.Endpoint) { e.Weight = w }))
	}
	return list
}

func TestWeightedOrder(t *testing.T) {
	for _, test := range []struct {
		weights []uint32
		want    string
	}{
		{[]uint32{5, 1, 1}, "0001200"},
		{[]uint32{2, 1, 1}, "0120"},
		{[]uint32{30, 10}, "0010"},
		{[]uint32{3, 0, 3}, "02"},
		{[]uint32{7, 7}, "01"},
	} {
		b := New(Options{})
		b.Apply(tableOf(cluster(weighing(test.weights...)...)))
		r := routeTo(b, "web")
		var got strings.Builder
		for range len(test.want) {
			got.WriteByte(take(b, r, &Request{})[3])
		}
		if got.String() != test.want {
			t.Errorf("weights %v: %s, want %s", test.weights, got.String(), test.want)
		}
	}
}

// Over a cycle each member has exactly its weight, and at no point of it is it
// far from its share: within a per cent of the cycle.
func TestWeightsAreKept(t *testing.T) {
	primes := make([]uint32, 100)
	for i := range primes {
		primes[i] = uint32(7*i*i)%997 + 1
	}
	for _, weights := range [][]uint32{{1, 2}, {5, 1, 1}, {1000, 1}, {999, 1000, 1}, {1000, 999, 998, 997}, primes} {
		b := New(Options{})
		b.Apply(tableOf(cluster(weighing(weights...)...)))
		r := routeTo(b, "web")
		total := 0
		for _, w := range weights {
			total += int(w)
		}
		got := map[string]int{}
		for n := 1; n <= total; n++ {
			got[take(b, r, &Request{})]++
			if n%97 != 0 {
				continue
			}
			for i, w := range weights {
				share := float64(n) * float64(w) / float64(total)
				if off := math.Abs(float64(got[fmt.Sprintf("e%03d", i)]) - share); off > 2+float64(total)/100 {
					t.Fatalf("%d members: after %d of %d, weight %d is %.1f off its share", len(weights), n, total, w, off)
				}
			}
		}
		for i, w := range weights {
			if n := got[fmt.Sprintf("e%03d", i)]; n != int(w) {
				t.Errorf("%d members: weight %d was taken %d times in a cycle", len(weights), w, n)
			}
		}
	}
}

func TestEveryWeightZero(t *testing.T) {
	b := New(Options{})
	b.Apply(tableOf(cluster(weighing(0, 0)...)))
	if got := take(b, routeTo(b, "web"), &Request{}); got != ErrNoEndpoint.Error() {
		t.Errorf("went to %s", got)
	}
}

func TestRetryGoesToAnother(t *testing.T) {
	for _, policy := range policies {
		for _, weights := range [][]uint32{{1, 1, 1}, {3, 2, 1}} {
			b := New(Options{})
			c := cluster(weighing(weights...)...)
			c.Policy = policy
			b.Apply(tableOf(c))
			r := routeTo(b, "web")
			for hash := range uint64(50) {
				q := &Request{HasHash: true, Hash: mix(hash)}
				seen := map[string]bool{}
				for try := range 3 {
					l, err := b.Acquire(r, q)
					if err != nil {
						t.Fatal(err)
					}
					seen[l.Endpoint.ID()] = true
					q.Tried[try] = l.Endpoint
					l.Done(Outcome{Result: Reset})
				}
				if len(seen) != 3 {
					t.Fatalf("%s, weights %v: three tries saw %v", policy, weights, seen)
				}
				// All have been tried: one of them again is better than none.
				if got := take(b, r, q); !seen[got] {
					t.Fatalf("%s: a fourth try got %s", policy, got)
				}
			}
		}
	}
}

// Envoy's formula: weight × max(least, (age/window)^(1/aggression)).
func TestRamp(t *testing.T) {
	const window = 20 * time.Second
	for _, test := range []struct {
		age        time.Duration
		aggression float64
		least      float64
		want       float64
	}{
		{0, 1, 10, 0.1},
		{time.Second, 1, 10, 0.1},
		{5 * time.Second, 1, 10, 0.25},
		{10 * time.Second, 1, 10, 0.5},
		{5 * time.Second, 2, 10, 0.5},
		{5 * time.Second, math.NaN(), 10, 0.25},
		{5 * time.Second, -1, 10, 0.25},
		{5 * time.Second, 1, 50, 0.5},
		{5 * time.Second, 1, 0, 0.25},
		{10 * time.Millisecond, 1, 0, 0.0005},
		{10 * time.Millisecond, 1, 0.5, 0.005},
		{window, 1, 10, 1},
		{time.Hour, 1, 10, 1},
	} {
		got := ramp(topology.SlowStart{Window: window, Aggression: test.aggression, MinPercent: test.least}, test.age)
		if math.Abs(got-test.want) > 1e-9 {
			t.Errorf("age %s, aggression %v, at least %v %%: %v, want %v", test.age, test.aggression, test.least, got, test.want)
		}
	}
}

func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		defer run(b)()
		slow := func(e ...topology.Endpoint) *topology.Table {
			c := cluster(e...)
			c.SlowStart = topology.SlowStart{Window: 20 * time.Second, Aggression: 1, MinPercent: 10}
			return tableOf(c)
		}
		b.Apply(slow(endpoint("a")))
		r := routeTo(b, "web")
		time.Sleep(time.Minute)
		b.Apply(slow(endpoint("a"), endpoint("b")))
		for _, test := range []struct {
			age   time.Duration
			share float64
			why   string
		}{{0, 0.1 / 1.1, "slow start: 10 % of its weight"}, {10 * time.Second, 0.5 / 1.5, "slow start: 50 % of its weight"}, {20 * time.Second, 0.5, ""}} {
			time.Sleep(test.age - time.Since(member(t, b, "b").joined))
			synctest.Wait()
			got := float64(tally(b, r, 11000)["b"]) / 11000
			if math.Abs(got-test.share) > 0.01 {
				t.Errorf("%s after it joined b has %.3f of the requests, want %.3f", test.age, got, test.share)
			}
			if why := b.Snapshot().Clusters[0].Endpoints[1].Why; why != test.why {
				t.Errorf("%s after it joined: %q, want %q", test.age, why, test.why)
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if c := b.clusters["web"]; !c.refresh.IsZero() {
			t.Error("the ramp is over and still looked at")
		}
	})
}
