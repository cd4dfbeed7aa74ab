package balancer

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// strict is detection as Envoy has it by default, but for the cap.
func strict() topology.Outlier {
	return topology.Outlier{
		Consecutive5xx: 5, ConsecutiveGateway: 5, ConsecutiveLocal: 5,
		Enforce5xx: 100, EnforceLocal: 100,
		Interval: 10 * time.Second, BaseEjection: 30 * time.Second, MaxEjection: 300 * time.Second,
		MaxPercent: 100,
	}
}

// watched is a cluster with this rule.
func watched(rule topology.Outlier, endpoints ...topology.Endpoint) *topology.Table {
	c := cluster(endpoints...)
	c.Outlier = &rule
	return tableOf(c)
}

// suffer lets the endpoint have these outcomes, and Run look at them.
func suffer(t *testing.T, b *Balancer, id string, outcomes ...Outcome) {
	t.Helper()
	e := member(t, b, id)
	for _, o := range outcomes {
		e.cluster.use.begin(math.MaxInt64)
		e.active.Add(1)
		Lease{Endpoint: e, Cluster: e.cluster}.Done(o)
	}
	synctest.Wait()
}

func times(n int, o Outcome) []Outcome {
	list := make([]Outcome, n)
	for i := range list {
		list[i] = o
	}
	return list
}

func ejected(b *Balancer, id string) bool {
	for _, e := range b.Snapshot().Clusters[0].Endpoints {
		if e.ID == id {
			return e.State == StateEjected
		}
	}
	return false
}

func TestFailuresInARowEject(t *testing.T) {
	ok, e500, e502 := Outcome{Status: 200}, Outcome{Status: 500}, Outcome{Status: 502}
	refused, reset, timeout := Outcome{Result: ConnectFail}, Outcome{Result: Reset}, Outcome{Result: Timeout}
	split := func(o *topology.Outlier) { o.SplitErrors = true }
	gateway := func(o *topology.Outlier) { o.EnforceGateway, o.Enforce5xx = 100, 0 }
	for _, test := range []struct {
		name     string
		rule     func(*topology.Outlier)
		outcomes []Outcome
		want     bool
	}{
		{"four 500s", nil, times(4, e500), false},
		{"five 500s", nil, times(5, e500), true},
		{"a good one in between", nil, append(times(4, e500), append([]Outcome{ok}, times(4, e500)...)...), false},
		{"a 404 is no failure", nil, append(times(4, e500), append([]Outcome{{Status: 404}}, times(4, e500)...)...), false},
		{"five refusals", nil, times(5, refused), true},
		{"five resets", nil, times(5, reset), true},
		{"five timeouts", nil, times(5, timeout), true},
		{"five timeouts within long responses", nil, times(5, Outcome{Result: Timeout, Late: true, Status: 200}), false},
		{"resets after the head", nil, times(5, Outcome{Result: ResetLate, Status: 200}), true},
		{"mixed", nil, []Outcome{e500, refused, timeout, e502, reset}, true},
		{"clients that leave", nil, times(50, Outcome{Result: Canceled}), false},
		{"our own breaker", nil, times(50, Outcome{Result: Overflow}), false},
		{"canceled does not end a row", nil, append(append(times(4, e500), Outcome{Result: Canceled}), e500), true},
		{"gateway: five 502s", gateway, times(5, e502), true},
		{"gateway: five 500s", gateway, times(5, e500), false},
		{"gateway: a 500 ends the row", gateway, append(times(4, e502), append([]Outcome{e500}, times(4, e502)...)...), false},
		{"gateway: ours count", gateway, times(5, refused), true},
		{"split: five refusals", split, times(5, refused), true},
		{"split: five 500s", split, times(5, e500), true},
		{"split: they do not add up", split, append(times(4, e500), times(4, refused)...), false},
		{"split: an answer ends the row", split, append(times(4, refused), append([]Outcome{e500}, times(4, refused)...)...), false},
		{"not enforced", func(o *topology.Outlier) { o.Enforce5xx = 0 }, times(20, e500), false},
		{"off", func(o *topology.Outlier) { o.Consecutive5xx = 0 }, times(20, e500), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(Options{})
				defer run(b)()
				rule := strict()
				if test.rule != nil {
					test.rule(&rule)
				}
				b.Apply(watched(rule, endpoint("a"), endpoint("b")))
				suffer(t, b, "a", test.outcomes...)
				if got := ejected(b, "a"); got != test.want {
					t.Errorf("ejected: %t, want %t", got, test.want)
				}
				n := int64(0)
				if test.want {
					n = 1
					for range 4 {
						if got := take(b, routeTo(b, "web"), &Request{}); got != "b" {
							t.Errorf("went to %s", got)
						}
					}
				}
				if c := b.Snapshot().Clusters[0].Counters; c.OutlierActive != n || c.OutlierEnforced != uint64(n) {
					t.Errorf("counters: %d active, %d enforced, want %d", c.OutlierActive, c.OutlierEnforced, n)
				}
			})
		})
	}
}

