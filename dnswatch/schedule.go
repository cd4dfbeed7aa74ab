package dnswatch

import (
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// A label member is asked again after memberRefresh ± a tenth; where it was not
// found, after memberRetries first, since DNS may trail the event that made us
// ask.
const memberRefresh = 30 * time.Second

var memberRetries = [...]time.Duration{50 * time.Millisecond, 200 * time.Millisecond, time.Second, 5 * time.Second}

// memberRest is how long a member's name rests after misses answers in a row
// that found nothing.
func memberRest(misses int, random func(time.Duration) time.Duration) time.Duration {
	if misses > 0 && misses <= len(memberRetries) {
		return memberRetries[misses-1]
	}
	return memberRefresh*9/10 + random(memberRefresh/5)
}

// Defaults of topology.RefreshPolicy.
const (
	defaultRate = 5 * time.Second // dns_refresh_rate
	minRest     = time.Millisecond
)

// nameRest is how long a name of the file rests after r, from the end of the
// answer: Envoy's refresh of STRICT_DNS and, where p.FirstTTL, of LOGICAL_DNS,
// for which an empty answer is a failure too. b is the cluster's.
func nameRest(p topology.RefreshPolicy, r result, b *backoff, random func(time.Duration) time.Duration) time.Duration {
	rate := p.Rate
	if rate <= 0 {
		rate = defaultRate
	}
	ok := r.outcome == topology.OutcomeFound || r.outcome == topology.OutcomeEmpty && !p.FirstTTL
	if !ok {
		if p.FailureBase <= 0 {
			return rate
		}
		return max(minRest, b.next(p.FailureBase, p.FailureMax, random))
	}
	b.reset()
	// A TTL of 0 falls back to dns_refresh_rate.
	if p.RespectTTL && r.ttl > 0 {
		rate = r.ttl
	}
	if p.Jitter > 0 {
		rate += random(p.Jitter)
	}
	return max(minRest, rate)
}

// backoff is Envoy's JitteredExponentialBackOffStrategy: a random time below
// the current bound, which doubles from base to max.
type backoff struct{ bound time.Duration }

func (b *backoff) next(base, limit time.Duration, random func(time.Duration) time.Duration) time.Duration {
	if limit <= 0 {
		limit = 10 * base
	}
	if b.bound < base {
		b.bound = base
	}
	b.bound = min(b.bound, max(base, limit))
	wait := random(b.bound)
	b.bound *= 2
	return wait
}

func (b *backoff) reset() { b.bound = 0 }
