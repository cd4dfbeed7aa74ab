package dnswatch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerlb/dockerlb/topology"
)

// script is an asker of canned replies, by "name type". What is not in it does
// not exist.
type script struct {
	replies map[string]reply

	mu    sync.Mutex
	asked []string
}

func (s *script) ask(_ context.Context, name string, qtype uint16, _ patience) reply {
	key := name + " " + dns.TypeToString[qtype]
	s.mu.Lock()
	s.asked = append(s.asked, key)
	s.mu.Unlock()
	if r, ok := s.replies[key]; ok {
		return r
	}
	return reply{outcome: topology.OutcomeEmpty, noSuchName: true}
}

func found(ips ...string) reply {
	return reply{outcome: topology.OutcomeFound, addrs: addrs(ips...), ttl: time.Minute, firstTTL: 2 * time.Minute}
}

var (
	nothing = reply{outcome: topology.OutcomeEmpty}
	broken  = reply{outcome: topology.OutcomeFailed, err: "SERVFAIL"}
)

func TestLookupFamilies(t *testing.T) {
	const (
		auto, v4, v6, v4first, all = topology.LookupAuto, topology.LookupV4Only, topology.LookupV6Only, topology.LookupV4Preferred, topology.LookupAll
		isFound, isEmpty, isFailed = topology.OutcomeFound, topology.OutcomeEmpty, topology.OutcomeFailed
	)
	a, aaaa := found("10.0.0.1", "10.0.0.2"), found("fd00::1")
	for _, tt := range []struct {
		name         string
		member       bool
		family       topology.LookupFamily
		a, aaaa      reply
		outcome      topology.Outcome
		addrs        string
		asked        string // sorted
		lost4, lost6 bool
	}{
		{"auto: AAAA is enough", false, auto, a, aaaa, isFound, "fd00::1", "d. AAAA", false, false},
		{"auto: A where there is no AAAA", false, auto, a, nothing, isFound, "10.0.0.1 10.0.0.2", "d. A,d. AAAA", false, false},
		{"auto: A where AAAA failed", false, auto, a, broken, isFound, "10.0.0.1 10.0.0.2", "d. A,d. AAAA", false, false},
		{"auto: AAAA failed, no A: nobody knows", false, auto, nothing, broken, isFailed, "", "d. A,d. AAAA", false, false},
		{"auto: no AAAA, A failed", false, auto, broken, nothing, isFailed, "", "d. A,d. AAAA", false, false},
		{"auto: neither", false, auto, nothing, nothing, isEmpty, "", "d. A,d. AAAA", false, false},
		{"v4 only", false, v4, a, aaaa, isFound, "10.0.0.1 10.0.0.2", "d. A", false, false},
		{"v6 only", false, v6, a, aaaa, isFound, "fd00::1", "d. AAAA", false, false},
		{"v4 preferred", false, v4first, a, aaaa, isFound, "10.0.0.1 10.0.0.2", "d. A", false, false},
		{"v4 preferred, none", false, v4first, nothing, aaaa, isFound, "fd00::1", "d. A,d. AAAA", false, false},
		{"all", false, all, a, aaaa, isFound, "10.0.0.1 10.0.0.2 fd00::1", "d. A,d. AAAA", false, false},
		{"all: one failed", false, all, broken, aaaa, isFound, "fd00::1", "d. A,d. AAAA", true, false},
		{"all: one failed, the other empty", false, all, nothing, broken, isFailed, "", "d. A,d. AAAA", false, false},
		{"member: both", true, v4, a, aaaa, isFound, "10.0.0.1 10.0.0.2 fd00::1", "d. A,d. AAAA", false, false},
		{"member: IPv4 network", true, auto, a, nothing, isFound, "10.0.0.1 10.0.0.2", "d. A,d. AAAA", false, false},
		{"member: AAAA failed", true, auto, a, broken, isFound, "10.0.0.1 10.0.0.2", "d. A,d. AAAA", false, true},
		{"member: neither", true, auto, nothing, nothing, isEmpty, "", "d. A,d. AAAA", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{replies: map[string]reply{"d. A": tt.a, "d. AAAA": tt.aaaa}}
			l := looker{asker: s, ndots: 1}
			kind := topology.QueryName
			if tt.member {
				kind = topology.QueryMember
			}
			r := l.lookup(t.Context(), topology.Query{Name: "d.", Kind: kind, Family: tt.family})
			var got []string
			for _, ip := range r.addrs {
				got = append(got, ip.String())
			}
			slices.Sort(s.asked)
			if r.outcome != tt.outcome || strings.Join(got, " ") != tt.addrs || r.lost4 != tt.lost4 || r.lost6 != tt.lost6 {
				t.Errorf("got %+v", r)
			}
			if asked := strings.Join(s.asked, ","); asked != tt.asked {
				t.Errorf("asked %s, want %s", asked, tt.asked)
			}
		})
	}
}