// Ejected iff 100·(ejected + 1)/hosts ≤ max_ejection_percent.
func TestEjectionCap(t *testing.T) {
	for _, test := range []struct {
		name    string
		hosts   int
		rule    func(*topology.Outlier)
		ejected int
	}{
		{"10 % of 9", 9, func(o *topology.Outlier) { o.MaxPercent = 10 }, 0},
		{"10 % of 10", 10, func(o *topology.Outlier) { o.MaxPercent = 10 }, 1},
		{"10 % of 9, always one", 9, func(o *topology.Outlier) { o.MaxPercent, o.AlwaysEjectOne = 10, true }, 1},
		{"50 % of 5", 5, func(o *topology.Outlier) { o.MaxPercent = 50 }, 2},
		{"all", 3, nil, 3},
		{"all but the last", 3, func(o *topology.Outlier) { o.KeepLast = true }, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(Options{})
				defer run(b)()
				rule := strict()
				if test.rule != nil {
					test.rule(&rule)
				}
				list := hosts(test.hosts)
				b.Apply(watched(rule, list...))
				for _, e := range list {
					suffer(t, b, e.ID, times(5, Outcome{Status: 500})...)
				}
				c := b.Snapshot().Clusters[0].Counters
				if c.OutlierActive != int64(test.ejected) || c.OutlierOverflow != uint64(test.hosts-test.ejected) {
					t.Errorf("%d ejected and %d refused, want %d and %d", c.OutlierActive, c.OutlierOverflow, test.ejected, test.hosts-test.ejected)
				}
			})
		})
	}
}

// The k-th ejection in a row lasts k times the base, at most the maximum; an
// interval without one makes it shorter again.
func TestEjectionTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		defer run(b)()
		rule := strict()
		rule.MaxEjection = 70 * time.Second
		b.Apply(watched(rule, endpoint("a"), endpoint("b")))
		out := func(want time.Duration) {
			t.Helper()
			suffer(t, b, "a", times(5, Outcome{Status: 500})...)
			begin := time.Now()
			e := b.Snapshot().Clusters[0].Endpoints[0]
			lasts := e.EjectedUntil.Sub(begin)
			if why := fmt.Sprintf("5 failed requests (5xx) in a row, back in about %s", lasts); e.Why != why {
				t.Errorf("why: %s, want %s", e.Why, why)
			}
			for ejected(b, "a") {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			// At the first sweep that finds its time over, as was said.
			if took := time.Since(begin); took < want || took >= want+10*time.Second || took != lasts {
				t.Errorf("let in after %s, want within 10s after %s, and what was said: %s", took, want, lasts)
			}
		}
		out(30 * time.Second)
		out(60 * time.Second)
		out(70 * time.Second)
		out(70 * time.Second)
		time.Sleep(65 * time.Second)
		synctest.Wait()
		out(30 * time.Second)
	})
}

