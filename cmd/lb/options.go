package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/config"
	"github.com/dockerlb/dockerlb/dockerwatch"
	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/proxy"
	"github.com/dockerlb/dockerlb/topology"
)

// runOptions is what the flags of lb run say, checked and typed.
type runOptions struct {
	listeners  []topology.Listener // sorted by name
	admin      netip.AddrPort
	adminToken string // empty: to be made
	adminHosts []string

	forwarded bool

	// file is --config, opened; nil: none.
	file *config.Source
	// unheard are flags that were given, and have no effect on the file's
	// listeners.
	unheard []listenerFlag

	docker dockerwatch.Options
	// anyEngine: no engine was named, and with a file none is needed.
	anyEngine bool

	dns    []netip.AddrPort
	dnsTry time.Duration

	prefix, instance string

	limits  proxy.Limits
	maxIdle int
	// maxConnections is the flag; limits.Connections is what descriptors leave
	// of it. maxConnectionsGiven: it is not the default.
	maxConnections      int
	maxConnectionsGiven bool

	drainDelay, shutdown time.Duration

	takeover        bool
	takeoverSocket  string // empty without takeover
	takeoverTimeout time.Duration

	logLevel, logFormat        string
	accessLog, accessLogFormat string    // no path: off
	stdout                     io.Writer // for an access log "-"
}

// readOptions collects everything that is wrong, so that it can be set right
// at once.
func readOptions(c *cli.Context) (*runOptions, error) {
	var errs []error
	bad := func(flag string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
		}
	}
	o := &runOptions{
		adminHosts: c.StringSlice("admin-host"),
		instance:   c.String("instance"),
		prefix:     c.String("prefix"),
		drainDelay: c.Duration("drain-delay"),
		shutdown:   c.Duration("shutdown-timeout"),
		dnsTry:     c.Duration("dns-timeout"),
		maxIdle:    c.Int("max-idle-upstream"),
		logLevel:   c.String("log-level"),
		logFormat:  c.String("log-format"),
		accessLog:  c.String("access-log"), accessLogFormat: c.String("access-log-format"),
	}
	o.takeover, o.takeoverTimeout = c.Bool("takeover"), c.Duration("takeover-timeout")
	if o.takeover {
		path, err := takeoverPath(c)
		bad("takeover-socket", err)
		o.takeoverSocket = path
	}
	o.forwarded = c.Bool("forwarded")
	trusted, err := parsePrefixes(c.StringSlice("trusted-proxies"))
	bad("trusted-proxies", err)
	hops, err := parseHops(c.Int("trusted-hops"), len(trusted) > 0)
	bad("trusted-hops", err)
	via, err := parseVia(c.String("via"))
	bad("via", err)
	o.listeners, err = parseListeners(c.StringSlice("listen"))
	bad("listen", err)
	for i := range o.listeners {
		h := &o.listeners[i].HTTP
		h.TrustedProxies, h.XFFTrustedHops, h.Via = trusted, hops, via
	}
	o.admin, err = parseAddress(c.String("admin-listen"))
	bad("admin-listen", err)
	o.adminToken, err = readToken(c.String("admin-token-file"))
	bad("admin-token-file", err)
	o.dns, err = parseResolvers(c.StringSlice("dns"))
	bad("dns", err)
	if !prefixPattern.MatchString(o.prefix) {
		bad("prefix", fmt.Errorf("%q: want lower-case letters, digits, dots, dashes and underscores", o.prefix))
	}
	for _, f := range [...]struct {
		flag    string
		allowed []string
	}{{"log-level", logLevels}, {"log-format", logFormats}, {"access-log-format", accessLogFormats}} {
		if v := c.String(f.flag); !slices.Contains(f.allowed, v) {
			bad(f.flag, fmt.Errorf("%q: want %s", v, strings.Join(f.allowed, ", ")))
		}
	}
	for _, f := range [...]string{"drain-delay", "shutdown-timeout"} {
		if c.Duration(f) < 0 {
			bad(f, fmt.Errorf("%s: want a time that is not negative", c.Duration(f)))
		}
	}
	for _, f := range [...]string{"head-timeout", "idle-timeout", "stream-idle-timeout", "tunnel-idle-timeout", "dns-timeout", "docker-resync", "takeover-timeout"} {
		if c.Duration(f) <= 0 {
			bad(f, fmt.Errorf("%s: want a time above 0", c.Duration(f)))
		}
	}
	if c.Int("max-connections") < 0 {
		bad("max-connections", fmt.Errorf("%d: want 0 (no limit) or more", c.Int("max-connections")))
	}
	for _, f := range [...]string{"max-head-fields", "max-idle-upstream"} {
		if c.Int(f) < 1 {
			bad(f, fmt.Errorf("%d: want at least 1", c.Int(f)))
		}
	}
	o.limits = proxy.Limits{
		HeadFields:  c.Int("max-head-fields"),
		HeadTimeout: c.Duration("head-timeout"),
		IdleTimeout: c.Duration("idle-timeout"),
		StreamIdle:  c.Duration("stream-idle-timeout"),
		TunnelIdle:  c.Duration("tunnel-idle-timeout"),
		Connections: c.Int("max-connections"),
	}
	o.maxConnections, o.maxConnectionsGiven = o.limits.Connections, c.IsSet("max-connections")
	for _, f := range [...]struct {
		flag string
		to   *int
		min  int
	}{{"max-head", &o.limits.HeadBytes, 1 << 10}, {"max-target", &o.limits.TargetBytes, 256}, {"max-replay", &o.limits.ReplayBytes, 0}} {
		n, err := parseSize(c.String(f.flag))
		if err == nil && n < f.min {
			err = fmt.Errorf("%q: want at least %d bytes", c.String(f.flag), f.min)
		}
		bad(f.flag, err)
		*f.to = n
	}
	if o.limits.ReplayBytes == 0 {
		o.limits.ReplayBytes = -1 // none, where 0 would be the default
	}
	body, err := parseSize(c.String("max-body"))
	bad("max-body", err)
	o.limits.BodyBytes = int64(body)
	o.limits.HalfClose, o.limits.HalfCloseGone, err = parseHalfClose(c.String("half-close"))
	bad("half-close", err)
	o.docker, err = dockerOptions(c)
	bad("docker", err)
	bad("config", o.readFile(c))
	if len(errs) > 0 {
		return nil, &codedError{exitUsage, errors.Join(errs...)}
	}
	return o, nil
}