func TestLookupTTLPolicy(t *testing.T) {
	l := looker{asker: &script{replies: map[string]reply{"d. A": found("10.0.0.1")}}, ndots: 0}
	q := topology.Query{Name: "d", Kind: topology.QueryName, Family: topology.LookupV4Only}
	if r := l.lookup(t.Context(), q); r.ttl != time.Minute {
		t.Errorf("STRICT_DNS: TTL %v, want the least", r.ttl)
	}
	q.Refresh.FirstTTL = true
	if r := l.lookup(t.Context(), q); r.ttl != 2*time.Minute {
		t.Errorf("LOGICAL_DNS: TTL %v, want the first", r.ttl)
	}
}

func TestLookupSpelling(t *testing.T) {
	for _, tt := range []struct {
		name    string
		query   string
		member  bool
		ndots   int
		replies map[string]reply
		asked   string
		outcome topology.Outcome
	}{
		{"a member is never searched for", "4d1f2a3b4c5d", true, 1, nil, "4d1f2a3b4c5d. A,4d1f2a3b4c5d. AAAA", topology.OutcomeEmpty},
		{"ndots 0: as it stands first", "d", false, 0, map[string]reply{"d. A": found("10.0.0.1")}, "d. A", topology.OutcomeFound},
		{"ndots 0: then the domains", "d", false, 0, map[string]reply{"d.b.test. A": found("10.0.0.1")}, "d. A,d.a.test. A,d.b.test. A", topology.OutcomeFound},
		{"ndots 1: the domains first", "d", false, 1, map[string]reply{"d. A": found("10.0.0.1")}, "d. A,d.a.test. A,d.b.test. A", topology.OutcomeFound},
		{"the name exists without an address: no further", "d", false, 0, map[string]reply{"d. A": nothing}, "d. A", topology.OutcomeEmpty},
		{"a failure: no further", "d", false, 0, map[string]reply{"d. A": broken}, "d. A", topology.OutcomeFailed},
		{"a trailing dot: as it stands only", "d.", false, 1, nil, "d. A", topology.OutcomeEmpty},
		{"not a name", "d..e", false, 1, nil, "", topology.OutcomeFailed},
		{"empty", "", false, 1, nil, "", topology.OutcomeFailed},
		{"a literal needs no question", "10.0.0.9", false, 1, nil, "", topology.OutcomeFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{replies: tt.replies}
			l := looker{asker: s, search: []string{"a.test", "b.test"}, ndots: tt.ndots}
			q := topology.Query{Name: tt.query, Kind: topology.QueryName, Family: topology.LookupV4Only}
			if tt.member {
				q.Kind = topology.QueryMember
			}
			r := l.lookup(t.Context(), q)
			slices.Sort(s.asked)
			if got := strings.Join(s.asked, ","); got != tt.asked || r.outcome != tt.outcome {
				t.Errorf("asked %s, want %s; got %+v", got, tt.asked, r)
			}
		})
	}
}

func TestLookupHostsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("127.0.0.1\tlocalhost\n::1 localhost ip6-localhost # comment\n10.1.1.1 Backend backend.test\nnot-an-address x\n")
	s := &script{}
	l := looker{asker: s, hosts: &hostsFile{path: path}, ndots: 1}
	lookup := func(name string, kind topology.QueryKind) result {
		return l.lookup(t.Context(), topology.Query{Name: name, Kind: kind})
	}
	if r := lookup("localhost", topology.QueryName); !slices.Equal(r.addrs, addrs("::1")) || r.ttl != 0 {
		t.Errorf("localhost: %+v", r)
	}
	if r := lookup("backend.", topology.QueryName); !slices.Equal(r.addrs, addrs("10.1.1.1")) {
		t.Errorf("backend: %+v", r)
	}
	if len(s.asked) != 0 {
		t.Errorf("DNS was asked for a name of the hosts file: %v", s.asked)
	}
	if r := lookup("backend", topology.QueryMember); r.outcome != topology.OutcomeEmpty {
		t.Errorf("a member was looked up in the hosts file: %+v", r)
	}
	write("10.2.2.2 backend and more\n")
	if r := lookup("BACKEND", topology.QueryName); !slices.Equal(r.addrs, addrs("10.2.2.2")) {
		t.Errorf("after a change: %+v", r)
	}
}
