package dnswatch

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerlb/dockerlb/topology"
)

// zone is a resolver for bubbles: what it says of a name can be changed, takes
// took, and each question is recorded with its time.
type zone struct {
	took time.Duration

	mu    sync.Mutex
	names map[string]result
	asked map[string][]time.Duration // since start
	start time.Time
	now   int
	most  int // questions at once
}

func newZone() *zone {
	return &zone{names: map[string]result{}, asked: map[string][]time.Duration{}, start: time.Now()}
}

func (z *zone) set(name string, r result) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.names[name] = r
}

func (z *zone) lookup(ctx context.Context, q topology.Query) result {
	z.mu.Lock()
	z.asked[q.Name] = append(z.asked[q.Name], time.Since(z.start))
	z.now++
	z.most = max(z.most, z.now)
	z.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(z.took):
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.now--
	r := z.names[q.Name]
	if r.outcome == topology.OutcomePending {
		r.outcome = topology.OutcomeEmpty
	}
	return r
}

// times are when name was asked, rounded to ms.
func (z *zone) times(name string) []time.Duration {
	z.mu.Lock()
	defer z.mu.Unlock()
	var out []time.Duration
	for _, d := range z.asked[name] {
		out = append(out, d.Round(time.Millisecond))
	}
	return out
}

func at(ms ...int) []time.Duration {
	var out []time.Duration
	for _, n := range ms {
		out = append(out, time.Duration(n)*time.Millisecond)
	}
	return out
}

func says(ips ...string) result { return result{outcome: topology.OutcomeFound, addrs: addrs(ips...)} }

var fails = result{outcome: topology.OutcomeFailed, err: "SERVFAIL"}

// watch runs a Watcher over z in the current bubble until the test ends. Random
// times are always 0.
func watch(t *testing.T, z *zone, o Options) *Watcher {
	t.Helper()
	if o.MaxRate == 0 {
		o.MaxRate = defaultMaxRate
	}
	if o.Concurrency == 0 {
		o.Concurrency = defaultConcurrency
	}
	w := newWatcher(z.lookup, o, new(counters))
	w.random = least
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

func file(name string, p topology.RefreshPolicy) topology.Query {
	return topology.Query{Name: name, Kind: topology.QueryName, Cluster: "c", Refresh: p}
}

func member(name string) topology.Query { return topology.Query{Name: name} }

// told tells whether Updates has a value, and takes it.
func told(w *Watcher) bool {
	select {
	case <-w.Updates():
		return true
	default:
		return false
	}
}

// pass lets time go by and what it brings settle.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestFileNameIsRefreshedFromTheEndOfAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.took = 100 * time.Millisecond
		z.set("d", says("10.0.0.1"))
		w := watch(t, z, Options{})
		w.Want([]topology.Query{file("d", topology.RefreshPolicy{Rate: time.Second})})
		pass(3 * time.Second)
		if got := z.times("d"); !slices.Equal(got, at(0, 1100, 2200)) {
			t.Errorf("asked at %v", got)
		}
		a := w.Latest().Names[file("d", topology.RefreshPolicy{Rate: time.Second})]
		if a.Outcome != topology.OutcomeFound || !slices.Equal(a.Addresses, addrs("10.0.0.1")) || a.At.IsZero() {
			t.Errorf("got %+v", a)
		}
	})
}

func TestShuffleIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("d", says("10.0.0.2", "10.0.0.1"))
		w := watch(t, z, Options{})
		q := file("d", topology.RefreshPolicy{Rate: time.Second})
		w.Want([]topology.Query{q})
		pass(500 * time.Millisecond)
		if !told(w) {
			t.Fatal("the first answer was not told")
		}
		first := w.Latest()
		if got := first.Names[q].Addresses; !slices.Equal(got, addrs("10.0.0.1", "10.0.0.2")) {
			t.Errorf("addresses %v are not sorted", got)
		}
		z.set("d", says("10.0.0.1", "10.0.0.2"))
		pass(5 * time.Second)
		if told(w) || w.Latest().Generation != first.Generation {
			t.Error("a shuffled answer was published")
		}
		if n := len(z.times("d")); n < 5 {
			t.Errorf("asked %d times", n)
		}
		z.set("d", says("10.0.0.1", "10.0.0.3"))
		pass(time.Second)
		if !told(w) {
			t.Error("another set was not told")
		}
		if got := first.Names[q].Addresses; !slices.Equal(got, addrs("10.0.0.1", "10.0.0.2")) {
			t.Errorf("an older value was written again: %v", got)
		}
	})
}

// For LOGICAL_DNS the first address is the host.
func TestShuffleIsNewsForLogicalDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("d", says("10.0.0.2", "10.0.0.1"))
		w := watch(t, z, Options{})
		q := file("d", topology.RefreshPolicy{Rate: time.Second, FirstTTL: true})
		w.Want([]topology.Query{q})
		pass(500 * time.Millisecond)
		told(w)
		z.set("d", says("10.0.0.1", "10.0.0.2"))
		pass(time.Second)
		if !told(w) || w.Latest().Names[q].First != netip.MustParseAddr("10.0.0.1") {
			t.Errorf("got %+v", w.Latest().Names[q])
		}
	})
}

