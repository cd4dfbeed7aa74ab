package router

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// shapes are tables of n routes each, with the requests that find the i-th.
var shapes = []struct {
	name    string
	table   func(n int) *topology.Listener
	request func(i int) request
}{
	{"exact-host", oneRouteEach(func(i int) string { return fmt.Sprintf("s%d.example.com", i) }),
		func(i int) request { return request{host: fmt.Sprintf("s%d.example.com:10000", i), path: "/a/b"} }},
	{"wildcard-host", oneRouteEach(func(i int) string { return fmt.Sprintf("*.s%d.example.com", i) }),
		func(i int) request { return request{host: fmt.Sprintf("www.s%d.example.com", i), path: "/a/b"} }},
	{"segment-prefix", oneHost(topology.PathSegmentPrefix, func(i int) string { return fmt.Sprintf("/api/service%d", i) }),
		func(i int) request {
			return request{host: "example.com", path: fmt.Sprintf("/api/service%d/items/7", i)}
		}},
	{"raw-prefix", oneHost(topology.PathRawPrefix, func(i int) string { return fmt.Sprintf("/api/service%d/", i) }),
		func(i int) request {
			return request{host: "example.com", path: fmt.Sprintf("/api/service%d/items/7", i)}
		}},
	{"exact-path", oneHost(topology.PathExact, func(i int) string { return fmt.Sprintf("/api/service%d", i) }),
		func(i int) request { return request{host: "example.com", path: fmt.Sprintf("/api/service%d", i)} }},
}

func oneRouteEach(domain func(int) string) func(int) *topology.Listener {
	return func(n int) *topology.Listener {
		l := &topology.Listener{Name: "default", VirtualHosts: make([]topology.VirtualHost, n)}
		for i := range l.VirtualHosts {
			l.VirtualHosts[i] = topology.VirtualHost{
				Domains: []string{domain(i)}, FallThrough: true,
				Routes: []topology.Route{{Match: topology.Match{Path: topology.PathSpec{Kind: topology.PathSegmentPrefix, Text: "/"}}}},
			}
		}
		return l
	}
}

func oneHost(kind topology.PathKind, path func(int) string) func(int) *topology.Listener {
	return func(n int) *topology.Listener {
		routes := make([]topology.Route, n)
		for i := range routes {
			routes[i].Match.Path = topology.PathSpec{Kind: kind, Text: path(i)}
		}
		return &topology.Listener{Name: "default", VirtualHosts: []topology.VirtualHost{{Domains: []string{"*"}, FallThrough: true, Routes: routes}}}
	}
}

// requests are 10,000 that find n routes, shuffled. They are as many for few
// routes as for many: what it costs to read a request that is not in the cache
// is not the match's.
func requests(n int, of func(int) request) []request {
	qs := make([]request, 10_000)
	for i := range qs {
		qs[i] = of(i % n)
	}
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(len(qs), func(i, j int) { qs[i], qs[j] = qs[j], qs[i] })
	return qs
}

func benchmarkMatch(b *testing.B, n int) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			r := compile(b, s.table(n))
			qs := requests(n, s.request)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if r.Match(&qs[i]) < 0 {
					b.Fatalf("no route for %+v", qs[i])
				}
				if i++; i == len(qs) {
					i = 0
				}
			}
		})
	}
}

func BenchmarkMatch10(b *testing.B)    { benchmarkMatch(b, 10) }
func BenchmarkMatch10000(b *testing.B) { benchmarkMatch(b, 10_000) }

func BenchmarkCompile10000(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			l := s.table(10_000)
			b.ReportAllocs()
			for b.Loop() {
				compile(b, l)
			}
		})
	}
}

// A match allocates nothing, whatever its conditions.
func TestMatchAllocatesNothing(t *testing.T) {
	for _, s := range shapes {
		r := compile(t, s.table(10_000))
		q := s.request(1234)
		if n := testing.AllocsPerRun(100, func() { r.Match(&q) }); n != 0 {
			t.Errorf("%s: %v allocations per match", s.name, n)
		}
	}
	r := compile(t, &topology.Listener{VirtualHosts: []topology.VirtualHost{{Domains: []string{"*"}, Routes: []topology.Route{
		{Match: topology.Match{Path: topology.PathSpec{Kind: topology.PathRegex, Text: "/x.*"}}},
		{Match: topology.Match{Path: topology.PathSpec{Text: "/A", CaseInsensitive: true}, GRPC: true,
			Headers: []topology.HeaderMatcher{{Name: "x", Kind: topology.StringRegex, Text: "a+b?"}, {Name: ":method", Kind: topology.StringExact, Text: "GET"}},
			Query:   []topology.HeaderMatcher{{Name: "p q", Kind: topology.StringContains, Text: "z"}}}},
	}}}})
	q := request{host: "h:1", path: "/a", query: "o=%20&p%20q=xyz", method: "GET",
		headers: map[string]string{"x": "aaab", "content-type": "application/grpc"}}
	if got := r.Match(&q); got != 1 {
		t.Fatalf("route %d, want 1", got)
	}
	if n := testing.AllocsPerRun(100, func() { r.Match(&q) }); n != 0 {
		t.Errorf("conditions: %v allocations per match", n)
	}
}

// TestMatchDoesNotGrow holds a match among 10,000 routes to be no scan: the
// benchmarks measure that it costs at most twice what it does among 10; here
// the bound is wide enough for a busy machine, and a scan exceeds it a
// hundredfold.
func TestMatchDoesNotGrow(t *testing.T) {
	once := func(r *Router, qs []request) time.Duration {
		start := time.Now()
		for i := range qs {
			r.Match(&qs[i])
		}
		return time.Since(start)
	}
	for _, s := range shapes {
		r10, q10 := compile(t, s.table(10)), requests(10, s.request)
		rMany, qMany := compile(t, s.table(10_000)), requests(10_000, s.request)
		few, many := time.Hour, time.Hour
		for range 50 { // a busy machine has its quiet moments
			few, many = min(few, once(r10, q10)), min(many, once(rMany, qMany))
			if many <= 10*few {
				break
			}
		}
		if many > 10*few {
			t.Errorf("%s: 10,000 matches take %v among 10,000 routes and %v among 10", s.name, many, few)
		}
	}
}
