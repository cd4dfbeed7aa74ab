package config

//lint:file-ignore SA1019 the cluster's older fields are those that every reader knows.

import (
	"encoding/hex"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	typesv3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

// Cluster is a cluster with its endpoints.
func Cluster(c *topology.StaticCluster) *cluster.Cluster {
	out := &cluster.Cluster{
		Name:                      text(c.Name),
		LoadAssignment:            Assignment(c),
		RespectDnsTtl:             c.Refresh.RespectTTL,
		DnsJitter:                 some(c.Refresh.Jitter),
		IgnoreHealthOnHostRemoval: c.IgnoreHealthOnRemoval,
		OutlierDetection:          outlierMessage(c.Outlier),
		CircuitBreakers:           breakersMessage(c.Breakers),
	}
	switch c.Type {
	case topology.StrictDNS:
		out.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_STRICT_DNS}
	case topology.LogicalDNS:
		out.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_LOGICAL_DNS}
	default:
		out.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_STATIC}
	}
	if c.ConnectTimeout != defaultConnectTimeout {
		out.ConnectTimeout = some(c.ConnectTimeout)
	}
	if c.Refresh.Rate != defaultRefreshRate {
		out.DnsRefreshRate = some(c.Refresh.Rate)
	}
	if c.Refresh.FailureBase > 0 {
		out.DnsFailureRefreshRate = &cluster.Cluster_RefreshRate{BaseInterval: durationpb.New(c.Refresh.FailureBase), MaxInterval: some(c.Refresh.FailureMax)}
	}
	switch c.Family {
	case topology.LookupV4Only:
		out.DnsLookupFamily = cluster.Cluster_V4_ONLY
	case topology.LookupV6Only:
		out.DnsLookupFamily = cluster.Cluster_V6_ONLY
	case topology.LookupV4Preferred:
		out.DnsLookupFamily = cluster.Cluster_V4_PREFERRED
	case topology.LookupAll:
		out.DnsLookupFamily = cluster.Cluster_ALL
	}
	if !c.WaitForWarm {
		out.WaitForWarmOnInit = wrapperspb.Bool(false)
	}
	if c.PanicPercent != defaultPanicPercent {
		out.CommonLbConfig = &cluster.Cluster_CommonLbConfig{HealthyPanicThreshold: &typesv3.Percent{Value: float64(c.PanicPercent)}}
	}
	if c.IdleTimeout != 0 && c.IdleTimeout != defaultUpstreamIdle || c.MaxRequestsPerConn > 0 {
		o := &core.HttpProtocolOptions{MaxRequestsPerConnection: count(c.MaxRequestsPerConn)}
		if c.IdleTimeout != defaultUpstreamIdle {
			o.IdleTimeout = limitMessage(c.IdleTimeout)
		}
		out.CommonHttpProtocolOptions = o
	}
	policyMessage(&c.Cluster, out)
	for i := range c.HealthChecks {
		out.HealthChecks = append(out.HealthChecks, healthMessage(&c.HealthChecks[i]))
	}
	return out
}

func policyMessage(c *topology.Cluster, out *cluster.Cluster) {
	for number, name := range policies {
		if name == c.Policy {
			out.LbPolicy = number
		}
	}
	var slow *cluster.Cluster_SlowStartConfig
	if s := c.SlowStart; s.Window > 0 {
		slow = &cluster.Cluster_SlowStartConfig{
			SlowStartWindow:  durationpb.New(s.Window),
			MinWeightPercent: &typesv3.Percent{Value: s.MinPercent},
		}
		if s.Aggression > 0 {
			slow.Aggression = &core.RuntimeDouble{DefaultValue: s.Aggression, RuntimeKey: "upstream.slow_start.aggression"}
		}
	}
	switch out.LbPolicy {
	case cluster.Cluster_ROUND_ROBIN:
		if slow != nil {
			out.LbConfig = &cluster.Cluster_RoundRobinLbConfig_{RoundRobinLbConfig: &cluster.Cluster_RoundRobinLbConfig{SlowStartConfig: slow}}
		}
	case cluster.Cluster_LEAST_REQUEST:
		if slow != nil || c.ChoiceCount >= 2 {
			out.LbConfig = &cluster.Cluster_LeastRequestLbConfig_{LeastRequestLbConfig: &cluster.Cluster_LeastRequestLbConfig{
				SlowStartConfig: slow, ChoiceCount: count(c.ChoiceCount),
			}}
		}
	case cluster.Cluster_RING_HASH:
		r := &cluster.Cluster_RingHashLbConfig{MinimumRingSize: count64(c.RingMin), MaximumRingSize: count64(c.RingMax)}
		if c.HashFunction == murmurHash2 {
			r.HashFunction = cluster.Cluster_RingHashLbConfig_MURMUR_HASH_2
		}
		out.LbConfig = &cluster.Cluster_RingHashLbConfig_{RingHashLbConfig: r}
	case cluster.Cluster_MAGLEV:
		if c.MaglevSize > 0 {
			out.LbConfig = &cluster.Cluster_MaglevLbConfig_{MaglevLbConfig: &cluster.Cluster_MaglevLbConfig{TableSize: count64(c.MaglevSize)}}
		}
	}
}

