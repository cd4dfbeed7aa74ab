package storm

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// tooLate is how late a request may be sent: beyond, the load was not what it
// says.
const tooLate = 2 * time.Second

// closeToStop is how near a request must be to a stop signal to count as near
// it.
const closeToStop = 2 * time.Millisecond

// Row is one operation's line of the table.
type Row struct {
	Operation string
	Sent      int
	// Failed counts by kind of failure, the calm cluster's too.
	Failed map[string]int
	// Idempotent and Posts are the failures of each; Calm those of the cluster
	// that nothing was done to.
	Idempotent, Posts, Calm int
	NearStop                int
	Twice                   int
	// Cut are the open WebSockets that ended. Those that may not are failures of
	// the kind "ws".
	Cut int
	// Beyond are failures that count for nothing: the engine was longer in
	// bringing the service's last member back than the proxy is asked to hold
	// requests, and these had been held for that long.
	Beyond  int
	Longest time.Duration
	// Late is how late the storm itself was, at most, in sending a request.
	Late time.Duration
	// Join is the slowest time from listening to the first request; zero: none
	// joined. Leave is the slowest time from the stop signal to the last
	// request; below zero: nobody left.
	Join, Leave time.Duration
	Allowed     string
	// Faults are the reasons not to pass.
	Faults []string
	// Evidence is the first failures, with what was going on.
	Evidence []string
}

// Pass says whether the operation caused no more than it may.
func (r *Row) Pass() bool { return len(r.Faults) == 0 }

// join adds another row of the same operation to r.
func (r *Row) join(o *Row) {
	r.Sent += o.Sent
	for kind, n := range o.Failed {
		r.Failed[kind] += n
	}
	r.Idempotent += o.Idempotent
	r.Posts += o.Posts
	r.Calm += o.Calm
	r.NearStop += o.NearStop
	r.Twice += o.Twice
	r.Cut += o.Cut
	r.Beyond += o.Beyond
	r.Longest, r.Late = max(r.Longest, o.Longest), max(r.Late, o.Late)
	r.Join, r.Leave = max(r.Join, o.Join), max(r.Leave, o.Leave)
	r.Faults = append(r.Faults, o.Faults...)
	r.Evidence = append(r.Evidence, o.Evidence...)
}

// maxEvidence bounds how many failures of a row are told.
const maxEvidence = 12

// judge makes a window's row. The samples are those of the window; start is
// when their clock began.
func judge(w *window, samples []sample, l *ledger, start time.Time) Row {
	r := Row{
		Operation: w.name, Allowed: w.allowed, Failed: map[string]int{},
		Join: l.join(w.from, w.to), Leave: -1,
	}
	if leave, any := l.leave(w.from, w.to); any {
		r.Leave = leave
	}
	fault := func(format string, args ...any) { r.Faults = append(r.Faults, fmt.Sprintf(format, args...)) }
	if w.err != nil {
		fault("the operation did not take place: %v", w.err)
	}
	stops := l.stops(w.from, w.to)
	gaps := l.gaps(w.service, w.from, w.to)
	var forbidden, unrecorded int
	for i := range samples {
		s := &samples[i]
		due := start.Add(s.due)
		r.Sent++
		r.Longest = max(r.Longest, s.took)
		r.Late = max(r.Late, s.sent-s.due)
		sent := start.Add(s.sent)
		if slices.ContainsFunc(stops, func(t time.Time) bool { return sent.Sub(t).Abs() <= closeToStop }) {
			r.NearStop++
		}
		processed := l.posts[s.id]
		if len(processed) > 1 {
			r.Twice++
			r.tell(w, s, due, fmt.Sprintf("processed %d times, %v apart", len(processed), processed[1].at.Sub(processed[0].at)))
		}
		if s.cut() {
			r.Cut++
			if !w.mayCut(s, l, start) {
				r.Failed["ws"]++
				forbidden++
				r.tell(w, s, due, fmt.Sprintf("cut (%s %s), and its backend %s had no stop signal and did not end", s.failure, s.detail, s.daemon))
			}
			continue
		}
		if s.failure == "" {
			if !s.shape.idempotent() && len(processed) == 0 {
				unrecorded++
				r.tell(w, s, due, "answered and not on record")
			}
			continue
		}
		r.Failed[s.failure]++
		rule := w.idempotent
		switch {
		case s.calm:
			rule = none
			r.Calm++
		case s.shape.idempotent():
			r.Idempotent++
		default:
			rule = w.posts
			r.Posts++
		}
		if !s.calm && w.beyond(gaps, s, due) {
			r.Beyond++
			continue
		}
		if !rule.allows(w, s, due) {
			forbidden++
			r.tell(w, s, due, "")
		}
	}
	if forbidden > 0 {
		fault("%d failures that are not allowed", forbidden)
	}
	if r.Twice > 0 {
		fault("%d POSTs processed twice", r.Twice)
	}
	if len(r.Evidence) > 0 && w.grown != "" {
		r.Evidence = append(r.Evidence, "the proxy counted: "+w.grown)
	}
	if unrecorded > 0 {
		fault("%d POSTs answered that no backend has on record", unrecorded)
	}
	if r.Late > tooLate {
		fault("requests were sent up to %v late by the storm itself: the load was not what it says", r.Late.Round(time.Millisecond))
	}
	if r.Sent == 0 {
		fault("no request was sent")
	}
	return r
}

