package dnswatch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerlb/dockerlb/topology"
)

var (
	// patiently is for a server that answers: on a busy machine even loopback
	// takes its time.
	patiently = patience{10 * time.Second, 1}
	// quickly is for a server that does not.
	quickly = patience{50 * time.Millisecond, 1}
)

func ask(t *testing.T, name string, qtype uint16, p patience, servers ...netip.AddrPort) (reply, Counters) {
	t.Helper()
	c := &client{servers: servers, counts: new(counters)}
	r := c.ask(t.Context(), name, qtype, p)
	return r, c.counts.read()
}

func TestAskOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name       string
		handle     func(*testing.T, *dns.Msg) *dns.Msg
		outcome    topology.Outcome
		addrs      []netip.Addr
		err        string
		noSuchName bool
	}{
		{name: "addresses, doubles dropped", outcome: topology.OutcomeFound, addrs: addrs("10.0.0.2", "10.0.0.1"),
			handle: func(t *testing.T, q *dns.Msg) *dns.Msg {
				return answer(t, q, "d. 600 IN A 10.0.0.2", "d. 600 IN A 10.0.0.1", "d. 600 IN A 10.0.0.2")
			}},
		{name: "no records", outcome: topology.OutcomeEmpty,
			handle: func(t *testing.T, q *dns.Msg) *dns.Msg { return answer(t, q) }},
		{name: "NXDOMAIN is empty", outcome: topology.OutcomeEmpty, noSuchName: true,
			handle: func(_ *testing.T, q *dns.Msg) *dns.Msg { return rcode(q, dns.RcodeNameError) }},
		{name: "SERVFAIL", outcome: topology.OutcomeFailed, err: "SERVFAIL",
			handle: func(_ *testing.T, q *dns.Msg) *dns.Msg { return rcode(q, dns.RcodeServerFailure) }},
		{name: "REFUSED", outcome: topology.OutcomeFailed, err: "REFUSED",
			handle: func(_ *testing.T, q *dns.Msg) *dns.Msg { return rcode(q, dns.RcodeRefused) }},
		{name: "NOTIMP", outcome: topology.OutcomeFailed, err: "NOTIMP",
			handle: func(_ *testing.T, q *dns.Msg) *dns.Msg { return rcode(q, dns.RcodeNotImplemented) }},
		{name: "silence", outcome: topology.OutcomeFailed, err: "no answer in time",
			handle: func(*testing.T, *dns.Msg) *dns.Msg { return nil }},
		{name: "records of another name do not count", outcome: topology.OutcomeEmpty,
			handle: func(t *testing.T, q *dns.Msg) *dns.Msg { return answer(t, q, "other. 600 IN A 10.0.0.9") }},
		{name: "another class does not count", outcome: topology.OutcomeEmpty,
			handle: func(t *testing.T, q *dns.Msg) *dns.Msg { return answer(t, q, "d. 600 CH A 10.0.0.9") }},
		{name: "the answer's case does not matter", outcome: topology.OutcomeFound, addrs: addrs("10.0.0.1"),
			handle: func(t *testing.T, q *dns.Msg) *dns.Msg { return answer(t, q, "D. 600 IN A 10.0.0.1") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(q *dns.Msg, _ bool) *dns.Msg { return tt.handle(t, q) })
			p := patiently
			if tt.name == "silence" {
				p = quickly
			}
			r, _ := ask(t, "d.", dns.TypeA, p, s.addr)
			if r.outcome != tt.outcome || !slices.Equal(r.addrs, tt.addrs) || r.noSuchName != tt.noSuchName {
				t.Errorf("got %+v", r)
			}
			if tt.err == "" && r.err != "" || !strings.Contains(r.err, tt.err) {
				t.Errorf("error %q, want %q", r.err, tt.err)
			}
		})
	}
}

func TestAskRefusedPort(t *testing.T) {
	pc, l := listenBoth(t)
	addr := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	pc.Close()
	l.Close()
	began := time.Now()
	r, _ := ask(t, "d.", dns.TypeA, patience{10 * time.Second, 4}, addr)
	if r.outcome != topology.OutcomeFailed || !strings.Contains(r.err, "connection refused") {
		t.Errorf("got %+v", r)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a refused port took %v: it must not use up the timeout", took)
	}
}

// fifty is an answer of 50 addresses, 800 bytes and more, shuffled each time.
func fifty(t *testing.T, q *dns.Msg) *dns.Msg {
	var records []string
	for _, i := range rand.Perm(50) {
		records = append(records, fmt.Sprintf("d. 600 IN A 10.0.0.%d", i+1))
	}
	return answer(t, q, records...)
}

func TestAskFiftyAddressesByEDNS(t *testing.T) {
	s := serve(t, func(q *dns.Msg, _ bool) *dns.Msg {
		m := fifty(t, q)
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		m.Truncate(size)
		return m
	})
	r, n := ask(t, "d.", dns.TypeA, patiently, s.addr)
	if len(r.addrs) != 50 || n.TCP != 0 {
		t.Errorf("%d addresses, %+v", len(r.addrs), n)
	}
}

func TestAskFiftyAddressesByTCP(t *testing.T) {
	s := serve(t, func(q *dns.Msg, overTCP bool) *dns.Msg {
		m := fifty(t, q)
		if !overTCP {
			m.Truncate(dns.MinMsgSize)
			m.Truncated = true
		}
		return m
	})
	r, n := ask(t, "d.", dns.TypeA, patiently, s.addr)
	if len(r.addrs) != 50 || n.TCP != 1 || n.Truncated != 1 {
		t.Errorf("%d addresses, %+v, %s", len(r.addrs), n, r.err)
	}
}

