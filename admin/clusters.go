package admin

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/topology"
)

// highPriority are the breakers of Envoy's HIGH routing priority, which no
// route here has: its defaults.
var highPriority = topology.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3}

func (s *Server) clusters(w http.ResponseWriter, r *http.Request) {
	snap := s.o.Balancer.Snapshot()
	switch f := r.Form.Get("format"); f {
	case "json":
		s.writeProto(w, clusterStatuses(snap.Clusters), false)
	case "", "text":
		b := bufio.NewWriter(w)
		defer b.Flush()
		for i := range snap.Clusters {
			writeCluster(b, &snap.Clusters[i])
		}
	default:
		s.badFormat(w, f, "text or json")
	}
}

func (s *Server) badFormat(w http.ResponseWriter, got, want string) {
	s.fail(w, http.StatusBadRequest, fmt.Sprintf("format %q: want %s\n", got, want))
}

// addedViaAPI: what Envoy calls a cluster that did not come from its file.
func addedViaAPI(c *balancer.ClusterStatus) bool { return c.Source != topology.FromFile }

// writeCluster writes Envoy's text.
func writeCluster(b *bufio.Writer, c *balancer.ClusterStatus) {
	name := oneLine(c.Name)
	line := func(key string, value any) { fmt.Fprintf(b, "%s::%s::%v\n", name, key, value) }
	line("observability_name", name)
	if c.Outlier != nil {
		// No success rate is measured; Envoy writes -1 for that.
		line("outlier::success_rate_average", -1)
		line("outlier::success_rate_ejection_threshold", -1)
		line("outlier::local_origin_success_rate_average", -1)
		line("outlier::local_origin_success_rate_ejection_threshold", -1)
	}
	for _, p := range [...]struct {
		name string
		b    topology.Breakers
	}{{"default_priority", c.Breakers}, {"high_priority", highPriority}} {
		line(p.name+"::max_connections", p.b.MaxConnections)
		line(p.name+"::max_pending_requests", p.b.MaxPending)
		line(p.name+"::max_requests", p.b.MaxRequests)
		line(p.name+"::max_retries", p.b.MaxRetries)
	}
	line("added_via_api", addedViaAPI(c))
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		for _, f := range [...]struct {
			key   string
			value any
		}{
			{"cx_active", e.CxActive},
			{"cx_connect_fail", e.CxConnectFail},
			{"cx_total", e.CxTotal},
			{"rq_active", e.RqActive},
			{"rq_error", e.RqError},
			{"rq_success", e.RqSuccess},
			{"rq_timeout", e.RqTimeout},
			{"rq_total", e.RqTotal},
			{"hostname", oneLine(e.Hostname)},
			{"health_flags", healthFlags(e)},
			{"weight", e.EffectiveWeight},
			{"region", oneLine(e.Region)},
			{"zone", oneLine(e.Zone)},
			{"sub_zone", oneLine(e.SubZone)},
			{"canary", false},
			{"priority", e.Tier},
			{"success_rate", -1},
			{"local_origin_success_rate", -1},
		} {
			line(e.Address.String()+"::"+f.key, f.value)
		}
	}
}

func healthFlags(e *balancer.EndpointStatus) string {
	if e.Flags == "" {
		return "healthy"
	}
	return e.Flags
}

// clusterStatuses is Envoy's JSON.
func clusterStatuses(clusters []balancer.ClusterStatus) *adminv3.Clusters {
	out := &adminv3.Clusters{}
	for i := range clusters {
		c := &clusters[i]
		st := &adminv3.ClusterStatus{
			Name:              valid(c.Name),
			AddedViaApi:       addedViaAPI(c),
			ObservabilityName: valid(c.Name),
			CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{
				thresholds(corev3.RoutingPriority_DEFAULT, c.Breakers),
				thresholds(corev3.RoutingPriority_HIGH, highPriority),
			}},
		}
		for j := range c.Endpoints {
			st.HostStatuses = append(st.HostStatuses, hostStatus(&c.Endpoints[j]))
		}
		out.ClusterStatuses = append(out.ClusterStatuses, st)
	}
	return out
}

func thresholds(p corev3.RoutingPriority, b topology.Breakers) *clusterv3.CircuitBreakers_Thresholds {
	return &clusterv3.CircuitBreakers_Thresholds{
		Priority:           p,
		MaxConnections:     wrapperspb.UInt32(b.MaxConnections),
		MaxPendingRequests: wrapperspb.UInt32(b.MaxPending),
		MaxRequests:        wrapperspb.UInt32(b.MaxRequests),
		MaxRetries:         wrapperspb.UInt32(b.MaxRetries),
	}
}

func hostStatus(e *balancer.EndpointStatus) *adminv3.HostStatus {
	counter := func(name string, v uint64) *adminv3.SimpleMetric {
		return &adminv3.SimpleMetric{Type: adminv3.SimpleMetric_COUNTER, Name: name, Value: v}
	}
	gauge := func(name string, v int64) *adminv3.SimpleMetric {
		return &adminv3.SimpleMetric{Type: adminv3.SimpleMetric_GAUGE, Name: name, Value: uint64(max(v, 0))}
	}
	return &adminv3.HostStatus{
		Address: protoAddress(e.Address),
		Stats: []*adminv3.SimpleMetric{
			counter("cx_connect_fail", e.CxConnectFail),
			counter("cx_total", e.CxTotal),
			counter("rq_error", e.RqError),
			counter("rq_success", e.RqSuccess),
			counter("rq_timeout", e.RqTimeout),
			counter("rq_total", e.RqTotal),
			gauge("cx_active", e.CxActive),
			gauge("rq_active", e.RqActive),
		},
		HealthStatus: healthStatus(e),
		Weight:       e.EffectiveWeight,
		Hostname:     valid(e.Hostname),
		Priority:     e.Tier,
		Locality:     &corev3.Locality{Region: valid(e.Region), Zone: valid(e.Zone), SubZone: valid(e.SubZone)},
	}
}

// healthStatus reads Envoy's flags back into its message, so that text and
// JSON cannot disagree.
func healthStatus(e *balancer.EndpointStatus) *adminv3.HostHealthStatus {
	h := &adminv3.HostHealthStatus{EdsHealthStatus: corev3.HealthStatus_HEALTHY}
	for flag := range strings.SplitSeq(e.Flags, "/") {
		switch flag {
		case "failed_active_hc":
			h.FailedActiveHealthCheck = true
		case "failed_outlier_check":
			h.FailedOutlierCheck = true
		case "failed_eds_health":
			h.EdsHealthStatus = corev3.HealthStatus_UNHEALTHY
		case "degraded_active_hc":
			h.FailedActiveDegradedCheck = true
		case "degraded_eds_health":
			h.EdsHealthStatus = corev3.HealthStatus_DEGRADED
		case "eds_status_draining":
			h.EdsHealthStatus = corev3.HealthStatus_DRAINING
		case "pending_dynamic_removal":
			h.PendingDynamicRemoval = true
		case "pending_active_hc":
			h.PendingActiveHc = true
		case "excluded_via_immediate_hc_fail":
			h.ExcludedViaImmediateHcFail = true
		case "active_hc_timeout":
			h.ActiveHcTimeout = true
		}
	}
	return h
}

// valid makes s fit for a protobuf string.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
