package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

const allFields = "testdata/all-fields.yaml"

// A field that is in the table, and so accepted, is in the file whose values
// TestAllFields looks at.
func TestEveryFieldIsTried(t *testing.T) {
	content, err := os.ReadFile(allFields)
	if err != nil {
		t.Fatal(err)
	}
	root, err := document(content)
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	w := &walker{lines: map[string]int{}, tried: func(f protoreflect.FieldDescriptor) { tried[string(f.FullName())] = true }}
	w.message(root, new(bootstrap.Bootstrap).ProtoReflect().Descriptor(), "")
	if len(w.errs) > 0 {
		t.Fatal(w.errs)
	}
	for message, names := range fields {
		for name := range names {
			if full := string(message) + "." + string(name); !tried[full] {
				t.Errorf("%s is accepted, and in no test", full)
			}
		}
	}
	for name := range notes {
		if i := strings.LastIndexByte(name, '.'); !fields[protoreflect.FullName(name[:i])][protoreflect.Name(name[i+1:])] {
			t.Errorf("a note on %s, which is not accepted", name)
		}
	}
	for name := range notSupported {
		if i := strings.LastIndexByte(name, '.'); fields[protoreflect.FullName(name[:i])][protoreflect.Name(name[i+1:])] {
			t.Errorf("%s is explained as not supported, and accepted", name)
		}
	}
}

