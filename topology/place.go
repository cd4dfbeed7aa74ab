package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The engine's own networks, which have no embedded DNS.
const (
	bridgeNetwork = "bridge"
	hostNetwork   = "host"
	noneNetwork   = "none"
)

// place is where a member is reached.
type place struct {
	address     netip.AddrPort
	hostname    string // where it is not the container's name
	incarnation string // the part of the endpoint's ID that tells runs apart
	unconfirmed bool
	disputed    bool
}

// place finds the address: inspect's, confirmed or corrected by DNS.
func (s *serviceDecider) place(port uint16) (place, bool) {
	if s.service.Address.Host != "" {
		return s.givenPlace(port)
	}
	c, owner := s.decision.container, s.decision.container
	if c.NetworkOf != "" {
		owner = s.decision.peer
		if !s.peerRuns() {
			return place{}, false
		}
	}
	self := &s.world.self
	switch {
	case owner.HostNetwork:
		return s.hostPlace(owner, port)
	case self.onHost() && self.PublishedOnly:
		return s.publishedPlace(owner, port)
	}
	return s.networkPlace(owner, port)
}

// onHost reports whether the proxy sees the networks as the host does.
func (s *Self) onHost() bool { return !s.InContainer || s.HostNetwork }

// peerRuns asks for the container whose network this one borrows.
func (s *serviceDecider) peerRuns() bool {
	c, peer := s.decision.container, s.decision.peer
	switch {
	case peer == nil:
		s.no("network", "it uses the network of container %s, which is not there", shortID(c.NetworkOf))
		return false
	case peer.State != StateRunning && peer.State != StatePaused:
		s.no("network", "it uses the network of %s, which is %s", peer.Name, nameOr(string(peer.State), "unknown"))
		return false
	}
	s.yes("network", "that of %s, which it shares", peer.Name)
	return true
}

// givenPlace is lb.address: a literal, or a name that DNS resolves.
func (s *serviceDecider) givenPlace(port uint16) (place, bool) {
	given, key := s.service.Address, s.key("address")
	at := place{hostname: given.Host, incarnation: s.incarnation(firstAttachment(s.decision.container))}
	if ip, ok := given.Literal(); ok {
		at.address = netip.AddrPortFrom(ip, port)
		s.yes("address", "%s, by %s", at.address, key)
		return at, true
	}
	a := s.ask(addressQuery(given.Host))
	ip, ok := preferV4(a.Addresses)
	switch {
	case ok:
		at.address = netip.AddrPortFrom(ip, port)
		s.yes("address", "%s, the address of %s, by %s", at.address, given.Host, key)
		return at, true
	case a.Outcome == OutcomePending:
		s.no("address", "waiting for the first answer for %s, by %s", given.Host, key)
	case a.Outcome == OutcomeFailed:
		s.no("address", "%s, by %s, is not resolved: %s", given.Host, key, nameOr(a.Error, "no answer"))
	default:
		s.no("address", "%s, by %s, has no address", given.Host, key)
	}
	return place{}, false
}

// hostPlace is where a container with the host's network listens: our own
// loopback where we share it, else the host as our bridge network sees it.
func (s *serviceDecider) hostPlace(owner *Container, port uint16) (place, bool) {
	at := place{incarnation: s.incarnation(attachmentNamed(owner.Networks, hostNetwork))}
	self := &s.world.self
	if self.onHost() {
		at.address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
		s.yes("network", "the host's, which is ours too")
		s.yes("address", "%s", at.address)
		return at, true
	}
	ours, ok := s.gateway()
	if !ok {
		return place{}, false
	}
	at.address = netip.AddrPortFrom(ours.Gateway, port)
	s.yes("network", "the host's, which we reach through %s", ours.Name)
	s.yes("address", "%s, the gateway of %s: it must listen there, not on 127.0.0.1 alone", at.address, ours.Name)
	return at, true
}

// gateway is our network through which the host is reached: lb.network's, or
// the first by name that has one.
func (s *serviceDecider) gateway() (Attachment, bool) {
	ours := s.world.self.Networks
	if want := s.service.Network; want != "" {
		a := findNetwork(ours, want, s.decision.container.Compose.Project)
		switch {
		case a == nil:
			s.no("network", "%q is not one of ours (we have: %s): the host is reached through one of them", want, networkNames(ours))
			return Attachment{}, false
		case !a.Gateway.IsValid():
			s.no("network", "%s has no gateway, so the host is not reached through it", a.Name)
			return Attachment{}, false
		}
		return *a, true
	}
	for _, a := range sortedNetworks(ours) {
		if a.Gateway.IsValid() {
			return a, true
		}
	}
	s.no("network", "it uses the host's network, and none of ours has a gateway to the host (we have: %s)", networkNames(ours))
	return Attachment{}, false
}

