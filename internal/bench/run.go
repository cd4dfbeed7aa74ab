package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/dockerlb/dockerlb/internal/freeport"
)

// Options say what to measure.
type Options struct {
	// LB is the program; Reverse the command, without its addresses, that ends
	// in ReverseProxy.
	LB      string
	Reverse []string
	// Variant is another build of lb, measured beside it as one more contender:
	// a change against what was before. Empty: none.
	Variant string
	Rounds  int
	Seconds int      // of each load
	Works   []string // by key; empty: all, and idle connections
	Only    []string // contenders by name; empty: all
	Out     io.Writer
	Log     io.Writer // progress
}

// Keys are what Options.Works may name.
func Keys() []string {
	var keys []string
	for i := range works {
		keys = append(keys, works[i].key)
	}
	return append(keys, idleKey)
}

const idleKey = "idle"

// run is one run of the benchmark.
type run struct {
	o        Options
	tools    tools
	dir      string
	upstream []netip.AddrPort
	started  []*process
	results  map[string]map[string]series // by work, contender
}

// live is a contender that is up.
type live struct {
	contender
	process *process
	addr    netip.AddrPort
}

// Run measures and prints. It takes about Rounds × works × contenders × Seconds;
// ctx ends it earlier, and everything that it has started. Its goroutine must be
// locked to a thread that stays: attributes says why.
func Run(ctx context.Context, o Options) (err error) {
	r, err := begin(o)
	if err != nil {
		return err
	}
	defer r.end()
	r.head()
	if err := r.loads(ctx); err != nil {
		return err
	}
	r.foot()
	if len(o.Works) == 0 || slices.Contains(o.Works, idleKey) {
		return r.idle(ctx)
	}
	return nil
}

// begin finds the tools and starts the backends; end ends all that the run has
// started and removes its files.
func begin(o Options) (r *run, err error) {
	if runtime.GOOS != "linux" {
		return nil, errors.New("bench needs Linux: it reads /proc")
	}
	for _, k := range o.Works {
		if !slices.Contains(Keys(), k) {
			return nil, fmt.Errorf("work %q: want %s", k, strings.Join(Keys(), ", "))
		}
	}
	r = &run{o: o, results: make(map[string]map[string]series)}
	if r.tools, err = findTools(); err != nil {
		return nil, err
	}
	if r.dir, err = os.MkdirTemp("", "lb-bench-"); err != nil {
		return nil, err
	}
	// Readable for all: lb runs as the image's user.
	if err = os.Chmod(r.dir, 0o755); err == nil {
		r.upstream, err = r.backends()
	}
	if err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}

func (r *run) end() {
	for _, p := range slices.Backward(r.started) {
		p.stop()
	}
	os.RemoveAll(r.dir)
}

// start starts a process and has it stopped at the end.
func (r *run) start(name string, cmd *exec.Cmd) (*process, error) {
	p, err := start(name, cmd)
	if err == nil {
		r.started = append(r.started, p)
	}
	return p, err
}

// chosen are the contenders of this run.
func (r *run) chosen() []contender {
	var out []contender
	for _, c := range r.all() {
		if len(r.o.Only) == 0 || slices.Contains(r.o.Only, c.name) {
			out = append(out, c)
		}
	}
	return out
}

// up starts a contender.
func (r *run) up(c contender) (*live, error) {
	dir, err := os.MkdirTemp(r.dir, c.name+"-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	addr, err := freeport.Loopback()
	if err != nil {
		return nil, err
	}
	cmd, err := c.command(dir, addr, r.upstream)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	p, err := r.start(c.name, cmd)
	if err != nil {
		return nil, err
	}
	if err := p.await(addr); err != nil {
		return nil, err
	}
	return &live{contender: c, process: p, addr: addr}, nil
}

// loads measures the chosen works in interleaved rounds.
func (r *run) loads(ctx context.Context) error {
	var chosen []*work
	for i := range works {
		if len(r.o.Works) == 0 || slices.Contains(r.o.Works, works[i].key) {
			chosen = append(chosen, &works[i])
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	var lives []*live
	for _, c := range r.chosen() {
		l, err := r.up(c)
		if err != nil {
			return err
		}
		lives = append(lives, l)
	}
	for _, w := range chosen {
		r.results[w.key] = make(map[string]series)
	}
	for round := range r.o.Rounds + 1 {
		for _, w := range chosen {
			for i := range lives {
				// Each round begins with another one: whatever the one before
				// leaves behind (connections that wait, a hot or throttled
				// machine) does not always hit the same.
				l := lives[(i+round)%len(lives)]
				seconds := r.o.Seconds
				if round == 0 {
					seconds = 1 // warms up, and is not counted
				}
				fmt.Fprintf(r.o.Log, "round %d of %d: %s: %s\n", round, r.o.Rounds, w.key, l.name)
				s, err := r.measure(ctx, w, l, seconds)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", w.title, l.name, err)
				}
				if round > 0 {
					r.results[w.key][l.name] = append(r.results[w.key][l.name], s)
				}
			}
		}
	}
	for _, l := range lives {
		l.process.stop()
	}
	for _, w := range chosen {
		r.table(w, lives)
	}
	return nil
}

func (r *run) measure(ctx context.Context, w *work, l *live, seconds int) (sample, error) {
	before, err := l.process.usage()
	if err != nil {
		return sample{}, err
	}
	load, err := r.wrk(ctx, w, l.addr, seconds)
	if err != nil {
		return sample{}, err
	}
	after, err := l.process.usage()
	if err != nil {
		return sample{}, err
	}
	return newSample(load, before, after), nil
}

// idle measures kept connections, each contender in a fresh process.
func (r *run) idle(ctx context.Context) error {
	few, many, limit := idleCounts()
	if many == 0 {
		fmt.Fprintf(r.o.Out, "idle kept connections: not measured, a process may have only %d descriptors open (ulimit -Hn)\n", limit)
		return nil
	}
	fmt.Fprintf(r.o.Out, "idle kept connections, each after one request and idle for %d s: resident memory's slope from %d to %d\n", int(idleFor.Seconds()), few, many)
	for _, c := range r.chosen() {
		fmt.Fprintf(r.o.Log, "idle connections: %s\n", c.name)
		l, err := r.up(c)
		if err != nil {
			return err
		}
		slope, err := idleSlope(ctx, l.process, l.addr, few, many)
		l.process.stop()
		if err != nil {
			return fmt.Errorf("idle connections: %s: %w", c.name, err)
		}
		fmt.Fprintf(r.o.Out, "  %-14s %6.2f KB each\n", c.name, slope/1e3)
		if c.name == nameLB {
			verdict(r.o.Out, "KB each", slope/1e3, 4, false)
		}
	}
	return nil
}
