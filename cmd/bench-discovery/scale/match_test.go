package scale

import "testing"

func TestBenchmarkLines(t *testing.T) {
	hit := benchLine.FindStringSubmatch("x\nBenchmarkMatch10000/exact-host-2   \t  500000\t       249.5 ns/op\t       0 B/op\t       3 allocs/op\n")
	if hit == nil || hit[1] != "10000" || hit[2] != "exact-host" || hit[3] != "249.5" || hit[4] != "3" {
		t.Errorf("%q", hit)
	}
}
