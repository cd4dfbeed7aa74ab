package dnswatch

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// server is a real DNS server on loopback, UDP and TCP on one port. It records
// what it was asked.
type server struct {
	addr netip.AddrPort

	mu    sync.Mutex
	asked []string // "udp edns daemon1. A"
}

func (s *server) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// serve answers with what handle makes of a request; nil: silence.
func serve(t testing.TB, handle func(q *dns.Msg, overTCP bool) *dns.Msg) *server {
	t.Helper()
	s := &server{}
	h := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		network := w.RemoteAddr().Network()
		what := network
		if q.IsEdns0() != nil {
			what += " edns"
		}
		s.mu.Lock()
		s.asked = append(s.asked, fmt.Sprintf("%s %s %s", what, q.Question[0].Name, dns.TypeToString[q.Question[0].Qtype]))
		s.mu.Unlock()
		if m := handle(q, network == "tcp"); m != nil {
			_ = w.WriteMsg(m)
		}
	})
	pc, l := listenBoth(t)
	s.addr = pc.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, srv := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		done := make(chan error, 1)
		go func() { done <- srv.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			_ = srv.Shutdown()
			if err := <-done; err != nil {
				t.Errorf("DNS server: %v", err)
			}
		})
	}
	return s
}

// listenBoth finds a port that is free for both protocols.
func listenBoth(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp4", pc.LocalAddr().String())
		if err == nil {
			return pc, l
		}
		pc.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

// raw answers each datagram with those that handle makes of it.
func raw(t testing.TB, handle func(q []byte) [][]byte) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, b := range handle(buf[:n]) {
				_, _ = pc.WriteTo(b, from)
			}
		}
	}()
	t.Cleanup(func() { pc.Close(); <-done })
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

// answer is a response to q with records in zone-file form, of those that ask
// for q's type or are CNAMEs.
func answer(t testing.TB, q *dns.Msg, records ...string) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return m
		}
		if typ := rr.Header().Rrtype; typ == q.Question[0].Qtype || typ == dns.TypeCNAME {
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

func rcode(q *dns.Msg, code int) *dns.Msg {
	m := new(dns.Msg)
	m.SetRcode(q, code)
	return m
}

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, s := range texts {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}
