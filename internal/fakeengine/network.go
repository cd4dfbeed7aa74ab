package fakeengine

import (
	"net/netip"
)

// network has its own address space, 172.x.0.0/16.
type network struct {
	name, id string
	octet    byte
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
	n := &network{name: name, id: e.newID("network " + name), octet: byte(17 + len(e.networks)), used: map[netip.Addr]bool{}}
	n.lowest = n.gateway().Next()
	e.networks[name] = n
	return n
}

func (n *network) gateway() netip.Addr { return netip.AddrFrom4([4]byte{172, n.octet, 0, 1}) }

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
