package labels

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxDuration bounds every duration of a label, so that sums of times cannot
// overflow. maxRegex bounds what one container can make every request cost.
const (
	maxDuration = 30 * 24 * time.Hour
	maxRegex    = 1024
	maxName     = 255
)

// fault is what is wrong with a value, and what may have been meant.
type fault struct{ reason, hint string }

func faultf(format string, args ...any) []fault {
	return []fault{{reason: fmt.Sprintf(format, args...)}}
}

// withHint adds a hint to the last fault.
func withHint(fs []fault, format string, args ...any) []fault {
	fs[len(fs)-1].hint = fmt.Sprintf(format, args...)
	return fs
}

func parseBool(v string) (bool, []fault) {
	switch strings.ToLower(v) {
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, faultf("%s is not a boolean (true, false, 1, 0, yes, no)", quote(v))
}

func parseUint(v string, low, high uint32) (uint32, []fault) {
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || uint32(n) < low || uint32(n) > high {
		return 0, faultf("%s is not a whole number from %d to %d", quote(v), low, high)
	}
	return uint32(n), nil
}

func parsePort(v string) (uint16, []fault) {
	n, err := strconv.ParseUint(v, 10, 16)
	if err == nil && n > 0 {
		return uint16(n), nil
	}
	fs := faultf("%s is not a port (1 to 65535)", quote(v))
	// "8080:80" and "8080/tcp" are how Compose and Docker write ports.
	inner := v[strings.LastIndexByte(v, ':')+1:]
	inner, _, _ = strings.Cut(inner, "/")
	if n, err := strconv.ParseUint(inner, 10, 16); err == nil && n > 0 && inner != v {
		return 0, withHint(fs, "only the container's port: %s", inner)
	}
	return 0, fs
}

func parseDuration(v string, low time.Duration) (time.Duration, []fault) {
	d, err := time.ParseDuration(v)
	if err != nil {
		fs := faultf("%s is not a duration", quote(v))
		if _, err := strconv.ParseFloat(v, 64); err == nil {
			if d, err := time.ParseDuration(v + "s"); err == nil && d >= 0 {
				return 0, withHint(fs, "it needs a unit: %ss", v)
			}
		}
		return 0, withHint(fs, "write it as 250ms, 5s or 1m30s")
	}
	if d < low || d > maxDuration {
		return 0, faultf("%s is not between %v and %v", quote(v), low, maxDuration)
	}
	return d, nil
}

// parseWord takes one of a few words.
func parseWord(v string, words ...string) (string, []fault) {
	lower := strings.ToLower(v)
	if slices.Contains(words, lower) {
		return lower, nil
	}
	fs := faultf("%s is none of %s", quote(v), strings.Join(words, ", "))
	if w := nearest(lower, words); w != "" {
		return "", withHint(fs, "did you mean %s?", w)
	}
	return "", fs
}

// parseScheme knows what the schema has, and what this version speaks: with
// another one traffic would be garbled, so the container is kept out.
func parseScheme(v string) (Scheme, []fault) {
	w, fs := parseWord(v, "http", "https", "h2c", "grpc", "tcp")
	if fs == nil && w != "http" {
		fs = faultf("this version does not speak %s to containers yet", w)
	}
	return Scheme(w), fs
}

// parseList splits at commas. An empty item is a fault: it is more often a
// variable that was not set than a wish.
func parseList(v string) ([]string, []fault) {
	var items []string
	var fs []fault
	for item := range strings.SplitSeq(v, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			fs = append(fs, fault{reason: quote(v) + " has an empty item"})
			continue
		}
		if !slices.Contains(items, item) {
			items = append(items, item)
		}
	}
	return items, fs
}

// parseName takes the name of a cluster, a network, a zone, a listener: any
// printable characters but white space and commas.
func parseName(v string) (string, []fault) {
	if len(v) > maxName {
		return "", faultf("%s is longer than %d bytes", quote(v), maxName)
	}
	for _, r := range v {
		if r == ',' || r == ' ' || !strconv.IsPrint(r) || r == '\uFFFD' {
			return "", faultf("%s is not a name: letters, digits, and any other printable character but white space and commas are allowed", quote(v))
		}
	}
	return v, nil
}

// parseHost takes one item of lb.host: a name, *.name, an address, or "*".
// It comes back in the form in which requests are compared: lower case,
// without a trailing dot, IPv6 in brackets.
func parseHost(v string) (string, []fault) {
	host := strings.ToLower(v)
	if ip, err := netip.ParseAddr(unbracket(host)); err == nil && ip.Zone() == "" {
		if ip.Is6() {
			return "[" + ip.String() + "]", nil
		}
		return ip.String(), nil
	}
	if host == "*" {
		return host, nil
	}
	name := strings.TrimSuffix(host, ".")
	if isDNSName(strings.TrimPrefix(name, "*.")) {
		return name, nil
	}
	fs := faultf("%s is not a host name", quote(v))
	if _, rest, ok := strings.Cut(host, "://"); ok {
		rest, _, _ = strings.Cut(rest, "/")
		return "", withHint(fs, "only the host's name: %s", rest)
	}
	if at := strings.LastIndexByte(host, ':'); at >= 0 && isDigits(host[at+1:]) {
		bare := host[:at]
		return "", withHint(fs, "without a port: %s (every port of the listener is meant)", bare)
	}
	if bare, path, ok := strings.Cut(host, "/"); ok {
		return "", withHint(fs, "the path is a label of its own: host %s, path /%s", bare, path)
	}
	if strings.Contains(host, "*") {
		return "", withHint(fs, "a wildcard stands for whole labels at the front: *.example.com")
	}
	for _, r := range host {
		if r >= 0x80 {
			return "", withHint(fs, "write an international name in its ASCII form: xn--…")
		}
	}
	return "", fs
}

