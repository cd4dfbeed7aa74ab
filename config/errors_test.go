package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// file is a bootstrap whose HTTP connection manager says more, from line 11 on,
// and then routes, and beside cluster web more clusters.
func file(manager, routes, clusters string) string {
	return `static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 80}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/` + hcmType + `
          stat_prefix: in
          http_filters: [{name: envoy.filters.http.router}]
` + indent(10, manager) + `          route_config:
            virtual_hosts:
            - name: v
              domains: ["*"]
              routes:
` + indent(14, routes) + `  clusters:
  - {name: web, load_assignment: {cluster_name: web}}
` + indent(2, clusters)
}

func indent(n int, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Repeat(" ", n) + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}

// said is a file's errors without the long way to the place.
func said(t *testing.T, text string) string {
	t.Helper()
	_, err := Parse([]byte(text))
	if err == nil {
		return ""
	}
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatalf("not Errors: %v", err)
	}
	var b strings.Builder
	for _, e := range errs {
		path := e.Path
		for _, long := range []string{
			"static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].",
			"static_resources.listeners[0].filter_chains[0].filters[0].typed_config.", "static_resources.",
		} {
			path = strings.TrimPrefix(path, long)
		}
		fmt.Fprintf(&b, "%d %s: %s\n", e.Line, path, e.Reason)
	}
	return b.String()
}