// publishedPlace is for a proxy on a host that cannot reach its containers'
// addresses (Docker Desktop, rootless).
func (s *serviceDecider) publishedPlace(owner *Container, port uint16) (place, bool) {
	for _, p := range owner.Ports {
		if p.Protocol != "tcp" || p.Number != port || !p.Published.IsValid() || p.Published.Port() == 0 {
			continue
		}
		ip := p.Published.Addr()
		if ip.IsUnspecified() {
			ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		at := place{address: netip.AddrPortFrom(ip, p.Published.Port()), incarnation: s.incarnation(firstAttachment(owner))}
		s.yes("address", "%s, where port %d is published: containers' addresses cannot be reached from this host", at.address, port)
		return at, true
	}
	s.no("address", "port %d is not published, and containers' addresses cannot be reached from this host: publish it, or run the proxy in a container", port)
	return place{}, false
}

// networkPlace is a container's address on one of its networks: any of them
// where we are on the host, else one that we share.
func (s *serviceDecider) networkPlace(owner *Container, port uint16) (place, bool) {
	usable, ok := s.usable(owner)
	if !ok {
		return place{}, false
	}
	first := usable[0]
	at := place{incarnation: s.incarnation(&first)}
	ip := first.address()
	if q, ok := memberQuery(&s.world.self, owner, s.service.Network, usable); ok {
		a := s.ask(q)
		switch agreed, known := agree(usable, a), a.known(); {
		case agreed.IsValid():
			ip = agreed
			s.network(usable, ip)
			s.yes("address", "%s, confirmed by DNS", ip)
		case known:
			ip, _ = preferV4(a.Addresses)
			at.disputed = true
			s.network(usable, first.address())
			s.yes("address", "%s, by DNS, which disagrees with the engine's %s", ip, first.address())
		default:
			at.unconfirmed = true
			s.network(usable, ip)
			s.yes("address", "%s, from the engine, unconfirmed: %s", ip, a.silence())
		}
	} else {
		s.network(usable, ip)
		s.yes("address", "%s, from the engine: there is no embedded DNS to ask", ip)
	}
	at.address = netip.AddrPortFrom(ip, port)
	return at, true
}

// network records which network was chosen.
func (s *serviceDecider) network(usable []Attachment, ip netip.Addr) {
	for _, a := range usable {
		if a.IPv4 != ip && a.IPv6 != ip {
			continue
		}
		why := "shared with us"
		if s.world.self.onHost() {
			why = "reached from the host"
		}
		if s.service.Network != "" {
			why += ", by " + s.key("network")
		}
		s.yes("network", "%s (%s)", a.Name, why)
		return
	}
}

// usable are the attachments on which the container could be reached, sorted
// by name, all with an address; never empty where ok.
func (s *serviceDecider) usable(owner *Container) ([]Attachment, bool) {
	u, why := usableNetworks(&s.world.self, owner, s.service.Network)
	if why != "" {
		s.no("network", "%s", why)
		return nil, false
	}
	return u, true
}

// usableNetworks is usable without a trace; why is empty where there is one.
func usableNetworks(self *Self, owner *Container, want string) (u []Attachment, why string) {
	theirs := sortedNetworks(owner.Networks)
	both := func() string {
		if self.onHost() {
			return fmt.Sprintf("(it has: %s)", networkNames(theirs))
		}
		return fmt.Sprintf("(it has: %s; we have: %s)", networkNames(theirs), networkNames(self.Networks))
	}
	if want != "" {
		a := findNetwork(theirs, want, owner.Compose.Project)
		switch {
		case a == nil:
			return nil, fmt.Sprintf("%q not attached %s", want, both())
		case !self.onHost() && !shares(self, a):
			return nil, fmt.Sprintf("%q is not one of ours %s", want, both())
		case !a.address().IsValid():
			return nil, fmt.Sprintf("no address on %s yet", a.Name)
		}
		return []Attachment{*a}, ""
	}
	waiting := ""
	for _, a := range theirs {
		if a.Name == hostNetwork || a.Name == noneNetwork || !self.onHost() && !shares(self, &a) {
			continue
		}
		if !a.address().IsValid() {
			waiting = a.Name
			continue
		}
		u = append(u, a)
	}
	switch {
	case len(u) > 0:
		return u, ""
	case waiting != "":
		return nil, fmt.Sprintf("no address on %s yet", waiting)
	case self.onHost():
		return nil, "it is on no network that has addresses " + both()
	}
	return nil, "none shared with us " + both()
}

// shares reports whether we are on the attachment's network. Names are only
// compared where the engine has given no id.
func shares(self *Self, a *Attachment) bool {
	return slices.ContainsFunc(self.Networks, func(o Attachment) bool {
		if a.NetworkID != "" && o.NetworkID != "" {
			return a.NetworkID == o.NetworkID
		}
		return a.Name == o.Name
	})
}

// ask looks up an answer and notes that the decision rests on it.
func (s *serviceDecider) ask(q Query) Answer {
	a := s.world.answers[q]
	s.decision.asked = append(s.decision.asked, askedName{q, a})
	return a
}

// incarnation tells this run of the container from the others: the engine's
// EndpointID, which the list gives too and every start renews; where the
// address is not on a network of its own, the start time.
func (s *serviceDecider) incarnation(a *Attachment) string {
	c := s.decision.container
	if a != nil && a.EndpointID != "" && c.NetworkOf == "" {
		return shortID(a.EndpointID)
	}
	if c.StartedAt.IsZero() {
		return "0"
	}
	return strconv.FormatInt(c.StartedAt.UnixNano(), 36)
}

// known reports whether DNS has an answer in force.
func (a *Answer) known() bool { return a.Outcome != OutcomeEmpty && len(a.Addresses) > 0 }

// silence says why there is none.
func (a *Answer) silence() string {
	switch a.Outcome {
	case OutcomePending:
		return "DNS has not answered yet"
	case OutcomeFailed:
		return "DNS failed: " + nameOr(a.Error, "no answer")
	}
	return "DNS knows no address"
}

// agree returns the first of the attachments' addresses that the answer holds.
func agree(usable []Attachment, a Answer) netip.Addr {
	if a.known() {
		for _, u := range usable {
			for _, ip := range [...]netip.Addr{u.IPv4, u.IPv6} {
				if ip.IsValid() && slices.Contains(a.Addresses, ip) {
					return ip
				}
			}
		}
	}
	return netip.Addr{}
}

// address prefers IPv4, which every engine gives.
func (a *Attachment) address() netip.Addr {
	if a.IPv4.IsValid() {
		return a.IPv4
	}
	return a.IPv6
}

func preferV4(addrs []netip.Addr) (netip.Addr, bool) {
	var best netip.Addr
	for _, a := range addrs {
		switch {
		case !best.IsValid(), a.Is4() && !best.Is4(), a.Is4() == best.Is4() && a.Less(best):
			best = a
		}
	}
	return best, best.IsValid()
}

// findNetwork finds a network by the name that a user writes: the engine's, or
// Compose's without its "<project>_".
func findNetwork(networks []Attachment, want, project string) *Attachment {
	if a := attachmentNamed(networks, want); a != nil {
		return a
	}
	if project == "" {
		return nil
	}
	return attachmentNamed(networks, project+"_"+want)
}

func attachmentNamed(networks []Attachment, name string) *Attachment {
	for i := range networks {
		if networks[i].Name == name {
			return &networks[i]
		}
	}
	return nil
}

func firstAttachment(c *Container) *Attachment {
	if len(c.Networks) == 0 {
		return nil
	}
	return &sortedNetworks(c.Networks)[0]
}

// sortedNetworks returns the networks sorted by name: as they are where they
// are so already, as Container promises.
func sortedNetworks(networks []Attachment) []Attachment {
	byName := func(a, b Attachment) int { return strings.Compare(a.Name, b.Name) }
	if slices.IsSortedFunc(networks, byName) {
		return networks
	}
	return slices.SortedFunc(slices.Values(networks), byName)
}

func networkNames(networks []Attachment) string {
	if len(networks) == 0 {
		return "none"
	}
	var names []string
	for _, a := range sortedNetworks(networks) {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

func shortID(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}
