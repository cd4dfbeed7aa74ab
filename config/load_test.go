package config

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// The file that the project must run unchanged.
func TestLoadTheDemo(t *testing.T) {
	s, err := Load("testdata/envoy-demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if s.Admin.String() != "0.0.0.0:9901" || len(s.Listeners) != 1 || len(s.Clusters) != 1 {
		t.Fatalf("got %+v", s)
	}
	l := s.Listeners[0]
	if l.Address.String() != "0.0.0.0:10000" || l.HTTP.StatPrefix != "ingress_http" || len(l.VirtualHosts) != 1 {
		t.Fatalf("listener %+v", l)
	}
	r := l.VirtualHosts[0].Routes
	if len(r) != 1 || r[0].Match.Path != (topology.PathSpec{Kind: topology.PathRawPrefix, Text: "/"}) ||
		r[0].Clusters[0].Name != "rust_daemons" || r[0].Timeout != 15*time.Second {
		t.Errorf("routes %+v", r)
	}
	c := s.Clusters[0]
	if c.Name != "rust_daemons" || c.Type != topology.StrictDNS || c.Policy != "round_robin" ||
		c.ConnectTimeout != 5*time.Second || c.Refresh.Rate != 5*time.Second || !c.WaitForWarm {
		t.Errorf("cluster %+v", c)
	}
	if len(c.Hosts) != 2 || c.Hosts[0].Name != "daemon1" || c.Hosts[1].Name != "daemon2" || c.Hosts[1].Port != 8080 {
		t.Errorf("hosts %+v", c.Hosts)
	}
}

func TestAllErrorsAtOnceWithTheirLines(t *testing.T) {
	b, err := os.ReadFile("testdata/envoy-demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("port_value: 10000"), []byte("port_value: ten"), 1)
	b = bytes.Replace(b, []byte("stat_prefix:"), []byte("statprefix:"), 1)
	b = bytes.Replace(b, []byte("lb_policy: ROUND_ROBIN"), []byte("lb_policy: FASTEST\n    edns: true\n    transport_socket: {}"), 1)
	_, err = Parse(b)
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{
		`line 10: static_resources.listeners[0].address.socket_address.port_value: "ten" is not a number`,
		`line 17: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.statprefix: `,
		`line 35: static_resources.clusters[0].lb_policy: "FASTEST" is not one of ROUND_ROBIN`,
		`line 36: static_resources.clusters[0].edns: unknown field`,
		`line 37: static_resources.clusters[0].transport_socket: not supported`,
	} {
		if i >= len(errs) || !strings.HasPrefix(errs[i].Error(), want) {
			t.Errorf("error %d, want %s; all:\n%v", i, want, err)
			return
		}
	}
	if len(errs) != 5 {
		t.Errorf("%d errors:\n%v", len(errs), err)
	}
}

// "Priority is forced to 0" for LOGICAL_DNS (Envoy's logical_dns_cluster.cc);
// elsewhere it is the endpoint's tier.
func TestPriority(t *testing.T) {
	for kind, want := range map[string]uint32{"STRICT_DNS": 1, "LOGICAL_DNS": 0} {
		s, err := Parse([]byte(`{static_resources: {clusters: [{name: a, type: ` + kind + `, load_assignment: {cluster_name: a, endpoints: [
			{priority: 1, lb_endpoints: [{endpoint: {address: {socket_address: {address: b, port_value: 1}}}}]}]}}]}}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Clusters[0].Hosts[0].Template.Tier; uint32(got) != want {
			t.Errorf("%s: tier %d, want %d", kind, got, want)
		}
	}
}

func TestJSONAndBothSpellings(t *testing.T) {
	s, err := Parse([]byte(`{"staticResources": {"clusters": [
		{"name": "a", "type": "LOGICAL_DNS", "connectTimeout": "0.25s", "dns_refresh_rate": "2s",
		 "loadAssignment": {"cluster_name": "a", "endpoints": [{"lbEndpoints": [{"endpoint": {"address": {"socketAddress": {"address": "a.test", "portValue": 80}}}}]}]}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := s.Clusters[0]
	if c.ConnectTimeout != 250*time.Millisecond || c.Refresh.Rate != 2*time.Second || !c.Refresh.FirstTTL || c.Hosts[0].Name != "a.test" {
		t.Errorf("got %+v", c)
	}
}

func TestWhatIsRefused(t *testing.T) {
	cluster := func(rest string) string { return "static_resources:\n  clusters:\n  - name: c\n" + rest }
	host := func(address string) string {
		return "    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: " + address + ", port_value: 80}}}}]}]}\n"
	}
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "the file is empty"},
		{"not YAML", "a: [", "did not find expected"},
		{"a list", "- a", "want a mapping (Bootstrap)"},
		{"a name in a STATIC cluster", cluster(host("web")), "use type STRICT_DNS (or LOGICAL_DNS)"},
		{"LOGICAL_DNS of no host", cluster("    type: LOGICAL_DNS\n"), "single lb_endpoint"},
		{"a duration without a unit", cluster("    connect_timeout: 5\n"), "line 4: static_resources.clusters[0].connect_timeout: \"5\" is not a duration"},
		{"a key twice", cluster("    type: STATIC\n    type: STATIC\n"), "given twice"},
		{"EDS", cluster("    type: EDS\n"), "line 4: static_resources.clusters[0].type: EDS is not supported"},
		{"an alias that contains itself", "static_resources: &a\n  clusters: [{load_assignment: {endpoints: &b [{lb_endpoints: *b}]}}]\n", "line "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			var errs Errors
			if !errors.As(err, &errs) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
