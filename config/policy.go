package config

//lint:file-ignore SA1019 Envoy still honours the cluster's *_lb_config fields, and files in use have them.

import (
	"math/big"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	lbcommon "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	least "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglev "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	random "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ring "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	robin "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	typesv3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/dockerlb/dockerlb/topology"
)

var policies = map[cluster.Cluster_LbPolicy]string{
	cluster.Cluster_ROUND_ROBIN:   "round_robin",
	cluster.Cluster_LEAST_REQUEST: "least_request",
	cluster.Cluster_RANDOM:        "random",
	cluster.Cluster_RING_HASH:     "ring_hash",
	cluster.Cluster_MAGLEV:        "maglev",
}

// lbPolicy reads how endpoints are chosen: load_balancing_policy where it is
// there, else lb_policy and what goes with it.
func (c *converter) lbPolicy(cl *cluster.Cluster, out *topology.Cluster, at string) {
	if p := cl.GetLoadBalancingPolicy(); p != nil {
		c.extension(p, out, at+".load_balancing_policy")
		return
	}
	if out.Policy = policies[cl.GetLbPolicy()]; out.Policy == "" {
		switch cl.GetLbPolicy() {
		case cluster.Cluster_LOAD_BALANCING_POLICY_CONFIG:
			c.fail(at+".lb_policy", "LOAD_BALANCING_POLICY_CONFIG wants a load_balancing_policy")
		default:
			c.fail(at+".lb_policy", "%s is not supported", cl.GetLbPolicy())
		}
	}
	// A configuration of another policy than the cluster's says nothing, in
	// Envoy too; but who writes it expects it to.
	for _, l := range [...]struct {
		field, policy string
		is            bool
	}{
		{"round_robin_lb_config", "round_robin", cl.GetRoundRobinLbConfig() != nil},
		{"least_request_lb_config", "least_request", cl.GetLeastRequestLbConfig() != nil},
		{"ring_hash_lb_config", "ring_hash", cl.GetRingHashLbConfig() != nil},
		{"maglev_lb_config", "maglev", cl.GetMaglevLbConfig() != nil},
	} {
		if l.is && l.policy != out.Policy && out.Policy != "" {
			c.fail(at+"."+l.field, "has no effect with lb_policy %s", cl.GetLbPolicy())
		}
	}
	if r := cl.GetRoundRobinLbConfig(); r != nil {
		out.SlowStart = slowStart(r.GetSlowStartConfig())
	}
	if l := cl.GetLeastRequestLbConfig(); l != nil {
		out.ChoiceCount, out.SlowStart = l.GetChoiceCount().GetValue(), slowStart(l.GetSlowStartConfig())
	}
	if r := cl.GetRingHashLbConfig(); r != nil {
		c.ring(r.GetMinimumRingSize(), r.GetMaximumRingSize(), out, at+".ring_hash_lb_config")
		if r.GetHashFunction() == cluster.Cluster_RingHashLbConfig_MURMUR_HASH_2 {
			out.HashFunction = murmurHash2
		}
	}
	if m := cl.GetMaglevLbConfig(); m != nil {
		c.maglev(m.GetTableSize(), out, at+".maglev_lb_config")
	}
}

const murmurHash2 = "murmur_hash_2"

// extension reads the first policy of load_balancing_policy: Envoy takes the
// first that it knows, and others are errors here.
func (c *converter) extension(p *cluster.LoadBalancingPolicy, out *topology.Cluster, at string) {
	if len(p.GetPolicies()) == 0 {
		c.fail(at+".policies", "want a policy")
		return
	}
	any := p.GetPolicies()[0].GetTypedExtensionConfig().GetTypedConfig()
	at = index(at, "policies", 0) + ".typed_extension_config.typed_config"
	switch {
	case any == nil:
		c.fail(at, "is required")
	case any.MessageIs((*robin.RoundRobin)(nil)):
		m := new(robin.RoundRobin)
		c.typed(any, m, at)
		out.Policy, out.SlowStart = "round_robin", slowStart(m.GetSlowStartConfig())
	case any.MessageIs((*least.LeastRequest)(nil)):
		m := new(least.LeastRequest)
		c.typed(any, m, at)
		out.Policy, out.ChoiceCount, out.SlowStart = "least_request", m.GetChoiceCount().GetValue(), slowStart(m.GetSlowStartConfig())
	case any.MessageIs((*random.Random)(nil)):
		c.typed(any, new(random.Random), at)
		out.Policy = "random"
	case any.MessageIs((*ring.RingHash)(nil)):
		m := new(ring.RingHash)
		c.typed(any, m, at)
		out.Policy = "ring_hash"
		c.ring(m.GetMinimumRingSize(), m.GetMaximumRingSize(), out, at)
		if m.GetHashFunction() == ring.RingHash_MURMUR_HASH_2 {
			out.HashFunction = murmurHash2
		}
	case any.MessageIs((*maglev.Maglev)(nil)):
		m := new(maglev.Maglev)
		c.typed(any, m, at)
		out.Policy = "maglev"
		c.maglev(m.GetTableSize(), out, at)
	default:
		c.fail(at, "%s is no load balancing policy", any.MessageName())
	}
}

func (c *converter) ring(least, most *wrapperspb.UInt64Value, out *topology.Cluster, at string) {
	out.RingMin, out.RingMax = least.GetValue(), most.GetValue()
	smallest, largest := uint64(1024), uint64(8<<20) // Envoy's defaults
	if least != nil {
		smallest = out.RingMin
	}
	if most != nil {
		largest = out.RingMax
	}
	if smallest > largest {
		c.fail(at, "minimum_ring_size (%d) > maximum_ring_size (%d)", smallest, largest)
	}
	if most != nil && largest == 0 {
		c.fail(at+".maximum_ring_size", "must be greater than 0")
	}
}

func (c *converter) maglev(size *wrapperspb.UInt64Value, out *topology.Cluster, at string) {
	if size == nil {
		return
	}
	out.MaglevSize = size.GetValue()
	if !new(big.Int).SetUint64(out.MaglevSize).ProbablyPrime(0) {
		c.fail(at+".table_size", "must be a prime number")
	}
}

// slowStartConfig is that of a cluster, or of a policy of its own.
type slowStartConfig interface {
	GetSlowStartWindow() *durationpb.Duration
	GetAggression() *core.RuntimeDouble
	GetMinWeightPercent() *typesv3.Percent
}

var (
	_ slowStartConfig = (*cluster.Cluster_SlowStartConfig)(nil)
	_ slowStartConfig = (*lbcommon.SlowStartConfig)(nil)
)

// slowStart is off without a window.
func slowStart(s slowStartConfig) topology.SlowStart {
	out := topology.SlowStart{Window: or(s.GetSlowStartWindow(), 0), MinPercent: 10}
	if out.Window <= 0 {
		return topology.SlowStart{}
	}
	out.Aggression = s.GetAggression().GetDefaultValue()
	if !(out.Aggression > 0) { // also NaN
		out.Aggression = 0
	}
	if p := s.GetMinWeightPercent(); p != nil {
		out.MinPercent = p.GetValue()
	}
	return out
}
