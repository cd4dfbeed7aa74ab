package topology

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

// expandedStatic is a cluster of the file with its names resolved. It is
// immutable.
type expandedStatic struct {
	source    *StaticCluster
	answers   []Answer // of its named hosts, in order
	cluster   Cluster
	endpoints []*Endpoint // sorted by ID
}

// expand resolves a file cluster's hosts as Envoy does.
func expand(c *StaticCluster, answers map[Query]Answer) *expandedStatic {
	x := &expandedStatic{source: c, cluster: c.Cluster}
	x.cluster.Source = FromFile
	x.cluster.Endpoints, x.cluster.LogicalAddr, x.cluster.Names = nil, nil, nil
	for i := range c.Hosts {
		if c.Hosts[i].Name != "" {
			x.answers = append(x.answers, answers[hostQuery(c, &c.Hosts[i])])
		}
	}
	x.cluster.Warm = x.warm()
	// A new host is not healthy before its first check (failed_active_hc).
	checked := len(c.HealthChecks) > 0
	named := 0
	for i := range c.Hosts {
		h := &c.Hosts[i]
		if c.Type == StrictDNS {
			x.cluster.Names = append(x.cluster.Names, net.JoinHostPort(h.Name, strconv.Itoa(int(h.Port))))
		}
		if h.Name == "" {
			if h.Address.IsValid() {
				x.add(h, FromFile, "file", h.Address, checked)
			}
			continue
		}
		a := &x.answers[named]
		named++
		switch c.Type {
		case LogicalDNS:
			x.addLogical(h, a, checked)
		case StrictDNS:
			if a.Outcome == OutcomeEmpty {
				continue // an answer: the set becomes empty
			}
			for _, ip := range a.Addresses {
				x.add(h, FromDNS, "dns", ip, checked)
			}
		}
	}
	slices.SortFunc(x.endpoints, func(a, b *Endpoint) int { return cmp.Compare(a.ID, b.ID) })
	return x
}

// warm reports whether the cluster counts as initialised: after the first
// answer for any one of its names, success or failure (wait_for_warm_on_init).
func (x *expandedStatic) warm() bool {
	if !x.source.WaitForWarm || len(x.answers) == 0 || len(x.answers) < len(x.source.Hosts) {
		return true
	}
	return slices.ContainsFunc(x.answers, func(a Answer) bool { return a.Outcome != OutcomePending })
}

// add makes an endpoint of an address. One that is there already, from another
// name or twice in one answer, is one endpoint: the first in the file.
func (x *expandedStatic) add(h *StaticHost, from Source, kind string, ip netip.Addr, checked bool) {
	e := h.Template
	e.NeedsProbe = checked && !e.NoHealthCheck
	e.Address = netip.AddrPortFrom(ip.Unmap(), h.Port)
	if slices.ContainsFunc(x.endpoints, func(o *Endpoint) bool { return o.Address == e.Address }) {
		return
	}
	e.ID = x.source.Name + "/" + kind + "/" + e.Address.String()
	e.Source = from
	e.Hostname = nameOr(e.Hostname, h.Name)
	x.endpoints = append(x.endpoints, &e)
}

// addLogical makes the one logical host of a LOGICAL_DNS cluster: its current
// address is the answer's first; an empty answer and a failed one leave the
// last in force, which dnswatch keeps.
func (x *expandedStatic) addLogical(h *StaticHost, a *Answer, checked bool) {
	if !a.First.IsValid() {
		return
	}
	e := h.Template
	e.NeedsProbe = checked && !e.NoHealthCheck
	e.ID = x.source.Name + "/logical/" + h.Name
	e.Address = netip.AddrPortFrom(a.First.Unmap(), h.Port)
	e.Source = FromDNS
	e.Hostname = nameOr(e.Hostname, h.Name)
	x.endpoints = append(x.endpoints, &e)
	for _, ip := range a.Addresses {
		x.cluster.LogicalAddr = append(x.cluster.LogicalAddr, netip.AddrPortFrom(ip.Unmap(), h.Port))
	}
}

// current reports whether expanding again would give the same.
func (x *expandedStatic) current(c *StaticCluster, answers map[Query]Answer) bool {
	if x == nil || x.source != c {
		return false
	}
	named := 0
	for i := range c.Hosts {
		if c.Hosts[i].Name == "" {
			continue
		}
		if !sameAnswer(x.answers[named], answers[hostQuery(c, &c.Hosts[i])]) {
			return false
		}
		named++
	}
	return true
}

// sameAnswer compares what decisions rest on; when an answer came is not of
// it.
func sameAnswer(a, b Answer) bool {
	return a.Outcome == b.Outcome && a.First == b.First && a.Error == b.Error && slices.Equal(a.Addresses, b.Addresses)
}