// Assignment is a cluster's endpoints as a file says them: names where they are
// resolved.
func Assignment(c *topology.StaticCluster) *endpoint.ClusterLoadAssignment {
	a := &endpoint.ClusterLoadAssignment{ClusterName: text(c.Name)}
	if c.Overprovisioning != 0 && c.Overprovisioning != defaultOverprovisioning {
		a.Policy = &endpoint.ClusterLoadAssignment_Policy{OverprovisioningFactor: count(c.Overprovisioning)}
	}
	var last *endpoint.LocalityLbEndpoints
	for i := range c.Hosts {
		h := &c.Hosts[i]
		t := &h.Template
		if last == nil || !sameLocality(last, t) {
			last = &endpoint.LocalityLbEndpoints{Priority: t.Tier}
			if t.Region+t.Zone+t.SubZone != "" {
				last.Locality = &core.Locality{Region: text(t.Region), Zone: text(t.Zone), SubZone: text(t.SubZone)}
			}
			a.Endpoints = append(a.Endpoints, last)
		}
		last.LbEndpoints = append(last.LbEndpoints, hostMessage(h))
	}
	return a
}

func sameLocality(l *endpoint.LocalityLbEndpoints, t *topology.Endpoint) bool {
	return l.Priority == t.Tier && l.GetLocality().GetRegion() == text(t.Region) && l.GetLocality().GetZone() == text(t.Zone) &&
		l.GetLocality().GetSubZone() == text(t.SubZone)
}

func hostMessage(h *topology.StaticHost) *endpoint.LbEndpoint {
	t := &h.Template
	e := &endpoint.Endpoint{Address: address(ip(h), h.Port), Hostname: text(t.Hostname)}
	if t.HealthPort != 0 || t.HealthHost != "" || t.NoHealthCheck {
		e.HealthCheckConfig = &endpoint.Endpoint_HealthCheckConfig{
			PortValue: uint32(t.HealthPort), Hostname: text(t.HealthHost), DisableActiveHealthCheck: t.NoHealthCheck,
		}
	}
	out := &endpoint.LbEndpoint{
		HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: e},
		HealthStatus:   core.HealthStatus(core.HealthStatus_value[t.EDSHealth]),
	}
	if t.Weight != 1 {
		out.LoadBalancingWeight = count(t.Weight)
	}
	return out
}

func breakersMessage(b topology.Breakers) *cluster.CircuitBreakers {
	if b == defaultBreakers || b == (topology.Breakers{}) {
		return nil
	}
	t := &cluster.CircuitBreakers_Thresholds{
		MaxConnections: wrapperspb.UInt32(b.MaxConnections), MaxPendingRequests: wrapperspb.UInt32(b.MaxPending),
		MaxRequests: wrapperspb.UInt32(b.MaxRequests), MaxRetries: wrapperspb.UInt32(b.MaxRetries),
	}
	if b.BudgetPercent > 0 {
		t.RetryBudget = &cluster.CircuitBreakers_Thresholds_RetryBudget{
			BudgetPercent: &typesv3.Percent{Value: b.BudgetPercent}, MinRetryConcurrency: wrapperspb.UInt32(b.BudgetMin),
		}
	}
	return &cluster.CircuitBreakers{Thresholds: []*cluster.CircuitBreakers_Thresholds{t}}
}

