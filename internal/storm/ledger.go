package storm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ledger is what the backends say of themselves: the file that each of them
// appends to (cmd/daemon, DAEMON_RECORD).
type ledger struct {
	posts   map[string][]processing // by request id
	daemons map[string]*daemonLife  // by daemon id
	lines   int                     // read so far
}

// processing is one time that a request was processed.
type processing struct {
	daemon string
	at     time.Time
}

// daemonLife is one process of a backend.
type daemonLife struct {
	service                     string    // empty: it did not say
	listening, signalled, ended time.Time // zero: not seen
	first, last                 time.Time // requests
}

func newLedger() *ledger {
	return &ledger{posts: map[string][]processing{}, daemons: map[string]*daemonLife{}}
}

// read adds what is left of a record.
func (l *ledger) read(r io.Reader) error {
	for lines := bufio.NewScanner(r); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		l.lines++
		if err := l.add(strings.Fields(lines.Text())); err != nil {
			return fmt.Errorf("record line %d: %q: %w", l.lines, lines.Text(), err)
		}
	}
}

var errNoRecord = errors.New("want TIME DAEMON and listening [SERVICE], signal, end or METHOD /PATH [ID]")

// add is strict: a line that is not understood could be the one that would have
// shown a loss.
func (l *ledger) add(words []string) error {
	if len(words) < 3 {
		return errNoRecord
	}
	nanos, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return err
	}
	at, daemon, event := time.Unix(0, nanos), words[1], words[2:]
	d := l.daemons[daemon]
	if d == nil {
		d = &daemonLife{}
		l.daemons[daemon] = d
	}
	switch {
	case event[0] == "listening" && len(event) <= 2:
		d.listening = at
		if len(event) == 2 {
			d.service = event[1]
		}
	case event[0] == "signal" && len(event) == 1:
		if d.signalled.IsZero() {
			d.signalled = at
		}
	case event[0] == "end" && len(event) == 1:
		d.ended = at
	case (len(event) == 2 || len(event) == 3) && strings.HasPrefix(event[1], "/"):
		if d.first.IsZero() {
			d.first = at
		}
		d.last = at
		if event[0] == "POST" && len(event) == 3 {
			l.posts[event[2]] = append(l.posts[event[2]], processing{daemon, at})
		}
	default:
		return errNoRecord
	}
	return nil
}

// join is how long after it listened a backend got its first request: the
// slowest of those that began in this time. Zero: none did.
func (l *ledger) join(from, to time.Time) (slowest time.Duration) {
	for _, d := range l.daemons {
		if within(d.listening, from, to) && !d.first.IsZero() {
			slowest = max(slowest, d.first.Sub(d.listening))
		}
	}
	return slowest
}

// leave is how long after its stop signal a backend got its last request: the
// slowest of those that were stopped in this time, if any was.
func (l *ledger) leave(from, to time.Time) (slowest time.Duration, any bool) {
	for _, d := range l.daemons {
		if within(d.signalled, from, to) {
			slowest, any = max(slowest, d.last.Sub(d.signalled)), true
		}
	}
	return slowest, any
}

// stops are the moments at which backends got their stop signals.
func (l *ledger) stops(from, to time.Time) []time.Time {
	var all []time.Time
	for _, d := range l.daemons {
		if within(d.signalled, from, to) {
			all = append(all, d.signalled)
		}
	}
	return all
}

// span is a time in which something lasted.
type span struct{ from, to time.Time }

func (s span) length() time.Duration { return s.to.Sub(s.from) }

// left says whether the process had its stop signal, or ended, by this time.
func (d *daemonLife) left(by time.Time) bool {
	return !d.signalled.IsZero() && d.signalled.Before(by) || !d.ended.IsZero() && d.ended.Before(by)
}

// stopped is when a process was no longer there to be served by. That is its stop
// signal, from which on a proxy is to send nothing new; the requests that it got
// just after were on their way. One that got more goes on serving
// (DAEMON_ON_TERM: ignore), until its end or, where it was killed and wrote none,
// at least until its last request. Zero: it serves still, or died without a
// word, which nobody is to be excused by.
func (d *daemonLife) stopped() time.Time {
	switch {
	case d.signalled.IsZero():
		return d.ended
	case d.last.After(d.signalled.Add(settled)):
		return later(d.ended, d.last)
	}
	return later(d.signalled, d.last)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// gaps are the times between from and to in which no daemon of the service
// served. It counts from when it listened, routed or not. Of a service that no
// daemon has named nothing is known: there are none.
func (l *ledger) gaps(service string, from, to time.Time) []span {
	var served []span
	for _, d := range l.daemons {
		if d.service != service || d.listening.IsZero() {
			continue
		}
		until := d.stopped()
		if until.IsZero() {
			until = to
		}
		served = append(served, span{d.listening, until})
	}
	if len(served) == 0 {
		return nil
	}
	slices.SortFunc(served, func(a, b span) int { return a.from.Compare(b.from) })
	var gaps []span
	at := from // until when somebody has served
	for _, s := range append(served, span{to, to}) {
		if s.from.After(to) {
			s.from = to
		}
		if s.from.After(at) {
			gaps = append(gaps, span{at, s.from})
		}
		if s.to.After(at) {
			at = s.to
		}
	}
	return gaps
}

func within(t, from, to time.Time) bool { return !t.Before(from) && t.Before(to) }
