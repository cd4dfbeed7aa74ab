package main

import (
	"slices"
	"testing"
)

func TestNaturalOrder(t *testing.T) {
	want := []string{"", "1", "2", "10", "a", "a1b", "a1c", "a02", "a2", "a10", "b", "daemon", "daemon_1", "daemon_2", "daemon_10", "daemon_10_1", "daemon_99999999999999999999998", "daemon_99999999999999999999999", "e"}
	for i := range want {
		for j := range want {
			if got := natural(want[i], want[j]); got < 0 != (i < j) || got == 0 != (i == j) {
				t.Errorf("natural(%q, %q) = %d", want[i], want[j], got)
			}
		}
	}
	shuffled := []string{"d_10", "d_9", "d_1"}
	if slices.SortFunc(shuffled, natural); !slices.Equal(shuffled, []string{"d_1", "d_9", "d_10"}) {
		t.Errorf("%v", shuffled)
	}
}
