package topology

import "slices"

// mergeSorted puts the added, in any order, into the sorted list and returns
// it: at the cost of a comparison or two each, not of sorting all again. Both
// are written.
func mergeSorted[T any](sorted, added []T, compare func(a, b T) int) []T {
	if len(added) == 0 {
		return sorted
	}
	slices.SortFunc(added, compare)
	from := len(sorted)
	sorted = append(sorted, added...)
	to := len(sorted)
	for i := len(added) - 1; i >= 0; i-- {
		at, _ := slices.BinarySearchFunc(sorted[:from], added[i], compare)
		to -= from - at
		copy(sorted[to:], sorted[at:from])
		to--
		sorted[to] = added[i]
		from = at
	}
	return sorted
}
