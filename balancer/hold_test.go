package balancer

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// holding is a cluster that holds for 5 s, as those of labels do.
func holding(endpoints ...topology.Endpoint) topology.Cluster {
	c := cluster(endpoints...)
	c.Hold, c.HoldMax = 5*time.Second, 4096
	return c
}

// answer is what came of an Acquire, and when.
type answer struct {
	got   string
	after time.Duration
}

// acquireLater acquires in a goroutine.
func acquireLater(b *Balancer, r *Route, q *Request) <-chan answer {
	ch := make(chan answer, 1)
	begin := time.Now()
	go func() { ch <- answer{take(b, r, q), time.Since(begin)} }()
	return ch
}

func wantAnswer(t *testing.T, ch <-chan answer, got string, after time.Duration) {
	t.Helper()
	if a := <-ch; a.got != got || a.after != after {
		t.Errorf("%s after %s, want %s after %s", a.got, a.after, got, after)
	}
}

func TestHoldUntilSomebodyIsReady(t *testing.T) {
	for _, test := range []struct {
		name string
		then func(b *Balancer)
	}{
		{"another incarnation", func(b *Balancer) { b.Apply(tableOf(holding(endpoint("b")))) }},
		{"a verdict", func(b *Balancer) { b.Report(Verdict{Endpoint: "b", Healthy: true}) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(Options{})
				b.Apply(tableOf(holding(endpoint("a"))))
				r := routeTo(b, "web")
				unready := endpoint("b", func(e *topology.Endpoint) { e.NeedsProbe = true })
				b.Apply(tableOf(holding(unready)))
				first, second := acquireLater(b, r, &Request{}), acquireLater(b, r, &Request{})
				synctest.Wait()
				if s := b.Snapshot().Clusters[0]; s.Held != 2 || s.Counters.RqPendingActive != 2 {
					t.Errorf("held: %d, pending: %d, want 2 of each", s.Held, s.Counters.RqPendingActive)
				}
				time.Sleep(3 * time.Second)
				test.then(b)
				wantAnswer(t, first, "b", 3*time.Second)
				wantAnswer(t, second, "b", 3*time.Second)
				if s := b.Snapshot().Clusters[0]; s.Held != 0 || s.Counters.HeldTotal != 2 || s.Counters.HeldTimeout != 0 {
					t.Errorf("afterwards: %d held, %d in all, %d in vain", s.Held, s.Counters.HeldTotal, s.Counters.HeldTimeout)
				}
			})
		})
	}
}

func TestHowLongARequestIsHeld(t *testing.T) {
	dead := ErrNoEndpoint.Error()
	for _, test := range []struct {
		name    string
		had     bool          // the cluster had a ready member
		since   time.Duration // how long ago it was lost, or the cluster born
		request Request
		setting func(*topology.Cluster)
		after   time.Duration
	}{
		{name: "just lost", had: true, after: 5 * time.Second},
		{name: "lost 29 s ago", had: true, since: 29 * time.Second, after: 5 * time.Second},
		{name: "dead for longer than 30 s", had: true, since: 31 * time.Second, after: 0},
		{name: "after the start", after: 5 * time.Second},
		{name: "3 s after the start", since: 3 * time.Second, after: 2 * time.Second},
		{name: "never had a member, 6 s later", since: 6 * time.Second, after: 0},
		{name: "a deadline of its own", had: true, request: Request{Deadline: time.Now().Add(100 * 365 * 24 * time.Hour)}, after: 5 * time.Second},
		{name: "hold off", had: true, setting: func(c *topology.Cluster) { c.Hold = 0 }, after: 0},
		{name: "another hold", had: true, setting: func(c *topology.Cluster) { c.Hold = time.Second }, after: time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(Options{})
				table := func(e ...topology.Endpoint) *topology.Table {
					c := holding(e...)
					if test.setting != nil {
						test.setting(&c)
					}
					return tableOf(c)
				}
				if test.had {
					b.Apply(table(endpoint("a")))
				}
				b.Apply(table())
				time.Sleep(test.since)
				q := test.request
				wantAnswer(t, acquireLater(b, routeTo(b, "web"), &q), dead, test.after)
				// The next try of the same request waits no second time.
				wantAnswer(t, acquireLater(b, routeTo(b, "web"), &q), dead, 0)
			})
		})
	}
}

func TestHoldEndsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		b.Apply(tableOf(holding()))
		q := &Request{Deadline: time.Now().Add(time.Second)}
		wantAnswer(t, acquireLater(b, routeTo(b, "web"), q), ErrNoEndpoint.Error(), time.Second)
	})
}

func TestHoldEndsWhenTheClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		b.Apply(tableOf(holding()))
		cancel := make(chan struct{})
		calls := 0
		q := &Request{OnHold: func(q *Request) { calls++; q.Cancel = cancel }}
		ch := acquireLater(b, routeTo(b, "web"), q)
		time.Sleep(time.Second)
		b.Apply(tableOf(holding(endpoint("a", func(e *topology.Endpoint) { e.Paused = true })))) // wakes it in vain
		synctest.Wait()
		close(cancel)
		wantAnswer(t, ch, ErrCanceled.Error(), time.Second)
		if calls != 1 {
			t.Errorf("OnHold was called %d times, want once", calls)
		}
	})
}

// HoldMax bounds those who wait; max_pending_requests, which is of requests
// whose member is known, does not.
func TestHoldIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		c := holding()
		c.HoldMax, c.Breakers = 2, topology.Breakers{MaxRequests: 10, MaxPending: 1}
		b.Apply(tableOf(c))
		first := acquireLater(b, routeTo(b, "web"), &Request{})
		second := acquireLater(b, routeTo(b, "web"), &Request{})
		synctest.Wait()
		wantAnswer(t, acquireLater(b, routeTo(b, "web"), &Request{}), ErrNoEndpoint.Error(), 0)
		wantAnswer(t, first, ErrNoEndpoint.Error(), 5*time.Second)
		wantAnswer(t, second, ErrNoEndpoint.Error(), 5*time.Second)
	})
}

// A cluster that goes away answers those who wait for it.
func TestHoldEndsWithTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		b.Apply(tableOf(holding()))
		ch := acquireLater(b, routeTo(b, "web"), &Request{})
		time.Sleep(time.Second)
		b.Apply(tableOf())
		wantAnswer(t, ch, ErrNoCluster.Error(), time.Second)
	})
}

// Refused by the only member: the request is held, and goes to the same member
// again after a pause that doubles, or to another one as soon as there is one.
func TestRefusedByTheOnlyMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		b.Apply(tableOf(holding(endpoint("a"))))
		r := routeTo(b, "web")
		q := &Request{}
		begin := time.Now()
		var at []time.Duration
		for len(at) < 6 {
			l, err := b.Acquire(r, q)
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, time.Since(begin))
			l.Done(Outcome{Result: ConnectFail})
			q.Refused, q.Tried[0] = true, l.Endpoint
		}
		want := []time.Duration{0, 10, 30, 70, 150, 250}
		for i := range want {
			if at[i] != want[i]*time.Millisecond {
				t.Fatalf("tried at %v, want %v (ms)", at, want)
			}
		}
		ch := acquireLater(b, r, q)
		time.Sleep(50 * time.Millisecond)
		b.Apply(tableOf(holding(endpoint("a"), endpoint("b"))))
		wantAnswer(t, ch, "b", 50*time.Millisecond)
		// Alone again, it gives up when its hold is over.
		b.Apply(tableOf(holding(endpoint("a"))))
		for {
			l, err := b.Acquire(r, q)
			if err != nil {
				break
			}
			l.Done(Outcome{Result: ConnectFail})
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("gave up after %s, want the hold of 5s", took)
		}
		// A member that has refused for longer than 30 s is dead: no wait.
		time.Sleep(26 * time.Second)
		fresh := &Request{Refused: true, Tried: q.Tried}
		wantAnswer(t, acquireLater(b, r, fresh), ErrNoEndpoint.Error(), 0)
	})
}

