package topology

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

// What label clusters have and no label sets.
const (
	// At most so many requests wait: 800 a second for the 5 s of lb.hold. Each
	// costs some 14 KiB with its connection (measured: 57 MiB for 4,096).
	holdMax          = 4096
	overprovisioning = 140              // Envoy's overprovisioning_factor
	choiceCount      = 2                // Envoy's least_request choice_count
	ringMin, ringMax = 1024, 8 << 20    // Envoy's ring_hash_lb_config
	maglevSize       = 65537            // Envoy's maglev_lb_config table_size
	outlierInterval  = 10 * time.Second // Envoy's outlier_detection interval
	maxEjection      = 300 * time.Second
	slowStartMin     = 10 // Envoy's min_weight_percent
)

// policyCluster is a cluster of labels by its policy, without endpoints.
func policyCluster(name string, p *labels.ClusterPolicy) Cluster {
	c := Cluster{
		Name:             name,
		Type:             Labels,
		Source:           FromLabels,
		Warm:             true,
		Policy:           p.Policy,
		ChoiceCount:      choiceCount,
		RingMin:          ringMin,
		RingMax:          ringMax,
		MaglevSize:       maglevSize,
		HashFunction:     "xx_hash",
		Hash:             policyHash(p),
		Sticky:           p.Sticky,
		ConnectTimeout:   p.ConnectTimeout,
		IdleTimeout:      p.IdleTime,
		Overprovisioning: overprovisioning,
		PanicPercent:     p.PanicPercent,
		Hold:             p.Hold,
		HoldMax:          holdMax,
		Tombstone:        p.Tombstone,
		Breakers: Breakers{
			MaxConnections: p.MaxConns, MaxPending: p.MaxPending, MaxRequests: p.MaxRequests,
			// Not Envoy's 3: when a member is killed, all that were inside go
			// to another at once. lb.retry bounds what each request may cost.
			MaxRetries: p.MaxRequests,
		},
	}
	if p.SlowStart > 0 {
		c.SlowStart = SlowStart{Window: p.SlowStart, Aggression: 1, MinPercent: slowStartMin}
	}
	if n := p.OutlierConsecutive; n > 0 {
		c.Outlier = &Outlier{
			Consecutive5xx: n, ConsecutiveGateway: n, ConsecutiveLocal: n,
			Enforce5xx: 100, EnforceLocal: 100,
			Interval: outlierInterval, BaseEjection: p.OutlierBaseTime, MaxEjection: max(maxEjection, p.OutlierBaseTime),
			MaxPercent: p.OutlierMaxPercent, KeepLast: true,
		}
	}
	return c
}

// policyCheck is the one active check of a cluster of labels: HTTP where
// lb.health.path is set, else a TCP connect.
func policyCheck(p *labels.ClusterPolicy) HealthCheck {
	h := HealthCheck{
		Kind: "tcp", Interval: p.HealthInterval, Limit: p.HealthLimit, Rise: p.HealthRise, Fall: p.HealthFall,
		Quick: true, Port: p.HealthPort, ReuseConnection: true,
	}
	if p.HealthPath != "" {
		h.Kind, h.Path, h.Host, h.Method = "http", p.HealthPath, p.HealthHost, p.HealthMethod
		h.Statuses = slices.Clone(p.HealthStatus)
	}
	return h
}

// policyHash says what the two hashing policies hash.
func policyHash(p *labels.ClusterPolicy) []HashSource {
	if p.Policy != "ring_hash" && p.Policy != "maglev" {
		return nil
	}
	return []HashSource{{Kind: p.HashSource, Name: p.HashName}}
}

// policyRetry translates lb.retry: its words are Envoy's, but for the two
// short ones, and a status code stands for itself.
func policyRetry(p *labels.ClusterPolicy) RetryPolicy {
	if p.Retries == 0 || len(p.RetryOn) == 0 {
		return RetryPolicy{}
	}
	r := RetryPolicy{
		Max: p.Retries, BaseInterval: 25 * time.Millisecond, MaxInterval: 250 * time.Millisecond,
		OtherMembers: true, IdempotentOnly: true,
	}
	for _, on := range p.RetryOn {
		switch code, err := strconv.ParseUint(on, 10, 16); {
		case err == nil:
			r.Codes = append(r.Codes, uint32(code))
			on = "retriable-status-codes"
		case on == "connect":
			on = "connect-failure"
		}
		if !slices.Contains(r.On, on) {
			r.On = append(r.On, on)
		}
	}
	return r
}

// policyRoute is a route of labels to a cluster with this policy.
func policyRoute(c *claim, cluster string, p *labels.ClusterPolicy) Route {
	r := Route{
		Key:         c.key,
		Source:      FromLabels,
		Match:       c.match,
		Clusters:    []WeightedCluster{{Name: cluster, Weight: 1}},
		HeadTimeout: p.ResponseTimeout,
		Retry:       policyRetry(p),
		Rewrite:     c.rewrite,
		Upgrades:    []string{"websocket"},
		Hash:        policyHash(p),
	}
	// A member that does not answer is then one more that failed (Envoy's
	// 504), and another may still do it.
	if slices.Contains(r.Retry.On, "5xx") || slices.Contains(r.Retry.On, "gateway-error") {
		r.HeadTimeout, r.Retry.PerTry = 0, p.ResponseTimeout
	}
	return r
}

// rewriteOf is lb.strip and lb.rewrite. They replace the matched prefix, on
// segment borders: what is left always begins with a slash, and the proxy makes
// an empty path "/".
func rewriteOf(r *labels.Route) Rewrite {
	if !r.Strip && r.Rewrite == "" || r.Path.Kind == labels.PathRegex {
		return Rewrite{}
	}
	to := strings.TrimSuffix(r.Rewrite, "/")
	if r.Path.Text == "/" || r.Path.Text == "" {
		if to == "" {
			return Rewrite{} // nothing to strip
		}
		to += "/" // the matched prefix is the slash itself
	} else if strings.HasSuffix(r.Path.Text, "/") {
		to += "/"
	}
	return Rewrite{Prefix: to, SetPrefix: true}
}