// Each row is a part of a file and what is said of it, the first word being the
// line.
func TestErrors(t *testing.T) {
	const toWeb = "- {match: {prefix: /}, route: {cluster: web}}\n"
	manager := func(text string) string { return file(text, toWeb, "") }
	routes := func(text string) string { return file("", text, "") }
	action := func(text string) string {
		return file("", "- {match: {prefix: /}, route: {cluster: web, "+text+"}}\n", "")
	}
	match := func(text string) string { return file("", "- {match: {"+text+"}, route: {cluster: web}}\n", "") }
	clusters := func(text string) string { return file("", toWeb, "- {name: c, "+text+"}\n") }
	check := func(text string) string {
		return clusters("health_checks: [{timeout: 1s, interval: 1s, healthy_threshold: 1, unhealthy_threshold: 1, " + text + "}]")
	}
	whole := func(text string) string { return text }
	for _, tt := range []struct {
		name, text, want string
	}{
		{"good", routes(toWeb), ""},

		{"empty", whole(""), "0 : the file is empty"},
		{"only a comment", whole("# nothing\n"), "0 : the file is empty"},
		{"no YAML", whole("a:\n  - b\n c: d\n"), "2 : did not find expected"},
		{"a list", whole("- a\n"), "1 : want a mapping (Bootstrap), got a list"},
		{"two documents", whole("admin: {}\n---\nadmin: {}\n"), "2 : a second document: want one bootstrap in a file"},
		{"JSON with tabs", whole("{\n\t\"admin\": {\n\t\t\"adress\": 1\n\t}\n}"), "3 admin.adress: unknown field; did you mean address?"},
		{"a key that is none", whole("[a]: b\n"), "1 : want the name of a field, got a list"},

		{"unknown", clusters("lb_polcy: RANDOM"), "19 clusters[1].lb_polcy: unknown field; did you mean lb_policy?"},
		{"unknown, like nothing", clusters("xyzzy: 1"), "19 clusters[1].xyzzy: unknown field of a Cluster"},
		{"not supported", clusters("transport_socket: {}"), "19 clusters[1].transport_socket: not supported: there is no TLS"},
		{"not supported, without a word", clusters("lb_subset_config: {}"), "19 clusters[1].lb_subset_config: not supported (docs"},
		{"given twice", clusters("lb_policy: RANDOM, lbPolicy: RANDOM"), "19 clusters[1].lb_policy: given twice, first in line 19"},
		{"two of a oneof", clusters("type: STATIC, cluster_type: {name: envoy.clusters.dns}"), "19 clusters[1].cluster_type: only one of type and cluster_type can be given"},
		{"an enum's slip", clusters("type: STRIC_DNS"), `19 clusters[1].type: "STRIC_DNS" is no value of it; did you mean STRICT_DNS?`},
		{"an enum's number", clusters("type: 3"), "19 clusters[1].type: EDS is not supported"},
		{"no duration", clusters("connect_timeout: 5"), `19 clusters[1].connect_timeout: "5" is not a duration such as 0.25s`},
		{"a negative duration", clusters("connect_timeout: -5s"), "19 clusters[1].connect_timeout: -5s is less than nothing"},
		{"no duration at all", clusters("connect_timeout: 0s"), "19 clusters[1].connect_timeout: must be greater than 0s"},
		{"not base64", routes("- {match: {prefix: /}, direct_response: {status: 200, body: {inline_bytes: '*'}}}\n"), "16 routes[0].direct_response.body.inline_bytes: not base64"},

		{"v2", whole(strings.Replace(routes(toWeb), hcmType, "envoy.config.filter.network.http_connection_manager.v2.HttpConnectionManager", 1)),
			"8 @type: envoy.config.filter.network.http_connection_manager.v2.HttpConnectionManager is of Envoy's v2 API"},
		{"no @type", whole(strings.Replace(routes(toWeb), `"@type"`, `type`, 1)), "8 listeners[0].filter_chains[0].filters[0].typed_config: no @type in it"},
		{"another filter", whole(strings.Replace(routes(toWeb), hcmType, "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", 1)), "8 @type: envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy is not supported"},
		{"no typed_config", whole("static_resources: {listeners: [{address: {socket_address: {address: 0.0.0.0, port_value: 1}}, filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager}]}]}]}"),
			"1 listeners[0].filter_chains[0].filters[0].typed_config: want a typed_config"},
		{"a config of what", whole("static_resources: {listeners: [{address: {socket_address: {address: 0.0.0.0, port_value: 1}}, filter_chains: [{filters: [{name: what, config: {}}]}]}]}"),
			"1 listeners[0].filter_chains[0].filters[0].typed_config: want a typed_config: what config is for"},
		{"another HTTP filter", whole(strings.Replace(routes(toWeb), "envoy.filters.http.router", "envoy.filters.http.cors", 1)), `10 http_filters[0].name: "envoy.filters.http.cors" is not supported`},
		{"no HTTP filter", whole(strings.Replace(routes(toWeb), "[{name: envoy.filters.http.router}]", "[]", 1)), "10 http_filters: want one filter"},
		{"HTTP/2", manager("codec_type: HTTP2\n"), "11 codec_type: HTTP2 is not supported"},
		{"HTTP/1.0 refused", manager("http_protocol_options: {accept_http_10: false}\n"), "11 http_protocol_options.accept_http_10: HTTP/1.0 is always answered"},
		{"CONNECT", manager("upgrade_configs: [{upgrade_type: CONNECT}]\n"), "11 upgrade_configs[0].upgrade_type: CONNECT is not supported"},
		{"both strip", manager("strip_any_host_port: true\nstrip_matching_host_port: true\n"), "11 strip_any_host_port: not together with strip_matching_host_port"},
		{"too many KiB", manager("max_request_headers_kb: 8193\n"), "11 max_request_headers_kb: must be inside range (0, 8192]"},
		{"stat_prefix", whole(strings.Replace(routes(toWeb), "stat_prefix: in", `stat_prefix: ""`, 1)), "9 stat_prefix: must not be empty"},
		{"no stat_prefix", whole(strings.Replace(routes(toWeb), "stat_prefix: in", "via: x", 1)), "8 stat_prefix: is required"},
		{"a listener's name", whole(strings.Replace(routes(toWeb), "address: 127.0.0.1", "address: localhost", 1)), `3 listeners[0].address.socket_address.address: "localhost" is not an IP address`},
		{"a listener's port", whole(strings.Replace(routes(toWeb), "port_value: 80", "port_value: 65536", 1)), "3 listeners[0].address.socket_address.port_value: must be less than or equal to 65535"},

		{"unknown cluster", routes("- {match: {prefix: /}, route: {cluster: wed}}\n"), `16 routes[0].route.cluster: unknown cluster "wed"; did you mean web?`},
		{"unknown cluster, like none", routes("- {match: {prefix: /}, route: {cluster: other}}\n"), `16 routes[0].route.cluster: unknown cluster "other"; there are: web`},
		{"no match", routes("- {route: {cluster: web}}\n"), "16 routes[0].match: is required"},
		{"no path", routes("- {match: {}, route: {cluster: web}}\n"), "16 routes[0].match: one of these is required: prefix, path, safe_regex, path_separated_prefix"},
		{"no action", routes("- {match: {prefix: /}}\n"), "16 routes[0]: one of these is required: route, redirect, direct_response"},
		{"no cluster", routes("- {match: {prefix: /}, route: {timeout: 1s}}\n"), "16 routes[0].route: one of these is required: cluster, weighted_clusters"},
		{"bad regex", match(`safe_regex: {regex: "("}`), "16 routes[0].match.safe_regex.regex: missing closing ): `(`"},
		{"a query in a path", match("path: '/a?b'"), `16 routes[0].match: path "/a?b": a path has no query`},
		{"no number in a range", match("prefix: /, headers: [{name: a, range_match: {start: 1, end: 1}}]"), "16 routes[0].match.headers[0].range_match: [1, 1) has no number in it"},
		{"fraction", match("prefix: /, runtime_fraction: {}"), "16 routes[0].match.runtime_fraction: not supported"},
		{"weights", action("cluster: web}}\n- {match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: web, weight: 0}]}"), "given twice"},
		{"no weights", routes("- {match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: web, weight: 0}]}}}\n"), "16 routes[0].route.weighted_clusters.clusters: the sum of the weights must be greater than 0"},
		{"no weight", routes("- {match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: web}]}}}\n"), "16 routes[0].route.weighted_clusters.clusters[0].weight: is required"},
		{"total", routes("- {match: {prefix: /}, route: {weighted_clusters: {total_weight: 3, clusters: [{name: web, weight: 1}]}}}\n"), "16 routes[0].route.weighted_clusters.total_weight: 3 is not the sum of the weights, 1"},
		{"regex rewrite", action(`regex_rewrite: {pattern: {regex: "a"}, substitution: "\\1"}`), `16 routes[0].route.regex_rewrite.substitution: \1: the pattern has 0 groups`},
		{"backslash", action(`regex_rewrite: {pattern: {regex: "a"}, substitution: "\\n"}`), "16 routes[0].route.regex_rewrite.substitution: a backslash is followed by"},
		{"both rewrites", action(`prefix_rewrite: /, regex_rewrite: {pattern: {regex: "a"}, substitution: b}`), "16 routes[0].route.regex_rewrite: not together with prefix_rewrite"},
		{"retry_on", action("retry_policy: {retry_on: '5xx,envoy-ratelimited'}"), `16 routes[0].route.retry_policy.retry_on: "envoy-ratelimited" is not supported; there are: 5xx`},
		{"per try idle", action("retry_policy: {per_try_idle_timeout: 1s}"), "16 routes[0].route.retry_policy.per_try_idle_timeout: not supported"},
		{"back-off", action("retry_policy: {retry_back_off: {base_interval: 2s, max_interval: 1s}}"), "16 routes[0].route.retry_policy.retry_back_off.max_interval: must be at least base_interval, 2s"},
		{"direct", routes("- {match: {prefix: /}, direct_response: {status: 99}}\n"), "16 routes[0].direct_response.status: must be inside range [200, 600)"},
		{"a large body", routes("- {match: {prefix: /}, direct_response: {status: 200, body: {inline_string: " + strings.Repeat("x", 4097) + "}}}\n"), "16 routes[0].direct_response.body: 4097 bytes, more than"},
		{"no such file", routes("- {match: {prefix: /}, direct_response: {status: 200, body: {filename: /nowhere/at/all}}}\n"), "16 routes[0].direct_response.body.filename: stat /nowhere/at/all: no such file"},
		{"host header", routes("- {match: {prefix: /}, route: {cluster: web}, request_headers_to_add: [{header: {key: Host, value: a}}]}\n"), "16 routes[0].request_headers_to_add[0].header.key: a header that begins with a colon, or host"},
		{"the connection's header", routes("- {match: {prefix: /}, route: {cluster: web}, response_headers_to_remove: [Transfer-Encoding]}\n"), "16 routes[0].response_headers_to_remove[0]: transfer-encoding is of the connection"},
		{"a substitution", routes("- {match: {prefix: /}, route: {cluster: web}, request_headers_to_add: [{header: {key: a, value: 'x %START_TIME% y'}}]}\n"), "16 routes[0].request_headers_to_add[0].header.value: %START_TIME%: substitutions are not supported"},
		{"append twice", routes("- {match: {prefix: /}, route: {cluster: web}, request_headers_to_add: [{header: {key: a, value: b}, append: true, append_action: ADD_IF_ABSENT}]}\n"), "16 routes[0].request_headers_to_add[0].append: not together with append_action"},

		{"a name in STATIC", clusters("load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: web, port_value: 80}}}}]}]}"), `address: "web" is not an IP address, and a STATIC cluster resolves no names: use type STRICT_DNS`},
		{"no name at all", clusters("type: STRICT_DNS, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 'http://web', port_value: 80}}}}]}]}"), `"http://web" is neither an IP address nor a name`},
		{"no port", clusters("load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.1}}}}]}]}"), "port_specifier|one of these is required: port_value"},
		{"cluster_name", clusters("load_assignment: {}"), "19 clusters[1].load_assignment.cluster_name: is required"},
		{"LOGICAL_DNS of none", clusters("type: LOGICAL_DNS"), "19 clusters[1].load_assignment: LOGICAL_DNS clusters must have a single"},
		{"refresh rate", clusters("type: STRICT_DNS, dns_refresh_rate: 0.001s"), "19 clusters[1].dns_refresh_rate: must be "},
		{"failure rate", clusters("type: STRICT_DNS, dns_failure_refresh_rate: {base_interval: 2s, max_interval: 1s}"), "19 clusters[1].dns_failure_refresh_rate.max_interval: must be at least base_interval, 2s"},
		{"no base", clusters("type: STRICT_DNS, dns_failure_refresh_rate: {max_interval: 1s}"), "19 clusters[1].dns_failure_refresh_rate.base_interval: is required"},
		{"EDS", clusters("type: EDS"), "19 clusters[1].type: EDS is not supported"},
		{"another policy's configuration", clusters("maglev_lb_config: {table_size: 7}"), "19 clusters[1].maglev_lb_config: has no effect with lb_policy ROUND_ROBIN"},
		{"maglev", clusters("lb_policy: MAGLEV, maglev_lb_config: {table_size: 8}"), "19 clusters[1].maglev_lb_config.table_size: must be a prime number"},
		{"ring", clusters("lb_policy: RING_HASH, ring_hash_lb_config: {maximum_ring_size: 8}"), "19 clusters[1].ring_hash_lb_config: minimum_ring_size (1024) > maximum_ring_size (8)"},
		{"no policy", clusters("lb_policy: LOAD_BALANCING_POLICY_CONFIG"), "19 clusters[1].lb_policy: LOAD_BALANCING_POLICY_CONFIG wants a load_balancing_policy"},
		{"HIGH", clusters("circuit_breakers: {thresholds: [{priority: HIGH}]}"), "19 clusters[1].circuit_breakers.thresholds[0].priority: HIGH is not supported"},
		{"outlier", clusters("outlier_detection: {max_ejection_percent: 101}"), "19 clusters[1].outlier_detection.max_ejection_percent: must be less than or equal to 100"},
		{"check without a time", clusters("health_checks: [{tcp_health_check: {}}]"), "19 clusters[1].health_checks[0].healthy_threshold: is required\n19 clusters[1].health_checks[0].interval: is required"},
		{"check of what", check("alt_port: 80"), "19 clusters[1].health_checks[0]: one of these is required: http_health_check, tcp_health_check, grpc_health_check"},
		{"check's path", check("http_health_check: {path: healthz}"), `19 clusters[1].health_checks[0].http_health_check.path: "healthz" does not begin with a slash`},
		{"check's text", check("tcp_health_check: {send: {text: ping}}"), `19 clusters[1].health_checks[0].tcp_health_check.send.text: "ping" is not in hexadecimal digits`},
		{"check's statuses", check("http_health_check: {path: /, expected_statuses: [{start: 200, end: 601}]}"), "expected_statuses[0]: [200, 601) is not a range of statuses"},
		{"kept connections", check("reuse_connection: true, tcp_health_check: {}"), "19 clusters[1].health_checks[0].reuse_connection: each check has a connection of its own"},
		{"two checks", clusters("health_checks: [{timeout: 1s, interval: 1s, healthy_threshold: 1, unhealthy_threshold: 1, tcp_health_check: {}}, {timeout: 1s, interval: 1s, healthy_threshold: 1, unhealthy_threshold: 1, tcp_health_check: {}}]"), "a second health check"},
		{"no name", file("", toWeb, "- {type: STATIC}\n"), "19 clusters[1].name: is required"},
		{"a second cluster", file("", toWeb, "- {name: web}\n"), `19 clusters[1].name: a second cluster "web": the first is static_resources.clusters[0], line 18`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := said(t, tt.text)
			want, or, _ := strings.Cut(tt.want, "|")
			if tt.want == "" && got != "" || !strings.Contains(got, want) && (or == "" || !strings.Contains(got, or)) {
				t.Errorf("got  %swant %s", got, tt.want)
			}
			if n := strings.Count(got, "\n"); n > 1+strings.Count(tt.want, "\n") && tt.name != "two checks" && tt.name != "no port" && tt.name != "weights" && tt.name != "check without a time" {
				t.Errorf("more is said than is wrong:\n%s", got)
			}
		})
	}
}

