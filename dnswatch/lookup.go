package dnswatch

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerlb/dockerlb/topology"
)

// result is what a lookup, which may be several questions, ended in.
type result struct {
	outcome topology.Outcome
	addrs   []netip.Addr  // in the answer's order, no address twice
	ttl     time.Duration // by the query's policy
	err     string        // where failed
	// One of two families failed, the other one answered.
	lost4, lost6 bool
}

func (r result) first() netip.Addr {
	if len(r.addrs) == 0 {
		return netip.Addr{}
	}
	return r.addrs[0]
}

// patience is how long a server may take, and how often it is asked again
// where it stays silent.
type patience struct {
	timeout time.Duration
	tries   int
}

// asker puts one question: name is absolute, qtype A or AAAA.
type asker interface {
	ask(ctx context.Context, name string, qtype uint16, p patience) reply
}

// looker answers queries: which questions to put, and what the replies say
// together. It is immutable but for what hosts remembers.
type looker struct {
	asker          asker
	hosts          *hostsFile // nil: none
	search         []string
	ndots          int
	members, names patience
}

// lookup blocks for at most the patience of the query's kind times the number
// of servers, search domains and families.
func (l *looker) lookup(ctx context.Context, q topology.Query) result {
	if _, ok := dns.IsDomainName(q.Name); !ok || q.Name == "" {
		return result{outcome: topology.OutcomeFailed, err: fmt.Sprintf("%q is not a domain name", q.Name)}
	}
	if q.Kind == topology.QueryMember {
		return both(l.pair(ctx, q))
	}
	switch q.Family {
	case topology.LookupV4Only:
		return l.question(ctx, q, dns.TypeA).result()
	case topology.LookupV6Only:
		return l.question(ctx, q, dns.TypeAAAA).result()
	case topology.LookupV4Preferred:
		return l.either(ctx, q, dns.TypeA, dns.TypeAAAA)
	case topology.LookupAll:
		return both(l.pair(ctx, q))
	default:
		return l.either(ctx, q, dns.TypeAAAA, dns.TypeA)
	}
}

// either asks for the second family only where the first one gave nothing.
// Where the first one failed, an empty second one does not prove that the name
// has no address.
func (l *looker) either(ctx context.Context, q topology.Query, first, second uint16) result {
	r := l.question(ctx, q, first)
	if r.outcome == topology.OutcomeFound {
		return r.result()
	}
	s := l.question(ctx, q, second)
	if s.outcome == topology.OutcomeEmpty && r.outcome == topology.OutcomeFailed {
		return r.result()
	}
	return s.result()
}

// pair asks for both families at once.
func (l *looker) pair(ctx context.Context, q topology.Query) (v4, v6 reply) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		v6 = l.question(ctx, q, dns.TypeAAAA)
	}()
	v4 = l.question(ctx, q, dns.TypeA)
	<-done
	return v4, v6
}

// both joins the two families, IPv4 first: where a host has no IPv6 way out,
// the first address must still be one that can be reached.
func both(v4, v6 reply) result {
	found4, found6 := v4.outcome == topology.OutcomeFound, v6.outcome == topology.OutcomeFound
	failed4, failed6 := v4.outcome == topology.OutcomeFailed, v6.outcome == topology.OutcomeFailed
	switch {
	case found4 && found6:
		r := v4.result()
		r.addrs = append(r.addrs, v6.addrs...)
		r.ttl = min(v4.ttl, v6.ttl)
		return r
	case found4:
		r := v4.result()
		r.lost6 = failed6
		return r
	case found6:
		r := v6.result()
		r.lost4 = failed4
		return r
	case failed4:
		return v4.result()
	default:
		return v6.result()
	}
}

// question asks for one family, by the rules of how the query's name is
// spelled (see the package comment).
func (l *looker) question(ctx context.Context, q topology.Query, qtype uint16) reply {
	if q.Kind == topology.QueryMember {
		return l.asker.ask(ctx, dns.Fqdn(q.Name), qtype, l.members)
	}
	if ip, err := netip.ParseAddr(q.Name); err == nil {
		return replyOf([]netip.Addr{ip}, qtype)
	}
	if ips := l.hosts.lookup(q.Name); len(ips) > 0 {
		return replyOf(ips, qtype)
	}
	var last reply
	for _, name := range spellings(q.Name, l.search, l.ndots) {
		r := l.asker.ask(ctx, name, qtype, l.names)
		if q.Refresh.FirstTTL {
			r.ttl = r.firstTTL
		}
		if !r.noSuchName {
			return r
		}
		last = r
	}
	return last
}

// spellings are the absolute names that name may stand for, in the order in
// which they are tried: resolv.conf(5), ndots and search.
func spellings(name string, search []string, ndots int) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var names []string
	for _, domain := range search {
		full := dns.Fqdn(name + "." + strings.TrimPrefix(domain, "."))
		if _, ok := dns.IsDomainName(full); ok {
			names = append(names, full)
		}
	}
	if strings.Count(name, ".") >= ndots {
		return append([]string{name + "."}, names...)
	}
	return append(names, name+".")
}
