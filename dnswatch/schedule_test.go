package dnswatch

import (
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// most is a random source that always draws the greatest number.
func most(n time.Duration) time.Duration { return n - 1 }

func least(time.Duration) time.Duration { return 0 }

func TestNameRest(t *testing.T) {
	const s = time.Second
	ok := result{outcome: topology.OutcomeFound, ttl: 60 * s}
	empty := result{outcome: topology.OutcomeEmpty}
	bad := result{outcome: topology.OutcomeFailed}
	for _, tt := range []struct {
		name   string
		policy topology.RefreshPolicy
		r      result
		want   time.Duration
	}{
		{"default rate", topology.RefreshPolicy{}, ok, 5 * s},
		{"rate", topology.RefreshPolicy{Rate: 2 * s}, ok, 2 * s},
		{"empty is an answer", topology.RefreshPolicy{Rate: 2 * s, FailureBase: 9 * s}, empty, 2 * s},
		{"empty fails LOGICAL_DNS", topology.RefreshPolicy{Rate: 2 * s, FailureBase: 9 * s, FirstTTL: true}, empty, 9*s - 1},
		{"TTL not respected", topology.RefreshPolicy{Rate: 2 * s}, ok, 2 * s},
		{"TTL respected", topology.RefreshPolicy{Rate: 2 * s, RespectTTL: true}, ok, 60 * s},
		{"TTL 0 falls back", topology.RefreshPolicy{Rate: 2 * s, RespectTTL: true}, result{outcome: topology.OutcomeFound}, 2 * s},
		{"jitter after success", topology.RefreshPolicy{Rate: 2 * s, Jitter: s}, ok, 3*s - 1},
		{"no jitter after failure", topology.RefreshPolicy{Rate: 2 * s, Jitter: s}, bad, 2 * s},
		{"failure without a policy: rate", topology.RefreshPolicy{Rate: 2 * s}, bad, 2 * s},
		{"failure with one", topology.RefreshPolicy{Rate: 2 * s, FailureBase: s}, bad, s - 1},
		{"never below a millisecond", topology.RefreshPolicy{Rate: 1}, ok, time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := nameRest(tt.policy, tt.r, new(backoff), most); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestBackoffDoublesToMaxAndResets(t *testing.T) {
	b := new(backoff)
	const s = time.Second
	for i, want := range []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s} {
		if got := b.next(s, 0, most); got != want-1 {
			t.Errorf("wait %d: %v, want just below %v (max is 10 × base)", i, got, want)
		}
	}
	b.reset()
	if got := b.next(s, 3*s, most); got != s-1 {
		t.Errorf("after a success: %v", got)
	}
	if got := b.next(s, 3*s, least); got != 0 {
		t.Errorf("full jitter begins at 0, got %v", got)
	}
	if got := b.next(s, 3*s, most); got != 3*s-1 {
		t.Errorf("bound: %v, want just below 3s", got)
	}
}

func TestMemberRest(t *testing.T) {
	if a, b := memberRest(0, least), memberRest(0, most); a != 27*time.Second || b != 33*time.Second-1 {
		t.Errorf("refresh between %v and %v", a, b)
	}
	for misses, want := range map[int]time.Duration{1: 50 * time.Millisecond, 2: 200 * time.Millisecond, 3: time.Second, 4: 5 * time.Second, 5: 27 * time.Second} {
		if got := memberRest(misses, least); got != want {
			t.Errorf("after %d misses: %v, want %v", misses, got, want)
		}
	}
}

func TestBucket(t *testing.T) {
	b := newBucket(100) // a burst of 10, then one each 10 ms
	now := time.Unix(1000, 0)
	for i := range 10 {
		if w := b.take(now); w != 0 {
			t.Fatalf("token %d of the burst: wait %v", i, w)
		}
	}
	w := b.take(now)
	if w < 10*time.Millisecond || w > 11*time.Millisecond {
		t.Fatalf("after the burst: wait %v", w)
	}
	if w := b.take(now.Add(w)); w != 0 {
		t.Errorf("after the wait: %v more", w)
	}
	if b.take(now.Add(time.Hour)); b.tokens > 9 {
		t.Errorf("an hour saved %v tokens, more than the burst", b.tokens)
	}
}
