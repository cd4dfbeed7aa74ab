package dockerwatch

import (
	"fmt"
	"slices"
	"testing"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
	"github.com/dockerlb/dockerlb/topology"
)

// What the engine dropped in a burst is found soon after it, not with the next
// regular list.
func TestBurstIsFollowedByAList(t *testing.T) {
	const containers = manyEvents
	e := fakeengine.New(t)
	for i := range containers {
		e.Run(app(fmt.Sprintf("web-%d", i)))
	}
	w := watch(t, e)
	w.until("all of them, inspected", func(m topology.Membership) bool {
		return len(m.Containers) == containers && !slices.ContainsFunc(m.Containers, func(c *topology.Container) bool { return !c.Inspected })
	})
	lists := e.Calls("list")
	for i := range containers - 1 {
		e.Pause(fmt.Sprintf("web-%d", i))
	}
	e.DropEvents(true)
	last := fmt.Sprintf("web-%d", containers-1)
	e.Remove(last)
	e.DropEvents(false)
	e.Pause("web-0")
	w.until("what was dropped", func(m topology.Membership) bool { return len(m.Containers) == containers-1 })
	if n := e.Calls("list") - lists; n == 0 {
		t.Error("no list")
	}
}

func TestFewEventsAreNoBurst(t *testing.T) {
	e := fakeengine.New(t)
	e.Run(app("web-1"))
	w := watch(t, e)
	w.until("it", is("web-1", running))
	lists := e.Calls("list")
	e.Pause("web-1")
	w.until("paused", is("web-1", func(c *topology.Container) bool { return c.State == topology.StatePaused }))
	if n := e.Calls("list") - lists; n != 0 {
		t.Errorf("%d lists for one event", n)
	}
}
