package dockerwatch

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/dockerlb/dockerlb/topology"
)

// place is what this process can see of where it runs without asking anybody.
// It does not change while we live.
type place struct {
	hostname   string
	ids        []string // container ids that mountinfo and cgroup name, likeliest first
	container  bool     // some container, of whatever engine
	resolver   bool     // resolv.conf names 127.0.0.11
	interfaces []netip.Addr
}

var (
	hexID      = regexp.MustCompile(`^[0-9a-f]{12}([0-9a-f]{52})?$`)
	mountedID  = regexp.MustCompile(`/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf)\b`)
	cgroupID   = regexp.MustCompile(`(?:docker[-/]|/)([0-9a-f]{64})(?:\.scope)?$`)
	nameserver = regexp.MustCompile(`(?m)^\s*nameserver\s+127\.0\.0\.11\s*$`)
)

// lookAround reads the place that this process runs in.
func lookAround() place {
	var p place
	p.hostname, _ = os.Hostname()
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	p.ids = ownIDs(string(mounts), string(cgroup))
	_, err := os.Stat("/.dockerenv")
	p.container = err == nil || len(p.ids) > 0
	resolv, _ := os.ReadFile("/etc/resolv.conf")
	p.resolver = nameserver.Match(resolv)
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, err := netip.ParsePrefix(a.String()); err == nil && !n.Addr().IsLoopback() && !n.Addr().IsLinkLocalUnicast() {
			p.interfaces = append(p.interfaces, n.Addr())
		}
	}
	return p
}

// ownIDs finds our container id in /proc/self/mountinfo, where the engine's
// bind mounts of /etc/hostname and its like show it, and in /proc/self/cgroup
// (version 1, or 2 without a cgroup namespace).
func ownIDs(mountinfo, cgroup string) []string {
	var ids []string
	add := func(id string) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for line := range strings.Lines(mountinfo) {
		// mountinfo(5): field 4 is the path of the mount's root on its file
		// system, field 5 where it is mounted. Only mounts on /etc/* speak of us:
		// a proxy may have /var/lib/docker mounted too.
		f := strings.Fields(line)
		if len(f) < 5 || !strings.HasPrefix(f[4], "/etc/") {
			continue
		}
		if hit := mountedID.FindStringSubmatch(f[3]); hit != nil {
			add(hit[1])
		}
	}
	for line := range strings.Lines(cgroup) {
		if hit := cgroupID.FindStringSubmatch(strings.TrimSpace(line)); hit != nil {
			add(hit[1])
		}
	}
	return ids
}

// asker is the part of engine that finding ourselves needs.
type asker interface {
	inspect(ctx context.Context, ref string) (*inspected, error)
	// publishedOnly tells whether the engine's containers have addresses that
	// its own host cannot reach.
	publishedOnly(ctx context.Context) bool
}

// findSelf asks the engine who we are; all is its list, before is what was
// found last: an id, or nothing. lender is the container whose network we
// borrow, if any. An error means that nothing is known: the caller keeps what
// it had.
//
// A hostname may be the user's (hostname: in Compose) and happen to be another
// container's name or id, so a container counts as us only if its own hostname
// is ours too, or if the kernel named its id.
func (p place) findSelf(ctx context.Context, e asker, all []listed, before string) (self topology.Self, lender string, err error) {
	self = topology.Self{EmbeddedDNS: p.resolver, HostNetwork: !p.container}
	us, err := p.inspectSelf(ctx, e, all, before)
	if err != nil {
		return self, "", err
	}
	if us == nil {
		self.PublishedOnly = e.publishedOnly(ctx)
		return self, "", nil
	}
	self.InContainer, self.ContainerID = true, us.ID
	network := us
	if ref := borrowedNetwork(us.HostConfig.NetworkMode); ref != "" {
		if network, err = e.inspect(ctx, ref); err != nil {
			return self, "", err
		}
		lender = network.ID
	}
	self.HostNetwork = network.HostConfig.NetworkMode == "host"
	self.Networks = attachments(network.NetworkSettings.Networks)
	return self, lender, nil
}

func (p place) inspectSelf(ctx context.Context, e asker, all []listed, before string) (*inspected, error) {
	if before != "" {
		if c, err := e.inspect(ctx, before); !errors.Is(err, errNotFound) {
			return c, err
		}
	}
	if hexID.MatchString(p.hostname) {
		c, err := e.inspect(ctx, p.hostname)
		switch {
		case err == nil && strings.HasPrefix(c.ID, p.hostname) && c.Config.Hostname == p.hostname:
			return c, nil
		case err != nil && !errors.Is(err, errNotFound):
			return nil, err
		}
	}
	for _, id := range p.ids {
		c, err := e.inspect(ctx, id)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, errNotFound) {
			return nil, err // a container of another engine would be 404
		}
	}
	if id := p.byAddress(all); id != "" {
		return e.inspect(ctx, id)
	}
	return nil, nil
}

// byAddress finds the one running container that has one of our addresses.
// Only for a process that is in a container: a host may well have an address
// that some container has on an internal network.
func (p place) byAddress(all []listed) string {
	if !p.container {
		return ""
	}
	found := ""
	for i := range all {
		if all[i].State != string(topology.StateRunning) {
			continue
		}
		for _, n := range all[i].NetworkSettings.Networks {
			if n == nil || !slices.Contains(p.interfaces, address(n.IPAddress)) {
				continue
			}
			if found != "" && found != all[i].ID {
				return "" // two networks with one address space: cannot tell
			}
			found = all[i].ID
		}
	}
	return found
}

func sameSelf(a, b topology.Self) bool {
	return a.InContainer == b.InContainer && a.ContainerID == b.ContainerID && a.HostNetwork == b.HostNetwork &&
		a.EmbeddedDNS == b.EmbeddedDNS && a.PublishedOnly == b.PublishedOnly && slices.Equal(a.Networks, b.Networks)
}
