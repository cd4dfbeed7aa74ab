package dnswatch

import (
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerlb/dockerlb/topology"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name          string
		qtype         uint16
		records       []string
		addrs         []string
		ttl, firstTTL time.Duration
	}{
		{name: "least and first TTL", qtype: dns.TypeA, records: []string{"d. 60 IN A 10.0.0.1", "d. 30 IN A 10.0.0.2"},
			addrs: []string{"10.0.0.1", "10.0.0.2"}, ttl: 30 * time.Second, firstTTL: time.Minute},
		{name: "the chain's TTL counts for the least", qtype: dns.TypeA,
			records: []string{"d. 5 IN CNAME e.", "e. 60 IN CNAME f.", "f. 30 IN A 10.0.0.1"},
			addrs:   []string{"10.0.0.1"}, ttl: 5 * time.Second, firstTTL: 30 * time.Second},
		{name: "a chain in any order", qtype: dns.TypeA,
			records: []string{"f. 30 IN A 10.0.0.1", "e. 60 IN CNAME f.", "d. 90 IN CNAME e."},
			addrs:   []string{"10.0.0.1"}, ttl: 30 * time.Second, firstTTL: 30 * time.Second},
		{name: "a chain that leads nowhere", qtype: dns.TypeA, records: []string{"d. 5 IN CNAME e."}},
		{name: "a chain that turns in a circle", qtype: dns.TypeA, records: []string{"d. 5 IN CNAME e.", "e. 5 IN CNAME d."}},
		{name: "TTL zero", qtype: dns.TypeAAAA, records: []string{"d. 0 IN AAAA fd00::1"}, addrs: []string{"fd00::1"}},
		{name: "the other family does not count", qtype: dns.TypeAAAA, records: []string{"d. 0 IN A 10.0.0.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := new(dns.Msg)
			m.SetQuestion("d.", tt.qtype)
			for _, text := range tt.records {
				rr, err := dns.NewRR(text)
				if err != nil {
					t.Fatal(err)
				}
				m.Answer = append(m.Answer, rr)
			}
			r := read(m)
			want := topology.OutcomeEmpty
			if len(tt.addrs) > 0 {
				want = topology.OutcomeFound
			}
			if r.outcome != want || !slices.Equal(r.addrs, addrs(tt.addrs...)) || r.ttl != tt.ttl || r.firstTTL != tt.firstTTL {
				t.Errorf("got %+v", r)
			}
		})
	}
}