// Domains, names and addresses that are there twice, with where the first is.
func TestDoubles(t *testing.T) {
	got := said(t, `static_resources:
  listeners:
  - &l
    name: one
    address: {socket_address: {address: 127.0.0.1, port_value: 80}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/`+hcmType+`
          stat_prefix: in
          http_filters: [{name: envoy.filters.http.router}]
          route_config:
            virtual_hosts:
            - {name: a, domains: [x.test, "*"]}
            - {name: b, domains: [X.Test, "a*b", ""]}
            - {name: a, domains: ["*"]}
  - <<: *l
`)
	for _, want := range []string{
		`16 listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[1].domains[0]: "x.test" is a domain of virtual host "a", too`,
		`virtual_hosts[1].domains[1]: "a*b": an asterisk stands alone`,
		`virtual_hosts[1].domains[2]: want a domain`,
		`virtual_hosts[2].domains[0]: "*" is a domain of virtual host "a", too`,
		`virtual_hosts[2].name: a second virtual host "a": the first is`,
		`listeners[1].name: a second listener "one": the first is static_resources.listeners[0], line 3`,
		`listeners[1].address: 127.0.0.1:80 is the address of static_resources.listeners[0], too`,
	} {
		if !strings.Contains(strings.ReplaceAll(got, "\n", "\nlisteners[0].filter_chains[0].filters[0].typed_config.route_config."), strings.TrimPrefix(want, "16 listeners[0].filter_chains[0].filters[0].typed_config.route_config.")) {
			t.Errorf("want %s in\n%s", want, got)
		}
	}
}

