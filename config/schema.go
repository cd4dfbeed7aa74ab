package config

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// fields are what we honour of each message of Envoy's API. What is not in it is
// an error, never ignored.
var fields = table(map[string]string{
	"envoy.config.bootstrap.v3.Bootstrap":                 "admin static_resources",
	"envoy.config.bootstrap.v3.Admin":                     "address",
	"envoy.config.bootstrap.v3.Bootstrap.StaticResources": "listeners clusters",

	"envoy.config.core.v3.Address":       "socket_address",
	"envoy.config.core.v3.SocketAddress": "protocol address port_value",
	"envoy.config.core.v3.DataSource":    "inline_string",

	"envoy.config.listener.v3.Listener":    "name address filter_chains",
	"envoy.config.listener.v3.FilterChain": "filters",
	"envoy.config.listener.v3.Filter":      "name typed_config",

	"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": "codec_type stat_prefix route_config http_filters",
	"envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter":            "name typed_config",
	"envoy.extensions.filters.http.router.v3.Router":                                    "",

	"envoy.config.route.v3.RouteConfiguration":   "name virtual_hosts",
	"envoy.config.route.v3.VirtualHost":          "name domains routes",
	"envoy.config.route.v3.Route":                "name match route direct_response",
	"envoy.config.route.v3.RouteMatch":           "prefix path path_separated_prefix case_sensitive",
	"envoy.config.route.v3.RouteAction":          "cluster timeout idle_timeout prefix_rewrite host_rewrite_literal",
	"envoy.config.route.v3.DirectResponseAction": "status body",

	"envoy.config.cluster.v3.Cluster": "name type connect_timeout lb_policy load_assignment dns_refresh_rate " +
		"dns_jitter dns_failure_refresh_rate respect_dns_ttl dns_lookup_family wait_for_warm_on_init",
	"envoy.config.cluster.v3.Cluster.RefreshRate": "base_interval max_interval",

	"envoy.config.endpoint.v3.ClusterLoadAssignment": "cluster_name endpoints",
	"envoy.config.endpoint.v3.LocalityLbEndpoints":   "lb_endpoints priority",
	"envoy.config.endpoint.v3.LbEndpoint":            "endpoint load_balancing_weight",
	"envoy.config.endpoint.v3.Endpoint":              "address hostname",
})

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

// duration reads protobuf's JSON form: seconds, with at most nine digits behind
// the point, and an s.
func duration(text string) (time.Duration, error) {
	number, ok := strings.CutSuffix(text, "s")
	if !ok || strings.TrimLeft(strings.TrimPrefix(number, "-"), "0123456789.") != "" {
		return 0, fmt.Errorf("%q is not a number of seconds", text)
	}
	return time.ParseDuration(text)
}
