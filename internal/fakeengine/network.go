package fakeengine

import (
	"net/netip"
)

// network has its own address space, 172.x.0.0/16 where Subnet gave it no other.
type network struct {
	name, id string
	subnet   netip.Prefix
	used     map[netip.Addr]bool
	lowest   netip.Addr // no address below is free
}

// endpoint is a container's place on a network.
type endpoint struct {
	network *network
	id      string     // empty while the container does not run
	ip      netip.Addr // zero likewise
}

// addNetwork returns the network of a name, made if need be. Call with mu.
func (e *Engine) addNetwork(name string) *network {
	if n := e.networks[name]; n != nil {
		return n
	}
	subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(17 + len(e.networks)), 0, 0}), 16)
	n := &network{name: name, id: e.newID("network " + name), subnet: subnet, used: map[netip.Addr]bool{}}
	n.lowest = n.gateway().Next()
	e.networks[name] = n
	return n
}

func (n *network) gateway() netip.Addr { return n.subnet.Addr().Next() }

// Subnet gives a network, made if need be, another address space. No container
// that is on it may run.
func (e *Engine) Subnet(name string, p netip.Prefix) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.addNetwork(name)
	if len(n.used) > 0 {
		panic("fakeengine: network " + name + " has containers")
	}
	n.subnet = p.Masked()
	n.lowest = n.gateway().Next()
}

// attach gives the lowest free address, as the engine's local IPAM. Call with mu.
func (e *Engine) attach(c *container, p *endpoint) {
	p.id = e.newID("endpoint")
	n := p.network
	if n.name != "host" && n.name != "none" {
		for n.used[n.lowest] {
			n.lowest = n.lowest.Next()
		}
		p.ip = n.lowest
		n.used[p.ip] = true
	}
	e.emitNetwork(c, n, "connect")
}

// release frees the address at once. Call with mu.
func (p *endpoint) release() {
	delete(p.network.used, p.ip)
	if p.ip.IsValid() && p.ip.Less(p.network.lowest) {
		p.network.lowest = p.ip
	}
	p.id, p.ip = "", netip.Addr{}
}

// RemoveNetwork forgets a network that no container is on.
func (e *Engine) RemoveNetwork(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.networks, name)
}
