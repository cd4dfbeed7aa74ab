package config

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// fields are what we honour of each message of Envoy's API. What is not in it is
// an error, never ignored. docs/envoy-fields.md is printed from it.
var fields = table(map[string]string{
	"envoy.config.bootstrap.v3.Bootstrap":                 "admin static_resources",
	"envoy.config.bootstrap.v3.Admin":                     "address",
	"envoy.config.bootstrap.v3.Bootstrap.StaticResources": "listeners clusters",

	"envoy.config.core.v3.Address":                  "socket_address",
	"envoy.config.core.v3.SocketAddress":            "protocol address port_value",
	"envoy.config.core.v3.DataSource":               "filename inline_bytes inline_string",
	"envoy.config.core.v3.TypedExtensionConfig":     "name typed_config",
	"envoy.config.core.v3.HeaderValueOption":        "header append append_action keep_empty_value",
	"envoy.config.core.v3.HeaderValue":              "key value",
	"envoy.config.core.v3.RuntimeDouble":            "default_value runtime_key",
	"envoy.config.core.v3.Locality":                 "region zone sub_zone",
	"envoy.config.core.v3.HttpProtocolOptions":      "idle_timeout max_requests_per_connection max_headers_count",
	"envoy.config.core.v3.Http1ProtocolOptions":     "accept_http_10",
	"envoy.type.v3.Percent":                         "value",
	"envoy.type.v3.Int64Range":                      "start end",
	"envoy.type.matcher.v3.RegexMatcher":            "google_re2 regex",
	"envoy.type.matcher.v3.StringMatcher":           "exact prefix suffix contains safe_regex ignore_case",
	"envoy.type.matcher.v3.RegexMatchAndSubstitute": "pattern substitution",
	"envoy.type.matcher.v3.RegexMatcher.GoogleRE2":  "",

	"envoy.config.listener.v3.Listener":    "name address filter_chains",
	"envoy.config.listener.v3.FilterChain": "filters",
	"envoy.config.listener.v3.Filter":      "name typed_config",

	hcmType: "codec_type stat_prefix route_config http_filters server_name server_header_transformation " +
		"use_remote_address xff_num_trusted_hops skip_xff_append via generate_request_id preserve_external_request_id " +
		"normalize_path merge_slashes strip_matching_host_port strip_any_host_port max_request_headers_kb " +
		"common_http_protocol_options http_protocol_options request_headers_timeout request_timeout stream_idle_timeout upgrade_configs",
	hcmType + ".UpgradeConfig": "upgrade_type enabled",
	"envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter": "name typed_config",
	routerType: "",

	"envoy.config.route.v3.RouteConfiguration": "name virtual_hosts request_headers_to_add request_headers_to_remove " +
		"response_headers_to_add response_headers_to_remove validate_clusters max_direct_response_body_size_bytes ignore_port_in_host_matching",
	"envoy.config.route.v3.VirtualHost": "name domains routes request_headers_to_add request_headers_to_remove " +
		"response_headers_to_add response_headers_to_remove retry_policy",
	"envoy.config.route.v3.Route": "name match route redirect direct_response request_headers_to_add request_headers_to_remove " +
		"response_headers_to_add response_headers_to_remove",
	"envoy.config.route.v3.RouteMatch":                       "prefix path safe_regex path_separated_prefix case_sensitive headers query_parameters grpc",
	"envoy.config.route.v3.RouteMatch.GrpcRouteMatchOptions": "",
	"envoy.config.route.v3.HeaderMatcher": "name exact_match safe_regex_match range_match present_match prefix_match suffix_match " +
		"contains_match string_match invert_match treat_missing_header_as_empty",
	"envoy.config.route.v3.QueryParameterMatcher": "name string_match present_match",
	"envoy.config.route.v3.RouteAction": "cluster weighted_clusters cluster_not_found_response_code prefix_rewrite regex_rewrite " +
		"host_rewrite_literal auto_host_rewrite timeout idle_timeout retry_policy hash_policy upgrade_configs",
	"envoy.config.route.v3.RouteAction.UpgradeConfig":                      "upgrade_type enabled",
	"envoy.config.route.v3.RouteAction.HashPolicy":                         "header cookie connection_properties query_parameter terminal",
	"envoy.config.route.v3.RouteAction.HashPolicy.Header":                  "header_name",
	"envoy.config.route.v3.RouteAction.HashPolicy.Cookie":                  "name ttl path",
	"envoy.config.route.v3.RouteAction.HashPolicy.ConnectionProperties":    "source_ip",
	"envoy.config.route.v3.RouteAction.HashPolicy.QueryParameter":          "name",
	"envoy.config.route.v3.WeightedCluster":                                "clusters total_weight",
	"envoy.config.route.v3.WeightedCluster.ClusterWeight":                  "name weight request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove",
	"envoy.config.route.v3.RetryPolicy":                                    "retry_on num_retries per_try_timeout retry_host_predicate host_selection_retry_max_attempts retriable_status_codes retry_back_off",
	"envoy.config.route.v3.RetryPolicy.RetryBackOff":                       "base_interval max_interval",
	"envoy.config.route.v3.RetryPolicy.RetryHostPredicate":                 "name typed_config",
	"envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate": "",
	"envoy.config.route.v3.RedirectAction":                                 "https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite regex_rewrite response_code strip_query",
	"envoy.config.route.v3.DirectResponseAction":                           "status body",

	"envoy.config.cluster.v3.Cluster": "name type cluster_type connect_timeout lb_policy load_assignment health_checks " +
		"max_requests_per_connection common_http_protocol_options typed_extension_protocol_options circuit_breakers outlier_detection " +
		"common_lb_config ignore_health_on_host_removal load_balancing_policy ring_hash_lb_config maglev_lb_config " +
		"least_request_lb_config round_robin_lb_config dns_refresh_rate dns_jitter dns_failure_refresh_rate respect_dns_ttl " +
		"dns_lookup_family wait_for_warm_on_init",
	"envoy.config.cluster.v3.Cluster.CustomClusterType":              "name typed_config",
	"envoy.config.cluster.v3.Cluster.RefreshRate":                    "base_interval max_interval",
	"envoy.config.cluster.v3.Cluster.CommonLbConfig":                 "healthy_panic_threshold",
	"envoy.config.cluster.v3.Cluster.SlowStartConfig":                "slow_start_window aggression min_weight_percent",
	"envoy.config.cluster.v3.Cluster.RoundRobinLbConfig":             "slow_start_config",
	"envoy.config.cluster.v3.Cluster.LeastRequestLbConfig":           "choice_count slow_start_config",
	"envoy.config.cluster.v3.Cluster.RingHashLbConfig":               "minimum_ring_size maximum_ring_size hash_function",
	"envoy.config.cluster.v3.Cluster.MaglevLbConfig":                 "table_size",
	"envoy.config.cluster.v3.LoadBalancingPolicy":                    "policies",
	"envoy.config.cluster.v3.LoadBalancingPolicy.Policy":             "typed_extension_config",
	"envoy.config.cluster.v3.CircuitBreakers":                        "thresholds",
	"envoy.config.cluster.v3.CircuitBreakers.Thresholds":             "priority max_connections max_pending_requests max_requests max_retries retry_budget",
	"envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget": "budget_percent min_retry_concurrency",
	"envoy.config.cluster.v3.OutlierDetection": "consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx " +
		"enforcing_success_rate success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor " +
		"consecutive_gateway_failure enforcing_consecutive_gateway_failure split_external_local_origin_errors " +
		"consecutive_local_origin_failure enforcing_consecutive_local_origin_failure failure_percentage_threshold " +
		"enforcing_failure_percentage failure_percentage_minimum_hosts failure_percentage_request_volume max_ejection_time " +
		"max_ejection_time_jitter successful_active_health_check_uneject_host always_eject_one_host",

	"envoy.config.core.v3.HealthCheck": "timeout interval initial_jitter interval_jitter unhealthy_threshold healthy_threshold alt_port " +
		"reuse_connection http_health_check tcp_health_check grpc_health_check no_traffic_interval no_traffic_healthy_interval " +
		"unhealthy_interval unhealthy_edge_interval healthy_edge_interval",
	"envoy.config.core.v3.HealthCheck.HttpHealthCheck": "host path receive request_headers_to_add request_headers_to_remove expected_statuses retriable_statuses method",
	"envoy.config.core.v3.HealthCheck.TcpHealthCheck":  "send receive",
	"envoy.config.core.v3.HealthCheck.GrpcHealthCheck": "service_name authority initial_metadata",
	"envoy.config.core.v3.HealthCheck.Payload":         "text binary",

	"envoy.config.endpoint.v3.ClusterLoadAssignment":        "cluster_name endpoints policy",
	"envoy.config.endpoint.v3.ClusterLoadAssignment.Policy": "overprovisioning_factor",
	"envoy.config.endpoint.v3.LocalityLbEndpoints":          "locality lb_endpoints priority",
	"envoy.config.endpoint.v3.LbEndpoint":                   "endpoint health_status load_balancing_weight",
	"envoy.config.endpoint.v3.Endpoint":                     "address hostname health_check_config",
	"envoy.config.endpoint.v3.Endpoint.HealthCheckConfig":   "port_value hostname disable_active_health_check",

	dnsClusterType:                  "dns_refresh_rate dns_failure_refresh_rate respect_dns_ttl dns_jitter dns_lookup_family all_addresses_in_single_endpoint",
	dnsClusterType + ".RefreshRate": "base_interval max_interval",

	httpOptionsType:                         "common_http_protocol_options explicit_http_config",
	httpOptionsType + ".ExplicitHttpConfig": "http_protocol_options",

	"envoy.extensions.load_balancing_policies.common.v3.SlowStartConfig":     "slow_start_window aggression min_weight_percent",
	"envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin":     "slow_start_config",
	"envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest": "choice_count slow_start_config",
	"envoy.extensions.load_balancing_policies.random.v3.Random":              "",
	"envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash":         "hash_function minimum_ring_size maximum_ring_size",
	"envoy.extensions.load_balancing_policies.maglev.v3.Maglev":              "table_size",
})