// prefixPattern is what a label's key may be made of.
var prefixPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`)

// defaults is what all containers start from.
func (o *runOptions) defaults() topology.Defaults {
	return topology.Defaults{
		Prefix: o.prefix, Instance: o.instance, Listeners: o.listeners,
		Policy: labels.DefaultClusterPolicy(),
	}
}

// dockerOptions reads the engine's address and, beside our own flags, Docker's
// variables as its own client does: DOCKER_TLS_VERIFY set to anything,
// DOCKER_CERT_PATH a folder.
func dockerOptions(c *cli.Context) (dockerwatch.Options, error) {
	o := dockerwatch.Options{
		Host: c.String("docker"), Prefix: c.String("prefix"), Resync: c.Duration("docker-resync"),
		TLS: dockerwatch.TLS{
			CAFile: c.String("docker-tls-ca"), CertFile: c.String("docker-tls-cert"), KeyFile: c.String("docker-tls-key"),
			Verify: c.Bool("docker-tls-verify") || os.Getenv("DOCKER_TLS_VERIFY") != "",
		},
	}
	if dir := os.Getenv("DOCKER_CERT_PATH"); dir != "" && strings.HasPrefix(o.Host, "tcp://") {
		for _, f := range [...]struct {
			to   *string
			name string
		}{{&o.TLS.CAFile, "ca.pem"}, {&o.TLS.CertFile, "cert.pem"}, {&o.TLS.KeyFile, "key.pem"}} {
			if *f.to == "" {
				*f.to = filepath.Join(dir, f.name)
			}
		}
	}
	if (o.TLS.CertFile == "") != (o.TLS.KeyFile == "") {
		return o, errors.New("TLS: a certificate and its key go together")
	}
	return o, nil
}

// parseListeners reads [NAME=]IP:PORT, each name once.
func parseListeners(texts []string) ([]topology.Listener, error) {
	var out []topology.Listener
	for _, text := range texts {
		name, addr, named := strings.Cut(text, "=")
		if !named {
			name, addr = "default", text
		}
		if !prefixPattern.MatchString(name) {
			return nil, fmt.Errorf("%q: a listener's name is made of lower-case letters, digits, dots, dashes and underscores", text)
		}
		a, err := parseAddress(addr)
		if err != nil {
			return nil, err
		}
		for _, l := range out {
			if l.Name == name {
				return nil, fmt.Errorf("two listeners are named %q: give one a name, as in --listen other=%s", name, addr)
			}
			if l.Address == a && a.Port() != 0 {
				return nil, fmt.Errorf("listeners %q and %q have the same address %s", l.Name, name, a)
			}
		}
		out = append(out, topology.Listener{
			Name: name, Address: a, Source: topology.FromDefault,
			// /public/../admin is /admin, to the routes and to the backend
			// alike; in a file it is as the file says.
			HTTP: topology.HTTPOptions{NormalizePath: true},
		})
	}
	slices.SortFunc(out, func(a, b topology.Listener) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// parseAddress reads IP:PORT; an empty IP is every address, as :10000.
func parseAddress(text string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: want IP:PORT, as 0.0.0.0:10000 or [::]:10000", text)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: %q is not a port", text, port)
	}
	ip := netip.IPv6Unspecified()
	if host == "localhost" {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	} else if host != "" {
		if ip, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, fmt.Errorf("%q: %q is not an IP address", text, host)
		}
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

func parseResolvers(texts []string) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	for _, text := range texts {
		if ip, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.AddrPortFrom(ip, 53))
			continue
		}
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("%q: want IP or IP:PORT, as 127.0.0.11", text)
		}
		out = append(out, a)
	}
	return out, nil
}

// parsePrefixes reads CIDRs; an address alone is itself.
func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		if ip, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q: want a CIDR, as 10.0.0.0/8", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// maxHops is far more proxies than a request passes.
const maxHops = 100

// parseHops reads --trusted-hops. Beside --trusted-proxies one of the two would
// be ignored, and a stranger believed.
func parseHops(n int, proxies bool) (uint32, error) {
	if n < 0 || n > maxHops {
		return 0, fmt.Errorf("%d: want 0 (none) to %d", n, maxHops)
	}
	if n > 0 && proxies {
		return 0, errors.New("not together with --trusted-proxies: give the addresses of the proxies in front, or their number")
	}
	return uint32(n), nil
}

// viaName is a received-by of Via: a pseudonym, or a host with its port (RFC
// 9110 section 7.6.3).
var viaName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+(:[0-9]+)?$")

// parseVia makes a Via of a name; empty: none.
func parseVia(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	if !viaName.MatchString(name) {
		return "", fmt.Errorf("%q: want a name or HOST:PORT, as lb-1 or lb.example.com:10000", name)
	}
	return "1.1 " + name, nil
}

// sizeUnits as in labels: powers of ten, and of two with an i.
var sizeUnits = []struct {
	suffix string
	bytes  int
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}

// parseSize reads 64KiB, 10MB or a number of bytes, up to 1 GiB.
func parseSize(text string) (int, error) {
	number, unit := text, 1
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n > (1<<30)/unit {
		return 0, fmt.Errorf("%q: want a size up to 1GiB, as 64KiB or 10MB", text)
	}
	return n * unit, nil
}

// parseHalfClose reads a time, 0 (gone at once) or off (for ever), as
// proxy.Limits wants them.
func parseHalfClose(text string) (d time.Duration, gone bool, err error) {
	switch text {
	case "off":
		return -1, false, nil
	case "0":
		return 0, true, nil
	}
	d, err = time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, false, fmt.Errorf("%q: want a time, as 1s; 0; or off", text)
	}
	return d, d == 0, nil
}
