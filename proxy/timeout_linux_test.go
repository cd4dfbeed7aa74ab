package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// The route's timeout spans connecting, all tries and the pauses between them.
func TestRouteTimeoutSpansAll(t *testing.T) {
	const short, long = 150 * time.Millisecond, time.Minute
	again := topology.RetryPolicy{On: []string{"5xx"}, Max: 3, BaseInterval: long, MaxInterval: long}
	for _, tt := range []struct {
		name string
		at   func(*testing.T) *rig
	}{
		{name: "connecting", at: func(t *testing.T) *rig {
			return newRig(t, setup{
				route:   func(r *topology.Route) { r.Timeout = short },
				cluster: func(c *topology.Cluster) { c.ConnectTimeout = long },
			}, blackhole(t), blackhole(t))
		}},
		{name: "the back-off", at: func(t *testing.T) *rig {
			b := wire.Listen(t, wire.Answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"))
			return newRig(t, setup{route: func(r *topology.Route) { r.Timeout, r.Retry = short, again }}, b.Addr())
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.at(t)
			begin := time.Now()
			got := r.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			took := time.Since(begin)
			if status(got) != "504" || !strings.HasSuffix(got, "upstream request timeout") {
				t.Errorf("answered %q", got)
			}
			if took < short || took > long/2 {
				t.Errorf("after %v, want %v", took, short)
			}
			c := r.b.View().Cluster("app")
			if !c.TryRetry() {
				t.Error("the try that did not come still counts for the retry breaker")
			}
			c.RetryDone(false)
		})
	}
}

// A client that leaves while its request pauses gives the retry breaker its slot
// back: a few of them would else end all retries for good.
func TestRetryThatDoesNotCome(t *testing.T) {
	asked := make(chan struct{}, 1)
	b := wire.Listen(t, func(c *wire.Conn) {
		for {
			if _, err := c.ReadHead(); err != nil {
				return
			}
			asked <- struct{}{}
			if c.Play("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") != nil {
				return
			}
		}
	})
	r := newRig(t, setup{
		route: func(r *topology.Route) {
			r.Retry = topology.RetryPolicy{On: []string{"5xx"}, Max: 3, BaseInterval: time.Hour, MaxInterval: time.Hour}
		},
		cluster: func(c *topology.Cluster) { c.Breakers.MaxRetries = 1 },
	}, b.Addr())
	c := r.dial()
	c.send(crlf(get))
	<-asked
	cluster := r.b.View().Cluster("app")
	eventually(t, "the retry is allowed", func() bool {
		if cluster.TryRetry() {
			cluster.RetryDone(false)
			return false
		}
		return true
	})
	_ = c.SetLinger(0)
	c.Close()
	eventually(t, "the slot is free again", cluster.TryRetry)
}

// Who is asked to come back later is not asked again at once.
func TestRateLimitedIsNotRetried(t *testing.T) {
	b := wire.Listen(t, wire.Answer("HTTP/1.1 503 Service Unavailable\r\nX-Envoy-RateLimited: true\r\nContent-Length: 0\r\n\r\n"))
	r := newRig(t, setup{route: func(r *topology.Route) {
		r.Retry = topology.RetryPolicy{On: []string{"5xx"}, Max: 3, BaseInterval: time.Hour, MaxInterval: time.Hour}
	}}, b.Addr())
	if got := r.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); status(got) != "503" {
		t.Errorf("answered %q", got)
	}
}