func TestEmptyAgainstFailed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		logical bool
		then    result
		left    []netip.Addr
	}{
		{"STRICT_DNS failed", false, fails, addrs("10.0.0.1")},
		{"STRICT_DNS empty", false, result{outcome: topology.OutcomeEmpty}, nil},
		{"LOGICAL_DNS failed", true, fails, addrs("10.0.0.1")},
		{"LOGICAL_DNS empty", true, result{outcome: topology.OutcomeEmpty}, addrs("10.0.0.1")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone()
				z.set("d", says("10.0.0.1"))
				w := watch(t, z, Options{})
				q := file("d", topology.RefreshPolicy{Rate: time.Second, FirstTTL: tt.logical})
				w.Want([]topology.Query{q})
				pass(500 * time.Millisecond)
				good := w.Latest().Names[q]
				told(w)
				z.set("d", tt.then)
				pass(time.Second)
				a := w.Latest().Names[q]
				if a.Outcome != tt.then.outcome || !slices.Equal(a.Addresses, tt.left) || a.Error != tt.then.err {
					t.Errorf("got %+v", a)
				}
				if len(tt.left) > 0 && !a.At.Equal(good.At) {
					t.Error("the age of the last good answer changed")
				}
				if !told(w) {
					t.Error("the outcome was not told")
				}
				pass(3 * time.Second)
				if told(w) {
					t.Error("the same outcome was told again")
				}
			})
		})
	}
}

// One family that fails keeps its last addresses while the other goes on.
func TestLostFamilyStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("d", says("10.0.0.1", "fd00::1"))
		w := watch(t, z, Options{})
		q := file("d", topology.RefreshPolicy{Rate: time.Second})
		w.Want([]topology.Query{q})
		pass(500 * time.Millisecond)
		half := says("10.0.0.2")
		half.lost6 = true
		z.set("d", half)
		pass(time.Second)
		if got := w.Latest().Names[q].Addresses; !slices.Equal(got, addrs("10.0.0.2", "fd00::1")) {
			t.Errorf("got %v", got)
		}
	})
}

func TestFailureBackoffIsSharedByTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("d", fails)
		z.set("e", fails)
		w := watch(t, z, Options{})
		w.random = most
		p := topology.RefreshPolicy{Rate: 10 * time.Second, FailureBase: time.Second, FailureMax: 8 * time.Second}
		w.Want([]topology.Query{file("d", p), file("e", p)})
		pass(100 * time.Millisecond)
		// Whichever came first waits below 1 s, the other one below 2 s, then 4 s, 8 s.
		pass(2 * time.Second)
		d, e := len(z.times("d")), len(z.times("e"))
		if d+e != 4 {
			t.Errorf("after 2.1 s: asked %v and %v", z.times("d"), z.times("e"))
		}
		z.set("d", says("10.0.0.1"))
		z.set("e", says("10.0.0.2"))
		pass(10 * time.Second)
		if a := w.Latest().Names[file("d", p)]; a.Outcome != topology.OutcomeFound || a.Error != "" {
			t.Errorf("got %+v", a)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if b := w.backoffs["c"]; b == nil || b.bound != 0 {
			t.Errorf("the success did not reset the cluster's back-off: %+v", b)
		}
	})
}

func TestMemberRetriesThenRefreshesSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		w := watch(t, z, Options{})
		w.Want([]topology.Query{member("d")})
		pass(300 * time.Millisecond)
		ttl := says("10.0.0.1")
		ttl.ttl = 600 * time.Second // the embedded DNS's; not obeyed
		z.set("d", ttl)
		pass(60 * time.Second)
		if got := z.times("d"); !slices.Equal(got, at(0, 50, 250, 1250, 28250, 55250)) {
			t.Errorf("asked at %v", got)
		}
	})
}

func TestMemberWithANewIncarnationIsAnotherQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("d", says("10.0.0.1"))
		w := watch(t, z, Options{})
		one := topology.Query{Name: "d", Incarnation: "1"}
		w.Want([]topology.Query{one})
		pass(time.Second)
		z.set("d", says("10.0.0.2"))
		two := topology.Query{Name: "d", Incarnation: "2"}
		w.Want([]topology.Query{two})
		if a, ok := w.Latest().Names[two]; ok {
			t.Errorf("the old answer was taken over: %+v", a)
		}
		pass(10 * time.Millisecond)
		a := w.Latest()
		if got := a.Names[two].Addresses; !slices.Equal(got, addrs("10.0.0.2")) {
			t.Errorf("got %v", got)
		}
		if _, ok := a.Names[one]; ok {
			t.Error("the old question is still there")
		}
	})
}

func TestDroppedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("d", says("10.0.0.1"))
		z.set("e", says("10.0.0.2"))
		w := watch(t, z, Options{})
		d, e := member("d"), member("e")
		w.Want([]topology.Query{d, e})
		pass(time.Second)
		told(w)
		w.Want([]topology.Query{e})
		pass(time.Minute)
		if n := len(z.times("d")); n != 1 {
			t.Errorf("a dropped name was asked %d times", n)
		}
		names := w.Latest().Names
		if _, ok := names[d]; ok || len(names) != 1 {
			t.Errorf("latest has %v", names)
		}
		if told(w) {
			t.Error("who dropped the name was told of it")
		}
	})
}

// A question that is out when its name is dropped is called off.
func TestDroppedWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.took = time.Hour
		z.set("d", says("10.0.0.1"))
		w := watch(t, z, Options{})
		w.Want([]topology.Query{member("d")})
		pass(time.Second)
		w.Want(nil)
		pass(time.Second)
		if s := w.Status(); s.Counters.NowAsking != 0 || len(s.Names) != 0 || told(w) {
			t.Errorf("got %+v", s)
		}
	})
}

// A reload that changes only how often a name is asked does not lose its answer.
func TestNewPolicyInheritsTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("d", says("10.0.0.1"))
		w := watch(t, z, Options{})
		w.Want([]topology.Query{file("d", topology.RefreshPolicy{Rate: time.Second})})
		pass(500 * time.Millisecond)
		z.set("d", fails)
		q := file("d", topology.RefreshPolicy{Rate: 2 * time.Second})
		w.Want([]topology.Query{q})
		pass(10 * time.Millisecond)
		if a := w.Latest().Names[q]; !slices.Equal(a.Addresses, addrs("10.0.0.1")) || a.Outcome != topology.OutcomeFailed {
			t.Errorf("got %+v", a)
		}
	})
}

func TestRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.took = 10 * time.Millisecond
		z.set("d", says("10.0.0.1"))
		w := watch(t, z, Options{})
		w.Want([]topology.Query{member("d")})
		pass(time.Second)
		w.Recheck(member("d"), member("unknown"))
		pass(5 * time.Millisecond) // still out: asked once more after it
		w.Recheck(member("d"))
		pass(time.Second)
		if got := z.times("d"); !slices.Equal(got, at(0, 1000, 1010)) {
			t.Errorf("asked at %v", got)
		}
	})
}

func TestManyMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		z := newZone()
		z.took = time.Millisecond
		w := watch(t, z, Options{MaxRate: 1000, Concurrency: 16})
		var all []topology.Query
		for i := range n {
			name := fmt.Sprintf("%012x", i)
			z.set(name, says("10.0.0.1"))
			all = append(all, member(name))
		}
		w.Want(all)
		pass(time.Second)
		asked := w.Status().Counters.Lookups
		if asked < 900 || asked > 1150 { // 1000 and a burst of 100
			t.Errorf("%d asked in the first second, the cap is 1000", asked)
		}
		pass(5 * time.Second)
		s := w.Status()
		if len(w.Latest().Names) != n || s.Counters.Found != n {
			t.Errorf("%d names, %+v", len(w.Latest().Names), s.Counters)
		}
		if z.most > 16 {
			t.Errorf("%d questions at once", z.most)
		}
		// The map of 5,000 is copied at most some four times a second.
		if s.Counters.Published > 40 {
			t.Errorf("%d generations published", s.Counters.Published)
		}
	})
}

// A dead resolver for names of the file does not hold up the members.
func TestDeadNamesDoNotDelayMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		stuck := func(ctx context.Context, q topology.Query) result {
			if q.Kind == topology.QueryName {
				<-ctx.Done()
				return fails
			}
			return z.lookup(ctx, q)
		}
		z.set("d", says("10.0.0.1"))
		w := watch(t, z, Options{Concurrency: 2})
		w.lookup = stuck
		all := []topology.Query{member("d")}
		for i := range 10 {
			all = append(all, file(fmt.Sprintf("dead%d", i), topology.RefreshPolicy{}))
		}
		w.Want(all)
		pass(100 * time.Millisecond)
		if a := w.Latest().Names[member("d")]; a.Outcome != topology.OutcomeFound {
			t.Errorf("got %+v", a)
		}
		if n := w.Status().Counters.NowAsking; n != 2 {
			t.Errorf("%d questions out, the cap is 2", n)
		}
	})
}

// New, Run and a real server, end to end.
func TestWatcherAgainstAServer(t *testing.T) {
	s := serve(t, func(q *dns.Msg, _ bool) *dns.Msg { return answer(t, q, "4d1f2a3b4c5d. 600 IN A 10.0.0.1") })
	w, err := New(Options{Servers: []netip.AddrPort{s.addr}, HostsFile: "-"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	q := member("4d1f2a3b4c5d")
	w.Want([]topology.Query{q})
	select {
	case <-w.Updates():
	case <-ctx.Done():
		t.Error("no update")
	}
	if a := w.Latest().Names[q]; !slices.Equal(a.Addresses, addrs("10.0.0.1")) {
		t.Errorf("got %+v", a)
	}
	st := w.Status()
	if len(st.Names) != 1 || st.Names[0].Asked.IsZero() || st.Counters.UDP != 2 || len(st.Servers) != 1 {
		t.Errorf("status %+v", st)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