func TestAllFields(t *testing.T) {
	s, err := Load(allFields)
	if err != nil {
		t.Fatal(err)
	}
	same := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s", difference(what, reflect.ValueOf(got), reflect.ValueOf(want)))
		}
	}
	same("admin", s.Admin.String(), "127.0.0.1:9901")

	edge, labelled := s.Listeners[0], s.Listeners[1]
	same("edge", edge.Name+" "+edge.Address.String(), "edge 0.0.0.0:10000")
	same("options", edge.HTTP, topology.HTTPOptions{
		StatPrefix: "edge", ServerName: "edge/1", ServerTransform: topology.ServerAppendIfAbsent, Via: "1.1 edge",
		UseRemoteAddress: true, SkipXFFAppend: true, XFFTrustedHops: 1, PreserveRequestID: true, NormalizePath: true, MergeSlashes: true,
		StripMatchingPort: true, IgnorePort: true, AcceptHTTP10: true, EnvoyHeaders: true,
		MaxHeadBytes: 96 << 10, MaxHeadFields: 50, MaxTargetBytes: 96 << 10, HeadTimeout: 5 * time.Second, RequestTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, StreamIdleTimeout: off, MaxRequestsPerConn: 1000,
	})
	same("labelled", labelled.HTTP, topology.HTTPOptions{
		StatPrefix: "labelled", ServerName: "envoy", ServerTransform: topology.ServerOverwrite, StripAnyPort: true, GenerateRequestID: true,
		AcceptHTTP10: true, EnvoyHeaders: true, MaxTargetBytes: 60 << 10,
	})
	same("labelled's route", labelled.VirtualHosts[0].Routes[0].Clusters[0].Name, "made_by_labels")

	same("domains", edge.VirtualHosts[0].Domains, []string{"a.test", "*.a.test"})
	exact, api := edge.VirtualHosts[0].Routes[0], edge.VirtualHosts[0].Routes[1]
	same("exact", exact, topology.Route{
		Key: "edge/a/0", Name: "exact", Source: topology.FromFile,
		Match: topology.Match{
			Path: topology.PathSpec{Kind: topology.PathExact, Text: "/exact", CaseInsensitive: true},
			Headers: []topology.HeaderMatcher{
				{Name: "x-a", Kind: topology.StringExact, Text: "a", IgnoreCase: true},
				{Name: "x-b", Kind: topology.StringPrefix, Text: "b", Invert: true},
				{Name: "x-c", Kind: topology.StringSuffix, Text: "c", MissingAsEmpty: true},
				{Name: "x-d", Kind: topology.StringContains, Text: "d"},
				{Name: "x-e", Kind: topology.StringRegex, Text: "e+"},
				{Name: "x-f", Kind: topology.StringRange, From: -1, To: 10},
				{Name: "x-g"}, {Name: "x-h", Invert: true}, {Name: "x-i"},
				{Name: "x-j", Kind: topology.StringExact, Text: "j"},
				{Name: "x-k", Kind: topology.StringPrefix, Text: "k"},
				{Name: "x-l", Kind: topology.StringSuffix, Text: "l"},
				{Name: "x-m", Kind: topology.StringContains, Text: "m"},
				{Name: "x-n", Kind: topology.StringRegex, Text: "n"},
			},
			Query: []topology.HeaderMatcher{{Name: "q", Kind: topology.StringExact, Text: "1"}, {Name: "r", Invert: true}},
		},
		Clusters: []topology.WeightedCluster{{Name: "static", Weight: 1}},
		Timeout:  250 * time.Millisecond, IdleTimeout: off, ClusterNotFoundCode: 404,
		Rewrite: topology.Rewrite{Prefix: "/new", SetPrefix: true, Host: "new.test"},
		Retry: topology.RetryPolicy{
			On: []string{"connect-failure", "retriable-status-codes"}, Max: 3, PerTry: time.Second, Codes: []uint32{409, 503},
			BaseInterval: 10 * time.Millisecond, MaxInterval: time.Second, OtherMembers: true,
		},
		Hash: []topology.HashSource{
			{Kind: "header", Name: "x-user", Terminal: true}, {Kind: "cookie", Name: "s", TTL: time.Minute, Path: "/"}, {Kind: "source_ip"}, {Kind: "query", Name: "q"},
		},
		Upgrades: []string{"other"},
		// From the inside outwards; the virtual host takes away what the route adds.
		RequestHeaders: topology.HeaderMutation{
			Remove: []string{"x-gone", "x-r", "x-rc"},
			Add:    []topology.HeaderValue{{Name: "x-vh", Value: "vh"}, {Name: "x-rc", Value: "rc", Action: topology.AddIfAbsent}},
		},
		ResponseHeaders: topology.HeaderMutation{
			Remove: []string{"x-rg", "x-vr", "x-powered-by"},
			Add:    []topology.HeaderValue{{Name: "x-rr", Value: "r"}, {Name: "x-empty"}, {Name: "x-by", Value: "100%", Action: topology.OverwriteOrAdd}},
		},
	})
	same("path", api.Match, topology.Match{Path: topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/api"}, GRPC: true})
	same("rewrite", api.Rewrite, topology.Rewrite{Regex: "^/api/(.*)$", Substitution: "/${1}$$", AutoHost: true})
	same("timeout", api.Timeout, 15*time.Second)
	same("the virtual host's retry policy", api.Retry, topology.RetryPolicy{On: []string{"5xx"}, Max: 1})
	same("upgrades", api.Upgrades, []string{"websocket"})
	same("weights", fmt.Sprint(api.Clusters[0].Name, api.Clusters[0].Weight, api.Clusters[1].Name, api.Clusters[1].Weight), "static1strict3")
	same("the route's changes go with the clusters'", none(api.RequestHeaders) && none(api.ResponseHeaders), true)
	same("first cluster's headers", api.Clusters[0].RequestHeaders, topology.HeaderMutation{
		Remove: []string{"x-wg", "x-r", "x-rc"},
		Add:    []topology.HeaderValue{{Name: "x-w", Value: "w"}, {Name: "x-vh", Value: "vh"}, {Name: "x-rc", Value: "rc", Action: topology.AddIfAbsent}},
	})
	same("second cluster's headers", api.Clusters[1].RequestHeaders.Add[0], topology.HeaderValue{Name: "x-vh", Value: "vh"})

	b := edge.VirtualHosts[1].Routes
	same("redirect", *b[0].Redirect, topology.Redirect{Code: 303, Scheme: "https", Host: "b.test", Port: 8443, Path: "/b", StripQuery: true})
	same("regex", b[0].Match.Path, topology.PathSpec{Kind: topology.PathRegex, Text: `/\d+`})
	same("prefix redirect", *b[1].Redirect, topology.Redirect{Code: 301, Scheme: "ftp", Prefix: "/t"})
	same("regex redirect", *b[2].Redirect, topology.Redirect{Code: 301, Regex: "u", Substitution: "v"})
	same("bytes", *b[3].Direct, topology.DirectResponse{Code: 200, Body: []byte("hi")})
	same("file", *b[4].Direct, topology.DirectResponse{Code: 200, Body: []byte("hello from a file\n")})
	same("text", *b[5].Direct, topology.DirectResponse{Code: 404, Body: []byte("nothing here")})

	static := s.Clusters[0]
	same("static's hosts", static.Hosts[0].Template, topology.Endpoint{
		Weight: 3, Tier: 1, Hostname: "one", Region: "r", Zone: "z", SubZone: "s", EDSHealth: "DEGRADED", HealthPort: 81, HealthHost: "hc1.test", NoHealthCheck: true,
	})
	same("static's address", static.Hosts[0].Address.String()+" "+static.Hosts[0].Name, "10.0.0.1 ")
	same("static", static.Cluster, topology.Cluster{
		Name: "static", Type: topology.StaticType, Source: topology.FromFile, Policy: "least_request", ChoiceCount: 3,
		ConnectTimeout: 250 * time.Millisecond, IdleTimeout: 30 * time.Second, MaxRequestsPerConn: 7, IgnoreHealthOnRemoval: true,
		SlowStart:    topology.SlowStart{Window: 30 * time.Second, Aggression: 1.5, MinPercent: 5},
		PanicPercent: 12, Overprovisioning: 200,
		Breakers: topology.Breakers{MaxConnections: 1, MaxPending: 2, MaxRequests: 3, MaxRetries: 4, BudgetPercent: 25, BudgetMin: 9},
		Outlier: &topology.Outlier{
			Consecutive5xx: 1, Interval: 2 * time.Second, BaseEjection: 3 * time.Second, MaxPercent: 4, Enforce5xx: 5, EnforceSuccessRate: 6,
			SuccessRateMinHosts: 7, SuccessRateVolume: 8, SuccessRateStdev: 9, ConsecutiveGateway: 10, EnforceGateway: 11, SplitErrors: true,
			ConsecutiveLocal: 12, EnforceLocal: 13, FailurePctThreshold: 14, EnforceFailurePct: 15, FailurePctMinHosts: 16, FailurePctVolume: 17,
			MaxEjection: 18 * time.Second, Jitter: 19 * time.Second, AlwaysEjectOne: true,
		},
		HealthChecks: []topology.HealthCheck{{
			Kind: "http", Limit: 1 * time.Second, Interval: 2 * time.Second, InitialJitter: 3 * time.Second, IntervalJitter: 4 * time.Second,
			Fall: 5, Rise: 6, Port: 8081, NoTraffic: 7 * time.Second, NoTrafficHealthy: 8 * time.Second, Unhealthy: 9 * time.Second,
			UnhealthyEdge: 10 * time.Second, HealthyEdge: 11 * time.Second, Host: "hc.test", Path: "/healthz", Method: "HEAD", Receive: []byte("ok"),
			RequestHeaders: topology.HeaderMutation{Remove: []string{"user-agent"}, Add: []topology.HeaderValue{{Name: "x-hc", Value: "1"}}},
			Statuses:       []labels.StatusRange{{From: 200, To: 299}}, Retriable: []labels.StatusRange{{From: 500, To: 503}},
		}},
	})

	strict, logical := s.Clusters[1], s.Clusters[2]
	refresh := topology.RefreshPolicy{Rate: time.Second, Jitter: 2 * time.Second, RespectTTL: true, FailureBase: 3 * time.Second, FailureMax: 4 * time.Second}
	same("strict's refresh", strict.Refresh, refresh)
	same("strict's discovery", fmt.Sprint(strict.Type, strict.Family, strict.WaitForWarm, strict.Hosts[0].Name), fmt.Sprint("STRICT_DNS", topology.LookupV4Preferred, false, "web.test"))
	same("strict's policy", fmt.Sprint(strict.Policy, strict.RingMin, strict.RingMax, strict.HashFunction), "ring_hash10 20murmur_hash_2")
	same("strict's connections", fmt.Sprint(strict.MaxRequestsPerConn, strict.IdleTimeout, strict.ConnectTimeout), "5 1h0m0s 5s")
	same("strict's check", strict.HealthChecks[0], topology.HealthCheck{
		Kind: "tcp", Interval: time.Second, Limit: time.Second, Rise: 1, Fall: 1, NoTraffic: time.Minute, Send: []byte("p"), Receive: []byte("pong"),
	})
	same("defaults", fmt.Sprint(strict.PanicPercent, strict.Overprovisioning, strict.Breakers, strict.Outlier), fmt.Sprint(50, 140, defaultBreakers, (*topology.Outlier)(nil)))
	refresh.FirstTTL = true
	same("logical's refresh", logical.Refresh, refresh)
	same("logical", fmt.Sprint(logical.Type, logical.Family, logical.WaitForWarm, logical.Policy, logical.MaglevSize, logical.IdleTimeout), fmt.Sprint("LOGICAL_DNS", topology.LookupAll, true, "maglev", uint64(251), off))
	same("logical's check", logical.HealthChecks[0], topology.HealthCheck{
		Kind: "grpc", Interval: time.Second, Limit: time.Second, Rise: 1, Fall: 1, NoTraffic: time.Minute, Service: "svc", Host: "auth",
		RequestHeaders: topology.HeaderMutation{Add: []topology.HeaderValue{{Name: "x-m", Value: "m"}}},
	})
	for i, want := range []string{
		"robin round_robin {1s 2 20} 0", "robin_of_old round_robin {2s 0 10} 0", "least least_request {1s 0 10} 4",
		"random random {0s 0 0} 0", "ring ring_hash {0s 0 0} 0", "maglev maglev {0s 0 0} 0",
	} {
		c := s.Clusters[3+i]
		same(c.Name, fmt.Sprint(c.Name, " ", c.Policy, " ", c.SlowStart, " ", c.ChoiceCount), want)
	}
	same("sizes", fmt.Sprint(s.Clusters[7].RingMin, s.Clusters[7].RingMax, s.Clusters[8].MaglevSize), "1 2 257")

	again := reload(t, Bootstrap(s))
	again.Bootstrap, s.Bootstrap = nil, nil
	again.Path, again.LoadedAt = s.Path, s.LoadedAt
	same("dumped and loaded again", again, s)
}

// docs/envoy-fields.md is printed from the table; LB_UPDATE=1 writes it.
func TestTheDocumentIsTheTable(t *testing.T) {
	const path = "../docs/envoy-fields.md"
	want := Document()
	if os.Getenv("LB_UPDATE") != "" {
		if err := os.MkdirAll("../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table says: LB_UPDATE=1 go test ./config", path)
	}
	if headings := regexp.MustCompile(`(?m)^## `).FindAllString(want, -1); len(headings) < 5 || !slices.Contains(strings.Split(want, "\n"), "| `lb_policy` | ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH, MAGLEV, LOAD_BALANCING_POLICY_CONFIG |") {
		t.Errorf("the document is not whole:\n%s", want)
	}
}
