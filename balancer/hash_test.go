package balancer

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

// hosts makes n endpoints with addresses of their own.
func hosts(n int) []topology.Endpoint {
	var list []topology.Endpoint
	for i := range n {
		list = append(list, endpoint(fmt.Sprintf("e%04d", i), func(e *topology.Endpoint) {
			e.Address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)
		}))
	}
	return list
}

// where asks which endpoint each of n keys goes to.
func where(b *Balancer, n int) []string {
	r := routeTo(b, "web")
	got := make([]string, n)
	for i := range got {
		got[i] = take(b, r, &Request{HasHash: true, Hash: mix(uint64(i) + 1)})
	}
	return got
}

func TestHashStability(t *testing.T) {
	const n, keys = 20, 20000
	for _, test := range []struct {
		policy string
		most   float64 // of the keys that may move though their endpoint stayed
	}{
		// The others get a few points more each when one leaves (Envoy rounds the
		// smallest share up to whole points of the minimum ring).
		{"ring_hash", 0.05},
		{"maglev", 0.03},
	} {
		t.Run(test.policy, func(t *testing.T) {
			b := New(Options{})
			table := func(list []topology.Endpoint) *topology.Table {
				c := cluster(list...)
				c.Policy = test.policy
				return tableOf(c)
			}
			all := hosts(n)
			b.Apply(table(all))
			before := where(b, keys)
			again := where(b, keys)
			b.Apply(table(all[1:]))
			after := where(b, keys)
			orphans, moved := 0, 0
			for i := range before {
				if before[i] != again[i] {
					t.Fatal("the same key goes to two endpoints")
				}
				switch {
				case before[i] == "e0000":
					orphans++
				case before[i] != after[i]:
					moved++
				}
			}
			if share := float64(orphans) / keys; math.Abs(share-1.0/n) > 0.03 {
				t.Errorf("the endpoint that left had %.3f of the keys, want about 1/%d", share, n)
			}
			if share := float64(moved) / keys; share > test.most {
				t.Errorf("%.4f of the keys of others moved, want at most %.2f", share, test.most)
			}
			b.Apply(table(all))
			for i, id := range where(b, keys) {
				if id != before[i] {
					t.Fatalf("back again, key %d goes to %s and not to %s", i, id, before[i])
				}
			}
		})
	}
}

func TestHashWeights(t *testing.T) {
	for _, policy := range []string{"ring_hash", "maglev"} {
		b := New(Options{})
		list := hosts(3)
		list[0].Weight = 2
		c := cluster(list...)
		c.Policy, c.RingMin = policy, 1<<14
		b.Apply(tableOf(c))
		const keys = 20000
		got := map[string]int{}
		for _, id := range where(b, keys) {
			got[id]++
		}
		if share := float64(got["e0000"]) / keys; math.Abs(share-0.5) > 0.03 {
			t.Errorf("%s: weight 2 of 4 has %.3f of the keys", policy, share)
		}
	}
}

// ringSizes are Envoy's: min(ceil(smallest × min)/smallest, max) points.
func TestRingSize(t *testing.T) {
	for _, test := range []struct {
		weights  []uint64
		min, max uint64
		want     int
	}{
		{[]uint64{1}, 0, 0, 1024},
		{[]uint64{1, 1, 1}, 0, 0, 1026},
		{[]uint64{1, 2}, 3, 0, 3},
		{[]uint64{1, 3}, 6, 0, 8},
		{[]uint64{1, 1, 1}, 0, 6, 6},
	} {
		var list []*Endpoint
		for _, spec := range hosts(len(test.weights)) {
			e := new(Endpoint)
			e.spec.Store(&spec)
			list = append(list, e)
		}
		r := newRing(list, test.weights, &topology.Cluster{RingMin: test.min, RingMax: test.max})
		if len(r.points) != test.want {
			t.Errorf("weights %v, at least %d, at most %d: %d points, want %d", test.weights, test.min, test.max, len(r.points), test.want)
		}
	}
}

func TestMaglevSharesItsTableEvenly(t *testing.T) {
	var list []*Endpoint
	weights := []uint64{1, 1, 2}
	for _, spec := range hosts(3) {
		e := new(Endpoint)
		e.spec.Store(&spec)
		list = append(list, e)
	}
	m := newMaglev(list, weights, &topology.Cluster{})
	got := make([]int, 3)
	for _, who := range m.table {
		got[who]++
	}
	for i, w := range weights {
		if want := maglevSize * int(w) / 4; got[i] < want-1 || got[i] > want+1 {
			t.Errorf("weight %d has %d of %d entries, want %d", w, got[i], maglevSize, want)
		}
	}
}

