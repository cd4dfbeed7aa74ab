// Package scale measures what thousands of containers cost: it runs the real
// lb as a process beside a fake engine in a process of its own, which speaks
// the real API over a unix socket, and reads lb's cost from /proc.
package scale

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// layout is how the containers are spread.
type layout struct {
	name          string
	clusters, per int
	hosts         bool // each cluster on a host of its own
}

func (l layout) containers() int { return l.clusters * l.per }

var layouts = []layout{
	{"500 clusters of 10", 500, 10, true},
	{"1 cluster of 5,000", 1, 5000, false},
	{"5,000 clusters of 1, each with a host", 5000, 1, true},
}

// The limits that the figures are held against.
const (
	viewLimit   = time.Second
	memoryLimit = 150 // MiB
	eventLimit  = 5 * time.Millisecond
	burstLimit  = time.Second
	matchLimit  = 2
)

const (
	idleFor    = 20 * time.Second // more than one full list
	events     = 200              // single ones, of each kind
	eventEvery = 25 * time.Millisecond
	burst      = 1000 // within a second
	burstLost  = 10   // one in so many is never told
)

// Run measures and prints. It is to be called in the module's root: it builds
// the programs that it runs. With a name it measures that layout alone.
func Run(ctx context.Context, out io.Writer, only string) error {
	dir, err := os.MkdirTemp("", "lb-scale")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, p := range [...]string{"./cmd/lb", "./internal/fakeengine/cmd/fakeengine"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", p)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build of %s: %w", p, err)
		}
	}
	for _, l := range layouts {
		if only != "" && only != l.name {
			continue
		}
		fmt.Fprintf(out, "%s\n", l.name)
		m := &measurement{out: out, layout: l, dir: dir}
		if err := m.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return match(ctx, dir, out)
}

// measurement is one layout's.
type measurement struct {
	out    io.Writer
	layout layout
	dir    string
	engine *engine
	lb     *lb
	idle   float64 // share of a core that lb needs where nothing happens
}

func (m *measurement) run(ctx context.Context) error {
	var err error
	m.engine, err = startEngine(ctx, filepath.Join(m.dir, "fakeengine"), filepath.Join(m.dir, "docker.sock"), m.layout)
	if err != nil {
		return err
	}
	defer m.engine.end()
	m.lb, err = startLB(ctx, filepath.Join(m.dir, "lb"), m.dir, m.engine.host())
	if err != nil {
		return err
	}
	defer m.lb.end()
	for _, step := range [...]func(context.Context) error{m.start, m.rest, m.singles, m.burst} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// figure prints a line: a figure, and whether it keeps its limit.
func (m *measurement) figure(what, value, limit string, kept bool) {
	figure(m.out, what, value, limit, kept)
}

func figure(out io.Writer, what, value, limit string, kept bool) {
	verdict := ""
	if limit != "" {
		verdict = "limit " + limit
		if !kept {
			verdict += ": EXCEEDED"
		}
	}
	fmt.Fprintf(out, "  %-44s %14s  %s\n", what, value, verdict)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
