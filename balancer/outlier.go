package balancer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// Passive health is Envoy's outlier detection. Requests only count;
// what a count comes to is decided by Run.

// outlierCounters are what detection goes by, written by requests.
type outlierCounters struct {
	rows           [kinds]atomic.Uint32 // failures in a row
	asked          atomic.Bool          // a detection is on its way to Run
	total, success atomic.Uint64        // since the last sweep
}

// kind is what was seen in a row.
type kind uint8

const (
	errors5xx kind = iota
	errorsGateway
	errorsLocal
	kinds
	// refusal: a Stopping member has begun to refuse connections.
	refusal
)

func (k kind) String() string {
	switch k {
	case errors5xx:
		return "failed requests (5xx)"
	case errorsGateway:
		return "failed requests (502, 503, 504)"
	case errorsLocal:
		return "failures to connect"
	}
	return "refusals"
}

// detection is what Done tells Run.
type detection struct {
	e    *Endpoint
	kind kind
}

// ejection is an endpoint's passive health, guarded by Balancer.mu.
type ejection struct {
	out   bool
	why   string
	until time.Time
	// times is by how much base_ejection_time is multiplied; it grows with
	// each ejection and shrinks while the endpoint stays in.
	times  int
	backAt time.Time // when it was last let in again
}

// outlierRule is a cluster's rule with Envoy's defaults for what is 0 and
// could not be.
type outlierRule struct {
	*topology.Outlier
	interval, base, most time.Duration
}

func (c *Cluster) outlier() (outlierRule, bool) {
	o := c.Spec().Outlier
	if o == nil {
		return outlierRule{}, false
	}
	r := outlierRule{o, o.Interval, o.BaseEjection, o.MaxEjection}
	if r.interval <= 0 {
		r.interval = 10 * time.Second
	}
	if r.base <= 0 {
		r.base = 30 * time.Second
	}
	if r.most <= 0 {
		r.most = max(300*time.Second, r.base)
	}
	return r, true
}

// row is the rule for failures in a row: how many, and how often (per cent) it
// is enforced.
func (r outlierRule) row(k kind) (threshold, enforce uint32) {
	switch k {
	case errors5xx:
		return r.Consecutive5xx, r.Enforce5xx
	case errorsGateway:
		return r.ConsecutiveGateway, r.EnforceGateway
	default:
		return r.ConsecutiveLocal, r.EnforceLocal
	}
}

// judge counts one outcome, on the request's path. What happened on our side
// counts as the answer that we give for it, 503 or 504; or for itself, where
// split_external_local_origin_errors is set.
func (e *Endpoint) judge(o Outcome) {
	rule := e.cluster.Spec().Outlier
	if rule == nil || o.Result == Canceled || o.Result == Overflow || o.Late {
		return
	}
	status := o.Status
	switch o.Result {
	case OK:
	case Timeout:
		status = 504
	default:
		status = 503
	}
	n := &e.outlier
	if rule.SplitErrors {
		if o.Result != OK {
			e.inRow(errorsLocal, rule.ConsecutiveLocal, rule.EnforceLocal)
			return
		}
		n.end(errorsLocal)
	}
	sweeps := rule.EnforceSuccessRate > 0 || rule.EnforceFailurePct > 0
	if sweeps {
		n.total.Add(1)
	}
	if status < 500 {
		if sweeps {
			n.success.Add(1)
		}
		n.end(errors5xx)
		n.end(errorsGateway)
		return
	}
	e.inRow(errors5xx, rule.Consecutive5xx, rule.Enforce5xx)
	if status >= 502 && status <= 504 {
		e.inRow(errorsGateway, rule.ConsecutiveGateway, rule.EnforceGateway)
	} else {
		n.end(errorsGateway)
	}
}

// end ends a row of failures; it writes only where there is one.
func (n *outlierCounters) end(k kind) {
	if n.rows[k].Load() != 0 {
		n.rows[k].Store(0)
	}
}

func (e *Endpoint) inRow(k kind, threshold, enforce uint32) {
	if threshold == 0 || enforce == 0 {
		return
	}
	if e.outlier.rows[k].Add(1) >= threshold && e.outlier.asked.CompareAndSwap(false, true) {
		if !e.cluster.b.tell(detection{e, k}) {
			e.outlier.asked.Store(false)
		}
	}
}

// tell passes a detection to Run, unless too many wait there.
func (b *Balancer) tell(d detection) bool {
	select {
	case b.detections <- d:
		return true
	default:
		return false
	}
}

// detected acts on what a request found. Balancer.mu is held.
func (b *Balancer) detected(d detection, now time.Time) {
	e, c := d.e, d.e.cluster
	if e.leaving.Load() {
		return
	}
	if d.kind == refusal {
		b.settle(c, now)
		return
	}
	row := e.outlier.rows[d.kind].Swap(0)
	e.outlier.asked.Store(false)
	rule, on := c.outlier()
	if !on {
		return
	}
	threshold, enforce := rule.row(d.kind)
	if threshold == 0 {
		return
	}
	if b.eject(c, e, rule, enforce, fmt.Sprintf("%d %s in a row", max(row, threshold), d.kind), now) {
		b.settle(c, now)
	}
}

