package admin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// TestEnvoyJSON: what has a shape of Envoy's parses strictly into its published
// types, and says what is.
func TestEnvoyJSON(t *testing.T) {
	s, _ := newServer(t, nil)
	parse := func(path string, m proto.Message) string {
		t.Helper()
		w := ask(t, s, "GET", path, nil)
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		if err := protojson.Unmarshal(w.Body.Bytes(), m); err != nil {
			t.Fatalf("%s does not parse: %v\n%s", path, err, w.Body)
		}
		return w.Body.String()
	}

	var clusters adminv3.Clusters
	text := parse("/clusters?format=json", &clusters)
	if !strings.Contains(text, "\n \"cluster_statuses\": [") {
		t.Errorf("not snake_case with one space of indentation:\n%s", text)
	}
	if len(clusters.ClusterStatuses) != 2 {
		t.Fatalf("%d clusters", len(clusters.ClusterStatuses))
	}
	file, web := clusters.ClusterStatuses[0], clusters.ClusterStatuses[1]
	if file.AddedViaApi || !web.AddedViaApi {
		t.Errorf("added_via_api: %v of the file, %v of labels", file.AddedViaApi, web.AddedViaApi)
	}
	host := file.HostStatuses[0]
	if a := host.Address.GetSocketAddress(); a.GetAddress() != "172.20.0.3" || a.GetPortValue() != 8000 {
		t.Errorf("address %v", a)
	}
	if got := host.Stats[5]; got.Name != "rq_total" || got.Value != 5 {
		t.Errorf("rq_total: %v", got)
	}
	if h := web.HostStatuses[1].HealthStatus; !h.FailedActiveHealthCheck || !h.PendingActiveHc || h.FailedOutlierCheck {
		t.Errorf("health flags %v", h)
	}
	if th := file.CircuitBreakers.Thresholds; len(th) != 2 || th[0].MaxRetries.GetValue() != 3 {
		t.Errorf("circuit breakers %v", th)
	}

	var listeners adminv3.Listeners
	parse("/listeners?format=json", &listeners)
	if l := listeners.ListenerStatuses[0]; l.Name != "default" || l.LocalAddress.GetSocketAddress().GetPortValue() != 10000 {
		t.Errorf("listener %v", l)
	}

	var info adminv3.ServerInfo
	text = parse("/server_info", &info)
	if info.State != adminv3.ServerInfo_LIVE || info.UptimeCurrentEpoch.GetSeconds() < 188 || info.Version != "abc/v1.2.3/Clean/RELEASE/go1.26" {
		t.Errorf("server info %v", &info)
	}
	for _, field := range []string{`"state": "LIVE"`, `"base_id": "0"`, `"restart_epoch": 0`, `"drain_strategy"`} {
		if !strings.Contains(text, field) {
			t.Errorf("/server_info prints every field, but not %s:\n%s", field, text)
		}
	}
}

// TestClustersText compares with what Envoy writes, line by line.
func TestClustersText(t *testing.T) {
	s, _ := newServer(t, nil)
	got := ask(t, s, "GET", "/clusters", nil).Body.String()
	want, err := os.ReadFile(filepath.Join("testdata", "clusters.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("/clusters:\n%s\nwant:\n%s", got, want)
	}
}

func TestListenersText(t *testing.T) {
	s, _ := newServer(t, nil)
	if got := ask(t, s, "GET", "/listeners", nil).Body.String(); got != "default::0.0.0.0:10000\n" {
		t.Errorf("/listeners: %q", got)
	}
}

func TestBadFormat(t *testing.T) {
	s, _ := newServer(t, nil)
	for _, path := range []string{"/clusters", "/listeners", "/stats"} {
		if w := ask(t, s, "GET", path+"?format=xml", nil); w.Code != 400 {
			t.Errorf("%s?format=xml: %d, want 400", path, w.Code)
		}
	}
}

func TestReady(t *testing.T) {
	ready, why := false, "waiting for the first list of\nunix:///var/run/docker.sock"
	s, _ := newServer(t, func(o *Options) { o.Ready = func() (bool, string) { return ready, why } })
	check := func(when string, code int, body, reason string) {
		t.Helper()
		w := ask(t, s, "GET", "/ready", nil)
		if w.Code != code || w.Body.String() != body || !strings.Contains(w.Header().Get(ReasonHeader), reason) {
			t.Errorf("%s: %d %q (%s), want %d %q (%s)", when, w.Code, w.Body, w.Header().Get(ReasonHeader), code, body, reason)
		}
	}
	check("before the first list", 503, "INITIALIZING\n", "first list of unix:///")
	ready = true
	check("after it", 200, "LIVE\n", "")
	ask(t, s, "POST", "/healthcheck/fail", nil)
	check("after /healthcheck/fail", 503, "DRAINING\n", "/healthcheck/ok undoes")
	ask(t, s, "POST", "/healthcheck/ok", nil)
	check("after /healthcheck/ok", 200, "LIVE\n", "")
	s.SetDraining()
	ask(t, s, "POST", "/healthcheck/ok", nil)
	check("while the process ends", 503, "DRAINING\n", "ending")
}
