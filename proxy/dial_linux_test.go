package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// blackhole is an address where no SYN is answered: a listener whose queue is
// full.
func blackhole(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 2}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 2}), uint16(sa.(*syscall.SockaddrInet4).Port))
	for range 16 {
		c, err := net.DialTimeout("tcp", addr.String(), 50*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the listener's queue does not get full")
	return addr
}

// logical makes the rig's cluster a LOGICAL_DNS one with this answer.
func logical(connect time.Duration, answer ...netip.AddrPort) func(*topology.Cluster) {
	return func(c *topology.Cluster) {
		c.Type, c.LogicalAddr, c.ConnectTimeout = topology.LogicalDNS, answer, connect
		c.Endpoints = []*topology.Endpoint{{ID: "app/logical/name", Address: answer[0], Hostname: "name", Source: topology.FromDNS, Weight: 1}}
	}
}

func TestLogicalDNSConnectsToWhoAnswers(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	for _, test := range []struct {
		name        string
		answer      []netip.AddrPort
		least, most time.Duration
	}{
		{"the current address", []netip.AddrPort{b.Addr(), refusing(t)}, 0, stagger},
		{"refused: the next at once", []netip.AddrPort{refusing(t), refusing(t), b.Addr()}, 0, stagger},
		{"silence: the next after the stagger", []netip.AddrPort{blackhole(t), b.Addr()}, stagger, 2 * stagger},
		{"silence, then refused", []netip.AddrPort{blackhole(t), refusing(t), b.Addr()}, stagger, 2 * stagger},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, setup{cluster: logical(wire.Patience, test.answer...), log: true})
			began := time.Now()
			if got := r.exchange(getClose); status(got) != "200" {
				t.Fatalf("answered %q", got)
			}
			if took := time.Since(began); took < test.least || took > test.most+wire.Patience/4 {
				t.Errorf("took %v, want %v to %v", took, test.least, test.most)
			}
			rec := <-r.log.lines
			if rec.Upstream != b.Addr() || rec.Attempts != 1 {
				t.Errorf("logged upstream %v, attempts %d", rec.Upstream, rec.Attempts)
			}
			if c := r.b.Snapshot().Clusters[0].Counters; c.CxConnectFail != 0 || c.CxTotal != 1 {
				t.Errorf("cx_connect_fail %d, cx_total %d: one connection was asked for, and made", c.CxConnectFail, c.CxTotal)
			}
		})
	}
}

func TestLogicalDNSNobodyAnswers(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer []netip.AddrPort
		body   string
	}{
		{"all refuse", []netip.AddrPort{refusing(t), refusing(t)}, "remote connection failure, transport failure reason: delayed connect error: Connection refused"},
		{"all are silent", []netip.AddrPort{blackhole(t), blackhole(t)}, "connection timeout"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, setup{cluster: logical(400*time.Millisecond, test.answer...)})
			if got := r.exchange(getClose); status(got) != "503" || !strings.HasSuffix(got, "reset reason: "+test.body) {
				t.Errorf("answered %q", got)
			}
		})
	}
}

// A new answer is for new connections: the one that there is stays in use.
func TestLogicalDNSKeepsConnections(t *testing.T) {
	first, second := wire.Listen(t, wire.Answer(ok200)), wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{cluster: logical(wire.Patience, first.Addr())})
	c := r.dial()
	get := func() {
		t.Helper()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if h := c.head(); status(h) != "200" {
			t.Fatalf("answered %q", h)
		}
		c.readN(5)
	}
	get()
	spec := *r.table.Clusters[0]
	logical(wire.Patience, second.Addr())(&spec)
	r.table.Clusters, r.table.Generation = []*topology.Cluster{&spec}, 2
	r.apply()
	get()
	if first.Conns() != 1 || second.Conns() != 0 {
		t.Errorf("%d connections to the old address, %d to the new one, while the old one was free", first.Conns(), second.Conns())
	}
	first.Close()
	get()
	if second.Conns() != 1 {
		t.Errorf("%d connections to the new address, want 1", second.Conns())
	}
}

