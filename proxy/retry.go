package proxy

import (
	"math/rand/v2"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/topology"
)

// retries is what is left of a request's chances.
type retries struct {
	left     int
	refusals int // tries that no endpoint has seen and that cost nothing
	backOffs int
	pause    time.Duration // before the next try, where a refusal asks for one
	// taken: the retry breaker has allowed the try that is on, and is to be
	// told of its end.
	taken *balancer.Cluster
	next  bool // it has allowed the next one
}

// unsentRetries is how often a request that no endpoint has seen goes to
// another one, also where no policy asks for it (README: the differences from
// Envoy).
const unsentRetries = 2

// freeRefusals is how often a request may be refused by one member after the
// other, where the cluster holds, before it costs tries: a stop signal is known
// a millisecond or more after the process has it, and many members may be told
// to stop at once.
const freeRefusals = 16

// refusedFirst and refusedMost bound the pause between such refusals, once the
// request has been to as many members as it can remember.
const (
	refusedFirst = 10 * time.Millisecond
	refusedMost  = 100 * time.Millisecond
)

func (ex *exchange) beginRetries() {
	p := &ex.route.Spec.Retry
	ex.retry = retries{left: int(p.Max)}
	if len(p.On) == 0 || p.Max == 0 {
		ex.retry.left = unsentRetries
	}
	ex.replayed = true
}

// endTry gives the retry breaker's slot of the try back.
func (ex *exchange) endTry(f *failure) {
	if c := ex.retry.taken; c != nil {
		c.RetryDone(f.result == balancer.OK && !f.disliked)
		ex.retry.taken = nil
	}
}

// dropRetry gives back what the retry breaker has allowed of a try that does not
// come: the client has left, or the time is up.
func (ex *exchange) dropRetry() {
	r := &ex.retry
	c := r.taken
	if c == nil && r.next {
		c = ex.lease.Cluster
	}
	if c != nil {
		c.RetryDone(false)
	}
	r.taken, r.next = nil, false
}

// mayRetry decides whether the request goes out again after f, and if so waits
// the back-off and has the next Acquire avoid the endpoint. What an endpoint may
// have processed goes again only under the policy; what it cannot have seen goes
// to another in any case.
func (ex *exchange) mayRetry(f *failure) bool {
	r, p := &ex.retry, &ex.route.Spec.Retry
	e := ex.lease.Endpoint
	if !ex.replayed || f.flag&FlagUO != 0 {
		return false
	}
	r.pause = 0
	if !f.disliked {
		if !f.unsent && !ex.policyWants(f) {
			return false
		}
		held := f.unsent && !f.own && ex.lease.Cluster.Spec().Hold > 0
		switch {
		case held && ex.tried(e):
			// The only member refuses again: Acquire has paused and bounds
			// this by the hold, which is what the request is waiting for.
		case held && r.refusals < freeRefusals:
			r.refusals++
			r.pause = refusalPause(r.refusals - len(ex.q.Tried))
		case r.left == 0:
			ex.exhausted()
			return false
		default:
			if !f.unsent && !ex.takeRetry() {
				ex.rec.Flags |= FlagUO
				return false
			}
			r.left--
		}
	}
	r.taken, r.next = nil, false
	if !f.unsent {
		r.taken = ex.lease.Cluster
	}
	ex.q.Refused = f.unsent
	if f.unsent || p.OtherMembers {
		ex.avoid(e)
	}
	return ex.backOff(f)
}

// exhausted counts a request whose policy allows no more.
func (ex *exchange) exhausted() {
	if len(ex.route.Spec.Retry.On) > 0 {
		ex.rec.Flags |= FlagURX
		ex.lease.Cluster.RetryLimitExceeded()
	}
}

func (ex *exchange) takeRetry() bool {
	if ex.retry.next {
		return true
	}
	ex.retry.next = ex.lease.Cluster.TryRetry()
	return ex.retry.next
}

func (ex *exchange) tried(e *balancer.Endpoint) bool {
	for _, t := range ex.q.Tried {
		if t == e {
			return true
		}
	}
	return false
}

