package admin

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func TestStatsText(t *testing.T) {
	s, _ := newServer(t, nil)
	lines := strings.Split(strings.TrimSpace(ask(t, s, "GET", "/stats", nil).Body.String()), "\n")
	for _, want := range []string{
		"cluster.service1.upstream_rq_total: 5",
		"cluster.service1.upstream_rq_2xx: 5",
		"cluster.web.membership_healthy: 1",
		"cluster.web.membership_total: 2",
		"http.ingress_http.downstream_rq_total: 15", // two listeners of one prefix
		"http.ingress_http.downstream_rq_5xx: 2",
		"listener.0.0.0.0_10000.downstream_cx_active: 1",
		"server.live: 1",
		"dockerlb.docker.unix_///var/run/docker.sock.connected: 1",
		"dockerlb.containers.quarantined: 1",
		"dockerlb.label_problems.warning: 1",
		"dockerlb.conflicts: 1",
		"dockerlb.cluster.web.requests_held: 3",
		"dockerlb.table_generation: 42",
		"dockerlb.build_info: 1",
		"dockerlb.join_ms: No recorded values",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in:\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if values := lines[:len(lines)-1]; !slices.IsSortedFunc(values, func(a, b string) int {
		a, _, _ = strings.Cut(a, ": ")
		b, _, _ = strings.Cut(b, ": ")
		return strings.Compare(a, b)
	}) {
		t.Error("not sorted by name")
	}
}

func TestStatsSelection(t *testing.T) {
	s, _ := newServer(t, nil)
	for _, tt := range []struct {
		query    string
		has, not string
	}{
		{"?filter=^cluster\\.web\\.", "cluster.web.upstream_rq_total: 9", "cluster.service1"},
		{"?filter=rq_5xx$", "cluster.web.upstream_rq_5xx: 2", "upstream_rq_2xx"},
		{"?usedonly", "cluster.web.upstream_rq_5xx: 2", "cluster.service1.upstream_rq_5xx"},
		{"?usedonly", "server.live: 1", "join_ms"},
		{"?type=Counters", "cluster.web.upstream_rq_total", "server.live"},
		{"?type=Gauges", "server.live", "cluster.web.upstream_rq_total"},
		{"?type=Histograms", "dockerlb.join_ms", "server.live"},
	} {
		body := ask(t, s, "GET", "/stats"+tt.query, nil).Body.String()
		if !strings.Contains(body, tt.has) || strings.Contains(body, tt.not) {
			t.Errorf("%s: want %q and not %q:\n%s", tt.query, tt.has, tt.not, body)
		}
	}
	for _, query := range []string{"?filter=(", "?type=counters"} {
		if w := ask(t, s, "GET", "/stats"+query, nil); w.Code != 400 {
			t.Errorf("%s: %d, want 400", query, w.Code)
		}
	}
}

func TestStatsJSON(t *testing.T) {
	s, _ := newServer(t, nil)
	s.o.Joins.Observe(12 * time.Millisecond)
	var answer struct {
		Stats []struct {
			Name       string
			Value      float64
			Histograms *struct {
				Supported []float64 `json:"supported_quantiles"`
				Computed  []struct {
					Name   string
					Values []struct{ Cumulative *float64 }
				} `json:"computed_quantiles"`
			}
		}
	}
	if err := json.Unmarshal(ask(t, s, "GET", "/stats?format=json", nil).Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	last := answer.Stats[len(answer.Stats)-1].Histograms
	if last == nil || last.Computed[0].Name != "dockerlb.join_ms" || len(last.Computed[0].Values) != len(last.Supported) {
		t.Fatalf("histograms %+v", last)
	}
	if v := last.Computed[0].Values[2].Cumulative; v == nil || *v != 15 { // the bucket of 10 to 15 ms
		t.Errorf("median %v, want 15", v)
	}
	found := false
	for _, st := range answer.Stats {
		found = found || st.Name == "cluster.service1.upstream_rq_total" && st.Value == 5
	}
	if !found {
		t.Error("no cluster.service1.upstream_rq_total of 5")
	}
}

// TestPrometheus parses the exposition as Prometheus does.
func TestPrometheus(t *testing.T) {
	s, _ := newServer(t, nil)
	for _, took := range []time.Duration{4 * time.Millisecond, 12 * time.Millisecond, 400 * time.Millisecond, time.Minute} {
		s.o.Joins.Observe(took)
	}
	for _, path := range []string{"/stats/prometheus", "/stats?format=prometheus"} {
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(ask(t, s, "GET", path, nil).Body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		value := func(name string, labels ...string) float64 {
			t.Helper()
			f := families[name]
			if f == nil {
				t.Errorf("no %s", name)
				return 0
			}
			if f.GetHelp() == "" {
				t.Errorf("%s has no HELP", name)
			}
		metrics:
			for _, m := range f.Metric {
				for i := 0; i < len(labels); i += 2 {
					if !slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool {
						return l.GetName() == labels[i] && l.GetValue() == labels[i+1]
					}) {
						continue metrics
					}
				}
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
			t.Errorf("no %s%q", name, labels)
			return 0
		}
		for _, tt := range []struct {
			want   float64
			name   string
			labels []string
		}{
			{5, "envoy_cluster_upstream_rq_total", []string{"envoy_cluster_name", "service1"}},
			{2, "envoy_cluster_upstream_rq_xx", []string{"envoy_cluster_name", "web", "envoy_response_code_class", "5"}},
			{15, "envoy_http_downstream_rq_total", []string{"envoy_http_conn_manager_prefix", "ingress_http"}},
			{1, "envoy_listener_downstream_cx_active", []string{"envoy_listener_address", "0.0.0.0_10000"}},
			{1, "envoy_server_live", nil},
			{1, "dockerlb_docker_connected", []string{"engine", "unix:///var/run/docker.sock"}},
			{17, "dockerlb_docker_events_total", nil},
			{1, "dockerlb_containers", []string{"verdict", "quarantined"}},
			{4, "dockerlb_cluster_requests_held_total", []string{"cluster", "web"}},
			{1, "dockerlb_build_info", []string{"version", "v1.2.3", "go", "go1.26"}},
		} {
			if got := value(tt.name, tt.labels...); got != tt.want {
				t.Errorf("%s%q is %v, want %v", tt.name, tt.labels, got, tt.want)
			}
		}
		h := families["dockerlb_join_seconds"].Metric[0].Histogram
		if h.GetSampleCount() != 4 || h.GetSampleSum() < 60.4 {
			t.Errorf("joins: %d, %v s", h.GetSampleCount(), h.GetSampleSum())
		}
		for _, b := range h.Bucket {
			if b.GetUpperBound() == .5 && b.GetCumulativeCount() != 3 {
				t.Errorf("%d joins within 500 ms, want 3", b.GetCumulativeCount())
			}
		}
	}
}

func TestResetCounters(t *testing.T) {
	s, b := newServer(t, nil)
	requests := func() string {
		return ask(t, s, "GET", "/stats?filter=^cluster.web.(upstream_rq_total|membership_total)$", nil).Body.String()
	}
	if got := requests(); got != "cluster.web.membership_total: 2\ncluster.web.upstream_rq_total: 9\n" {
		t.Fatalf("before: %q", got)
	}
	ask(t, s, "POST", "/reset_counters", nil)
	if got := requests(); got != "cluster.web.membership_total: 2\ncluster.web.upstream_rq_total: 0\n" {
		t.Errorf("after the reset: %q; gauges stay, counters are zero", got)
	}
	b.snap.Clusters[1].Counters.RqTotal = 11
	if got := requests(); !strings.Contains(got, "upstream_rq_total: 2\n") {
		t.Errorf("two requests later: %q", got)
	}
	b.snap.Clusters[1].Counters.RqTotal = 1 // the cluster left and came back
	if got := requests(); !strings.Contains(got, "upstream_rq_total: 1\n") {
		t.Errorf("in the cluster's second life: %q", got)
	}
}

// TestFamilies: names do not collide, and each has as many labels as its name
// has places, but for those of Prometheus alone.
func TestFamilies(t *testing.T) {
	seen := map[string]bool{}
	for i := range families {
		f := &families[i]
		if seen[f.name] || seen[f.prometheusName()] {
			t.Errorf("%s (%s) stands twice", f.name, f.prometheusName())
		}
		seen[f.name], seen[f.prometheusName()] = true, true
		if places := strings.Count(f.name, "$"); places != 0 && places != len(f.labels) {
			t.Errorf("%s has %d labels", f.name, len(f.labels))
		}
		if !model.LegacyValidation.IsValidMetricName(f.prometheusName()) {
			t.Errorf("%q is no name for Prometheus", f.prometheusName())
		}
	}
}
