package dockerwatch

import (
	"container/heap"
	"time"
)

// duty is what is to be done about a container at a time.
type duty uint8

const (
	dutyLook    duty = iota // look at it again: events have been gathered
	dutyHealth              // look at it again, if it is starting: a probe was due
	dutyReadmit             // its stop signal was ignored, if it still runs
	dutySuspect             // the event of a difference that the list found is due
)

// appointment is one duty. An appointment is never taken back: whoever keeps it
// checks whether it still means something.
type appointment struct {
	at   time.Time
	duty duty
	id   string
}

// agenda is a heap of appointments, the next first.
type agenda []appointment

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

func (a *agenda) add(at time.Time, d duty, id string) { heap.Push(a, appointment{at, d, id}) }

// due takes the next appointment if its time has come.
func (a *agenda) due(now time.Time) (appointment, bool) {
	if len(*a) == 0 || (*a)[0].at.After(now) {
		return appointment{}, false
	}
	return heap.Pop(a).(appointment), true
}

// next is when the next appointment is; zero: none.
func (a agenda) next() time.Time {
	if len(a) == 0 {
		return time.Time{}
	}
	return a[0].at
}
