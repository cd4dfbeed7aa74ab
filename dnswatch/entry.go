package dnswatch

import (
	"container/heap"
	"context"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// entry is one name that is kept resolved. Watcher.mu guards it.
type entry struct {
	query  topology.Query
	answer topology.Answer
	due    time.Time // of the next question
	asked  time.Time // of the last one
	cancel context.CancelFunc
	again  bool   // Recheck came while the question was out
	misses int    // answers in a row that found nothing
	mark   uint64 // of the last Want that named it

	backoff backoff // where the query has no cluster
	queued  bool
	index   int // in its lane's queue, where queued
}

func (e *entry) asking() bool { return e.cancel != nil }

// lane is the queue of the names of one kind, by when they are due, and what
// holds them back: a number of questions at once, and a rate.
type lane struct {
	queue    queue
	inFlight int
	max      int
	bucket   *bucket // nil: no cap
}

// pop takes the entry that is due and may be asked now; where there is none, it
// says how long there will be none unless something else happens.
func (l *lane) pop(now time.Time) (*entry, time.Duration) {
	if len(l.queue) == 0 || l.inFlight >= l.max {
		return nil, idle
	}
	if wait := l.queue[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	if l.bucket != nil {
		if wait := l.bucket.take(now); wait > 0 {
			return nil, wait
		}
	}
	l.inFlight++
	return heap.Pop(&l.queue).(*entry), 0
}

func (l *lane) push(e *entry) { heap.Push(&l.queue, e) }

func (l *lane) remove(e *entry) {
	if e.queued {
		heap.Remove(&l.queue, e.index)
	}
}

func (l *lane) move(e *entry, due time.Time) {
	e.due = due
	if e.queued {
		heap.Fix(&l.queue, e.index)
	}
}

// queue implements heap.Interface, the earliest due first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	e := x.(*entry)
	e.queued, e.index = true, len(*q)
	*q = append(*q, e)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.queued = false
	return e
}