// What is wrong in a field and what is wrong with a value are said in one
// round, by line, and nothing that only follows from something else is.
func TestAllAtOnce(t *testing.T) {
	got := said(t, file("via: 1\nnonsense: 2\n", "- {match: {prefx: /}, route: {cluster: nowhere}}\n", `- nam: c
- {name: d, type: LOGICAL_DNS, connect_timeout: soon}
- {name: e, dns_refresh_rate: 0s, load_assignment: {cluster_name: e, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: name, port_value: 1}}}}]}]}}
`))
	var lines []string
	for line := range strings.Lines(got) {
		where, _, _ := strings.Cut(line, ": ")
		lines = append(lines, where)
	}
	want := []string{
		"12 nonsense", "18 routes[0].match.prefx", "18 routes[0].route.cluster",
		"21 clusters[1].nam", "22 clusters[2].connect_timeout",
		"23 clusters[3].dns_refresh_rate", "23 clusters[3].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%swant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestBothSpellingsOfNames(t *testing.T) {
	b, err := os.ReadFile(allFields)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, name := range []string{"static_resources", "filter_chains", "stat_prefix", "virtual_hosts", "load_assignment", "lb_endpoints", "connect_timeout"} {
		parts := strings.Split(name, "_")
		for i := range parts[1:] {
			parts[i+1] = strings.ToUpper(parts[i+1][:1]) + parts[i+1][1:]
		}
		text = strings.ReplaceAll(text, name+":", strings.Join(parts, "")+":")
	}
	got, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if !sameStatic(*want, *got) {
		t.Error("the two spellings differ")
	}
}

// Whatever the bytes: a value or Errors, in bounded time.
func FuzzParse(f *testing.F) {
	// Short ones: a long input that is new to the fuzzer is first made shorter,
	// byte by byte, and of this package's many types that takes the whole time.
	for _, text := range []string{
		"admin: {address: {socket_address: {address: 0.0.0.0, port_value: 9901}}}",
		"static_resources: {clusters: [{name: a, type: STRICT_DNS, dns_refresh_rate: 1s}]}",
		"static_resources:\n  clusters:\n  - name: a\n    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: b, port_value: 1}}}}]}]}",
		"static_resources: {listeners: [{filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {}}]}]}]}",
		"static_resources: {listeners: [{filter_chains: [{filters: [{typed_config: {'@type': x/y.Z}}]}]}]}",
	} {
		f.Add([]byte(text))
	}
	f.Add([]byte("static_resources: &a {clusters: [{<<: *a}]}"))
	f.Add([]byte("a: &a [*a, *a]\nstatic_resources: {clusters: *a}"))
	f.Add([]byte(`{"staticResources": {"clusters": [{"name": "\ud83d", "type": 9e9}]}}`))
	f.Add([]byte("admin: {address: {socket_address: {address: ::1, port_value: 99999999999}}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return
		}
		s, err := Parse(b)
		if err == nil {
			if _, err := Parse(s.Bootstrap); err != nil {
				t.Errorf("its canonical form is refused: %v", err)
			}
			return
		}
		var errs Errors
		if !errors.As(err, &errs) || len(errs) == 0 {
			t.Errorf("not Errors: %v", err)
		}
	})
}
