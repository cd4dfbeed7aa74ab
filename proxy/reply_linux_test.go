package proxy

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// Envoy's local replies: status, body, flags and response_code_details, on the
// wire and in the access log.
func TestLocalReplies(t *testing.T) {
	const (
		short = 100 * time.Millisecond
		reset = "upstream connect error or disconnect/reset before headers. "
	)
	listen := func(handler func(*wire.Conn)) func(*testing.T) []netip.AddrPort {
		return func(t *testing.T) []netip.AddrPort { return []netip.AddrPort{wire.Listen(t, handler).Addr()} }
	}
	silent := listen(func(c *wire.Conn) { c.ReadHead(); _, _ = io.Copy(io.Discard, c.Conn) })
	none := func(*testing.T) []netip.AddrPort { return nil }
	route := func(change func(*topology.Route)) setup { return setup{route: change} }
	for _, tt := range []struct {
		name    string
		s       setup
		at      func(*testing.T) []netip.AddrPort
		request string // "": a GET
		status  string
		body    string
		flags   string
		details string
	}{
		{"no route", route(func(r *topology.Route) { r.Match.Path.Text = "/other" }), none, "", "404", "", "NR", "route_not_found"},
		{"no such cluster", route(func(r *topology.Route) { r.Clusters[0].Name = "nobody" }), none, "", "503", "", "NC", "cluster_not_found"},
		{"nobody is ready", setup{}, none, "", "503", "no healthy upstream", "UH", "no_healthy_upstream"},
		{"refused", setup{}, func(t *testing.T) []netip.AddrPort { return []netip.AddrPort{refusing(t)} }, "", "503",
			reset + "retried and the latest reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused", "UF",
			"upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"},
		{"no connection in time", setup{cluster: func(c *topology.Cluster) { c.ConnectTimeout = short }},
			func(t *testing.T) []netip.AddrPort { return []netip.AddrPort{blackhole(t)} }, "", "503",
			reset + "retried and the latest reset reason: connection timeout", "UF", "upstream_reset_before_response_started{connection_timeout}"},
		{"closed before the head", setup{}, listen(func(c *wire.Conn) { c.ReadHead() }), "POST / HTTP/1.1$Host: a$Content-Length: 0$$", "503",
			reset + "reset reason: connection termination", "UC", "upstream_reset_before_response_started{connection_termination}"},
		{"retried to the end", route(func(r *topology.Route) {
			r.Retry = topology.RetryPolicy{On: []string{"reset"}, Max: 1, BaseInterval: time.Millisecond}
		}), listen(func(c *wire.Conn) { c.ReadHead() }), "", "503",
			reset + "retried and the latest reset reason: connection termination", "URX,UC", "upstream_reset_before_response_started{connection_termination}"},
		{"no retry allowed", setup{
			route: func(r *topology.Route) {
				r.Retry = topology.RetryPolicy{On: []string{"reset"}, Max: 1, BaseInterval: time.Millisecond}
			},
			cluster: func(c *topology.Cluster) { c.Breakers.MaxRetries = 0 },
		}, listen(func(c *wire.Conn) { c.ReadHead() }), "", "503",
			reset + "reset reason: connection termination", "UO,UC", "upstream_reset_before_response_started{connection_termination}"},
		{"too many requests", setup{cluster: func(c *topology.Cluster) { c.Breakers.MaxRequests = 0 }}, silent, "", "503",
			reset + "reset reason: overflow", "UO", "upstream_reset_before_response_started{overflow}"},
		{"no HTTP", setup{}, listen(func(c *wire.Conn) { c.ReadHead(); c.Play("SSH-2.0-x\r\n\r\n") }), "", "502",
			reset + "reset reason: protocol error", "UPE", "upstream_reset_before_response_started{protocol_error}"},
		{"the route's time", route(func(r *topology.Route) { r.Timeout = short }), silent, "", "504", "upstream request timeout", "UT", "response_timeout"},
		{"the try's time", route(func(r *topology.Route) { r.Retry.PerTry = short }), silent, "", "504", "upstream request timeout", "UT", "upstream_per_try_timeout"},
		{"idle, complete", setup{limits: Limits{StreamIdle: short}}, silent, "", "504", "stream timeout", "SI", "stream_idle_timeout"},
		{"idle, not complete", setup{limits: Limits{StreamIdle: short}}, silent, "POST / HTTP/1.1$Host: a$Content-Length: 5$$h", "408", "stream timeout", "SI", "stream_idle_timeout"},
		{"the request's time", setup{http: topology.HTTPOptions{RequestTimeout: short}}, silent, "POST / HTTP/1.1$Host: a$Content-Length: 5$$h", "408", "request timeout", "-", "request_overall_timeout"},
		{"the head's time", setup{limits: Limits{HeadTimeout: short}}, none, "GET / HTTP/1.1$Ho", "408", "request header timeout", "-", "request_header_timeout"},
		{"malformed", setup{}, none, "GET / HTTP/1.1$Host : a$$", "400", "", "DPE", faultFieldName.detail},
		{"not to be met", setup{}, none, "POST / HTTP/1.1$Host: a$Expect: wonders$Content-Length: 1$$x", "417", "", "-", faultExpectation.detail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.s.log = true
			r := newRig(t, tt.s, tt.at(t)...)
			request := tt.request
			if request == "" {
				request = get
			}
			c := r.dial()
			c.send(crlf(request))
			head := c.head()
			if status(head) != tt.status {
				t.Fatalf("answered %q, want %s", head, tt.status)
			}
			if got := c.readN(len(tt.body)); got != tt.body {
				t.Errorf("body %q, want %q", got, tt.body)
			}
			if typed := strings.Contains(head, "content-type: text/plain\r\n"); typed != (tt.body != "") {
				t.Errorf("a body of %d octets has the head %q", len(tt.body), head)
			}
			if overloaded := strings.Contains(head, "x-envoy-overloaded: true\r\n"); overloaded != strings.HasSuffix(tt.body, "overflow") {
				t.Errorf("the head %q", head)
			}
			if l := <-r.log.lines; l.Flags.String() != tt.flags || l.Details != tt.details {
				t.Errorf("logged %s %s, want %s %s", l.Flags, l.Details, tt.flags, tt.details)
			}
		})
	}
}
