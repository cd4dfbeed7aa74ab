package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

// rig is a Server with a Balancer behind it and one listener "default".
type rig struct {
	tb    testing.TB
	srv   *Server
	b     *balancer.Balancer
	pools *Pools
	addr  netip.AddrPort
	table topology.Table
	log   *records
}

// setup changes what newRig starts from.
type setup struct {
	limits  Limits
	pools   PoolOptions
	http    topology.HTTPOptions
	route   func(*topology.Route)
	cluster func(*topology.Cluster)
	log     bool
	park    time.Duration // 0: as it is
}

func newRig(tb testing.TB, s setup, backends ...netip.AddrPort) *rig {
	tb.Helper()
	pools, err := NewPools(s.pools)
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{tb: tb, pools: pools, b: balancer.New(balancer.Options{NewSlot: pools.NewSlot})}
	log := logrus.New()
	log.Out = io.Discard
	o := Options{Balancer: r.b, Pools: pools, Log: logrus.NewEntry(log), Version: "test", Limits: s.limits}
	if s.log {
		r.log = &records{lines: make(chan logged, 100)}
		o.AccessLog = r.log
	}
	def(&o.Limits.CloseLinger, time.Millisecond) // most tests do not look at it
	r.srv = New(o)
	def(&s.park, parkTime)
	r.srv.parkTime = s.park
	c := topology.Cluster{
		Name: "app", Type: topology.StaticType, Source: topology.FromFile, Warm: true,
		Policy: "round_robin", ConnectTimeout: 2 * time.Second,
		Breakers: topology.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3},
	}
	for i, a := range backends {
		c.Endpoints = append(c.Endpoints, &topology.Endpoint{
			ID: fmt.Sprintf("app/%d/%s", i, a), Address: a, Hostname: fmt.Sprintf("b%d", i),
			Source: topology.FromFile, Scheme: labels.SchemeHTTP, Weight: 1,
		})
	}
	if s.cluster != nil {
		s.cluster(&c)
	}
	if c.Hold > 0 && c.HoldMax == 0 {
		c.HoldMax = 4096
	}
	route := topology.Route{
		Key:      "default|*|prefix:/",
		Match:    topology.Match{Path: topology.PathSpec{Kind: topology.PathRawPrefix, Text: "/"}},
		Clusters: []topology.WeightedCluster{{Name: "app", Weight: 1}},
	}
	if s.route != nil {
		s.route(&route)
	}
	r.table = topology.Table{
		Generation: 1,
		Clusters:   []*topology.Cluster{&c},
		Listeners: []topology.Listener{{
			Name: "default", Address: netip.MustParseAddrPort("127.0.0.1:0"), HTTP: s.http,
			VirtualHosts: []topology.VirtualHost{{Name: "any", Domains: []string{"*"}, Routes: []topology.Route{route}}},
		}},
	}
	r.apply()
	if err := r.srv.Listen(r.table.Listeners); err != nil {
		tb.Fatal(err)
	}
	r.addr = r.srv.Addr("default")
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { r.b.Run(ctx); close(ran) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_ = r.srv.Shutdown(ctx) // what a test leaves open is cut
		stop()
		<-ran
		pools.Close()
	})
	return r
}

func (r *rig) apply() {
	t := r.table
	r.b.Apply(&t)
}

// client is a raw connection to the rig.
type client struct {
	tb testing.TB
	*net.TCPConn
	r *bufio.Reader
}

func (r *rig) dial() *client {
	r.tb.Helper()
	c, err := net.Dial("tcp", r.addr.String())
	if err != nil {
		r.tb.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(wire.Patience))
	r.tb.Cleanup(func() { c.Close() })
	return &client{tb: r.tb, TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}
}

func (c *client) send(s string) {
	c.tb.Helper()
	if _, err := io.WriteString(c.TCPConn, s); err != nil {
		c.tb.Fatalf("send: %v", err)
	}
}

// head reads a response's head.
func (c *client) head() string {
	c.tb.Helper()
	var b strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			c.tb.Fatalf("reading a head: %v; got %q", err, b.String())
		}
		if line == "\r\n" {
			return b.String()
		}
	}
}

func (c *client) readN(n int) string {
	c.tb.Helper()
	b := make([]byte, n)
	if m, err := io.ReadFull(c.r, b); err != nil {
		c.tb.Fatalf("reading %d octets: %v; got %q", n, err, b[:m])
	}
	return string(b)
}

// all reads to the connection's end.
func (c *client) all() string {
	c.tb.Helper()
	b, err := io.ReadAll(c.r)
	if err != nil {
		c.tb.Fatalf("reading to the end: %v; got %q", err, b)
	}
	return string(b)
}

// exchange sends and reads all to the end.
func (r *rig) exchange(request string) string {
	r.tb.Helper()
	c := r.dial()
	c.send(request)
	return c.all()
}

func status(head string) string {
	if len(head) < 12 {
		return head
	}
	return head[9:12]
}

// eventually polls, since what it waits for is in another process's or
// goroutine's hand.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(wire.Patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within %v", what, wire.Patience)
		}
	}
}

// records keeps copies of what the access log was told.
type records struct {
	lines chan logged
}

// logged is a Record that outlives the call.
type logged struct {
	Record
	method, target, agent, id string
}

func (r *records) Log(rec *Record) {
	agent, _ := rec.RequestHeader("user-agent")
	r.lines <- logged{*rec, string(rec.Method), string(rec.Target), string(agent), string(rec.RequestID)}
}

const ok200 = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: now\r\n\r\nhello"
