package storm

import (
	"bufio"
	"fmt"
	"io"
	"os"
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
}

// processing is one time that a request was processed.
type processing struct {
	daemon string
	at     time.Time
}

// daemonLife is one process of a backend.
type daemonLife struct {
	listening, signalled, ended time.Time // zero: not seen
	first, last                 time.Time // requests
}

func readLedger(path string) (*ledger, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseLedger(f)
}

func parseLedger(r io.Reader) (*ledger, error) {
	l := &ledger{posts: map[string][]processing{}, daemons: map[string]*daemonLife{}}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) < 3 {
			return nil, fmt.Errorf("record line %d: %q", n, lines.Text())
		}
		nanos, err := strconv.ParseInt(words[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("record line %d: %w", n, err)
		}
		l.add(time.Unix(0, nanos), words[1], words[2:])
	}
	return l, lines.Err()
}

func (l *ledger) add(at time.Time, daemon string, event []string) {
	d := l.daemons[daemon]
	if d == nil {
		d = &daemonLife{}
		l.daemons[daemon] = d
	}
	switch event[0] {
	case "listening":
		d.listening = at
	case "signal":
		if d.signalled.IsZero() {
			d.signalled = at
		}
	case "end":
		d.ended = at
	default: // METHOD path [id]
		if d.first.IsZero() {
			d.first = at
		}
		d.last = at
		if event[0] == "POST" && len(event) == 3 {
			l.posts[event[2]] = append(l.posts[event[2]], processing{daemon, at})
		}
	}
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

// away is the longest time between from and to in which none of these daemons
// served: before it listened, after its stop signal or its end. Zero: none.
func (l *ledger) away(daemons map[string]bool, from, to time.Time) (gone, back time.Time) {
	type span struct{ from, to time.Time }
	var served []span
	for id := range daemons {
		d, s := l.daemons[id], span{from, to}
		if d.listening.After(from) {
			s.from = d.listening
		}
		for _, end := range []time.Time{d.signalled, d.ended} {
			if !end.IsZero() && end.Before(s.to) {
				s.to = end
			}
		}
		if s.from.Before(s.to) {
			served = append(served, s)
		}
	}
	slices.SortFunc(served, func(a, b span) int { return a.from.Compare(b.from) })
	at := from // until when somebody has served
	for _, s := range append(served, span{to, to}) {
		if s.from.Sub(at) > back.Sub(gone) {
			gone, back = at, s.from
		}
		if s.to.After(at) {
			at = s.to
		}
	}
	return gone, back
}

func within(t, from, to time.Time) bool { return !t.Before(from) && t.Before(to) }
