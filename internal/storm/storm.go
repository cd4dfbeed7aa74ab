package storm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Options of a storm. Zero values are not defaults, but for those said.
type Options struct {
	// Seeds are storms of their own over the same proxy, one after the other.
	Seeds []uint64
	Rate  int // requests per second
	// Limit: no operation of a seed begins later. 0: all are done.
	Limit time.Duration
	// Rest is how long the proxy is left in peace before what it holds is read,
	// after the first seed and after the last; 0: it is not read.
	Rest time.Duration
	// Hold is lb.hold of the services; 0: its default. A machine with other
	// work may need longer than that to recreate a container, which is no fault
	// of the proxy's: what has been held for so long then may fail.
	Hold time.Duration
	// Only are the names of the operations to do; none: all.
	Only []string

	Socket  string   // of the engine
	Compose []string // the command
	Images  Images
	// Second starts a second engine; nil: there is none.
	Second func() (*Second, error)
	// Target is another proxy to aim at: haproxy, nginx or http://HOST:PORT.
	Target string

	// Progress is told what happens, line by line.
	Progress io.Writer
}

// Report is what came of a storm.
type Report struct {
	// Rows are one per operation, all seeds together.
	Rows []Row
	// Start and End are what the proxy held after the first seed and after the
	// last, where Options.Rest asks for it.
	Start, End *Usage
	// Missing are the operations that this machine cannot do, with the reason.
	Missing []string
}

// Pass says whether every operation passed. Where none took place, nothing was
// shown.
func (r *Report) Pass() bool {
	return len(r.Rows) > 0 && !slices.ContainsFunc(r.Rows, func(row Row) bool { return !row.Pass() }) && r.Leak() == nil
}

// Leak says what the proxy holds more of at the end than at the start; nil:
// nothing, or nobody looked.
func (r *Report) Leak() error {
	if r.Start == nil || r.End == nil {
		return nil
	}
	return r.Start.grown(*r.End)
}

// Run sets the stages, sends the storm over them and removes them. The error is
// of a stage, or that ctx has ended; losses are in the report, which with an
// error is of the seeds that were over by then.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	all, missing, err := choose(o.Only)
	if err != nil {
		return nil, err
	}
	report = &Report{Missing: missing}
	for _, where := range []place{inContainer, onThisHost, besideSecond} {
		var ours []operation
		for _, op := range all {
			if op.place == where {
				ours = append(ours, op)
			}
		}
		switch {
		case len(ours) == 0, where != inContainer && o.Target != "":
			continue
		case where == besideSecond && o.Second == nil:
			report.Missing = append(report.Missing, fmt.Sprintf("%s: %v", ours[0].name, errNoSecond))
			continue
		}
		if err := report.run(ctx, o, ours, where); err != nil {
			return report, err
		}
	}
	return report, nil
}

// run sets a stage and sends all seeds over it.
func (r *Report) run(ctx context.Context, o Options, all []operation, where place) (err error) {
	t, err := newTarget(o.Target)
	if err != nil {
		return err
	}
	var second *Second
	if where == besideSecond {
		if second, err = o.Second(); err != nil {
			return err
		}
	}
	s, err := newStage(o, t, where, second)
	if err != nil {
		if second != nil {
			err = errors.Join(err, second.Close())
		}
		return err
	}
	defer func() { err = errors.Join(err, s.down()) }()
	fmt.Fprintf(o.Progress, "%d requests/s: setting the stage\n", o.Rate)
	if err := s.up(ctx); err != nil {
		return err
	}
	// What a process held says nothing where it was replaced.
	look := o.Rest > 0 && t == nil && where == inContainer
	for i, seed := range o.Seeds {
		if where != inContainer && i > 0 {
			break // few operations, of which one seed shows as much as many
		}
		fmt.Fprintf(o.Progress, "seed %d\n", seed)
		rows, err := s.blow(ctx, o, seed, plan(seed, all))
		if err != nil {
			return err
		}
		for _, row := range rows {
			r.add(seed, row)
		}
		if look && i == 0 {
			if r.Start, err = s.usage(ctx, o); err != nil {
				return err
			}
		}
	}
	if look {
		r.End, err = s.usage(ctx, o)
	}
	return err
}

// usage leaves the proxy in peace and reads what it still holds.
func (s *stage) usage(ctx context.Context, o Options) (*Usage, error) {
	if err := rest(o.Rest).do(ctx, s, nil); err != nil {
		return nil, err
	}
	u, err := readUsage(ctx, s.admin)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Progress, "at rest: %v\n", u)
	return &u, nil
}

// add joins the row of a seed to those of the same operation before.
func (r *Report) add(seed uint64, row Row) {
	for i := range row.Faults {
		row.Faults[i] = fmt.Sprintf("seed %d: %s", seed, row.Faults[i])
	}
	i := slices.IndexFunc(r.Rows, func(o Row) bool { return o.Operation == row.Operation })
	if i < 0 {
		r.Rows = append(r.Rows, row)
		return
	}
	r.Rows[i].join(&row)
}

// defaultHold is that of the label.
const defaultHold = 5 * time.Second

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
func (s *stage) blow(ctx context.Context, o Options, seed uint64, plan []planned) ([]Row, error) {
	// Whose daemons they are is known from when they came up; what they processed
	// is of the seeds before.
	clear(s.ledger.posts)
	l := &load{
		client: &client{address: s.address}, seed: seed, interval: time.Second / time.Duration(o.Rate),
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
		w := &window{planned: p, number: i, hold: cmp.Or(o.Hold, defaultHold)}
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

	if err := s.ledger.read(s.record); err != nil {
		return nil, err
	}
	byWindow := make(map[int][]sample)
	for _, smp := range l.samples {
		byWindow[smp.window] = append(byWindow[smp.window], smp)
	}
	rows := make([]Row, len(windows))
	for i, w := range windows {
		rows[i] = judge(w, byWindow[w.number], s.ledger, l.start)
		if !rows[i].Pass() {
			rows[i].Evidence = append(rows[i].Evidence, s.log(ctx, w.from, w.to)...)
		}
	}
	return rows, nil
}
