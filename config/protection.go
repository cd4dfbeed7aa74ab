package config

import (
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/dockerlb/dockerlb/topology"
)

// Envoy's circuit breakers.
var defaultBreakers = topology.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3}

const (
	defaultBudgetPercent = 20
	defaultBudgetMin     = 3
)

func (c *converter) breakers(b *cluster.CircuitBreakers, at string) topology.Breakers {
	out, seen := defaultBreakers, false
	for i, t := range b.GetThresholds() {
		here := index(at, "thresholds", i)
		if t.GetPriority() != core.RoutingPriority_DEFAULT {
			c.fail(here+".priority", "%s is not supported: no route has it", t.GetPriority())
			continue
		}
		if seen {
			c.fail(here, "a second one for priority DEFAULT")
		}
		seen = true
		out.MaxConnections = value(t.GetMaxConnections(), out.MaxConnections)
		out.MaxPending = value(t.GetMaxPendingRequests(), out.MaxPending)
		out.MaxRequests = value(t.GetMaxRequests(), out.MaxRequests)
		out.MaxRetries = value(t.GetMaxRetries(), out.MaxRetries)
		if r := t.GetRetryBudget(); r != nil {
			out.BudgetPercent, out.BudgetMin = defaultBudgetPercent, value(r.GetMinRetryConcurrency(), defaultBudgetMin)
			if p := r.GetBudgetPercent(); p != nil {
				out.BudgetPercent = p.GetValue()
			}
			if out.BudgetPercent == 0 {
				c.fail(here+".retry_budget.budget_percent", "0 is not supported: without retry_policy there are no retries")
			}
		}
		if out == (topology.Breakers{}) {
			c.fail(here, "all of them 0: nothing would ever pass")
		}
	}
	return out
}

func value(v *wrapperspb.UInt32Value, otherwise uint32) uint32 {
	if v == nil {
		return otherwise
	}
	return v.GetValue()
}

// outlier reads outlier_detection with Envoy's defaults.
func (c *converter) outlier(o *cluster.OutlierDetection, at string) *topology.Outlier {
	out := &topology.Outlier{
		Consecutive5xx:      value(o.GetConsecutive_5Xx(), 5),
		ConsecutiveGateway:  value(o.GetConsecutiveGatewayFailure(), 5),
		ConsecutiveLocal:    value(o.GetConsecutiveLocalOriginFailure(), 5),
		Enforce5xx:          value(o.GetEnforcingConsecutive_5Xx(), 100),
		EnforceGateway:      value(o.GetEnforcingConsecutiveGatewayFailure(), 0),
		EnforceLocal:        value(o.GetEnforcingConsecutiveLocalOriginFailure(), 100),
		Interval:            or(o.GetInterval(), 10*time.Second),
		BaseEjection:        or(o.GetBaseEjectionTime(), 30*time.Second),
		Jitter:              or(o.GetMaxEjectionTimeJitter(), 0),
		MaxPercent:          value(o.GetMaxEjectionPercent(), 10),
		AlwaysEjectOne:      o.GetAlwaysEjectOneHost().GetValue(),
		SplitErrors:         o.GetSplitExternalLocalOriginErrors(),
		SuccessUnejects:     o.GetSuccessfulActiveHealthCheckUnejectHost() == nil || o.GetSuccessfulActiveHealthCheckUnejectHost().GetValue(),
		SuccessRateMinHosts: value(o.GetSuccessRateMinimumHosts(), 5),
		SuccessRateVolume:   value(o.GetSuccessRateRequestVolume(), 100),
		SuccessRateStdev:    value(o.GetSuccessRateStdevFactor(), 1900),
		EnforceSuccessRate:  value(o.GetEnforcingSuccessRate(), 100),
		FailurePctThreshold: value(o.GetFailurePercentageThreshold(), 85),
		FailurePctMinHosts:  value(o.GetFailurePercentageMinimumHosts(), 5),
		FailurePctVolume:    value(o.GetFailurePercentageRequestVolume(), 50),
		EnforceFailurePct:   value(o.GetEnforcingFailurePercentage(), 0),
	}
	out.MaxEjection = or(o.GetMaxEjectionTime(), max(300*time.Second, out.BaseEjection))
	if o.GetMaxEjectionTime() != nil && out.MaxEjection < out.BaseEjection {
		c.fail(at+".max_ejection_time", "must be at least base_ejection_time, %s", out.BaseEjection)
	}
	return out
}