func TestStoppingIsTheLastResort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		defer run(b)()
		spec := endpoint("a", func(e *topology.Endpoint) { e.StopTimeout = 10 * time.Second })
		b.Apply(tableOf(holding(spec)))
		r := routeTo(b, "web")
		spec.Stopping, spec.StoppingAt = true, time.Now()
		b.Apply(tableOf(holding(spec)))

		if got := take(b, r, &Request{}); got != "a" {
			t.Errorf("no other is ready: %s, want the stopping one", got)
		}
		b.Apply(tableOf(holding(spec, endpoint("b"))))
		for range 4 {
			if got := take(b, r, &Request{}); got != "b" {
				t.Errorf("another is ready: %s, want b alone", got)
			}
		}
		b.Apply(tableOf(holding(spec)))
		time.Sleep(9 * time.Second) // one second before its kill
		if got := take(b, r, &Request{Idempotent: true}); got != "a" {
			t.Errorf("an idempotent request in the last second: %s, want a", got)
		}
		post := acquireLater(b, r, &Request{})
		synctest.Wait()
		// It refuses: from now on the hold's time runs for all.
		l, err := b.Acquire(r, &Request{Idempotent: true})
		if err != nil {
			t.Fatal(err)
		}
		l.Done(Outcome{Result: ConnectFail})
		get := acquireLater(b, r, &Request{Idempotent: true})
		time.Sleep(2 * time.Second)
		b.Apply(tableOf(holding(endpoint("c"))))
		wantAnswer(t, post, "c", 2*time.Second)
		wantAnswer(t, get, "c", 2*time.Second)
	})
}

// A Stopping member that never was ready cannot be the last resort.
func TestNeverReadyIsNoLastResort(t *testing.T) {
	b := New(Options{})
	spec := endpoint("a", func(e *topology.Endpoint) { e.NeedsProbe = true })
	b.Apply(tableOf(cluster(spec)))
	spec.Stopping = true
	b.Apply(tableOf(cluster(spec)))
	if got := take(b, routeTo(b, "web"), &Request{Idempotent: true}); got != ErrNoEndpoint.Error() {
		t.Errorf("went to %s", got)
	}
}

// Where holding is off the proxy's own tries are the limit.
func TestRefusedWithoutHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		b.Apply(tableOf(cluster(endpoint("a"))))
		q := &Request{Refused: true, Tried: [4]*Endpoint{member(t, b, "a")}}
		wantAnswer(t, acquireLater(b, routeTo(b, "web"), q), "a", 0)
	})
}

// The new container is ready by its labels and does not listen yet: the one
// that it replaces still does.
func TestRefusedWhileAStoppingOneAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		old := endpoint("a")
		b.Apply(tableOf(holding(old)))
		old.Stopping, old.StoppingAt, old.StopTimeout = true, time.Now(), 10*time.Second
		b.Apply(tableOf(holding(old, endpoint("b"))))
		q := &Request{Idempotent: true, Refused: true, Tried: [4]*Endpoint{member(t, b, "b")}}
		wantAnswer(t, acquireLater(b, routeTo(b, "web"), q), "a", 0)
		// What cannot be sent again rather tries the new one again: the old one
		// may close at this moment.
		q = &Request{Refused: true, Tried: [4]*Endpoint{member(t, b, "b")}}
		wantAnswer(t, acquireLater(b, routeTo(b, "web"), q), "b", refusedFirst)
	})
}

// Most processes that end by themselves do so just after their stop signal: who
// cannot be sent again waits to see, if it can wait.
func TestTheFirstSecondOfAStop(t *testing.T) {
	for _, tt := range []struct {
		name    string
		request Request
		hold    time.Duration
		after   time.Duration // when another member comes; 0: none does
		got     string
		at      time.Duration
	}{
		{"idempotent", Request{Idempotent: true}, 5 * time.Second, 0, "a", 0},
		{"not idempotent", Request{}, 5 * time.Second, 0, "a", time.Second},
		{"another member comes", Request{}, 5 * time.Second, 300 * time.Millisecond, "b", 300 * time.Millisecond},
		{"nobody holds", Request{}, 0, 0, "a", 0},
		{"the hold is shorter", Request{}, 500 * time.Millisecond, 0, "a", 250 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(Options{})
				table := func(e ...topology.Endpoint) *topology.Table {
					c := holding(e...)
					c.Hold = tt.hold
					return tableOf(c)
				}
				old := endpoint("a")
				b.Apply(table(old))
				old.Stopping, old.StoppingAt, old.StopTimeout = true, time.Now(), 10*time.Second
				b.Apply(table(old))
				got := acquireLater(b, routeTo(b, "web"), &tt.request)
				if tt.after > 0 {
					time.Sleep(tt.after)
					b.Apply(table(old, endpoint("b")))
				}
				wantAnswer(t, got, tt.got, tt.at)
			})
		})
	}
}
