package router

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

// The words of random tables and requests are few, so that they meet.

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func randomName(r *rand.Rand) string {
	parts := make([]string, 1+r.IntN(3))
	for i := range parts {
		parts[i] = pick(r, "a", "b", "ab", "a-b")
	}
	return strings.Join(parts, ".")
}

func randomDomain(r *rand.Rand, labels bool) string {
	name := randomName(r)
	switch n := r.IntN(8); {
	case n == 0:
		return "*"
	case n <= 2:
		return "*." + name
	case labels:
		return name
	case n == 3:
		return "*-" + name
	case n == 4:
		return name + pick(r, ".*", "-*")
	case n == 5:
		return name + pick(r, ":80", ":81", ".")
	case n == 6:
		return pick(r, "[::1]", "[::1]:80")
	}
	return name
}

func randomPath(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(5) {
		b.WriteString(pick(r, "/", "/a", "/b", "/ab", "/A", "a", "b"))
	}
	return b.String()
}

func randomValue(r *rand.Rand) topology.HeaderMatcher {
	m := topology.HeaderMatcher{
		Kind:           topology.StringKind(r.IntN(int(topology.StringRange) + 1)),
		Text:           pick(r, "", "a", "ab", "B", "1"),
		From:           int64(r.IntN(3)),
		To:             int64(r.IntN(5)),
		IgnoreCase:     r.IntN(3) == 0,
		Invert:         r.IntN(3) == 0,
		MissingAsEmpty: r.IntN(3) == 0,
	}
	if m.Kind == topology.StringRegex {
		m.Text = pick(r, "", "a+", "a|ab", "[ab]*")
	}
	return m
}

func randomListener(r *rand.Rand) *topology.Listener {
	l := &topology.Listener{Name: "random", Address: netip.MustParseAddrPort("127.0.0.1:80")}
	switch r.IntN(4) {
	case 0:
		l.HTTP.IgnorePort = true
	case 1:
		l.HTTP.StripMatchingPort = true
	case 2:
		l.HTTP.StripAnyPort = true
	}
	taken := map[string]bool{}
	for i := range 1 + r.IntN(8) {
		vh := topology.VirtualHost{Name: fmt.Sprint(i), FallThrough: r.IntN(2) == 0}
		for range 1 + r.IntN(2) {
			if d := randomDomain(r, vh.FallThrough); !taken[d] {
				taken[d] = true
				vh.Domains = append(vh.Domains, d)
			}
		}
		for range r.IntN(12) {
			m := topology.Match{
				Path: topology.PathSpec{
					Kind:            topology.PathKind(r.IntN(int(topology.PathRegex) + 1)),
					Text:            randomPath(r),
					CaseInsensitive: r.IntN(6) == 0,
				},
				GRPC: r.IntN(12) == 0,
			}
			if m.Path.Kind == topology.PathRegex {
				m.Path.Text = pick(r, "/.*", "(/a)+", "/a|/b", "")
			}
			for range r.IntN(5) / 3 {
				h := randomValue(r)
				h.Name = pick(r, "x", "y", ":method", ":path", ":authority")
				m.Headers = append(m.Headers, h)
			}
			for range r.IntN(5) / 4 {
				p := randomValue(r)
				p.Name = pick(r, "p", "q")
				m.Query = append(m.Query, p)
			}
			vh.Routes = append(vh.Routes, topology.Route{Key: fmt.Sprint(i, m), Match: m})
		}
		l.VirtualHosts = append(l.VirtualHosts, vh)
	}
	return l
}

func randomRequest(r *rand.Rand) *request {
	q := &request{
		host:    pick(r, randomName(r), randomName(r), "[::1]") + pick(r, "", "", ".", ":80", ":81", ".:80", ":"),
		path:    randomPath(r),
		query:   pick(r, "", "p", "p=a", "p=1&q=ab", "q=A&q=b", "&&=&p="),
		method:  pick(r, "GET", "a"),
		headers: map[string]string{},
	}
	for _, name := range []string{"x", "y"} {
		if r.IntN(2) == 0 {
			q.headers[name] = pick(r, "", "a", "ab", "AB", "1", "2", "bb")
		}
	}
	if r.IntN(3) == 0 {
		q.headers["content-type"] = pick(r, "application/grpc", "application/grpc+proto", "application/grpc-web", "text/html")
	}
	return q
}

// TestMatchesAsATrialInOrder holds the indexed match to be the naive one, on
// random tables.
func TestMatchesAsATrialInOrder(t *testing.T) {
	tables := 1000
	if testing.Short() {
		tables = 300
	}
	found, none := 0, 0
	for seed := range tables {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		l := randomListener(r)
		c, err := Compile(l)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for range 40 {
			q := randomRequest(r)
			got, want := c.Match(q), naive(l, q)
			if got != want {
				t.Fatalf("seed %d: %+v: route %d, want %d", seed, q, got, want)
			}
			if got < 0 {
				none++
			} else {
				found++
			}
		}
	}
	// The test says something only if both happen often.
	if found < tables || none < tables {
		t.Errorf("%d requests found a route and %d none: the tables are too lopsided", found, none)
	}
}

// FuzzMatch looks for a request and a table on which the index errs, or
// panics.
func FuzzMatch(f *testing.F) {
	for seed := range uint64(32) {
		q := randomRequest(rand.New(rand.NewPCG(seed, 1)))
		f.Add(seed, q.host, q.path, q.query, q.headers["x"])
	}
	for _, c := range domainCases {
		f.Add(uint64(0), c.host, "/", "", "")
	}
	f.Fuzz(func(t *testing.T, seed uint64, host, path, query, header string) {
		l := randomListener(rand.New(rand.NewPCG(seed, 1)))
		c, err := Compile(l)
		if err != nil {
			t.Fatal(err)
		}
		q := &request{host: host, path: path, query: query, method: "GET", headers: map[string]string{"x": header}}
		got := c.Match(q)
		if got < -1 || got >= len(c.Routes()) {
			t.Fatalf("route %d of %d", got, len(c.Routes()))
		}
		// The reference does not decode, and lower-cases more than ASCII.
		if !ascii(host+path+query+header) || strings.Contains(query, "%") {
			return
		}
		if want := naive(l, q); got != want {
			t.Fatalf("%+v: route %d, want %d", q, got, want)
		}
	})
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] == '\n' {
			return false
		}
	}
	return true
}