const (
	hcmType         = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
	routerType      = "envoy.extensions.filters.http.router.v3.Router"
	dnsClusterType  = "envoy.extensions.clusters.dns.v3.DnsCluster"
	httpOptionsType = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

// notes say what of a field is honoured in part, or in another way than Envoy's.
// They stand in docs/envoy-fields.md, and notSupported's in the error.
var notes = map[string]string{
	"envoy.config.core.v3.SocketAddress.protocol":                         "TCP",
	"envoy.config.core.v3.DataSource.filename":                            "read when the configuration is",
	"envoy.config.core.v3.HeaderValue.value":                              "text; `%%` is a percent sign, and there are no substitutions as %START_TIME%",
	"envoy.config.core.v3.Http1ProtocolOptions.accept_http_10":            "true: HTTP/1.0 is always answered",
	"envoy.config.core.v3.HealthCheck.reuse_connection":                   "false: each check has a connection of its own",
	"envoy.config.core.v3.HealthCheck.HttpHealthCheck.receive":            "one payload",
	"envoy.config.core.v3.HealthCheck.TcpHealthCheck.receive":             "one payload",
	"envoy.config.core.v3.RuntimeDouble.runtime_key":                      "required by Envoy; there is no runtime here, the default counts",
	"envoy.config.listener.v3.Listener.filter_chains":                     "one, with the HTTP connection manager alone",
	"envoy.config.route.v3.RetryPolicy.retry_on":                          "5xx, gateway-error, reset, reset-before-request, connect-failure, refused-stream, retriable-4xx, retriable-status-codes. What no endpoint can have seen is retried without it, too",
	"envoy.config.route.v3.RetryPolicy.retry_host_predicate":              "envoy.retry_host_predicates.previous_hosts",
	"envoy.config.route.v3.RetryPolicy.host_selection_retry_max_attempts": "not needed: with previous_hosts an endpoint that was tried is avoided while there is another",
	"envoy.config.route.v3.RouteAction.prefix_rewrite":                    "not with safe_regex",
	"envoy.config.route.v3.RedirectAction.prefix_rewrite":                 "not with safe_regex",
	"envoy.config.route.v3.RouteConfiguration.validate_clusters":          "false lets a route lead to a cluster that only containers make, by their labels",
	"envoy.config.cluster.v3.Cluster.type":                                "STATIC, STRICT_DNS, LOGICAL_DNS",
	"envoy.config.cluster.v3.Cluster.cluster_type":                        "envoy.clusters.dns",
	"envoy.config.cluster.v3.Cluster.health_checks":                       "one, as in Envoy",
	"envoy.config.cluster.v3.Cluster.lb_policy":                           "ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH, MAGLEV, LOAD_BALANCING_POLICY_CONFIG",
	"envoy.config.cluster.v3.Cluster.typed_extension_protocol_options":    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions, HTTP/1.1",
	"envoy.config.cluster.v3.CircuitBreakers.thresholds":                  "priority DEFAULT, once",
	hcmType + ".codec_type":                                               "AUTO, HTTP1",
	hcmType + ".http_filters":                                             "envoy.filters.http.router alone",
	hcmType + ".request_headers_timeout":                                  "0s turns it off; where nothing is said, --head-timeout counts (Envoy: off)",
	hcmType + ".upgrade_configs":                                          "not CONNECT",
}

// notSupported explains fields that many files have.
var notSupported = map[string]string{
	"envoy.config.bootstrap.v3.Bootstrap.dynamic_resources":  "there is no xDS: listeners and clusters stand in static_resources, or come from containers' labels",
	"envoy.config.bootstrap.v3.Bootstrap.node":               "there is no management server to tell it to",
	"envoy.config.bootstrap.v3.Bootstrap.layered_runtime":    "there is no runtime",
	"envoy.config.bootstrap.v3.Bootstrap.overload_manager":   "see --max-connections",
	"envoy.config.bootstrap.v3.Bootstrap.stats_sinks":        "/stats/prometheus at the admin port has the figures",
	"envoy.config.bootstrap.v3.Admin.access_log_path":        "the admin port writes no access log",
	"envoy.config.bootstrap.v3.Admin.access_log":             "the admin port writes no access log",
	"envoy.config.cluster.v3.Cluster.transport_socket":       "there is no TLS to the endpoints of a file's clusters",
	"envoy.config.cluster.v3.Cluster.eds_cluster_config":     "there is no EDS",
	"envoy.config.cluster.v3.Cluster.http2_protocol_options": "endpoints are spoken to in HTTP/1.1",
	"envoy.config.listener.v3.FilterChain.transport_socket":  "there is no TLS at the listeners of a file",
	"envoy.config.route.v3.VirtualHost.require_tls":          "there is no TLS at the listeners of a file",
	hcmType + ".rds":                    "there is no xDS: use route_config",
	hcmType + ".access_log":             "there is no access log for listeners of a file",
	hcmType + ".http2_protocol_options": "clients are spoken to in HTTP/1.1",
}

// only restricts a scalar's value where the message as a whole cannot tell
// what was written from what is the default.
var only = map[protoreflect.FullName]struct{ value, reason string }{
	"envoy.config.core.v3.Http1ProtocolOptions.accept_http_10": {"true", "HTTP/1.0 is always answered: only true is supported"},
	"envoy.config.core.v3.HealthCheck.reuse_connection":        {"false", "each check has a connection of its own: only false is supported"},
}

func table(text map[string]string) map[protoreflect.FullName]map[protoreflect.Name]bool {
	out := make(map[protoreflect.FullName]map[protoreflect.Name]bool, len(text))
	for message, names := range text {
		set := map[protoreflect.Name]bool{}
		for _, name := range strings.Fields(names) {
			set[protoreflect.Name(name)] = true
		}
		out[protoreflect.FullName(message)] = set
	}
	return out
}

func supported(d protoreflect.MessageDescriptor, f protoreflect.FieldDescriptor) bool {
	return fields[d.FullName()][f.Name()]
}

// supportedType tells of a typed_config's message.
func supportedType(name protoreflect.FullName) bool { return fields[name] != nil }

// untyped are the types of filters that are named without a typed_config, or
// with the config of old, and v2's types with those that have replaced them.
var (
	untyped = map[string]string{
		"envoy.filters.network.http_connection_manager": hcmType,
		"envoy.http_connection_manager":                 hcmType,
		"envoy.filters.http.router":                     routerType,
		"envoy.router":                                  routerType,
	}
	ofV2 = map[protoreflect.FullName]string{
		"envoy.config.filter.network.http_connection_manager.v2.HttpConnectionManager": hcmType,
		"envoy.config.filter.http.router.v2.Router":                                    routerType,
	}
)

// duration reads protobuf's JSON form: seconds, with at most nine digits behind
// the point, and an s.
func duration(text string) (time.Duration, error) {
	number, ok := strings.CutSuffix(text, "s")
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(number, "-"), ".")
	if !ok || whole == "" || len(fraction) > 9 || strings.TrimLeft(whole+fraction, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a number of seconds", text)
	}
	return time.ParseDuration(text)
}
