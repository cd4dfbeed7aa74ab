package bench

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// head says what is measured, and on what.
func (r *run) head() {
	o := r.o.Out
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	fmt.Fprintf(o, "Linux %s, %d CPUs, %s, load %s; loopback; %d rounds of %d s, median (min–max)\n",
		strings.TrimSpace(string(kernel)), runtime.NumCPU(), runtime.Version(), loadAverage(), r.o.Rounds, r.o.Seconds)
	fmt.Fprintf(o, "backends: %d × %s, one worker each; load: %s, one thread\n",
		backendCount, r.tools.version(nameNginx), r.tools.version("wrk"))
	for _, c := range r.chosen() {
		fmt.Fprintf(o, "  %-14s %s\n", c.name, c.what)
	}
	fmt.Fprintln(o, "×H and ×N are ratios to HAProxy and nginx in the same round; CPU is the process's own, user and system")
	fmt.Fprintln(o)
}

// foot: a machine that does much else at the end did so during the run.
func (r *run) foot() { fmt.Fprintf(r.o.Out, "load at the end: %s\n\n", loadAverage()) }

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	return one
}

func (r *run) table(w *work, lives []*live) {
	o := r.o.Out
	fmt.Fprintf(o, "%s  [%s]\n", w.title, w.key)
	t := tabwriter.NewWriter(o, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\trequests/s\t\t×H\t×N\tCPU µs/request\t\t×H\t×N\tp50 ms\tp99 ms\t\tRSS MiB\tfailed\t")
	results := r.results[w.key]
	for _, l := range lives {
		s := results[l.name]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f\t%d\t\n", l.name,
			spread(s.of(requestsPerSecond), 0), r.beside(w, l.name, requestsPerSecond),
			spread(s.of(cpuPerRequest), 1), r.beside(w, l.name, cpuPerRequest),
			fmt.Sprintf("%.2f", median(s.of(p50))), spread(s.of(p99), 1), median(s.of(resident)), s.failures())
	}
	t.Flush()
	for _, v := range w.targets {
		r.judge(w, &v)
	}
	fmt.Fprintln(o)
}

// spread is a median and what is around it, as two cells.
func spread(v []float64, digits int) string {
	if len(v) == 0 {
		return "–\t"
	}
	return fmt.Sprintf("%.*f\t(%.*f–%.*f)", digits, median(v), digits, slices.Min(v), digits, slices.Max(v))
}

// beside is the ratios to the two peers, as two cells.
func (r *run) beside(w *work, name string, f figure) string {
	var cells []string
	for _, peer := range []string{nameHAProxy, nameNginx} {
		cell := "–"
		if v := r.results[w.key][name].ratios(r.results[w.key][peer], f); len(v) > 0 {
			cell = fmt.Sprintf("%.2f", median(v))
		}
		cells = append(cells, cell)
	}
	return strings.Join(cells, "\t")
}

// judge says whether a target is met.
func (r *run) judge(w *work, v *target) {
	results := r.results[w.key]
	worst, seen := 0.0, false
	for _, peer := range v.to {
		ratios := results[nameLB].ratios(results[peer], v.figure)
		if len(ratios) == 0 {
			continue
		}
		m := median(ratios)
		if !seen || v.least && m < worst || !v.least && m > worst {
			worst, seen = m, true
		}
	}
	if !seen {
		return
	}
	what := "CPU per request"
	if v.figure == requestsPerSecond {
		what = "requests/s"
	}
	verdict(r.o.Out, fmt.Sprintf("× %s's %s", strings.Join(v.to, "'s and "), what), worst, v.limit, v.least)
}

// verdict prints one line: met, or missed and by how much.
func verdict(o io.Writer, what string, is, limit float64, least bool) {
	bound, met := "at most", is <= limit
	if least {
		bound, met = "at least", is >= limit
	}
	if met {
		fmt.Fprintf(o, "  met:    %.2f %s (target: %s %.2f)\n", is, what, bound, limit)
		return
	}
	fmt.Fprintf(o, "  missed: %.2f %s (target: %s %.2f): by %.0f %%\n", is, what, bound, limit, 100*max(is/limit-1, 1-is/limit))
}

// all are the contenders, and a second build of lb where one is asked for.
func (r *run) all() []contender {
	all := r.contenders()
	if r.o.Variant == "" {
		return all
	}
	variant := *r
	variant.o.LB = r.o.Variant
	return slices.Insert(all, 1, contender{"variant", r.o.Variant + ", as lb", variant.lb})
}
