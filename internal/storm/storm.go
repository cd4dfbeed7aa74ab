package storm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Options of a storm. Zero values are not defaults, but for those said.
type Options struct {
	Seed uint64
	Rate int // requests per second
	// Limit: no operation begins later. 0: all are done.
	Limit time.Duration
	// Only are the names of the operations to do; none: all.
	Only []string

	Socket  string   // of the engine
	Compose []string // the command
	Images  Images

	// Progress is told what happens, line by line.
	Progress io.Writer
}

// Report is what came of a storm.
type Report struct {
	Rows []Row
	// Missing are the operations that this machine cannot do, with the reason.
	Missing []string
}

// Pass says whether every operation passed.
func (r *Report) Pass() bool {
	return !slices.ContainsFunc(r.Rows, func(row Row) bool { return !row.Pass() })
}

// Run sets the stage, sends the storm over it and removes it. The error is of
// the stage; losses are in the report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	all, missing, err := choose(o.Only)
	if err != nil {
		return nil, err
	}
	s, err := newStage(o.Socket, o.Images, o.Compose)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.down()) }()
	fmt.Fprintf(o.Progress, "seed %d, %d requests/s: setting the stage\n", o.Seed, o.Rate)
	if err := s.up(ctx); err != nil {
		return nil, err
	}
	report = &Report{Missing: missing}
	report.Rows, err = s.blow(ctx, o, plan(o.Seed, all))
	return report, err
}

// choose are the operations to do, and those that cannot be done here.
func choose(only []string) (all []operation, missing []string, err error) {
	known := operations()
	for _, name := range only {
		if !slices.ContainsFunc(known, func(op operation) bool { return op.name == name }) {
			return nil, nil, fmt.Errorf("no operation is named %q", name)
		}
	}
	for _, op := range known {
		if len(only) > 0 && !slices.Contains(only, op.name) {
			continue
		}
		var lacks error
		for _, n := range op.needs {
			lacks = errors.Join(lacks, n())
		}
		if lacks != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", op.name, lacks))
			continue
		}
		all = append(all, op)
	}
	return all, missing, nil
}

// warmUp is how long the load runs before the first operation.
const warmUp = time.Second

// blow runs the load and, one after the other, the operations.
func (s *stage) blow(ctx context.Context, o Options, plan []planned) ([]Row, error) {
	l := &load{
		client: &client{address: s.address}, seed: o.Seed, interval: time.Second / time.Duration(o.Rate),
		calm: host("calm"), start: time.Now(),
	}
	l.focus.Store(&focus{window: -1, host: host("calm")})
	sending, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.run(sending)
	}()
	err := rest(warmUp).do(ctx, s, nil)

	var windows []*window
	for i, p := range plan {
		if err != nil || o.Limit > 0 && l.since() > o.Limit {
			break
		}
		w := &window{planned: p, number: i}
		windows = append(windows, w)
		fmt.Fprintf(o.Progress, "%6.1f s  %v\n", l.since().Seconds(), p)
		l.focus.Store(&focus{window: i, host: host(p.service)})
		w.run(ctx, s)
		if w.err != nil {
			fmt.Fprintf(o.Progress, "          %v\n", w.err)
		}
		err = ctx.Err()
	}
	l.focus.Store(&focus{window: -1, host: host("calm")})
	stop()
	<-ended
	if err != nil {
		return nil, err
	}

	ledger, err := readLedger(s.record())
	if err != nil {
		return nil, err
	}
	byWindow := make(map[int][]sample)
	for _, smp := range l.samples {
		byWindow[smp.window] = append(byWindow[smp.window], smp)
	}
	rows := make([]Row, len(windows))
	for i, w := range windows {
		rows[i] = judge(w, byWindow[w.number], ledger, l.start)
	}
	return rows, nil
}
