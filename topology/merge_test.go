package topology

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestMergeSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		perm := r.Perm(r.IntN(40))
		n := r.IntN(len(perm) + 1)
		list, added := slices.Sorted(slices.Values(perm[:n])), slices.Clone(perm[n:])
		want := slices.Sorted(slices.Values(perm))
		if got := mergeSorted(list, added, cmp.Compare[int]); !slices.Equal(got, want) {
			t.Fatalf("%v into %v gives %v", perm[n:], perm[:n], got)
		}
	}
}