// beyond says whether a request was held for as long as the proxy is to hold it,
// all of it while no member served. One that came back before the hold was over
// should have been found.
func (w *window) beyond(gaps []span, s *sample, due time.Time) bool {
	late := s.sent - s.due
	if w.hold == 0 || s.took-late < w.hold {
		return false
	}
	over := due.Add(late + w.hold)
	return slices.ContainsFunc(gaps, func(g span) bool {
		return g.length() > w.hold && within(due, g.from, g.to) && !over.After(g.to.Add(settled))
	})
}

// goodbyeWithin is how long after a WebSocket was cut its backend may say why: the
// signal and its record are under way meanwhile.
const goodbyeWithin = time.Second

// mayCut says whether an open WebSocket may have ended: its backend had, or the
// operation is one that cuts.
func (w *window) mayCut(s *sample, l *ledger, start time.Time) bool {
	at := start.Add(s.due)
	if s.failure != "timeout" { // a silence has begun before the first message in it
		at = at.Add(s.took)
	}
	by := at.Add(goodbyeWithin)
	d := l.daemons[s.daemon]
	switch {
	case w.cuts == ofAny:
		return true
	case d == nil:
		return false
	case d.left(by):
		return true
	}
	return w.cuts == ofDead && d.last.Before(by)
}

// allows says whether this failure is allowed.
func (a allowance) allows(w *window, s *sample, due time.Time) bool {
	switch a {
	case clearly:
		// A status line is an answer; a reset or the client's own timeout is none.
		return len(s.failure) == 3 && s.failure[0] == '5'
	case early:
		return !w.mark.IsZero() && due.Before(w.mark.Add(settled))
	case counted:
		return s.failure != "wrong"
	}
	return false
}

func (r *Row) tell(w *window, s *sample, due time.Time, what string) {
	if len(r.Evidence) == maxEvidence {
		r.Evidence = append(r.Evidence, "…")
	}
	if len(r.Evidence) > maxEvidence {
		return
	}
	if what == "" {
		what = s.failure + " " + s.detail
	}
	cluster := ""
	if s.calm {
		cluster = " to the calm cluster"
	}
	r.Evidence = append(r.Evidence, strings.TrimSpace(fmt.Sprintf("%s %s%s, due %s (%s), ended after %v: %s",
		s.shape, s.id, cluster, due.UTC().Format("15:04:05.000"), w.around(due), s.took.Round(time.Millisecond), what)))
}
