package config

import (
	"encoding/hex"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typesv3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

// defaultNoTraffic is Envoy's no_traffic_interval.
const defaultNoTraffic = 60 * time.Second

// healthCheck reads an active check with Envoy's defaults. Where an
// interval that only takes another's place is not given, it is zero.
func (c *converter) healthCheck(h *core.HealthCheck, at string) topology.HealthCheck {
	out := topology.HealthCheck{
		Interval:         or(h.GetInterval(), 0),
		Limit:            or(h.GetTimeout(), 0),
		Rise:             h.GetHealthyThreshold().GetValue(),
		Fall:             h.GetUnhealthyThreshold().GetValue(),
		InitialJitter:    or(h.GetInitialJitter(), 0),
		IntervalJitter:   or(h.GetIntervalJitter(), 0),
		NoTraffic:        or(h.GetNoTrafficInterval(), defaultNoTraffic),
		NoTrafficHealthy: or(h.GetNoTrafficHealthyInterval(), 0),
		Unhealthy:        or(h.GetUnhealthyInterval(), 0),
		UnhealthyEdge:    or(h.GetUnhealthyEdgeInterval(), 0),
		HealthyEdge:      or(h.GetHealthyEdgeInterval(), 0),
	}
	if p := h.GetAltPort().GetValue(); p > 65535 || h.GetAltPort() != nil && p == 0 {
		c.fail(at+".alt_port", "%d is not a port", p)
	} else {
		out.Port = uint16(p)
	}
	switch k := h.GetHealthChecker().(type) {
	case *core.HealthCheck_HttpHealthCheck_:
		c.httpCheck(k.HttpHealthCheck, &out, at+".http_health_check")
	case *core.HealthCheck_TcpHealthCheck_:
		out.Kind = "tcp"
		here := at + ".tcp_health_check"
		if p := k.TcpHealthCheck.GetSend(); p != nil {
			out.Send = c.payload(p, here+".send")
		}
		out.Receive = c.receive(k.TcpHealthCheck.GetReceive(), here)
	case *core.HealthCheck_GrpcHealthCheck_:
		out.Kind = "grpc"
		out.Service, out.Host = k.GrpcHealthCheck.GetServiceName(), k.GrpcHealthCheck.GetAuthority()
		out.RequestHeaders = c.mutation(k.GrpcHealthCheck.GetInitialMetadata(), nil, at+".grpc_health_check", "initial_metadata", "")
	}
	return out
}

func (c *converter) httpCheck(h *core.HealthCheck_HttpHealthCheck, out *topology.HealthCheck, at string) {
	out.Kind, out.Path, out.Host = "http", h.GetPath(), h.GetHost()
	if p := h.GetPath(); p != "" && p[0] != '/' {
		c.fail(at+".path", "%q does not begin with a slash", p)
	}
	switch h.GetMethod() {
	case core.RequestMethod_METHOD_UNSPECIFIED, core.RequestMethod_GET:
	case core.RequestMethod_CONNECT: // a rule says so
	default:
		out.Method = h.GetMethod().String()
	}
	out.Statuses = c.statuses(h.GetExpectedStatuses(), at, "expected_statuses")
	out.Retriable = c.statuses(h.GetRetriableStatuses(), at, "retriable_statuses")
	out.RequestHeaders = c.mutation(h.GetRequestHeadersToAdd(), h.GetRequestHeadersToRemove(), at, "request_headers_to_add", "request_headers_to_remove")
	out.Receive = c.receive(h.GetReceive(), at)
}

// statuses are half-open ranges within 100 to 599; ours are closed.
func (c *converter) statuses(ranges []*typesv3.Int64Range, at, field string) (out []labels.StatusRange) {
	for i, r := range ranges {
		if r.GetStart() < 100 || r.GetEnd() > 600 || r.GetStart() >= r.GetEnd() {
			c.fail(index(at, field, i), "[%d, %d) is not a range of statuses, 100 to 600", r.GetStart(), r.GetEnd())
			continue
		}
		out = append(out, labels.StatusRange{From: uint16(r.GetStart()), To: uint16(r.GetEnd() - 1)})
	}
	return out
}

func (c *converter) receive(all []*core.HealthCheck_Payload, at string) []byte {
	if len(all) > 1 {
		c.fail(index(at, "receive", 1), "several payloads are not supported: want one")
	}
	if len(all) == 0 {
		return nil
	}
	return c.payload(all[0], index(at, "receive", 0))
}

// payload: text is in hexadecimal digits.
func (c *converter) payload(p *core.HealthCheck_Payload, at string) []byte {
	if p.GetText() == "" {
		return p.GetBinary()
	}
	b, err := hex.DecodeString(p.GetText())
	if err != nil {
		c.fail(at+".text", "%q is not in hexadecimal digits, as 70696e67 for ping", p.GetText())
	}
	return b
}
