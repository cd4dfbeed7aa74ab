package topology

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

// dawn is when the test's containers are created, each a minute after the one
// before.
var dawn = time.Date(2024, 5, 1, 8, 0, 0, 0, time.UTC)

// scene is the inputs of a Build, set up in words. A new one is a proxy in a
// container on the network "backend", with a listener "default" on :10000.
type scene struct {
	t  testing.TB
	in Inputs
}

func newScene(t testing.TB) *scene {
	s := &scene{t: t}
	s.in.Generation = 1
	s.in.Defaults = Defaults{
		Prefix:    "lb",
		Listeners: []Listener{{Name: "default", Address: netip.MustParseAddrPort("0.0.0.0:10000"), Source: FromDefault}},
		Policy:    labels.DefaultClusterPolicy(),
	}
	s.in.Membership.Self = Self{InContainer: true, ContainerID: id("lb"), EmbeddedDNS: true}
	s.weAreOn("backend 172.20.0.2")
	return s
}

func id(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// attachment reads "network [ip]"; the gateway is .1 of the network.
func attachment(owner, text string) Attachment {
	name, ip, _ := strings.Cut(text, " ")
	a := Attachment{Name: name, NetworkID: id("network " + name), EndpointID: id("endpoint " + owner + " " + name)}
	if ip != "" {
		addr := netip.MustParseAddr(ip)
		if addr.Is4() {
			a.IPv4 = addr
			b := addr.As4()
			b[3] = 1
			a.Gateway = netip.AddrFrom4(b)
		} else {
			a.IPv6 = addr
		}
	}
	return a
}

// weAreOn says which networks the proxy is on.
func (s *scene) weAreOn(networks ...string) {
	s.in.Membership.Self.Networks = nil
	for _, n := range networks {
		s.in.Membership.Self.Networks = append(s.in.Membership.Self.Networks, attachment("lb", n))
	}
	slices.SortFunc(s.in.Membership.Self.Networks, func(a, b Attachment) int { return strings.Compare(a.Name, b.Name) })
}

// weAreOnTheHost says that the proxy runs outside any container.
func (s *scene) weAreOnTheHost() { s.in.Membership.Self = Self{HostNetwork: true} }

type option func(*Container)

// add adds a running container that exposes port 8080 and is on "backend".
// The labels are written "lb.cluster=web lb.port=80".
func (s *scene) add(name, text string, options ...option) *Container {
	s.t.Helper()
	n := len(s.in.Membership.Containers)
	c := &Container{
		ID: id(name), Name: name, Image: "daemon", Engine: "local", State: StateRunning, Health: HealthNone, Inspected: true,
		Created: dawn.Add(time.Duration(n) * time.Minute), StartedAt: dawn.Add(time.Duration(n)*time.Minute + time.Second),
		Networks: []Attachment{attachment(name, fmt.Sprintf("backend 172.20.0.%d", n+3))},
		Ports:    []Port{{Number: 8080, Protocol: "tcp"}},
	}
	c.Spec, c.Problems = labels.Parse("lb", labelMap(text))
	for _, o := range options {
		o(c)
	}
	s.in.Membership.Containers = append(s.in.Membership.Containers, c)
	slices.SortFunc(s.in.Membership.Containers, func(a, b *Container) int { return strings.Compare(a.ID, b.ID) })
	return c
}

func labelMap(text string) map[string]string {
	m := map[string]string{}
	for _, l := range strings.Fields(text) {
		k, v, _ := strings.Cut(l, "=")
		m[k] = v
	}
	return m
}

func on(networks ...string) option {
	return func(c *Container) {
		c.Networks = nil
		for _, n := range networks {
			c.Networks = append(c.Networks, attachment(c.Name, n))
		}
	}
}

func exposing(ports ...uint16) option {
	return func(c *Container) {
		c.Ports = nil
		for _, p := range ports {
			c.Ports = append(c.Ports, Port{Number: p, Protocol: "tcp"})
		}
	}
}

func publishing(port uint16, at string) option {
	return func(c *Container) {
		c.Ports = []Port{{Number: port, Protocol: "tcp", Published: netip.MustParseAddrPort(at)}}
	}
}

func is(state State) option    { return func(c *Container) { c.State = state } }
func feels(h Health) option    { return func(c *Container) { c.Health = h } }
func of(project string) option { return func(c *Container) { c.Compose.Project = project } }
func oneOff(c *Container)      { c.Compose.OneOff = true }
func stopping(c *Container)    { c.Stopping, c.StoppingAt = true, dawn.Add(time.Hour) }
func onTheHost(c *Container) {
	c.HostNetwork, c.Networks, c.Ports = true, []Attachment{attachment(c.Name, "host")}, nil
}
func borrowing(peer string) option {
	return func(c *Container) { c.NetworkOf, c.Networks, c.Ports = id(peer), nil, nil }
}

// dns answers the questions about a name: a container's, or any other.
func (s *scene) dns(name string, outcome Outcome, addresses ...string) {
	s.t.Helper()
	a := Answer{Outcome: outcome}
	for _, ip := range addresses {
		a.Addresses = append(a.Addresses, netip.MustParseAddr(ip))
	}
	if len(a.Addresses) > 0 {
		a.First = a.Addresses[0]
		slices.SortFunc(a.Addresses, netip.Addr.Compare)
	}
	if outcome == OutcomeFailed {
		a.Error = "SERVFAIL"
	}
	names, found := map[Query]Answer{}, false
	for q, old := range s.in.Answers.Names {
		names[q] = old
	}
	for _, q := range Names(s.in.Membership, s.in.Static) {
		if q.Name == name || strings.HasPrefix(q.Name, id(name)[:12]) {
			names[q], found = a, true
		}
	}
	if !found {
		s.t.Fatalf("nothing asks for %s", name)
	}
	s.in.Answers.Names = names
	s.in.Answers.Generation++
}

func (s *scene) build() *Table { return Build(s.in) }

func traceOf(t testing.TB, table *Table, name string) *Trace {
	t.Helper()
	for _, tr := range table.Traces {
		if tr.Name == name {
			return tr
		}
	}
	t.Fatalf("no trace of %s", name)
	return nil
}

func clusterOf(t testing.TB, table *Table, name string) *Cluster {
	t.Helper()
	for i := range table.Clusters {
		if table.Clusters[i].Name == name {
			return table.Clusters[i]
		}
	}
	t.Fatalf("no cluster %s", name)
	return nil
}

// addresses are those of the cluster's endpoints, sorted.
func addresses(c *Cluster) string {
	var all []string
	for _, e := range c.Endpoints {
		all = append(all, e.Address.String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// steps are the trace's as a user reads them.
func steps(t *Trace) string {
	var all []string
	for _, s := range t.Steps {
		mark := "+"
		if !s.OK {
			mark = "-"
		}
		all = append(all, mark+" "+s.String())
	}
	return strings.Join(all, "\n")
}

// routes lists the routes of a listener: "domain: key -> cluster", in order.
func routes(t testing.TB, table *Table, listener string) []string {
	t.Helper()
	for _, l := range table.Listeners {
		if l.Name != listener {
			continue
		}
		var all []string
		for _, v := range l.VirtualHosts {
			for _, r := range v.Routes {
				text := strings.Join(v.Domains, ",") + ": " + r.Key
				for _, c := range r.Clusters {
					text += " -> " + c.Name
				}
				all = append(all, text)
			}
		}
		return all
	}
	t.Fatalf("no listener %s", listener)
	return nil
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n  %s\nwant:\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
