package labels

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// initialPolicy holds the defaults of the schema.
var initialPolicy ClusterPolicy

// DefaultClusterPolicy is what a cluster has where no member says otherwise:
// the defaults of the schema. The caller owns it.
func DefaultClusterPolicy() ClusterPolicy {
	p := initialPolicy
	p.HealthStatus = slices.Clone(p.HealthStatus)
	p.RetryOn = slices.Clone(p.RetryOn)
	return p
}

// The rest of this file is how the cluster keys are parsed: each function
// returns what writes the value into a policy.

func durationKey(low time.Duration, field func(*ClusterPolicy) *time.Duration) func(string) (func(*ClusterPolicy), []fault) {
	return func(v string) (func(*ClusterPolicy), []fault) {
		d, fs := parseDuration(v, low)
		return func(p *ClusterPolicy) { *field(p) = d }, fs
	}
}

func uintKey(low, high uint32, field func(*ClusterPolicy) *uint32) func(string) (func(*ClusterPolicy), []fault) {
	return func(v string) (func(*ClusterPolicy), []fault) {
		n, fs := parseUint(v, low, high)
		return func(p *ClusterPolicy) { *field(p) = n }, fs
	}
}

func wordKey(field func(*ClusterPolicy) *string, words ...string) func(string) (func(*ClusterPolicy), []fault) {
	return func(v string) (func(*ClusterPolicy), []fault) {
		w, fs := parseWord(v, words...)
		return func(p *ClusterPolicy) { *field(p) = w }, fs
	}
}

func parseHash(v string) (func(*ClusterPolicy), []fault) {
	source, name, named := strings.Cut(v, ":")
	source, fs := parseWord(strings.TrimSpace(source), "source_ip", "header", "cookie")
	if fs != nil {
		return nil, withHint(fs, "write source_ip, header:<name> or cookie:<name>")
	}
	name = strings.TrimSpace(name)
	switch {
	case source == "source_ip" && named:
		return nil, faultf("%s: source_ip takes no name", quote(v))
	case source == "header":
		name = strings.ToLower(name)
	}
	if source != "source_ip" {
		if name, fs = parseToken(source+" name", name); fs != nil {
			return nil, withHint(fs, "write %s:<name>", source)
		}
	}
	return func(p *ClusterPolicy) { p.HashSource, p.HashName = source, name }, nil
}

func parseSticky(v string) (func(*ClusterPolicy), []fault) {
	if v != "" {
		var fs []fault
		if v, fs = parseToken("cookie name", v); fs != nil {
			return nil, fs
		}
	}
	return func(p *ClusterPolicy) { p.Sticky = v }, nil
}

func parseProbePath(v string) (func(*ClusterPolicy), []fault) {
	// A probe may carry a query; a fragment never leaves a client.
	path, query, _ := strings.Cut(v, "?")
	if path == "" {
		path = v
	}
	if _, fs := parsePath(path); fs != nil {
		return nil, fs
	}
	for _, c := range []byte(query) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return nil, withHint(faultf("%s has a character that no request's target has", quote(v)), "percent-encode it")
		}
	}
	return func(p *ClusterPolicy) { p.HealthPath = v }, nil
}

func parseProbePort(v string) (func(*ClusterPolicy), []fault) {
	port, fs := parsePort(v)
	return func(p *ClusterPolicy) { p.HealthPort = port }, fs
}

func parseProbeHost(v string) (func(*ClusterPolicy), []fault) {
	host, port, hasPort := strings.Cut(v, ":")
	if _, err := netip.ParseAddrPort(v); err != nil && (!isDNSName(host) || hasPort && !isDigits(port)) {
		if _, err := netip.ParseAddr(unbracket(v)); err != nil {
			return nil, faultf("%s is not a Host header: host[:port]", quote(v))
		}
	}
	return func(p *ClusterPolicy) { p.HealthHost = v }, nil
}

func parseProbeMethod(v string) (func(*ClusterPolicy), []fault) {
	// Methods are case-sensitive (RFC 9110, 9.1); those in use are upper case.
	m, fs := parseToken("method", strings.ToUpper(v))
	if fs == nil && m == "CONNECT" {
		fs = faultf("CONNECT is not a request that a probe can make")
	}
	return func(p *ClusterPolicy) { p.HealthMethod = m }, fs
}

func parseOutlier(v string) (func(*ClusterPolicy), []fault) {
	var n uint32
	if v != "off" {
		var fs []fault
		if n, fs = parseUint(v, 0, 1000); fs != nil {
			return nil, withHint(fs, "or off")
		}
	}
	return func(p *ClusterPolicy) { p.OutlierConsecutive = n }, nil
}

func parseRetryOn(v string) (func(*ClusterPolicy), []fault) {
	items, fs := parseList(v)
	if fs != nil {
		return nil, fs
	}
	for i, item := range items {
		if len(item) == 3 && isDigits(item) {
			if _, fs := parseUint(item, 400, 599); fs != nil {
				return nil, faultf("%s is not an error status (400 to 599)", quote(item))
			}
			continue
		}
		if items[i], fs = parseWord(item, "connect", "reset", "gateway-error", "5xx"); fs != nil {
			return nil, fs
		}
	}
	return func(p *ClusterPolicy) { p.RetryOn = items }, nil
}