func TestAlternate(t *testing.T) {
	addrs := func(list ...string) (all []netip.AddrPort) {
		for _, a := range list {
			all = append(all, netip.MustParseAddrPort(a))
		}
		return all
	}
	for _, test := range []struct{ all, want []netip.AddrPort }{
		{addrs("1.0.0.1:1", "1.0.0.2:1", "[::1]:1", "[::2]:1"), addrs("1.0.0.2:1", "[::1]:1", "1.0.0.1:1", "[::2]:1")},
		{addrs("1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1"), addrs("1.0.0.2:1", "1.0.0.1:1", "1.0.0.3:1")},
		{addrs("[::1]:1", "[::2]:1", "[::3]:1"), addrs("1.0.0.2:1", "[::1]:1", "[::2]:1", "[::3]:1")},
	} {
		if got := alternate(netip.MustParseAddrPort("1.0.0.2:1"), test.all); !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.all, got, test.want)
		}
	}
}

// A client that leaves while its request is dialling ends the dial: it holds
// neither a descriptor nor the breaker's slot any longer, and the endpoint is
// not blamed.
func TestDepartureEndsDial(t *testing.T) {
	for _, several := range []bool{false, true} {
		t.Run(fmt.Sprintf("happy eyeballs %v", several), func(t *testing.T) {
			cluster := logical(time.Hour, blackhole(t))
			if several {
				cluster = logical(time.Hour, blackhole(t), blackhole(t))
			}
			r := newRig(t, setup{cluster: cluster, log: true})
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			endpoint := func() balancer.EndpointStatus { return r.b.Snapshot().Clusters[0].Endpoints[0] }
			eventually(t, "the dial is on", func() bool { return endpoint().CxActive == 1 })
			_ = c.SetLinger(0)
			c.Close()
			rec := <-r.log.lines
			if rec.Flags != FlagDC || rec.Status != 0 {
				t.Errorf("logged %d %v, want 0 DC", rec.Status, rec.Flags)
			}
			if n := endpoint(); n.CxActive != 0 || n.CxConnectFail != 0 {
				t.Errorf("cx_active %d, cx_connect_fail %d", n.CxActive, n.CxConnectFail)
			}
		})
	}
}

// Our own lack of descriptors is not the endpoint's fault.
func TestOutOfDescriptors(t *testing.T) {
	b := wire.Listen(t, wire.Answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"))
	r := newRig(t, setup{cluster: func(c *topology.Cluster) {
		c.Hold = wire.Patience
		c.Outlier = &topology.Outlier{Consecutive5xx: 1, Enforce5xx: 100, MaxPercent: 100, BaseEjection: time.Hour}
	}}, b.Addr())
	c := r.dial()
	get := func() string {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		return c.head()
	}
	if h := get(); status(h) != "200" {
		t.Fatalf("answered %q", h)
	}
	c.readN(5)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := syscall.Rlimit{Cur: 0, Max: limit.Max} // of new ones; those there are go on
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	h := get()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const body = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: local connection failure, transport failure reason: delayed connect error: too many open files"
	if got := c.readN(len(body)); status(h) != "503" || got != body {
		t.Errorf("answered %q, %q", h, got)
	}
	e := r.b.Snapshot().Clusters[0].Endpoints[0]
	if e.CxConnectFail != 0 || e.CxActive != 0 {
		t.Errorf("cx_connect_fail %d, cx_active %d", e.CxConnectFail, e.CxActive)
	}
	if h := get(); status(h) != "200" { // and it was not ejected
		t.Errorf("with descriptors again, answered %q", h)
	}
}

func TestIsOwnFault(t *testing.T) {
	dial := func(no syscall.Errno) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", no)}
	}
	for no, want := range map[syscall.Errno]bool{
		syscall.EMFILE: true, syscall.ENFILE: true, syscall.EADDRNOTAVAIL: true, syscall.ENOBUFS: true,
		syscall.ECONNREFUSED: false, syscall.EHOSTUNREACH: false, syscall.ENETUNREACH: false, syscall.ETIMEDOUT: false,
	} {
		if isOwnFault(dial(no)) != want {
			t.Errorf("%v: ours %v", no, !want)
		}
	}
	if isOwnFault(errors.New("other")) {
		t.Error("any error is ours")
	}
}