// avoid notes that the request has been to e; the oldest is forgotten first.
func (ex *exchange) avoid(e *balancer.Endpoint) {
	if ex.tried(e) {
		return
	}
	for i := range ex.q.Tried {
		if ex.q.Tried[i] == nil {
			ex.q.Tried[i] = e
			return
		}
	}
	copy(ex.q.Tried[:], ex.q.Tried[1:])
	ex.q.Tried[len(ex.q.Tried)-1] = e
}

// policyWants: the route's conditions for a try without a response.
func (ex *exchange) policyWants(f *failure) bool {
	p := &ex.route.Spec.Retry
	if p.IdempotentOnly && !ex.q.Idempotent {
		return false
	}
	switch f.result {
	case balancer.Timeout:
		if !f.perTry {
			return false // the route's own limit spans all tries
		}
	case balancer.Reset, balancer.Protocol:
	default:
		return false
	}
	for _, on := range p.On {
		switch on {
		case "5xx", "gateway-error", "reset":
			return true
		}
	}
	return false
}

// dislikes: the route's conditions for a response by its status. Where another
// try follows, the response is dropped.
func (ex *exchange) dislikes() (failure, bool) {
	p := &ex.route.Spec.Retry
	if len(p.On) == 0 || ex.resp.status < 400 || ex.rateLimited() || !ex.uploadOver() || !ex.replayed || p.IdempotentOnly && !ex.q.Idempotent {
		return failure{}, false
	}
	if !retriable(p, ex.resp.status) {
		return failure{}, false
	}
	if ex.retry.left == 0 {
		ex.exhausted()
		return failure{}, false
	}
	if !ex.takeRetry() {
		ex.rec.Flags |= FlagUO
		return failure{}, false
	}
	ex.retry.left--
	return failure{result: balancer.OK, disliked: true}, true
}

// rateLimited: who says so must not be asked again at once (Envoy's
// x-envoy-ratelimited; its retry_on token for them is not supported).
func (ex *exchange) rateLimited() bool {
	_, n := ex.resp.lookup("x-envoy-ratelimited")
	return n > 0
}

func retriable(p *topology.RetryPolicy, status int) bool {
	for _, on := range p.On {
		switch on {
		case "5xx":
			if status >= 500 {
				return true
			}
		case "gateway-error":
			if status >= 502 && status <= 504 {
				return true
			}
		case "retriable-4xx":
			if status == 409 {
				return true
			}
		case "retriable-status-codes":
			for _, c := range p.Codes {
				if status == int(c) {
					return true
				}
			}
		}
	}
	return false
}

// backOff waits before the next try: not before the first that goes to another
// endpoint because one could not be connected to, else up to 25, 50, 100 ms and
// so on at random. False: the client left meanwhile, or the route's time was up,
// which f then says.
func (ex *exchange) backOff(f *failure) bool {
	r, p := &ex.retry, &ex.route.Spec.Retry
	n := r.backOffs
	r.backOffs++
	if r.pause > 0 {
		return ex.wait(r.pause, f)
	}
	if f.unsent && (n == 0 || !f.own && ex.lease.Cluster.Spec().Hold > 0) {
		return true // Acquire pauses where it is the same endpoint again
	}
	base, most := p.BaseInterval, p.MaxInterval
	if base == 0 {
		base = 25 * time.Millisecond
	}
	if most == 0 {
		most = 10 * base
	}
	wait := rand.N(min(base<<min(n, 16), most))
	if wait <= 0 {
		return true
	}
	return ex.wait(wait, f)
}

// refusalPause is how long the n-th refusal that is too many waits.
func refusalPause(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	return min(refusedFirst<<min(n-1, 10), refusedMost)
}

// wait waits between two tries.
func (ex *exchange) wait(d time.Duration, f *failure) bool {
	late := false
	if !ex.deadline.IsZero() {
		left := time.Until(ex.deadline)
		late, d = left <= d, min(left, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ex.stream.hold():
		*f = ex.canceledBy()
		return false
	}
	if late {
		*f = routeTimeout
	}
	return !late
}

// routeTimeout: the time for all tries was up while no endpoint had the request.
var routeTimeout = failure{result: balancer.Timeout, reason: "timeout", flag: FlagUT, own: true}
