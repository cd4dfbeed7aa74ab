package dnswatch

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerlb/dockerlb/topology"
)

// udpSize is what we announce by EDNS0 (RFC 6891): the embedded DNS cuts an
// answer of more than some 30 addresses at 512 bytes without it.
const udpSize = 4096

// reply is what one question ended in.
type reply struct {
	outcome       topology.Outcome
	addrs         []netip.Addr  // in the answer's order, no address twice
	ttl, firstTTL time.Duration // the least of the records and their chain; the first address's
	noSuchName    bool          // NXDOMAIN: empty, and another spelling may exist
	err           string
}

func (r reply) result() result {
	return result{outcome: r.outcome, addrs: r.addrs, ttl: r.ttl, err: r.err}
}

func failed(err error) reply { return reply{outcome: topology.OutcomeFailed, err: err.Error()} }

// replyOf is the reply to a question whose answer is known without DNS. Its TTL
// is 0: the refresh rate holds, as in Envoy.
func replyOf(ips []netip.Addr, qtype uint16) reply {
	r := reply{outcome: topology.OutcomeEmpty}
	for _, ip := range ips {
		if ip.Is4() == (qtype == dns.TypeA) && !slices.Contains(r.addrs, ip) {
			r.addrs = append(r.addrs, ip)
		}
	}
	if len(r.addrs) > 0 {
		r.outcome = topology.OutcomeFound
	}
	return r
}

// newQuestion is a recursive query with a random id.
func newQuestion(name string, qtype uint16, edns bool) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	if edns {
		m.SetEdns0(udpSize, false)
	}
	return m
}

// maxChain is how many CNAMEs are followed inside an answer.
const maxChain = 16

// read turns a response with NOERROR or NXDOMAIN into a reply: the addresses at
// the end of the CNAME chain that begins at the name that was asked.
func read(m *dns.Msg) reply {
	r := reply{outcome: topology.OutcomeEmpty, noSuchName: m.Rcode == dns.RcodeNameError}
	if len(m.Question) != 1 {
		return r
	}
	owner, qtype := m.Question[0].Name, m.Question[0].Qtype
	chain := uint32(1<<32 - 1) // the least TTL so far
	for range maxChain {
		alias := findAlias(m.Answer, owner)
		if alias == nil {
			break
		}
		owner, chain = alias.Target, min(chain, alias.Hdr.Ttl)
	}
	seen := make(map[netip.Addr]bool, len(m.Answer))
	for _, rr := range m.Answer {
		if h := rr.Header(); h.Rrtype != qtype || h.Class != dns.ClassINET || !strings.EqualFold(h.Name, owner) {
			continue
		}
		ip, ok := address(rr)
		if !ok {
			continue
		}
		ttl := rr.Header().Ttl
		if len(r.addrs) == 0 {
			r.firstTTL = time.Duration(ttl) * time.Second
		}
		chain = min(chain, ttl)
		if !seen[ip] {
			seen[ip] = true
			r.addrs = append(r.addrs, ip)
		}
	}
	if len(r.addrs) > 0 {
		r.outcome, r.noSuchName = topology.OutcomeFound, false
		r.ttl = time.Duration(chain) * time.Second
	}
	return r
}

func findAlias(answer []dns.RR, owner string) *dns.CNAME {
	for _, rr := range answer {
		if c, ok := rr.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, owner) {
			return c
		}
	}
	return nil
}

func address(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		return netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		return netip.AddrFromSlice(rr.AAAA.To16())
	}
	return netip.Addr{}, false
}