func outlierMessage(o *topology.Outlier) *cluster.OutlierDetection {
	if o == nil {
		return nil
	}
	n := wrapperspb.UInt32
	out := &cluster.OutlierDetection{
		Consecutive_5Xx:                        n(o.Consecutive5xx),
		ConsecutiveGatewayFailure:              n(o.ConsecutiveGateway),
		ConsecutiveLocalOriginFailure:          n(o.ConsecutiveLocal),
		EnforcingConsecutive_5Xx:               n(o.Enforce5xx),
		EnforcingConsecutiveGatewayFailure:     n(o.EnforceGateway),
		EnforcingConsecutiveLocalOriginFailure: n(o.EnforceLocal),
		Interval:                               some(o.Interval),
		BaseEjectionTime:                       some(o.BaseEjection),
		MaxEjectionTime:                        some(o.MaxEjection),
		MaxEjectionTimeJitter:                  some(o.Jitter),
		MaxEjectionPercent:                     n(o.MaxPercent),
		SplitExternalLocalOriginErrors:         o.SplitErrors,
		SuccessRateMinimumHosts:                n(o.SuccessRateMinHosts),
		SuccessRateRequestVolume:               n(o.SuccessRateVolume),
		SuccessRateStdevFactor:                 n(o.SuccessRateStdev),
		EnforcingSuccessRate:                   n(o.EnforceSuccessRate),
		FailurePercentageThreshold:             n(o.FailurePctThreshold),
		FailurePercentageMinimumHosts:          n(o.FailurePctMinHosts),
		FailurePercentageRequestVolume:         n(o.FailurePctVolume),
		EnforcingFailurePercentage:             n(o.EnforceFailurePct),
	}
	if o.AlwaysEjectOne {
		out.AlwaysEjectOneHost = wrapperspb.Bool(true)
	}
	if !o.SuccessUnejects {
		out.SuccessfulActiveHealthCheckUnejectHost = wrapperspb.Bool(false)
	}
	return out
}

func healthMessage(h *topology.HealthCheck) *core.HealthCheck {
	out := &core.HealthCheck{
		Timeout: durationpb.New(h.Limit), Interval: durationpb.New(h.Interval),
		HealthyThreshold: wrapperspb.UInt32(h.Rise), UnhealthyThreshold: wrapperspb.UInt32(h.Fall),
		InitialJitter: some(h.InitialJitter), IntervalJitter: some(h.IntervalJitter),
		NoTrafficHealthyInterval: some(h.NoTrafficHealthy),
		UnhealthyInterval:        some(h.Unhealthy), UnhealthyEdgeInterval: some(h.UnhealthyEdge), HealthyEdgeInterval: some(h.HealthyEdge),
		AltPort: count(uint32(h.Port)),
	}
	if h.NoTraffic != defaultNoTraffic {
		out.NoTrafficInterval = some(h.NoTraffic)
	}
	switch h.Kind {
	case "http":
		m := &core.HealthCheck_HttpHealthCheck{
			Host: text(h.Host), Path: text(orElse(h.Path, "/")), Method: core.RequestMethod(core.RequestMethod_value[h.Method]),
			ExpectedStatuses: statusMessages(h.Statuses), RetriableStatuses: statusMessages(h.Retriable), Receive: payloads(h.Receive),
		}
		m.RequestHeadersToAdd, m.RequestHeadersToRemove = mutationMessage(&h.RequestHeaders)
		out.HealthChecker = &core.HealthCheck_HttpHealthCheck_{HttpHealthCheck: m}
	case "grpc":
		m := &core.HealthCheck_GrpcHealthCheck{ServiceName: text(h.Service), Authority: text(h.Host)}
		m.InitialMetadata, _ = mutationMessage(&h.RequestHeaders)
		out.HealthChecker = &core.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: m}
	default:
		m := &core.HealthCheck_TcpHealthCheck{Receive: payloads(h.Receive)}
		if len(h.Send) > 0 {
			m.Send = payloads(h.Send)[0]
		}
		out.HealthChecker = &core.HealthCheck_TcpHealthCheck_{TcpHealthCheck: m}
	}
	return out
}

func statusMessages(ranges []labels.StatusRange) (out []*typesv3.Int64Range) {
	for _, r := range ranges {
		out = append(out, &typesv3.Int64Range{Start: int64(r.From), End: int64(r.To) + 1})
	}
	return out
}

func payloads(b []byte) []*core.HealthCheck_Payload {
	if len(b) == 0 {
		return nil
	}
	return []*core.HealthCheck_Payload{{Payload: &core.HealthCheck_Payload_Text{Text: hex.EncodeToString(b)}}}
}
