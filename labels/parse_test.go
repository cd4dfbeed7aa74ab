package labels

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// problemText is a Problem in one line, for tables.
func problemText(p Problem) string {
	s := fmt.Sprintf("%s: %s %s", p.Severity, p.Label, p.Reason)
	if p.Service != "" {
		s = p.Service + ": " + s
	}
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

func texts(ps []Problem) []string {
	var ts []string
	for _, p := range ps {
		ts = append(ts, problemText(p))
	}
	return ts
}

func TestOneLabelIsEnough(t *testing.T) {
	spec, problems := Parse("lb", map[string]string{"lb.cluster": "rust_daemons", "com.docker.compose.project": "demo", "lbx.port": "?", "lb": "?"})
	if len(problems) > 0 {
		t.Fatalf("problems: %q", texts(problems))
	}
	want := Spec{Managed: true, Enabled: true, Services: []Service{{
		Name: "default", Cluster: "rust_daemons", Scheme: SchemeHTTP, Weight: 1, Ready: ReadyAuto,
		Routes: []Route{{Listeners: []string{"default"}, Path: PathMatch{PathPrefix, "/"}}},
	}}}
	if !reflect.DeepEqual(spec, want) {
		t.Errorf("got  %+v\nwant %+v", spec, want)
	}
}

func TestNothingOfOurs(t *testing.T) {
	spec, problems := Parse("lb", map[string]string{"maintainer": "x", "lb": "rust_daemons", "lbs.cluster": "x"})
	if want := (Spec{Enabled: true}); !reflect.DeepEqual(spec, want) || problems != nil {
		t.Errorf("got %+v, %q", spec, texts(problems))
	}
}

func TestContainerKeys(t *testing.T) {
	spec, problems := Parse("lb", map[string]string{
		"lb.cluster": " api ", "lb.enable": "No", "lb.oneoff": "1", "lb.instance": "edge",
		"lb.port": "8080", "lb.network": "backend", "lb.address": "[fd00::1]:81", "lb.scheme": "http",
		"lb.weight": "0", "lb.tier": "2", "lb.zone": "rack1", "lb.drain": "0s", "lb.ready": "docker",
	})
	if len(problems) > 0 {
		t.Fatalf("problems: %q", texts(problems))
	}
	drain := time.Duration(0)
	want := Spec{Managed: true, OneOff: true, Instance: "edge", Services: []Service{{
		Name: "default", Cluster: "api", Port: 8080, Network: "backend", Address: Address{"fd00::1", 81}, Scheme: SchemeHTTP,
		Tier: 2, Zone: "rack1", Drain: &drain, Ready: ReadyDocker,
		Routes: []Route{{Listeners: []string{"default"}, Path: PathMatch{PathPrefix, "/"}}},
	}}}
	if !reflect.DeepEqual(spec, want) {
		t.Errorf("got  %+v\nwant %+v", spec, want)
	}
}

func TestServices(t *testing.T) {
	spec, problems := Parse("lb", map[string]string{
		"lb.cluster": "shop", "lb.port": "8080", "lb.policy": "random",
		"lb.svc.metrics.cluster": "shop-metrics", "lb.svc.metrics.port": "9100", "lb.svc.metrics.hold": "1s",
		"lb.svc.metrics.host": "metrics.example.com",
	})
	if len(problems) > 0 {
		t.Fatalf("problems: %q", texts(problems))
	}
	var got []string
	for _, s := range spec.Services {
		for _, set := range s.Settings {
			got = append(got, fmt.Sprint(s.Name, " ", s.Cluster, " ", s.Port, " ", s.Routes[0].Hosts, " ", set.Key, "=", set.Text))
		}
	}
	want := []string{"default shop 8080 [] policy=random", "metrics shop-metrics 9100 [metrics.example.com] hold=1s"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestPrefix(t *testing.T) {
	for _, prefix := range []string{"com.example.proxy", "Com.Example.Proxy."} {
		spec, problems := Parse(prefix, map[string]string{
			"com.example.proxy.cluster": "a", "COM.example.proxy.svc.x.cluster": "b", "com.example.proxy.prot": "80", "lb.cluster": "c"})
		if len(spec.Services) != 2 || spec.Services[0].Cluster != "a" || spec.Services[1].Cluster != "b" {
			t.Errorf("%s: services %+v", prefix, spec.Services)
		}
		want := []string{"warning: com.example.proxy.prot is not a known label; did you mean com.example.proxy.port?"}
		if got := texts(problems); !slices.Equal(got, want) {
			t.Errorf("%s: problems %q, want %q", prefix, got, want)
		}
	}
}

// TestProblems is a row per thing that can be wrong: what is said, and whether
// the container still has its service.
func TestProblems(t *testing.T) {
	for _, c := range []struct {
		name   string
		labels map[string]string // beside lb.cluster: c, unless "-"
		want   []string
	}{
		{"unknown", map[string]string{"lb.prot": "80"}, []string{"warning: lb.prot is not a known label; did you mean lb.port?"}},
		{"unknown, near nothing", map[string]string{"lb.flux_capacitor": "1"}, []string{"warning: lb.flux_capacitor is not a known label"}},
		{"unknown of a service", map[string]string{"lb.svc.web.cluster": "c", "lb.svc.web.hots": "x"},
			[]string{"web: warning: lb.svc.web.hots is not a known label; did you mean lb.svc.web.host?"}},
		{"unknown near a family", map[string]string{"lb.heaader.x-env": "x"}, []string{"warning: lb.heaader.x-env is not a known label; did you mean lb.header.x-env?"}},
		{"health_path", map[string]string{"lb.health_path": "/"}, []string{"warning: lb.health_path is not a known label; did you mean lb.health.path?"}},
		{"service spelled out", map[string]string{"lb.service.web.port": "1"}, []string{"warning: lb.service.web.port is not a known label; did you mean lb.svc.web.port?"}},
		{"planned", map[string]string{"lb.rate": "10"}, []string{"warning: lb.rate this version does not support it yet; it has no effect"}},
		{"planned family", map[string]string{"lb.headers.set.x-a": "10"}, []string{"warning: lb.headers.set.x-a this version does not support it yet; it has no effect"}},
		{"planned scheme", map[string]string{"lb.scheme": "h2c"}, []string{"quarantined: lb.scheme this version does not speak h2c to containers yet"}},
		{"container value", map[string]string{"lb.port": "eighty"}, []string{`quarantined: lb.port "eighty" is not a port (1 to 65535)`}},
		{"container value of a service", map[string]string{"lb.svc.x.cluster": "x", "lb.svc.x.weight": "1001"},
			[]string{`quarantined: lb.svc.x.weight "1001" is not a whole number from 0 to 1000`}},
		{"whole key", map[string]string{"lb.enable": "maybe"}, []string{`quarantined: lb.enable "maybe" is not a boolean (true, false, 1, 0, yes, no)`}},
		{"whole key in a service", map[string]string{"lb.svc.a.enable": "false"},
			[]string{`quarantined: lb.svc.a.enable speaks of the whole container, not of a service; write lb.enable`}},
		{"cluster value", map[string]string{"lb.hold": "5"}, []string{`default: skipped: lb.hold "5" is not a duration; it needs a unit: 5s`}},
		{"policy", map[string]string{"lb.policy": "round-robin"},
			[]string{`default: skipped: lb.policy "round-robin" is none of round_robin, least_request, random, ring_hash, maglev; did you mean round_robin?`}},
		{"route value", map[string]string{"lb.path": "api"}, []string{`default: skipped: lb.path "api" does not begin with a slash; did you mean /api?`}},
		{"one host of two", map[string]string{"lb.host": "a.com, b.com:80"},
			[]string{`default: skipped: lb.host "b.com:80" is not a host name; without a port: b.com (every port of the listener is meant)`}},
		{"empty", map[string]string{"lb.port": "", "lb.host": "  ", "lb.retry": ""},
			[]string{"default: skipped: lb.host is empty", "quarantined: lb.port is empty", "default: skipped: lb.retry is empty"}},
		{"empty cluster", map[string]string{"lb.cluster": ""}, []string{"quarantined: lb.cluster is empty"}},
		{"list as cluster", map[string]string{"lb.cluster": "a,b"},
			[]string{`quarantined: lb.cluster "a,b" is not a name: letters, digits, and any other printable character but white space and commas are allowed`}},
		{"case", map[string]string{"lb.port": "80", "lb.PORT": "81", "LB.Port": "82"},
			[]string{"warning: lb.PORT is the same key as lb.port, which counts", "warning: LB.Port is the same key as lb.port, which counts"}},
		{"default by name", map[string]string{"lb.port": "80", "lb.svc.default.port": "81"},
			[]string{"default: warning: lb.svc.default.port is the same key as lb.port, which counts"}},
		{"svc", map[string]string{"lb.svc": "x"}, []string{"warning: lb.svc names no service; write lb.svc.<name>.<key>"}},
		{"svc without key", map[string]string{"lb.svc.x": "x"}, []string{"warning: lb.svc.x names a service, but none of its keys; did you mean lb.svc.x.cluster?"}},
		{"svc without name", map[string]string{"lb.svc..port": "1"}, []string{"warning: lb.svc..port names no service; write lb.svc.<name>.<key>"}},
		{"svc with a bad name", map[string]string{"lb.svc.a b.cluster": "c"}, []string{`warning: lb.svc.a b.cluster "a b" is not a name for a service: a to z, 0 to 9, _ and - are allowed`}},
		{"svc without cluster", map[string]string{"lb.svc.x.port": "1"},
			[]string{`x: warning: lb.svc.x.cluster service "x" joins nothing: lb.svc.x.cluster is missing, and lb.cluster does not speak of it; it is needed for lb.svc.x.port`}},
		{"short form without cluster beside a service", map[string]string{"lb.cluster": "-", "lb.svc.x.cluster": "c", "lb.network": "edge"},
			[]string{"default: warning: lb.cluster lb.network without effect: lb.cluster is missing, and no other service has them from here; write them for each service: lb.svc.<name>.network"}},
		{"nothing joins", map[string]string{"lb.cluster": "-", "lb.port": "80"}, []string{"warning: lb.cluster nothing joins: lb.cluster is missing"}},
		{"nothing joins, misspelled", map[string]string{"lb.cluster": "-", "lb.clutser": "c"},
			[]string{"warning: lb.clutser is not a known label; did you mean lb.cluster?", "warning: lb.cluster nothing joins: lb.cluster is missing"}},
		{"only out", map[string]string{"lb.cluster": "-", "lb.enable": "false"}, nil},
		{"only in", map[string]string{"lb.cluster": "-", "lb.enable": "true"}, []string{"warning: lb.cluster nothing joins: lb.cluster is missing"}},
		{"header without name", map[string]string{"lb.header.": "x"}, []string{"default: skipped: lb.header. the header name is missing"}},
		{"header regex", map[string]string{"lb.header.x": "~("}, []string{"default: skipped: lb.header.x \"(\" is not a regular expression: missing closing ): `(`; the syntax is RE2's: https://github.com/google/re2/wiki/Syntax"}},
		{"strip without path", map[string]string{"lb.strip": "true"},
			[]string{"default: warning: lb.strip has no effect without lb.path or lb.path.exact: there is no matched path to take off"}},
		{"strip beside rewrite", map[string]string{"lb.strip": "true", "lb.rewrite": "/x", "lb.path": "/y"}, []string{"default: warning: lb.strip has no effect beside lb.rewrite"}},
		{"rewrite of a regex", map[string]string{"lb.rewrite": "/x", "lb.path.regex": "/y.*"},
			[]string{"default: warning: lb.rewrite has no effect without lb.path or lb.path.exact: there is no matched path to take off"}},
	} {
		all := maps.Clone(c.labels)
		switch v, ok := all["lb.cluster"]; {
		case v == "-":
			delete(all, "lb.cluster")
		case !ok:
			all["lb.cluster"] = "c"
		}
		spec, problems := Parse("lb", all)
		if got := texts(problems); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
		if all["lb.cluster"] == "c" && (len(spec.Services) == 0 || spec.Services[0].Cluster != "c") {
			t.Errorf("%s: the good lb.cluster is lost", c.name)
		}
	}
}

func TestKeysThatDifferInCaseAreDeterministic(t *testing.T) {
	for range 50 {
		spec, _ := Parse("lb", map[string]string{"lb.cluster": "c", "lb.Port": "1", "lb.port": "2", "lb.pOrt": "3"})
		if got := spec.Services[0].Port; got != 2 {
			t.Fatalf("port %d: not that of the key in lower case", got)
		}
	}
}

// A Problem of one key leaves the others as they are.
func TestSkippedValueLeavesTheRest(t *testing.T) {
	spec, problems := Parse("lb", map[string]string{"lb.cluster": "c", "lb.hold": "soon", "lb.retry": "4", "lb.timeout": "-1s"})
	if len(problems) != 2 || problems[0].Severity != Skipped || problems[1].Severity != Skipped {
		t.Fatalf("problems: %q", texts(problems))
	}
	p := DefaultClusterPolicy()
	for _, s := range spec.Services[0].Settings {
		s.Apply(&p)
	}
	want := DefaultClusterPolicy()
	want.Retries = 4
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, want the defaults and 4 retries", p)
	}
}

// What is kept of a label is bounded.
func TestProblemsAreClipped(t *testing.T) {
	long := strings.Repeat("ü", 1<<16)
	_, problems := Parse("lb", map[string]string{"lb.cluster": "c", "lb.port": long, "lb." + long: long, "lb.svc." + long + ".x": "", "lb.svc." + long: ""})
	if len(problems) != 4 {
		t.Fatalf("%d problems", len(problems))
	}
	for _, p := range problems {
		if n := len(p.Label) + len(p.Value) + len(p.Reason) + len(p.Hint); n > 2000 {
			t.Errorf("%d bytes kept of %.40s", n, p.Label)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, k := range Keys() {
		f.Add("lb", "lb."+k.Name, k.Example, "lb.svc.x."+k.Name, k.Example)
	}
	f.Add("lb", "lb.svc..x", "", "LB.", "\xff")
	f.Add("", ".cluster", "c", "lb.path", "/?")
	f.Fuzz(func(t *testing.T, prefix, key1, value1, key2, value2 string) {
		all := map[string]string{key1: value1, key2: value2, "lb.cluster": "c"}
		spec, problems := Parse(prefix, all)
		for range 3 {
			again, p := Parse(prefix, maps.Clone(all))
			if fmt.Sprintf("%+v %+v", plain(again), p) != fmt.Sprintf("%+v %+v", plain(spec), problems) {
				t.Fatal("not deterministic")
			}
		}
		for _, p := range problems {
			if p.Reason == "" || p.Label == "" && prefix != "" {
				t.Errorf("a problem that says nothing: %+v", p)
			}
		}
		for _, s := range spec.Services {
			if s.Cluster == "" {
				t.Errorf("service %q without a cluster", s.Name)
			}
			p := DefaultClusterPolicy()
			for _, set := range s.Settings {
				set.Apply(&p)
			}
		}
	})
}

// plain is a Spec without what cannot be compared as text.
func plain(s Spec) Spec {
	s.Services = slices.Clone(s.Services)
	for i := range s.Services {
		svc := &s.Services[i]
		svc.Settings = slices.Clone(svc.Settings)
		for j := range svc.Settings {
			svc.Settings[j].apply = nil
		}
		if svc.Drain != nil {
			svc.Zone += svc.Drain.String()
			svc.Drain = nil
		}
	}
	return s
}

func BenchmarkParse(b *testing.B) {
	all := map[string]string{
		"com.docker.compose.project": "demo", "com.docker.compose.service": "api", "com.docker.compose.oneoff": "False",
		"lb.cluster": "api", "lb.host": "api.example.com", "lb.path": "/v1", "lb.health.path": "/healthz", "lb.port": "8080",
	}
	b.ReportAllocs()
	for b.Loop() {
		Parse("lb", all)
	}
}
