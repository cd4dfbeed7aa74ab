package health

import (
	"container/heap"
	"time"
)

// lane is a queue of sessions by when they are due, and how many of them may be
// checked at once.
type lane struct {
	queue    queue
	inFlight int
	max      int
}

// pop claims the session that is due; where none may be checked now, it says how
// long that stays so unless something else happens.
func (l *lane) pop(now time.Time) (*session, time.Duration) {
	if len(l.queue) == 0 || l.inFlight >= l.max {
		return nil, idle
	}
	if wait := l.queue[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	l.inFlight++
	s := heap.Pop(&l.queue).(*session)
	s.in = nil
	return s, 0
}

func (l *lane) push(s *session) {
	s.in = l
	heap.Push(&l.queue, s)
}

func (l *lane) remove(s *session) {
	heap.Remove(&l.queue, s.index)
	s.in = nil
}

// queue implements heap.Interface, the earliest due first.
type queue []*session

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	s := x.(*session)
	s.index = len(*q)
	*q = append(*q, s)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return s
}