// eject takes an endpoint out, where the rule allows it. The caller publishes.
func (b *Balancer) eject(c *Cluster, e *Endpoint, rule outlierRule, enforce uint32, why string, now time.Time) bool {
	if e.ejection.out || e.stand.class == out || rand.Uint32N(100) >= enforce {
		return false
	}
	out, others := 0, 0
	for _, o := range c.endpoints {
		if o.ejection.out {
			out++
		}
		if o != e && !o.ejection.out && o.stand.class.ready() {
			others++
		}
	}
	within := 100*(out+1) <= int(rule.MaxPercent)*len(c.endpoints) || rule.AlwaysEjectOne && out == 0
	if !within || rule.KeepLast && others == 0 {
		c.count.outlierOverflow.Add(1)
		return false
	}
	j := &e.ejection
	if time.Duration(j.times)*rule.base < rule.most+rule.base {
		j.times++
	}
	lasts := min(time.Duration(j.times)*rule.base, rule.most)
	if rule.Jitter > 0 {
		lasts += rand.N(rule.Jitter)
	}
	j.out, j.why, j.until = true, why, now.Add(lasts)
	c.count.outlierEnforced.Add(1)
	c.count.outlierActive.Add(1)
	b.poke()
	return true
}

// uneject lets an endpoint in again, with a clean slate. The caller publishes.
func (e *Endpoint) uneject(now time.Time) {
	e.ejection.out, e.ejection.backAt = false, now
	e.cluster.count.outlierActive.Add(-1)
	for k := range e.outlier.rows {
		e.outlier.rows[k].Store(0)
	}
}

// ejectedUntil is when an ejected endpoint comes back: at the first sweep after
// its time. Balancer.mu is held.
func (e *Endpoint) ejectedUntil() time.Time {
	at, until := e.cluster.sweepAt, e.ejection.until
	rule, on := e.cluster.outlier()
	if !on || at.IsZero() || !at.Before(until) {
		return later(at, until)
	}
	sweeps := (until.Sub(at) + rule.interval - 1) / rule.interval
	return at.Add(sweeps * rule.interval)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// schedule sets the cluster's next sweep where it has none; without detection
// nobody stays ejected.
func (c *Cluster) schedule(now time.Time) {
	rule, on := c.outlier()
	if !on {
		c.sweepAt = time.Time{}
		for _, e := range c.endpoints {
			if e.ejection.out {
				e.uneject(now)
			}
		}
		return
	}
	if c.sweepAt.IsZero() || c.sweepAt.After(now.Add(rule.interval)) {
		c.sweepAt = now.Add(rule.interval)
	}
}

// sweep does what Envoy does every interval, where it is due: let in again
// those whose time is over, and look at the rates of the others. It returns
// when the next is due.
func (b *Balancer) sweep(c *Cluster, now time.Time) time.Time {
	if c.sweepAt.IsZero() || now.Before(c.sweepAt) {
		return c.sweepAt
	}
	rule, on := c.outlier()
	if !on {
		return time.Time{}
	}
	changed := false
	for _, e := range c.endpoints {
		j := &e.ejection
		switch {
		case j.out && !now.Before(j.until):
			e.uneject(now)
			changed = true
		case !j.out && j.times > 0 && now.Sub(j.backAt) >= rule.interval:
			j.times--
		}
	}
	if changed {
		b.publish(c, now)
	}
	if b.rates(c, rule, now) {
		b.publish(c, now)
	}
	c.sweepAt = now.Add(rule.interval)
	return c.sweepAt
}

// sample is one endpoint's last interval.
type sample struct {
	e    *Endpoint
	rate float64 // of successes, per cent
}

// rates ejects by success rate and by failure percentage, over the interval
// that has just ended.
func (b *Balancer) rates(c *Cluster, rule outlierRule, now time.Time) (changed bool) {
	if rule.EnforceSuccessRate == 0 && rule.EnforceFailurePct == 0 {
		return false
	}
	var bySuccess, byFailure []sample
	for _, e := range c.endpoints {
		total, success := e.outlier.total.Swap(0), e.outlier.success.Swap(0)
		if e.ejection.out || total == 0 {
			continue
		}
		s := sample{e, 100 * float64(min(success, total)) / float64(total)}
		if total >= uint64(rule.SuccessRateVolume) {
			bySuccess = append(bySuccess, s)
		}
		if total >= uint64(rule.FailurePctVolume) {
			byFailure = append(byFailure, s)
		}
	}
	if rule.EnforceSuccessRate > 0 && len(bySuccess) > 0 && len(bySuccess) >= int(rule.SuccessRateMinHosts) {
		least := successThreshold(bySuccess, rule.SuccessRateStdev)
		for _, s := range bySuccess {
			if s.rate < least {
				why := fmt.Sprintf("success rate %.0f %%, below %.0f %%", s.rate, least)
				changed = b.eject(c, s.e, rule, rule.EnforceSuccessRate, why, now) || changed
			}
		}
	}
	if rule.EnforceFailurePct > 0 && len(byFailure) > 0 && len(byFailure) >= int(rule.FailurePctMinHosts) {
		for _, s := range byFailure {
			if 100-s.rate >= float64(rule.FailurePctThreshold) {
				why := fmt.Sprintf("%.0f %% of its requests failed", 100-s.rate)
				changed = b.eject(c, s.e, rule, rule.EnforceFailurePct, why, now) || changed
			}
		}
	}
	return changed
}

// successThreshold is mean - stdev × factor/1000, with the standard deviation
// of the population: {50, 100, 100, 100, 100} and 1900 give 52.
func successThreshold(samples []sample, factor uint32) float64 {
	n := float64(len(samples))
	mean, variance := 0.0, 0.0
	for _, s := range samples {
		mean += s.rate / n
	}
	for _, s := range samples {
		variance += (s.rate - mean) * (s.rate - mean) / n
	}
	return mean - math.Sqrt(variance)*float64(factor)/1000
}
