package labels

import "strings"

// nearest is the word that was plausibly meant by typo, or "": at most one
// slip for every three characters, and the first of those equally near.
func nearest(typo string, words []string) string {
	best, bestAt := "", max(1, len(typo)/3)+1
	for _, w := range words {
		if d := distance(typo, w, bestAt); d < bestAt {
			best, bestAt = w, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, substitutions and swaps of
// neighbours between a and b (optimal string alignment), or some number of at
// least limit once that is reached.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least >= limit {
			return limit
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// suggest is the key that was plausibly meant by an unknown one (both without
// the prefix and the service), or "".
func suggest(name string) string {
	const longest = 64 // no key is nearly as long; bounds the work
	if len(name) > longest {
		return ""
	}
	words := make([]string, 0, len(schema))
	for i := range schema {
		k := &schema[i]
		words = append(words, k.spelled(name))
	}
	if w := nearest(name, words); w != "" {
		return w
	}
	// max_connections, cluster_name: a key and something more.
	longer := ""
	for _, w := range words {
		if len(w) >= 4 && len(w) > len(longer) && strings.HasPrefix(name, w) {
			longer = w
		}
	}
	return longer
}

// spelled is the key's name; that of a family (header.<name>) with the last
// part that the user wrote.
func (k *key) spelled(name string) string {
	stem, family := strings.CutSuffix(k.name, "<name>")
	if !family {
		return k.name
	}
	dots := strings.Count(stem, ".")
	for range dots {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			break
		}
		name = rest
	}
	return stem + name
}
