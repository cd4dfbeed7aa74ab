package balancer

import (
	"fmt"
	"strings"
	"testing"
)

// The seed's example: two daemons in strict alternation.
func TestRoundRobinAlternates(t *testing.T) {
	b := New(Options{})
	b.Apply(tableOf(cluster(endpoint("a"), endpoint("b"))))
	r := routeTo(b, "web")
	var got strings.Builder
	for range 10 {
		got.WriteString(take(b, r, &Request{}))
	}
	if want := "ababababab"; got.String() != want {
		t.Errorf("ten requests went to %s, want %s", got.String(), want)
	}
}

// The rotation goes on where it was when a table that changes nothing here, or
// a member more, arrives.
func TestRoundRobinKeepsItsPlace(t *testing.T) {
	b := New(Options{})
	b.Apply(tableOf(cluster(endpoint("a"), endpoint("b"))))
	r := routeTo(b, "web")
	var got strings.Builder
	for i := range 6 {
		got.WriteString(take(b, r, &Request{}))
		other := cluster(endpoint(fmt.Sprint("x", i)))
		other.Name = "other"
		b.Apply(tableOf(other, cluster(endpoint("a"), endpoint("b"))))
	}
	if want := "ababab"; got.String() != want {
		t.Errorf("with other tables in between: %s, want %s", got.String(), want)
	}
}

func TestAcquireAllocatesNothing(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy, func(t *testing.T) {
			b := New(Options{})
			c := cluster(endpoint("a"), endpoint("b"), endpoint("c"))
			c.Policy = policy
			b.Apply(tableOf(c))
			r := routeTo(b, "web")
			q := new(Request)
			if n := testing.AllocsPerRun(1000, func() {
				_ = b.View()
				l, err := b.Acquire(r, q)
				if err != nil {
					t.Fatal(err)
				}
				l.Done(Outcome{Status: 200})
			}); n != 0 {
				t.Errorf("%s: %v allocations for a request, want 0", policy, n)
			}
		})
	}
}

var policies = []string{"round_robin", "least_request", "random", "ring_hash", "maglev"}

func BenchmarkAcquireRoundRobin(b *testing.B) {
	lb := New(Options{})
	lb.Apply(tableOf(cluster(endpoint("a"), endpoint("b"))))
	r := routeTo(lb, "web")
	b.Run("one", func(b *testing.B) {
		q := new(Request)
		b.ReportAllocs()
		for b.Loop() {
			l, _ := lb.Acquire(r, q)
			l.Done(Outcome{Status: 200})
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			q := new(Request)
			for pb.Next() {
				l, _ := lb.Acquire(r, q)
				l.Done(Outcome{Status: 200})
			}
		})
	})
}
