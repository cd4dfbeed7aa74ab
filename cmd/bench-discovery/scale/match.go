package scale

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
)

var benchLine = regexp.MustCompile(`(?m)^BenchmarkMatch(10|10000)/([^\s-]+(?:-[a-z]+)*)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op\s+\d+ B/op\s+(\d+) allocs/op`)

// match prints what the router's own benchmarks say: a match among 10,000
// routes against one among 10, the best of a few runs each.
func match(ctx context.Context, out io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkMatch", "-benchtime", "100ms", "-count", "3", "./router")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("the router's benchmarks: %w\n%s", err, text)
	}
	type cost struct{ few, many float64 }
	costs := map[string]*cost{}
	var names []string
	allocations := 0
	for _, hit := range benchLine.FindAllStringSubmatch(string(text), -1) {
		c := costs[hit[2]]
		if c == nil {
			c = &cost{}
			costs[hit[2]] = c
			names = append(names, hit[2])
		}
		ns, _ := strconv.ParseFloat(hit[3], 64)
		n, _ := strconv.Atoi(hit[4])
		allocations += n
		at := &c.few
		if hit[1] == "10000" {
			at = &c.many
		}
		if *at == 0 || ns < *at {
			*at = ns
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("the router's benchmarks say nothing:\n%s", text)
	}
	slices.Sort(names)
	fmt.Fprintln(out, "a match among 10,000 routes, against 10")
	for _, name := range names {
		c := costs[name]
		ratio := c.many / c.few
		figure(out, name, fmt.Sprintf("%.0f / %.0f ns = %.2f", c.many, c.few, ratio), strconv.Itoa(matchLimit), ratio <= matchLimit)
	}
	figure(out, "allocations", strconv.Itoa(allocations), "0", allocations == 0)
	return nil
}
