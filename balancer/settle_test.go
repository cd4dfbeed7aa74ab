package balancer

import (
	"testing"
	"testing/synctest"
	"time"
)

// A burst of verdicts on a cluster that is dear to publish costs a few
// publishes, and the last word is always published.
func TestBurstIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		defer run(b)()
		b.Apply(tableOf(cluster(hosts(100)...)))
		synctest.Wait()
		c := b.View().Cluster("web")
		b.mu.Lock()
		c.cost = time.Millisecond // time stands still here: as if it had
		b.mu.Unlock()
		first := c.picker.Load()
		for _, e := range hosts(99) {
			b.Report(Verdict{Endpoint: e.ID, Healthy: false})
		}
		synctest.Wait()
		if c.picker.Load() != first {
			t.Error("published again within a millisecond's price")
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if p := c.picker.Load(); p == first || p.ready != 1 {
			t.Errorf("%d ready after the burst, want 1", p.ready)
		}
	})
}

// What waits to be published is, when Run ends.
func TestRunPublishesAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		stop := run(b)
		b.Apply(tableOf(cluster(hosts(2)...)))
		synctest.Wait()
		b.mu.Lock()
		b.clusters["web"].cost = time.Hour
		b.mu.Unlock()
		b.Report(Verdict{Endpoint: "e0000", Healthy: false})
		stop()
		if n := b.View().Cluster("web").picker.Load().ready; n != 1 {
			t.Errorf("%d ready, want 1", n)
		}
	})
}
