package e2e

import (
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/realengine"
)

// load asks one request after the other, each on a connection of its own,
// while something happens.
type load struct {
	end      chan struct{}
	finished chan struct{}
	answered int
	failures []string
}

// loadPause keeps the load light: what is tested is order, not throughput.
const loadPause = 5 * time.Millisecond

func startLoad(f *realengine.Front) *load {
	l := &load{end: make(chan struct{}), finished: make(chan struct{})}
	go func() {
		defer close(l.finished)
		for {
			at := time.Now()
			if _, err := f.Ask(); err != nil {
				l.failures = append(l.failures, at.Format("15:04:05.000 ")+err.Error())
			} else {
				l.answered++
			}
			select {
			case <-l.end:
				return
			case <-time.After(loadPause):
			}
		}
	}()
	return l
}

// stop ends the load. Not one request may have failed.
func (l *load) stop(t *testing.T) {
	t.Helper()
	close(l.end)
	<-l.finished
	if len(l.failures) > 0 || l.answered == 0 {
		t.Errorf("%d requests failed, %d were answered; the first failures: %q", len(l.failures), l.answered, l.failures[:min(5, len(l.failures))])
	}
}