// A server that does not know EDNS says FORMERR or NOTIMP, and often leaves the
// question out.
func TestAskWithoutEDNS(t *testing.T) {
	s := serve(t, func(q *dns.Msg, _ bool) *dns.Msg {
		if q.IsEdns0() != nil {
			m := rcode(q, dns.RcodeFormatError)
			m.Question = nil
			return m
		}
		return answer(t, q, "d. 1 IN A 10.0.0.1")
	})
	r, _ := ask(t, "d.", dns.TypeA, patiently, s.addr)
	if !slices.Equal(r.addrs, addrs("10.0.0.1")) {
		t.Errorf("got %+v", r)
	}
}

func TestAskGarbage(t *testing.T) {
	addr := raw(t, func(q []byte) [][]byte {
		b := append([]byte(nil), q...)
		b[2] |= 0x80                  // a response
		b[6], b[7] = 0xff, 0xff       // of 65535 records
		return [][]byte{b[:len(b)-5]} // cut
	})
	r, _ := ask(t, "d.", dns.TypeA, patiently, addr)
	if r.outcome != topology.OutcomeFailed || !strings.Contains(r.err, errGarbage.Error()) {
		t.Errorf("got %+v", r)
	}
}

// What is not the response to our question, by id, by question or by not being
// a response at all, is passed over; the true answer after it counts.
func TestAskIgnoresStrangers(t *testing.T) {
	addr := raw(t, func(b []byte) [][]byte {
		q := new(dns.Msg)
		if err := q.Unpack(b); err != nil {
			t.Error(err)
			return nil
		}
		spoof := answer(t, q, "d. 1 IN A 6.6.6.6")
		spoof.Id++
		other := answer(t, q, "d. 1 IN A 6.6.6.6")
		other.Question[0].Name = "e."
		echo := answer(t, q, "d. 1 IN A 6.6.6.6")
		echo.Response = false
		var out [][]byte
		for _, m := range []*dns.Msg{spoof, other, echo, answer(t, q, "d. 1 IN A 10.0.0.1")} {
			p, err := m.Pack()
			if err != nil {
				t.Error(err)
			}
			out = append(out, p)
		}
		return append([][]byte{{1, 2, 3}}, out...)
	})
	r, n := ask(t, "d.", dns.TypeA, patiently, addr)
	if !slices.Equal(r.addrs, addrs("10.0.0.1")) {
		t.Errorf("got %+v", r)
	}
	if n.Strangers != 4 {
		t.Errorf("%d strangers counted, want 4", n.Strangers)
	}
}

func TestAskIDsDiffer(t *testing.T) {
	ids := make(chan uint16, 20)
	s := serve(t, func(q *dns.Msg, _ bool) *dns.Msg { ids <- q.Id; return answer(t, q) })
	different := map[uint16]bool{}
	for range cap(ids) {
		if r, _ := ask(t, "d.", dns.TypeA, patiently, s.addr); r.outcome != topology.OutcomeEmpty {
			t.Fatalf("got %+v", r)
		}
		different[<-ids] = true
	}
	// 20 random ids: two pairs alike have a chance of one in a hundred thousand.
	if len(different) < 18 {
		t.Errorf("%d different ids in 20 questions", len(different))
	}
}

func TestAskServersInOrder(t *testing.T) {
	t.Parallel()
	bad := serve(t, func(q *dns.Msg, _ bool) *dns.Msg { return rcode(q, dns.RcodeServerFailure) })
	quiet := serve(t, func(*dns.Msg, bool) *dns.Msg { return nil })
	good := serve(t, func(q *dns.Msg, _ bool) *dns.Msg { return answer(t, q, "d. 1 IN A 10.0.0.1") })
	never := serve(t, func(q *dns.Msg, _ bool) *dns.Msg { return answer(t, q) })
	r, n := ask(t, "d.", dns.TypeA, patience{time.Second, 4}, bad.addr, quiet.addr, good.addr, never.addr)
	if !slices.Equal(r.addrs, addrs("10.0.0.1")) || n.Timeouts != 1 {
		t.Errorf("got %+v %+v", r, n)
	}
	if q := never.questions(); len(q) != 0 {
		t.Errorf("the server after the one that answered was asked: %v", q)
	}
}

// Only those that stay silent are asked again.
func TestAskTries(t *testing.T) {
	t.Parallel()
	bad := serve(t, func(q *dns.Msg, _ bool) *dns.Msg { return rcode(q, dns.RcodeServerFailure) })
	quiet := serve(t, func(*dns.Msg, bool) *dns.Msg { return nil })
	r, n := ask(t, "d.", dns.TypeA, patience{500 * time.Millisecond, 4}, bad.addr, quiet.addr)
	if r.outcome != topology.OutcomeFailed || n.Timeouts != 4 {
		t.Errorf("got %+v %+v", r, n)
	}
	if q := bad.questions(); len(q) != 1 {
		t.Errorf("a server that said SERVFAIL was asked %d times", len(q))
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	asked := make(chan struct{})
	s := serve(t, func(*dns.Msg, bool) *dns.Msg { close(asked); return nil })
	ctx, cancel := context.WithCancel(t.Context())
	c := &client{servers: []netip.AddrPort{s.addr}, counts: new(counters)}
	done := make(chan reply, 1)
	go func() { done <- c.ask(ctx, "d.", dns.TypeA, patience{time.Minute, 4}) }()
	select {
	case <-asked:
	case r := <-done:
		t.Fatalf("it ended by itself: %+v", r)
	}
	cancel()
	if r := <-done; r.outcome != topology.OutcomeFailed {
		t.Errorf("got %+v", r)
	}
}
