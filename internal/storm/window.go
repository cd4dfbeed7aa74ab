package storm

import (
	"context"
	"fmt"
	"time"
)

// window is the time of one operation.
type window struct {
	planned
	number   int
	hold     time.Duration // how long the proxy holds requests; 0: not said
	from, to time.Time
	mark     time.Time // set by the operation, where its allowance is early
	ran      []stepTime
	grown    string // of the proxy's counters, meanwhile
	err      error  // of a step: then the operation did not take place
}

// stepTime is when a step ran.
type stepTime struct {
	text     string
	from, to time.Time
}

// run does the operation's steps and waits for the tail.
func (w *window) run(ctx context.Context, s *stage) {
	// Without the proxy's own account the evidence is poorer, and as valid.
	before, _ := s.counters(ctx)
	w.from = time.Now()
	for _, st := range w.planned.steps {
		from := time.Now()
		if err := st.do(ctx, s, w); err != nil {
			w.err = fmt.Errorf("%s: %w", st.text, err)
			break
		}
		w.ran = append(w.ran, stepTime{st.text, from, time.Now()})
	}
	if err := rest(tail).do(ctx, s, w); err != nil && w.err == nil {
		w.err = err
	}
	w.to = time.Now()
	if after, err := s.counters(ctx); err == nil {
		w.grown = after.since(before, w.service)
	}
}

// around says what was going on at a time: the steps that ran then, or the one
// before.
func (w *window) around(t time.Time) string {
	text := "before the first step"
	for _, st := range w.ran {
		if t.Before(st.from) {
			break
		}
		if t.Before(st.to) {
			return fmt.Sprintf("%v into %q", t.Sub(st.from).Round(time.Millisecond), st.text)
		}
		text = fmt.Sprintf("%v after %q", t.Sub(st.to).Round(time.Millisecond), st.text)
	}
	return text
}
