package config

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

// reload is what Parse makes of a message.
func reload(t *testing.T, m proto.Message) *topology.Static {
	t.Helper()
	text, err := protojson.MarshalOptions{UseProtoNames: true, Indent: " "}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(text)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return s
}

// What the file says, said again, is what it said.
func TestDumpLoadsAgain(t *testing.T) {
	for seed := range uint64(50) {
		g := generator{rand.New(rand.NewPCG(seed, 4))}
		want := g.static()
		got := reload(t, Bootstrap(want))
		got.Bootstrap = nil
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %s", seed, difference("static", reflect.ValueOf(*want), reflect.ValueOf(*got)))
		}
	}
}

// What labels make cannot all be said in Envoy's words; what can is stable.
func TestDumpOfLabelsLoads(t *testing.T) {
	policy := labels.DefaultClusterPolicy()
	c := topology.Cluster{
		Name: "web", Type: topology.Labels, Source: topology.FromLabels, Policy: policy.Policy, ConnectTimeout: 2 * time.Second,
		Sticky: "lb", Hold: 5 * time.Second, HealthChecks: []topology.HealthCheck{{Kind: "http", Interval: time.Second, Limit: time.Second, Rise: 1, Fall: 3, Quick: true}},
		Outlier: &topology.Outlier{Consecutive5xx: 5, Enforce5xx: 100, KeepLast: true},
		Endpoints: []*topology.Endpoint{
			{Address: netip.MustParseAddrPort("10.0.0.1:80"), Weight: 1, Hostname: "web-1"},
			{Address: netip.MustParseAddrPort("10.0.0.2:80"), Weight: 0, Hostname: "web-2"},
			{Address: netip.MustParseAddrPort("[fd00::3]:80"), Weight: 3, Stopping: true},
		},
	}
	l := topology.Listener{
		Name: "default", Address: netip.MustParseAddrPort("0.0.0.0:10000"), Source: topology.FromDefault,
		VirtualHosts: []topology.VirtualHost{
			{Domains: []string{"a.test"}, FallThrough: true, Routes: []topology.Route{{
				Match:       topology.Match{Path: topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/"}},
				Clusters:    []topology.WeightedCluster{{Name: "web", Weight: 1}},
				HeadTimeout: time.Minute, Upgrades: []string{"websocket"},
				Retry:          topology.RetryPolicy{On: []string{"connect-failure"}, Max: 2, OtherMembers: true, IdempotentOnly: true},
				RequestHeaders: topology.HeaderMutation{Add: []topology.HeaderValue{{Name: "x-load", Value: "100%"}}},
			}}},
			{Domains: []string{"*"}, FallThrough: true, Routes: []topology.Route{{
				Match:    topology.Match{Path: topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/api"}},
				Redirect: &topology.Redirect{Code: 308, Scheme: "https"},
			}}},
		},
	}
	first := reload(t, Bootstrap(&topology.Static{Listeners: []topology.Listener{l}, Clusters: []topology.StaticCluster{*Labelled(&c)}}))
	if h := first.Clusters[0].Hosts; len(h) != 3 || h[1].Template.EDSHealth != "DRAINING" || h[2].Template.EDSHealth != "DRAINING" || h[2].Template.Weight != 3 {
		t.Errorf("hosts %+v", h)
	}
	r := first.Listeners[0].VirtualHosts[0].Routes[0]
	if r.Timeout != 0 || r.Upgrades[0] != "websocket" || r.RequestHeaders.Add[0].Value != "100%" || !r.Retry.OtherMembers {
		t.Errorf("route %+v", r)
	}
	second := reload(t, Bootstrap(first))
	first.Bootstrap, second.Bootstrap = nil, nil
	if !reflect.DeepEqual(first, second) {
		t.Error(difference("static", reflect.ValueOf(*first), reflect.ValueOf(*second)))
	}
}

// generator makes values that a file can say.
type generator struct{ *rand.Rand }

func (g generator) bool() bool { return g.IntN(2) == 0 }

// maybe is one of the values, or the zero value.
func maybe[T any](g generator, values ...T) (none T) {
	if g.bool() {
		return none
	}
	return one(g, values...)
}

func one[T any](g generator, values ...T) T { return values[g.IntN(len(values))] }

func (g generator) static() *topology.Static {
	s := &topology.Static{}
	if g.bool() {
		s.Admin = netip.MustParseAddrPort("127.0.0.1:9901")
	}
	for i := range g.IntN(3) {
		s.Clusters = append(s.Clusters, g.cluster(fmt.Sprintf("c%d", i)))
	}
	for i := range g.IntN(3) {
		s.Listeners = append(s.Listeners, g.listener(fmt.Sprintf("l%d", i), uint16(10000+i)))
	}
	return s
}

func (g generator) listener(name string, port uint16) topology.Listener {
	l := topology.Listener{Name: name, Address: netip.AddrPortFrom(one(g, netip.IPv4Unspecified(), netip.IPv6Unspecified()), port), Source: topology.FromFile}
	kb := maybe(g, 1, 96, 8192)
	l.HTTP = topology.HTTPOptions{
		StatPrefix: "in", ServerName: one(g, "envoy", "edge"), ServerTransform: topology.ServerTransform(g.IntN(3)), Via: maybe(g, "1.1 edge"),
		UseRemoteAddress: g.bool(), SkipXFFAppend: g.bool(), XFFTrustedHops: maybe(g, uint32(1), 2), GenerateRequestID: g.bool(), PreserveRequestID: g.bool(),
		NormalizePath: g.bool(), MergeSlashes: g.bool(), IgnorePort: g.bool(), AcceptHTTP10: true, EnvoyHeaders: true,
		MaxHeadBytes: kb << 10, MaxTargetBytes: kb << 10, MaxHeadFields: maybe(g, 1, 200),
		HeadTimeout: maybe(g, off, time.Second), IdleTimeout: maybe(g, off, time.Minute), StreamIdleTimeout: maybe(g, off, 1500*time.Millisecond),
		MaxRequestsPerConn: maybe(g, uint32(1), 1000), RequestTimeout: maybe(g, time.Minute),
	}
	if kb == 0 {
		l.HTTP.MaxTargetBytes = defaultHeadBytes
	}
	switch g.IntN(3) {
	case 0:
		l.HTTP.StripMatchingPort = true
	case 1:
		l.HTTP.StripAnyPort = true
	}
	ownUpgrades := g.bool()
	if !ownUpgrades {
		l.HTTP.Upgrades = maybe(g, []string{"websocket"}, []string{"h2c", "websocket"})
	}
	some := false
	for i, d := range []string{"*", "a.test", "*.test", "b.*"}[:g.IntN(5)] {
		v := topology.VirtualHost{Name: fmt.Sprintf("v%d", i), Domains: []string{d}}
		for j := range g.IntN(4) {
			r := g.route()
			r.Key = fmt.Sprintf("%s/%s/%d", name, v.Name, j)
			if ownUpgrades && r.Clusters != nil && !some {
				r.Upgrades, some = []string{"websocket"}, true
			}
			v.Routes = append(v.Routes, r)
		}
		l.VirtualHosts = append(l.VirtualHosts, v)
	}
	return l
}

func (g generator) route() topology.Route {
	r := topology.Route{Name: maybe(g, "r"), Source: topology.FromFile, Match: g.match()}
	r.ResponseHeaders = g.mutation()
	switch g.IntN(4) {
	case 0:
		d := &topology.Redirect{Code: one(g, 301, 302, 303, 307, 308), Scheme: maybe(g, "https", "http"), Host: maybe(g, "x.test"), Port: maybe(g, uint32(8443)), StripQuery: g.bool()}
		switch g.IntN(4) {
		case 0:
			d.Path = one(g, "/p", "/p?q=1")
			d.StripQuery = d.StripQuery || d.Path != "/p"
		case 1:
			if r.Match.Path.Kind != topology.PathRegex {
				d.Prefix = "/n"
			}
		case 2:
			d.Regex, d.Substitution = "^/(.*)$", one(g, "/${1}", "/$$${0}", `/a\b`)
		}
		r.Redirect = d
		return r
	case 1:
		r.Direct = &topology.DirectResponse{Code: one(g, 200, 404, 599), Body: maybe(g, []byte("text"), []byte{0xff, 0}, []byte(strings.Repeat("x", 5000)))}
		return r
	}
	r.RequestHeaders = g.mutation()
	r.Clusters = []topology.WeightedCluster{{Name: "c0", Weight: 1}}
	if g.bool() {
		r.Clusters = []topology.WeightedCluster{{Name: "c0", Weight: 3}, {Name: "c1", Weight: 0}}
		if g.bool() {
			r.Clusters[0].RequestHeaders = topology.HeaderMutation{Remove: []string{"x-a"}}
			r.RequestHeaders, r.ResponseHeaders = topology.HeaderMutation{}, topology.HeaderMutation{}
		}
	}
	r.Timeout = one(g, 0, 15*time.Second, 250*time.Millisecond)
	r.IdleTimeout = maybe(g, off, time.Minute)
	r.ClusterNotFoundCode = maybe(g, 404, 500)
	switch g.IntN(3) {
	case 0:
		if r.Match.Path.Kind != topology.PathRegex {
			r.Rewrite.Prefix, r.Rewrite.SetPrefix = "/new", true
		}
	case 1:
		r.Rewrite.Regex, r.Rewrite.Substitution = "a(b)", "${1}$$"
	}
	switch g.IntN(3) {
	case 0:
		r.Rewrite.Host = "h.test"
	case 1:
		r.Rewrite.AutoHost = true
	}
	if g.bool() {
		r.Retry = topology.RetryPolicy{On: []string{"5xx", "retriable-status-codes"}, Max: one(g, uint32(0), 3), PerTry: maybe(g, time.Second), Codes: maybe(g, []uint32{418}), OtherMembers: g.bool()}
		if g.bool() {
			r.Retry.BaseInterval, r.Retry.MaxInterval = 10*time.Millisecond, maybe(g, time.Second)
		}
	}
	for range g.IntN(3) {
		r.Hash = append(r.Hash, one(g,
			topology.HashSource{Kind: "header", Name: "x-user"}, topology.HashSource{Kind: "cookie", Name: "s", TTL: maybe(g, time.Hour), Path: maybe(g, "/")},
			topology.HashSource{Kind: "source_ip", Terminal: true}, topology.HashSource{Kind: "query", Name: "q"}))
	}
	return r
}

func (g generator) match() topology.Match {
	m := topology.Match{GRPC: g.IntN(4) == 0}
	m.Path = one(g,
		topology.PathSpec{Kind: topology.PathRawPrefix, Text: "/"}, topology.PathSpec{Kind: topology.PathRawPrefix, Text: "/A", CaseInsensitive: true},
		topology.PathSpec{Kind: topology.PathExact, Text: "/x"}, topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/api/v1"},
		topology.PathSpec{Kind: topology.PathRegex, Text: `/\d+(\.html)?`})
	for range g.IntN(3) {
		m.Headers = append(m.Headers, one(g,
			topology.HeaderMatcher{Name: "x-a", Invert: g.bool()},
			topology.HeaderMatcher{Name: ":method", Kind: topology.StringExact, Text: "GET", Invert: g.bool()},
			topology.HeaderMatcher{Name: "x-n", Kind: topology.StringRange, From: -5, To: 7, MissingAsEmpty: g.bool()},
			topology.HeaderMatcher{Name: "x-b", Kind: topology.StringPrefix, Text: "p", IgnoreCase: g.bool()},
			topology.HeaderMatcher{Name: "x-b", Kind: topology.StringSuffix, Text: "s"},
			topology.HeaderMatcher{Name: "x-b", Kind: topology.StringContains, Text: "c"},
			topology.HeaderMatcher{Name: "x-b", Kind: topology.StringRegex, Text: "[a-z]+"}))
	}
	for range g.IntN(2) {
		m.Query = append(m.Query, one(g, topology.HeaderMatcher{Name: "q", Invert: g.bool()}, topology.HeaderMatcher{Name: "q", Kind: topology.StringExact, Text: "1"}))
	}
	return m
}

func (g generator) mutation() (m topology.HeaderMutation) {
	for range g.IntN(3) {
		m.Add = append(m.Add, one(g, topology.HeaderValue{Name: "x-a", Value: "1%", Action: topology.AppendAction(g.IntN(4))}, topology.HeaderValue{Name: "x-empty"}))
	}
	m.Remove = maybe(g, []string{"x-gone"}, []string{"x-p", "x-q"})
	return m
}

func (g generator) cluster(name string) topology.StaticCluster {
	c := topology.StaticCluster{Cluster: topology.Cluster{
		Name: name, Source: topology.FromFile, Type: one(g, topology.StaticType, topology.StrictDNS, topology.LogicalDNS),
		Policy: one(g, "round_robin", "least_request", "random", "ring_hash", "maglev"), ConnectTimeout: one(g, 5*time.Second, 250*time.Millisecond),
		IdleTimeout: one(g, time.Hour, off, time.Minute), MaxRequestsPerConn: maybe(g, uint32(7)), IgnoreHealthOnRemoval: g.bool(),
		PanicPercent: one(g, uint32(50), 0, 100), Overprovisioning: one(g, uint32(140), 200), Breakers: defaultBreakers,
	}, WaitForWarm: g.bool(), Family: topology.LookupFamily(g.IntN(5))}
	if g.bool() {
		c.Breakers = topology.Breakers{MaxConnections: 1, MaxPending: 0, MaxRequests: 3, MaxRetries: 4, BudgetPercent: maybe(g, 25.5)}
		if c.Breakers.BudgetPercent > 0 {
			c.Breakers.BudgetMin = 9
		}
	}
	switch c.Policy {
	case "least_request":
		c.ChoiceCount = maybe(g, uint32(3))
	case "ring_hash":
		c.RingMin, c.RingMax, c.HashFunction = maybe(g, uint64(10)), maybe(g, uint64(2000)), maybe(g, murmurHash2)
	case "maglev":
		c.MaglevSize = maybe(g, uint64(251))
	}
	if (c.Policy == "round_robin" || c.Policy == "least_request") && g.bool() {
		c.SlowStart = topology.SlowStart{Window: time.Minute, Aggression: maybe(g, 1.5), MinPercent: maybe(g, 5.0)}
	}
	c.Refresh = topology.RefreshPolicy{Rate: one(g, 5*time.Second, time.Minute), Jitter: maybe(g, time.Second), RespectTTL: g.bool(), FirstTTL: c.Type == topology.LogicalDNS}
	if g.bool() {
		c.Refresh.FailureBase, c.Refresh.FailureMax = time.Second, maybe(g, time.Minute)
	}
	if g.bool() {
		o := (&converter{}).outlier(nil, "")
		o.Consecutive5xx, o.EnforceGateway, o.AlwaysEjectOne, o.SplitErrors = 0, 50, g.bool(), g.bool()
		o.MaxPercent, o.Jitter, o.SuccessUnejects = 100, maybe(g, time.Second), g.bool()
		c.Outlier = o
	}
	if g.bool() {
		c.HealthChecks = []topology.HealthCheck{g.check()}
	}
	hosts := g.IntN(4)
	if c.Type == topology.LogicalDNS {
		hosts = 1
	}
	for i := range hosts {
		h := topology.StaticHost{Port: uint16(80 + i), Template: topology.Endpoint{
			Weight: one(g, uint32(1), 128), Hostname: maybe(g, "h"), Zone: maybe(g, "z"), EDSHealth: maybe(g, "UNHEALTHY", "DRAINING", "DEGRADED", "TIMEOUT"),
			HealthPort: maybe(g, uint16(81)), HealthHost: maybe(g, "hc.test"), NoHealthCheck: g.bool(),
		}}
		if c.Type != topology.LogicalDNS {
			h.Template.Tier = maybe(g, uint32(1))
		}
		if c.Type == topology.StaticType || g.bool() {
			h.Address = one(g, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1"))
		} else {
			h.Name = one(g, "daemon1", "a_b.test")
		}
		c.Hosts = append(c.Hosts, h)
	}
	return c
}

func (g generator) check() topology.HealthCheck {
	h := topology.HealthCheck{
		Kind: one(g, "http", "tcp", "grpc"), Interval: time.Second, Limit: 500 * time.Millisecond, Rise: 2, Fall: 3, Port: maybe(g, uint16(8081)),
		InitialJitter: maybe(g, time.Second), IntervalJitter: maybe(g, time.Second), NoTraffic: one(g, time.Minute, time.Second), NoTrafficHealthy: maybe(g, time.Second),
		Unhealthy: maybe(g, time.Second), UnhealthyEdge: maybe(g, time.Second), HealthyEdge: maybe(g, time.Second),
	}
	switch h.Kind {
	case "http":
		h.Path, h.Host, h.Method = "/healthz", maybe(g, "hc"), maybe(g, "HEAD")
		h.Statuses = maybe(g, []labels.StatusRange{{From: 200, To: 299}, {From: 404, To: 404}})
		h.Retriable = maybe(g, []labels.StatusRange{{From: 500, To: 599}})
		h.RequestHeaders, h.Receive = g.mutation(), maybe(g, []byte("ok"))
	case "tcp":
		h.Send, h.Receive = maybe(g, []byte("ping")), maybe(g, []byte{0, 1})
	case "grpc":
		h.Service, h.Host = maybe(g, "svc"), maybe(g, "auth")
		h.RequestHeaders.Add = g.mutation().Add
	}
	return h
}

// difference is where two values first differ.
func difference(path string, a, b reflect.Value) string {
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return ""
	}
	switch a.Kind() {
	case reflect.Pointer:
		if !a.IsNil() && !b.IsNil() {
			return difference(path, a.Elem(), b.Elem())
		}
	case reflect.Struct:
		for i := range a.NumField() {
			if !a.Type().Field(i).IsExported() {
				continue
			}
			if d := difference(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i)); d != "" {
				return d
			}
		}
	case reflect.Slice:
		if a.Len() == b.Len() {
			for i := range a.Len() {
				if d := difference(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i)); d != "" {
					return d
				}
			}
		}
	}
	return fmt.Sprintf("%s: %#v, then %#v", path, a.Interface(), b.Interface())
}
