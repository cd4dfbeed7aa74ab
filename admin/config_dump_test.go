package admin

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/dockerlb/dockerlb/config"
	"github.com/dockerlb/dockerlb/topology"
)

// fakeFile is a file that was loaded once.
type fakeFile struct {
	static topology.Static
	status config.Status
}

func (f *fakeFile) Latest() (topology.Static, bool) { return f.static, true }
func (f *fakeFile) Status() config.Status           { return f.status }

// withFile is a server whose table is the demo's file and a cluster of labels.
func withFile(t *testing.T, o *Options) *fakeFile {
	t.Helper()
	static, err := config.Load("../config/testdata/envoy-demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := &fakeFile{static: *static, status: config.Status{Path: static.Path, Generation: 1, LoadedAt: static.LoadedAt}}
	o.File = file
	inputs := topology.Inputs{Generation: 9, At: time.Unix(1800000000, 0), Static: *static}
	inputs.Defaults.Listeners = []topology.Listener{{Name: "other", Address: netip.MustParseAddrPort("0.0.0.0:10001"), Source: topology.FromDefault}}
	table := topology.Build(inputs)
	table.Clusters = append(table.Clusters, &topology.Cluster{
		Name: "web", Type: topology.Labels, Source: topology.FromLabels, Policy: "round_robin", ConnectTimeout: 2 * time.Second,
		Endpoints: []*topology.Endpoint{{Address: netip.MustParseAddrPort("10.0.0.1:80"), Weight: 1, Hostname: "web-1"}},
	})
	for i := range table.Listeners {
		if table.Listeners[i].Name == "other" {
			table.Listeners[i].VirtualHosts = []topology.VirtualHost{{Domains: []string{"web.test"}, FallThrough: true, Routes: []topology.Route{{
				Match:    topology.Match{Path: topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/"}},
				Clusters: []topology.WeightedCluster{{Name: "web", Weight: 1}},
			}}}}
		}
	}
	o.Table = func() *topology.Table { return table }
	return file
}

// dumped asks for a dump and parses it strictly.
func dumped(t *testing.T, s *Server, query string) []*anypb.Any {
	t.Helper()
	w := ask(t, s, http.MethodGet, "/config_dump"+query, nil)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %d %s", query, w.Code, w.Body)
	}
	out := &adminv3.ConfigDump{}
	if err := protojson.Unmarshal(w.Body.Bytes(), out); err != nil {
		t.Fatalf("%s: %v\n%s", query, err, w.Body)
	}
	return out.GetConfigs()
}

func unpack[M proto.Message](t *testing.T, a *anypb.Any, m M) M {
	t.Helper()
	if err := a.UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// The dump's parts, put together as a file, load into what is running.
func TestConfigDumpLoadsAgain(t *testing.T) {
	var file *fakeFile
	s, _ := newServer(t, func(o *Options) { file = withFile(t, o) })
	all := dumped(t, s, "?include_eds")
	if len(all) != 5 {
		t.Fatalf("%d configs", len(all))
	}
	boot := unpack(t, all[0], &adminv3.BootstrapConfigDump{})
	clusters := unpack(t, all[1], &adminv3.ClustersConfigDump{})
	endpoints := unpack(t, all[2], &adminv3.EndpointsConfigDump{})
	listeners := unpack(t, all[3], &adminv3.ListenersConfigDump{})
	routes := unpack(t, all[4], &adminv3.RoutesConfigDump{})

	again := load(t, boot.GetBootstrap())
	if string(again.Bootstrap) != string(file.static.Bootstrap) || boot.GetLastUpdated() == nil {
		t.Errorf("bootstrap %s\nwant %s", again.Bootstrap, file.static.Bootstrap)
	}
	if len(clusters.GetStaticClusters()) != 1 || len(clusters.GetDynamicActiveClusters()) != 1 || clusters.GetVersionInfo() != "9" {
		t.Fatalf("clusters %v", clusters)
	}
	if len(endpoints.GetStaticEndpointConfigs()) != 1 || len(endpoints.GetDynamicEndpointConfigs()) != 1 {
		t.Fatalf("endpoints %v", endpoints)
	}
	web := unpack(t, endpoints.GetDynamicEndpointConfigs()[0].GetEndpointConfig(), &endpointv3.ClusterLoadAssignment{})
	if web.GetClusterName() != "web" || web.GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint().GetHostname() != "web-1" {
		t.Errorf("web's endpoints %v", web)
	}
	if len(routes.GetStaticRouteConfigs()) != 1 || len(routes.GetDynamicRouteConfigs()) != 1 {
		t.Errorf("routes %v", routes)
	}
	if len(listeners.GetStaticListeners()) != 1 || len(listeners.GetDynamicListeners()) != 1 {
		t.Fatalf("listeners %v", listeners)
	}

	for what, at := range map[string]int64{
		"cluster":  clusters.GetDynamicActiveClusters()[0].GetLastUpdated().GetSeconds(),
		"endpoint": endpoints.GetDynamicEndpointConfigs()[0].GetLastUpdated().GetSeconds(),
		"routes":   routes.GetDynamicRouteConfigs()[0].GetLastUpdated().GetSeconds(),
		"listener": listeners.GetDynamicListeners()[0].GetActiveState().GetLastUpdated().GetSeconds(),
	} {
		if at != 1800000000 {
			t.Errorf("dynamic %s: last updated %d", what, at)
		}
	}

	whole := &bootstrapv3.Bootstrap{StaticResources: &bootstrapv3.Bootstrap_StaticResources{
		Listeners: []*listenerv3.Listener{
			unpack(t, listeners.GetStaticListeners()[0].GetListener(), &listenerv3.Listener{}),
			unpack(t, listeners.GetDynamicListeners()[0].GetActiveState().GetListener(), &listenerv3.Listener{}),
		},
		Clusters: []*clusterv3.Cluster{
			unpack(t, clusters.GetStaticClusters()[0].GetCluster(), &clusterv3.Cluster{}),
			unpack(t, clusters.GetDynamicActiveClusters()[0].GetCluster(), &clusterv3.Cluster{}),
		},
	}}
	running := load(t, whole)
	if l := running.Listeners[1]; l.Name != "other" || l.VirtualHosts[0].Domains[0] != "web.test" || l.VirtualHosts[0].Routes[0].Clusters[0].Name != "web" {
		t.Errorf("listener %+v", l)
	}
	if c := running.Clusters[1]; c.Hosts[0].Address.String() != "10.0.0.1" || c.ConnectTimeout != 2*time.Second {
		t.Errorf("cluster %+v", c)
	}
}

// load reads a bootstrap with our own loader.
func load(t *testing.T, b *bootstrapv3.Bootstrap) *topology.Static {
	t.Helper()
	text, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	s, err := config.Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return s
}

func TestConfigDumpParameters(t *testing.T) {
	s, _ := newServer(t, func(o *Options) { withFile(t, o) })
	for _, tt := range []struct{ query, want, not string }{
		{"?resource=static_clusters", `"name": "rust_daemons"`, `"name": "web"`},
		{"?resource=dynamic_active_clusters", `"name": "web"`, `rust_daemons`},
		{"?resource=dynamic_active_clusters&mask=cluster.name,version_info", `"version_info": "9"`, "connect_timeout"},
		{"?resource=static_clusters&name_regex=rust_.*", "rust_daemons", "web"},
		{"?resource=static_clusters&name_regex=rust", `{}`, "rust_daemons"},
		{"?mask=bootstrap", "BootstrapConfigDump", "ClustersConfigDump"},
		{"?mask=dynamic_active_clusters", "ClustersConfigDump", "BootstrapConfigDump"},
		{"", "RoutesConfigDump", "EndpointsConfigDump"},
		{"?name_regex=web", `"name": "web"`, `"version_info": "x"`},
	} {
		w := ask(t, s, http.MethodGet, "/config_dump"+tt.query, nil)
		if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, tt.want) || strings.Contains(body, tt.not) {
			t.Errorf("%s: %d, want %s and not %s:\n%s", tt.query, w.Code, tt.want, tt.not, body)
		}
	}
	for _, tt := range []struct {
		query string
		code  int
		want  string
	}{
		{"?resource=nothing", 404, "nothing not found in config dump"},
		{"?resource=version_info", 400, "version_info is not a repeated field. Use ?mask=version_info to get only this field"},
		{"?resource=static_clusters&mask=nothing", 400, "FieldMask nothing could not be successfully used."},
		{"?name_regex=(", 400, "Error while parsing name_regex from (: "},
	} {
		if w := ask(t, s, http.MethodGet, "/config_dump"+tt.query, nil); w.Code != tt.code || !strings.HasPrefix(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s", tt.query, w.Code, w.Body)
		}
	}
}

// Without a file the bootstrap is what the flags come to.
func TestConfigDumpWithoutAFile(t *testing.T) {
	s, _ := newServer(t, nil)
	boot := unpack(t, dumped(t, s, "")[0], &adminv3.BootstrapConfigDump{})
	if got := load(t, boot.GetBootstrap()); got.Admin != s.Addr() || len(got.Listeners)+len(got.Clusters) != 0 {
		t.Errorf("bootstrap %v", boot)
	}
}

func TestFileStatus(t *testing.T) {
	s, _ := newServer(t, nil)
	if w := ask(t, s, http.MethodGet, "/lb/v1/config", nil); strings.TrimSpace(w.Body.String()) != "{\n \"errors\": []\n}" {
		t.Errorf("without a file: %s", w.Body)
	}
	var file *fakeFile
	s, _ = newServer(t, func(o *Options) { file = withFile(t, o) })
	file.status.Err = config.Errors{{Line: 7, Path: "admin.adress", Reason: "unknown field; did you mean address?"}}
	file.status.FailedAt = time.Unix(1700000000, 0).UTC()
	w := ask(t, s, http.MethodGet, "/lb/v1/config", nil)
	for _, want := range []string{`"path": "../config/testdata/envoy-demo.yaml"`, `"line": 7`, `"field": "admin.adress"`, `"failed_at": "2023-11-14T22:13:20Z"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in %s", want, w.Body)
		}
	}
}

// What alerts and lists read: the file's age, and what is wrong with its newest
// version.
func TestFileState(t *testing.T) {
	s, _ := newServer(t, func(o *Options) {
		f := withFile(t, o)
		f.status.Path, f.status.LoadedAt, f.status.FailedAt = "envoy.yaml", time.Now().Add(-3*time.Minute), time.Now()
		f.status.Err = config.Errors{{Line: 3, Path: "a.b", Reason: "unknown field"}, {Reason: "x"}}
	})
	st := s.status().File
	if st == nil || st.Path != "envoy.yaml" || st.Errors != 2 || st.Error != "line 3: a.b: unknown field" || st.FailedAt == nil {
		t.Errorf("state %+v", st)
	}
	text := ask(t, s, http.MethodGet, "/stats/prometheus", nil).Body.String()
	if !strings.Contains(text, "\ndockerlb_file_errors 2\n") || !strings.Contains(text, "\ndockerlb_file_age_seconds 18") {
		t.Errorf("metrics:\n%s", text)
	}
	without, _ := newServer(t, nil)
	if st := without.status().File; st != nil {
		t.Errorf("without a file: %+v", st)
	}
}
