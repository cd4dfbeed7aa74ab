package dockerwatch

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// defaultStopTimeout is the engine's, where a container sets none.
const defaultStopTimeout = 10 * time.Second

// Docker's defaults of a HEALTHCHECK (moby: daemon/health.go).
const (
	defaultHealthInterval      = 30 * time.Second
	defaultHealthStartInterval = 5 * time.Second
)

// hasPrefix tells whether any label is ours: "lb." for the prefix "lb". Keys
// are compared lower-case.
func hasPrefix(prefix string, labels map[string]string) bool {
	for k := range labels {
		if len(k) > len(prefix) && k[len(prefix)] == '.' && strings.EqualFold(k[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// composeRef reads Compose's labels.
func composeRef(labels map[string]string) topology.ComposeRef {
	number, _ := strconv.Atoi(labels["com.docker.compose.container-number"])
	return topology.ComposeRef{
		Project: labels["com.docker.compose.project"],
		Service: labels["com.docker.compose.service"],
		Number:  number,
		OneOff:  strings.EqualFold(labels["com.docker.compose.oneoff"], "true"),
	}
}

// listedName is the container's own name: links add "/other/alias" to Names.
func listedName(names []string) string {
	for _, n := range names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	return ""
}

// listedHealth reads health from a list: its own field from API 1.52 on,
// before that the text for people: "Up 3 minutes (health: starting)".
func listedHealth(l *listed) topology.Health {
	if l.Health != nil && l.Health.Status != "" {
		return health(l.Health.Status)
	}
	_, mark, _ := strings.Cut(l.Status, "(")
	switch strings.TrimPrefix(strings.TrimSuffix(mark, ")"), "health: ") {
	case "starting":
		return topology.HealthStarting
	case "healthy":
		return topology.HealthHealthy
	case "unhealthy":
		return topology.HealthUnhealthy
	}
	return topology.HealthNone
}

func health(s string) topology.Health {
	switch h := topology.Health(s); h {
	case topology.HealthStarting, topology.HealthHealthy, topology.HealthUnhealthy:
		return h
	}
	return topology.HealthNone
}

// attachments converts, sorted by name. A stopped container keeps its networks
// without addresses.
func attachments(networks map[string]*endpoint) []topology.Attachment {
	if len(networks) == 0 {
		return nil
	}
	all := make([]topology.Attachment, 0, len(networks))
	for name, n := range networks {
		if n == nil {
			continue
		}
		all = append(all, topology.Attachment{
			Name: name, NetworkID: n.NetworkID, EndpointID: n.EndpointID,
			IPv4: address(n.IPAddress), IPv6: address(n.GlobalIPv6Address), Gateway: address(n.Gateway),
		})
	}
	slices.SortFunc(all, func(a, b topology.Attachment) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// address parses; the engine writes nothing, or "invalid IP" from 29 on, for none.
func address(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// ports collects one Port per number and protocol; where the host publishes
// one several times (IPv4 and IPv6, ranges) the lowest address stands, IPv4 first.
type ports []topology.Port

func (p *ports) add(number uint16, protocol string, host netip.AddrPort) {
	if number == 0 {
		return
	}
	i, found := slices.BinarySearchFunc(*p, topology.Port{Number: number, Protocol: protocol}, comparePorts)
	if !found {
		*p = slices.Insert(*p, i, topology.Port{Number: number, Protocol: protocol, Published: host})
		return
	}
	if old := (*p)[i].Published; host.IsValid() && (!old.IsValid() || host.Compare(old) < 0) {
		(*p)[i].Published = host
	}
}

func comparePorts(a, b topology.Port) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
}

func listedPorts(all []listedPort) []topology.Port {
	var p ports
	for _, l := range all {
		var host netip.AddrPort
		if l.PublicPort != 0 {
			host = netip.AddrPortFrom(orAny(address(l.IP)), l.PublicPort)
		}
		p.add(l.PrivatePort, l.Type, host)
	}
	return p
}

func inspectedPorts(c *inspected) []topology.Port {
	var p ports
	for key := range c.Config.ExposedPorts {
		number, protocol := splitPort(key)
		p.add(number, protocol, netip.AddrPort{})
	}
	for key, hosts := range c.NetworkSettings.Ports {
		number, protocol := splitPort(key)
		p.add(number, protocol, netip.AddrPort{})
		for _, h := range hosts {
			if n, err := strconv.ParseUint(h.HostPort, 10, 16); err == nil && n != 0 {
				p.add(number, protocol, netip.AddrPortFrom(orAny(address(h.HostIP)), uint16(n)))
			}
		}
	}
	return p
}

// orAny: the engine leaves the address out where it publishes on all of them.
func orAny(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return netip.IPv4Unspecified()
	}
	return a
}

// splitPort reads "8000/tcp".
func splitPort(key string) (uint16, string) {
	number, protocol, ok := strings.Cut(key, "/")
	if !ok {
		protocol = "tcp"
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return 0, ""
	}
	return uint16(n), protocol
}

// borrowedNetwork is whose network a container uses: an id, or a name where
// that was given; empty: its own.
func borrowedNetwork(mode string) string {
	ref, _ := strings.CutPrefix(mode, "container:")
	if ref == mode {
		return ""
	}
	return ref
}

// stopTimeout is how long the engine waits between stop signal and SIGKILL; a
// negative value is "for ever" to the engine, which no drain can follow.
func stopTimeout(seconds *int) time.Duration {
	if seconds == nil || *seconds < 0 {
		return defaultStopTimeout
	}
	return time.Duration(*seconds) * time.Second
}

// nextHealthCheck is when Docker probes next: an interval after the last probe
// ended, or after the start. Engines from API 1.44 on (quick) use another
// interval, 5 s by default, during the start period (moby: daemon/health.go
// monitor). Zero without a HEALTHCHECK.
func nextHealthCheck(c *inspected, quick bool) time.Time {
	hc := c.Config.Healthcheck
	if hc == nil || c.State.Health == nil {
		return time.Time{}
	}
	interval := cmp.Or(hc.Interval, defaultHealthInterval)
	last := c.State.StartedAt
	if n := len(c.State.Health.Log); n > 0 && c.State.Health.Log[n-1].End.After(last) {
		last = c.State.Health.Log[n-1].End
	}
	if quick && last.Before(c.State.StartedAt.Add(hc.StartPeriod)) {
		interval = cmp.Or(hc.StartInterval, defaultHealthStartInterval)
	}
	return last.Add(interval)
}

// equal compares all but the labels, which cannot change.
func equal(a, b *topology.Container) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Image == b.Image && a.Compose == b.Compose &&
		a.State == b.State && a.Health == b.Health && a.HealthNext.Equal(b.HealthNext) &&
		a.Created.Equal(b.Created) && a.StartedAt.Equal(b.StartedAt) &&
		a.Stopping == b.Stopping && a.StoppingAt.Equal(b.StoppingAt) && a.IgnoredStop == b.IgnoredStop &&
		a.StopTimeout == b.StopTimeout && a.StartEvent.Equal(b.StartEvent) &&
		a.HostNetwork == b.HostNetwork && a.NetworkOf == b.NetworkOf && a.Inspected == b.Inspected &&
		slices.Equal(a.Networks, b.Networks) && slices.Equal(a.Ports, b.Ports)
}

// refines tells whether new says of a container nothing that decides about its
// traffic beyond what old said.
func refines(old, new *topology.Container) bool {
	c := *new
	c.Inspected, c.Image, c.Created, c.StartedAt = old.Inspected, old.Image, old.Created, old.StartedAt
	c.StopTimeout, c.HealthNext, c.StartEvent = old.StopTimeout, old.HealthNext, old.StartEvent
	return equal(old, &c)
}