// The values that Envoy's own test holds (test/common/common/hash_test.cc).
func TestHashFunctions(t *testing.T) {
	for _, test := range []struct {
		key        string
		xx, murmur uint64
	}{
		{"foo", 3728699739546630719, 9631199822919835226},
		{"bar", 5234164152756840025, 11474628671133349555},
		{"foo\nbar", 8917841378505826757, 16306510975912980159},
		{"lyft", 4400747396090729504, 12847078931730529320},
		{"", 17241709254077376921, 6142509188972423790},
	} {
		if got := hashFunction("")([]byte(test.key)); got != test.xx {
			t.Errorf("xx_hash of %q: %d, want %d", test.key, got, test.xx)
		}
		if got := hashFunction("murmur_hash_2")([]byte(test.key)); got != test.murmur {
			t.Errorf("murmur_hash_2 of %q: %d, want %d", test.key, got, test.murmur)
		}
	}
}

func TestSticky(t *testing.T) {
	b := New(Options{})
	sticky := func(e ...topology.Endpoint) *topology.Table {
		c := cluster(e...)
		c.Sticky = "lb_id"
		return tableOf(c)
	}
	b.Apply(sticky(endpoint("a"), endpoint("b"), endpoint("c")))
	r := routeTo(b, "web")
	first, err := b.Acquire(r, &Request{})
	if err != nil {
		t.Fatal(err)
	}
	first.Done(Outcome{Status: 200})
	if !first.SetSticky || first.Endpoint.StickyValue() == "" {
		t.Fatal("the first answer carries no cookie")
	}
	home, cookie := first.Endpoint.ID(), []byte(first.Endpoint.StickyValue())
	if home != "a" {
		t.Fatalf("the first request went to %s", home)
	}
	stays := func(when string) {
		t.Helper()
		for range 5 {
			l, err := b.Acquire(r, &Request{Sticky: cookie})
			if err != nil || l.Endpoint.ID() != home || l.SetSticky {
				t.Fatalf("%s: %v, %v, cookie set: %t", when, l.Endpoint.ID(), err, l.SetSticky)
			}
			l.Done(Outcome{Status: 200})
		}
	}
	stays("at once")
	b.Apply(sticky(endpoint("a"), endpoint("b"), endpoint("c"), endpoint("d")))
	stays("another one joined")
	b.Apply(sticky(endpoint("a"), endpoint("d")))
	stays("others left")
	b.Report(Verdict{Endpoint: "a", Healthy: false})
	l, err := b.Acquire(r, &Request{Sticky: cookie})
	if err != nil || l.Endpoint.ID() != "d" || !l.SetSticky {
		t.Errorf("its own is unhealthy: %v, cookie set: %t; want d and a new cookie", err, l.SetSticky)
	}
	l.Done(Outcome{Status: 200})
	if n := testing.AllocsPerRun(100, func() { take(b, r, &Request{Sticky: cookie}) }); n > 1 { // the Request
		t.Errorf("%v allocations", n)
	}
}

func TestWeightedClusters(t *testing.T) {
	b := New(Options{})
	blue, green := cluster(endpoint("a")), cluster(endpoint("b"))
	blue.Name, green.Name = "blue", "green"
	b.Apply(tableOf(blue, green))
	r := bind(&topology.Route{Clusters: []topology.WeightedCluster{{Name: "blue", Weight: 9}, {Name: "green", Weight: 1}, {Name: "off"}}}, b.View().clusters)
	got := map[string]int{}
	for i := range 10000 {
		q := &Request{Random: mix(uint64(i) + 1)}
		l, err := b.Acquire(r, q)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := b.Acquire(r, q)
		if l.Chosen.Name != l.Cluster.Name() || again.Chosen != l.Chosen {
			t.Fatal("the draw is another one for the second try")
		}
		got[l.Chosen.Name]++
		l.Done(Outcome{Status: 200})
		again.Done(Outcome{Status: 200})
	}
	if got["blue"] < 8800 || got["blue"] > 9200 || got["off"] != 0 {
		t.Errorf("weights 9, 1, 0: %v", got)
	}
}
