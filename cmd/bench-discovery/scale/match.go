package scale

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

var benchLine = regexp.MustCompile(`(?m)^BenchmarkMatch(10|10000)/([^\s-]+(?:-[a-z]+)*)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op\s+\d+ B/op\s+(\d+) allocs/op`)

// matchRounds is how often few and many routes are measured, in turns: what
// else the machine does strikes both, and the median round is shown.
const matchRounds = 7

// cost is what a match takes in one round, in nanoseconds.
type cost struct{ few, many float64 }

func (c cost) ratio() float64 { return c.many / c.few }

// match prints what the router's own benchmarks say: a match among 10,000
// routes against one among 10. dir is for their binary.
func match(ctx context.Context, dir string, out io.Writer) error {
	binary := filepath.Join(dir, "router.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./router")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("the router's benchmarks: %w", err)
	}
	rounds := map[string][]cost{}
	allocations := 0
	for range matchRounds {
		cmd := exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", "^BenchmarkMatch", "-test.benchtime", "50ms")
		cmd.Stderr = os.Stderr
		text, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("the router's benchmarks: %w\n%s", err, text)
		}
		round := map[string]cost{}
		for _, hit := range benchLine.FindAllStringSubmatch(string(text), -1) {
			c := round[hit[2]]
			ns, _ := strconv.ParseFloat(hit[3], 64)
			n, _ := strconv.Atoi(hit[4])
			allocations += n
			if hit[1] == "10000" {
				c.many = ns
			} else {
				c.few = ns
			}
			round[hit[2]] = c
		}
		if len(round) == 0 {
			return fmt.Errorf("the router's benchmarks say nothing:\n%s", text)
		}
		for name, c := range round {
			rounds[name] = append(rounds[name], c)
		}
	}
	fmt.Fprintln(out, "a match among 10,000 routes, against 10")
	for _, name := range slices.Sorted(maps.Keys(rounds)) {
		all := rounds[name]
		slices.SortFunc(all, func(a, b cost) int { return cmp.Compare(a.ratio(), b.ratio()) })
		c := all[len(all)/2]
		figure(out, name, fmt.Sprintf("%.0f / %.0f ns = %.2f", c.many, c.few, c.ratio()), strconv.Itoa(matchLimit), c.ratio() <= matchLimit)
	}
	figure(out, "allocations", strconv.Itoa(allocations), "0", allocations == 0)
	return nil
}