// unbracket takes the brackets off an IPv6 address.
func unbracket(s string) string {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok := strings.CutSuffix(inner, "]"); ok {
			return inner
		}
	}
	return s
}

// isDNSName holds for what may stand in a Host header: letters, digits,
// hyphens and, since Compose services have them, underscores.
func isDNSName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if !isAlnum(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// parseAddress takes host[:port].
func parseAddress(v string) (Address, []fault) {
	if ip, err := netip.ParseAddr(unbracket(v)); err == nil {
		return Address{Host: ip.String()}, nil
	}
	if ap, err := netip.ParseAddrPort(v); err == nil {
		if ap.Port() == 0 {
			return Address{}, faultf("%s has no port (1 to 65535)", quote(v))
		}
		return Address{Host: ap.Addr().String(), Port: ap.Port()}, nil
	}
	host, port, hasPort := strings.Cut(v, ":")
	a := Address{Host: strings.ToLower(strings.TrimSuffix(host, "."))}
	if !isDNSName(a.Host) || looksLikeIPv4(a.Host) {
		fs := faultf("%s is not an address: host[:port], host a name or an IP address", quote(v))
		if _, rest, ok := strings.Cut(v, "://"); ok {
			rest, _, _ = strings.Cut(rest, "/")
			return Address{}, withHint(fs, "without the scheme: %s", rest)
		}
		return Address{}, fs
	}
	if hasPort {
		var fs []fault
		if a.Port, fs = parsePort(port); fs != nil {
			return Address{}, fs
		}
	}
	return a, nil
}

// looksLikeIPv4 holds for what is all digits and dots but did not parse:
// 10.0.0.256 is a slip, not a name.
func looksLikeIPv4(s string) bool { return strings.Trim(s, "0123456789.") == "" }

// parsePath takes a path as it stands in a request, without a query.
func parsePath(v string) (string, []fault) {
	if v[0] != '/' {
		return "", withHint(faultf("%s does not begin with a slash", quote(v)), "did you mean /%s?", clip(v))
	}
	for _, c := range []byte(v) {
		if c <= ' ' || c >= 0x7f {
			return "", withHint(faultf("%s has a character that no request's path has", quote(v)), "percent-encode it")
		}
		if c == '?' || c == '#' {
			return "", faultf("%s has a %q: a path is compared without query and fragment", quote(v), c)
		}
	}
	return v, nil
}

// parseRegex checks an RE2 expression, which is to match the whole subject.
func parseRegex(v string) (string, []fault) {
	if len(v) > maxRegex {
		return "", faultf("the expression is longer than %d bytes", maxRegex)
	}
	if _, err := regexp.Compile(anchored(v)); err != nil {
		// The error quotes the anchored form; check the user's own for its text.
		if _, own := regexp.Compile(v); own != nil {
			err = own
		}
		return "", withHint(faultf("%s is not a regular expression: %s", quote(v), strings.TrimPrefix(err.Error(), "error parsing regexp: ")),
			"the syntax is RE2's: https://github.com/google/re2/wiki/Syntax")
	}
	return v, nil
}

// anchored is the expression that matches where re matches the whole subject,
// as Envoy's safe_regex does.
func anchored(re string) string { return `\A(?:` + re + `)\z` }

// parseToken takes a token of RFC 9110, 5.6.2: a header's or cookie's name, a
// method.
func parseToken(what, v string) (string, []fault) {
	if v == "" {
		return "", faultf("the %s is missing", what)
	}
	for _, c := range []byte(v) {
		if !isAlnum(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return "", faultf("%s is not a %s: %q may not stand there", quote(v), what, c)
		}
	}
	return v, nil
}

// parseStatuses takes a list of codes and ranges: 200-399, or 200,204,301.
func parseStatuses(v string) ([]StatusRange, []fault) {
	items, fs := parseList(v)
	if fs != nil {
		return nil, fs
	}
	var ranges []StatusRange
	for _, item := range items {
		from, to, ok := strings.Cut(item, "-")
		if !ok {
			to = from
		}
		low, fs1 := parseUint(strings.TrimSpace(from), 100, 599)
		high, fs2 := parseUint(strings.TrimSpace(to), 100, 599)
		if fs1 != nil || fs2 != nil || low > high {
			return nil, withHint(faultf("%s is not a status code or a range of them (100 to 599)", quote(item)), "write it as 200, 200-399 or 200,204")
		}
		ranges = append(ranges, StatusRange{From: uint16(low), To: uint16(high)})
	}
	return ranges, nil
}

// quote shows a value in a reason.
func quote(v string) string { return strconv.Quote(clip(v)) }

// clip bounds what a Problem keeps of a value.
func clip(v string) string {
	const limit = 128
	if len(v) <= limit {
		return v
	}
	return strings.ToValidUTF8(v[:limit], "") + "…"
}