// When the others leave, the one that is ejected is the last: it comes back.
func TestLastMemberComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		defer run(b)()
		rule := strict()
		rule.KeepLast = true
		b.Apply(watched(rule, endpoint("a"), endpoint("b")))
		suffer(t, b, "a", times(5, Outcome{Status: 500})...)
		b.Report(Verdict{Endpoint: "b", Healthy: false})
		if got := take(b, routeTo(b, "web"), &Request{}); got != "a" {
			t.Errorf("went to %s, want a", got)
		}
	})
}

func TestSuccessfulCheckUnejects(t *testing.T) {
	for _, unejects := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := New(Options{})
			defer run(b)()
			rule := strict()
			rule.SuccessUnejects = unejects
			b.Apply(watched(rule, endpoint("a"), endpoint("b")))
			suffer(t, b, "a", times(5, Outcome{Status: 500})...)
			b.Report(Verdict{Endpoint: "a", Healthy: true})
			if got := !ejected(b, "a"); got != unejects {
				t.Errorf("successful_active_health_check_uneject_host %t: let in %t", unejects, got)
			}
		})
	}
}

func TestNoDetectionNobodyEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		defer run(b)()
		b.Apply(watched(strict(), endpoint("a"), endpoint("b")))
		suffer(t, b, "a", times(5, Outcome{Status: 500})...)
		b.Apply(tableOf(cluster(endpoint("a"), endpoint("b"))))
		if s := b.Snapshot().Clusters[0]; ejected(b, "a") || s.Counters.OutlierActive != 0 {
			t.Error("still ejected after detection was turned off")
		}
	})
}

func TestSuccessThreshold(t *testing.T) {
	samples := []sample{{rate: 50}, {rate: 100}, {rate: 100}, {rate: 100}, {rate: 100}}
	if got := successThreshold(samples, 1900); math.Abs(got-52) > 1e-9 {
		t.Errorf("got %v, want Envoy's 52", got)
	}
}

func TestRatesEject(t *testing.T) {
	success := func(o *topology.Outlier) {
		o.EnforceSuccessRate, o.SuccessRateMinHosts, o.SuccessRateVolume, o.SuccessRateStdev = 100, 5, 100, 1900
	}
	failure := func(o *topology.Outlier) {
		o.EnforceFailurePct, o.FailurePctMinHosts, o.FailurePctVolume, o.FailurePctThreshold = 100, 5, 50, 85
	}
	for _, test := range []struct {
		name           string
		rule           func(*topology.Outlier)
		hosts          int
		requests, fail int // fail: of the first host's
		want           bool
	}{
		{"success rate 50", success, 5, 100, 50, true},
		{"too few hosts", success, 4, 100, 50, false},
		{"too few requests", success, 5, 99, 50, false},
		{"all are well", success, 5, 100, 0, false},
		{"failure percentage 85", failure, 5, 100, 85, true},
		{"failure percentage 84", failure, 5, 100, 84, false},
		{"failure percentage, few requests", failure, 5, 49, 49, false},
		{"failure percentage, few hosts", failure, 4, 100, 100, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(Options{})
				defer run(b)()
				rule := topology.Outlier{MaxPercent: 100}
				test.rule(&rule)
				list := hosts(test.hosts)
				b.Apply(watched(rule, list...))
				for i, e := range list {
					bad := 0
					if i == 0 {
						bad = test.fail
					}
					suffer(t, b, e.ID, times(bad, Outcome{Status: 500})...)
					suffer(t, b, e.ID, times(test.requests-bad, Outcome{Status: 200})...)
				}
				if ejected(b, list[0].ID) {
					t.Fatal("ejected before the interval was over")
				}
				time.Sleep(10*time.Second + 1)
				synctest.Wait()
				if got := ejected(b, list[0].ID); got != test.want {
					t.Errorf("ejected: %t, want %t", got, test.want)
				}
			})
		})
	}
}
