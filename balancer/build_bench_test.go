package balancer

import "testing"

// What a publish costs, by policy, with 1,000 members.
func BenchmarkPublish1000(b *testing.B) {
	for _, policy := range policies {
		b.Run(policy, func(b *testing.B) {
			c := cluster(hosts(1000)...)
			c.Policy = policy
			lb := New(Options{})
			lb.Apply(tableOf(c))
			one, two := *tableOf(c), *tableOf(c)
			two.Clusters[0].HoldMax = 7
			for i := 0; b.Loop(); i++ {
				if i%2 == 0 {
					lb.Apply(&two)
				} else {
					lb.Apply(&one)
				}
			}
		})
	}
}
