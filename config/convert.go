package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

// off is how a limit that the file turns off with 0s is written where nothing
// at all would mean a default: too long to ever end.
const off = 100 * 365 * 24 * time.Hour

// converter turns Envoy's types into ours, collecting what does not fit.
type converter struct {
	lines map[string]int
	errs  Errors

	uses []use // of clusters by routes, to be checked at the end
}

// use is a route's naming of a cluster.
type use struct{ cluster, path string }

// fail reports at path, or at what is nearest above it in the file.
func (c *converter) fail(path, format string, args ...any) {
	at := path
	for at != "" && c.lines[at] == 0 {
		at = parent(at)
	}
	c.errs = append(c.errs, Error{Line: c.lines[at], Path: path, Reason: fmt.Sprintf(format, args...)})
}

// given reports whether the file has a field, of whatever value.
func (c *converter) given(path string) bool { return c.lines[path] != 0 }

func (c *converter) bootstrap(b *bootstrap.Bootstrap) *topology.Static {
	s := &topology.Static{}
	if a := b.GetAdmin().GetAddress(); a != nil {
		s.Admin = c.literal(a, "admin.address")
	}
	listeners, clusters := firsts{}, firsts{}
	for i, l := range b.GetStaticResources().GetListeners() {
		at := index("static_resources", "listeners", i)
		out := c.listener(l, at)
		c.once(listeners, out.Name, at, "listener")
		for j := range s.Listeners {
			if s.Listeners[j].Address == out.Address && out.Address.IsValid() {
				c.fail(at+".address", "%s is the address of static_resources.listeners[%d], too", out.Address, j)
			}
		}
		s.Listeners = append(s.Listeners, out)
	}
	for i, cl := range b.GetStaticResources().GetClusters() {
		at := index("static_resources", "clusters", i)
		c.once(clusters, cl.GetName(), at, "cluster")
		s.Clusters = append(s.Clusters, c.cluster(cl, at))
	}
	c.checkUses(clusters)
	return s
}

// firsts are the paths at which names were given first.
type firsts map[string]string

// once reports a name that was given before.
func (c *converter) once(seen firsts, name, at, what string) {
	if name == "" {
		return
	}
	if first, ok := seen[name]; ok {
		c.fail(at+".name", "a second %s %q: the first is %s, line %d", what, name, first, c.lines[first])
		return
	}
	seen[name] = at
}

// checkUses reports routes to clusters that are not there, as Envoy does for a
// route_config that stands in the file (validate_clusters).
func (c *converter) checkUses(clusters firsts) {
	known := make([]string, 0, len(clusters))
	for name := range clusters {
		known = append(known, name)
	}
	slices.Sort(known)
	for _, u := range c.uses {
		if _, ok := clusters[u.cluster]; ok || u.cluster == "" {
			continue
		}
		hint := "there are: " + strings.Join(known, ", ")
		if len(known) == 0 {
			hint = "there is none"
		} else if meant := labels.Nearest(u.cluster, known); meant != "" {
			hint = fmt.Sprintf("did you mean %s?", meant)
		}
		c.fail(u.path, "unknown cluster %q; %s (route_config's validate_clusters: false is for clusters that containers make by their labels)", u.cluster, hint)
	}
}

// literal is an address that must be an IP.
func (c *converter) literal(a *core.Address, at string) netip.AddrPort {
	sa := a.GetSocketAddress()
	if sa == nil {
		return netip.AddrPort{} // a rule of its own says so
	}
	at += ".socket_address"
	ip, err := netip.ParseAddr(sa.GetAddress())
	switch {
	case sa.GetAddress() == "": // a rule says so
	case err != nil || ip.Zone() != "":
		c.fail(at+".address", "%q is not an IP address", sa.GetAddress())
	}
	return netip.AddrPortFrom(ip, c.port(sa, at))
}

func (c *converter) port(sa *core.SocketAddress, at string) uint16 {
	if sa.GetProtocol() != core.SocketAddress_TCP {
		c.fail(at+".protocol", "%s is not supported", sa.GetProtocol())
	}
	if sa.GetPortValue() > 65535 {
		return 0 // a rule says so
	}
	return uint16(sa.GetPortValue())
}

func or(d *durationpb.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.AsDuration()
}

// limit is a duration that 0s turns off; nil: zero, the default.
func limit(d *durationpb.Duration) time.Duration {
	if d == nil {
		return 0
	}
	if t := d.AsDuration(); t > 0 {
		return t
	}
	return off
}
