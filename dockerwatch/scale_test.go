package dockerwatch

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
	"github.com/dockerlb/dockerlb/topology"
)

// BenchmarkFirstMembership is the time from Run to the first Membership of
// 5,000 labelled containers, and, as "refined-ms", to the last of them
// inspected; "heap-B/container" is what they cost afterwards (the fake engine,
// which lives in the same process, taken off).
func BenchmarkFirstMembership(b *testing.B) {
	const containers = 5000
	e := fakeengine.New(b)
	for i := range containers {
		c := app(fmt.Sprintf("web-%d", i))
		for l := range 8 {
			c.Labels[fmt.Sprintf("org.example.label%d", l)] = "a label that is none of ours"
		}
		e.Run(c)
	}
	var first, refined time.Duration
	var heap uint64
	for range b.N {
		before := heapInUse()
		began := time.Now()
		w := watch(b, e)
		w.until("all of them", func(m topology.Membership) bool { return len(m.Containers) == containers })
		first += time.Since(began)
		w.until("all inspected", func(m topology.Membership) bool {
			for _, c := range m.Containers {
				if !c.Inspected {
					return false
				}
			}
			return true
		})
		refined += time.Since(began)
		heap = heapInUse() - before
		_ = w.stop()
	}
	b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "first-ms")
	b.ReportMetric(float64(refined.Milliseconds())/float64(b.N), "refined-ms")
	b.ReportMetric(float64(heap)/containers, "heap-B/container")
}

func heapInUse() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// TestManyContainers: one stop among 1,000 containers costs no inspect and no
// list, and what did not change is the same pointer.
func TestManyContainers(t *testing.T) {
	const containers = 1000
	e := fakeengine.New(t)
	for i := range containers {
		e.Run(app(fmt.Sprintf("web-%d", i)))
	}
	w := watch(t, e)
	before := w.until("all inspected", func(m topology.Membership) bool {
		for _, c := range m.Containers {
			if !c.Inspected {
				return false
			}
		}
		return len(m.Containers) == containers
	})
	if n := w.Status().Inspects; n > containers+256 { // 256 events are replayed
		t.Errorf("%d inspects for %d containers", n, containers)
	}
	inspects, lists := e.Calls("inspect"), e.Calls("list")
	e.Kill("web-77", 15)
	m := w.until("stopping", is("web-77", stopping))
	if a, b := e.Calls("inspect")-inspects, e.Calls("list")-lists; a != 0 || b != 0 {
		t.Errorf("a stop signal cost %d inspects and %d lists", a, b)
	}
	changed := 0
	for i, c := range m.Containers {
		if c != before.Containers[i] {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("%d containers are other values, want 1", changed)
	}
}
