package proxy

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// forwardedHead sends one request through a rig and returns what arrived.
func forwardedHead(t *testing.T, s setup, request string) string {
	t.Helper()
	got := make(chan string, 1)
	b := wire.Listen(t, func(c *wire.Conn) {
		if head, err := c.ReadHead(); err == nil {
			got <- head
			c.Play(ok200)
		}
	})
	r := newRig(t, s, b.Addr())
	c := r.dial()
	c.send(crlf(request))
	if h := c.head(); status(h) != "200" {
		t.Fatalf("answered %q", h)
	}
	return <-got
}

func fieldOf(head, name string) string {
	var values []string
	for _, l := range strings.Split(head, "\r\n") {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.EqualFold(k, name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return strings.Join(values, "|")
}

func TestForwardingFields(t *testing.T) {
	lies := "GET / HTTP/1.1$Host: a$X-Forwarded-For: 1.1.1.1$X-Forwarded-For: 2.2.2.2, 3.3.3.3$X-Forwarded-Proto: https$X-Forwarded-Host: evil$X-Forwarded-Port: 1$Forwarded: for=1.1.1.1$X-Request-Id: mine$$"
	trusted := topology.HTTPOptions{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	uuid := `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	for _, tt := range []struct {
		name string
		http topology.HTTPOptions
		want map[string]string // a regular expression each
	}{
		{"nothing is believed from strangers", topology.HTTPOptions{}, map[string]string{
			"x-forwarded-for": `^127\.0\.0\.1$`, "x-forwarded-proto": "^http$", "x-forwarded-host": "^a$",
			"x-forwarded-port": `^\d+$`, "forwarded": "^$", "x-request-id": uuid}},
		{"trusted by address", trusted, map[string]string{
			"x-forwarded-for": `^1\.1\.1\.1, 2\.2\.2\.2, 3\.3\.3\.3, 127\.0\.0\.1$`, "x-forwarded-proto": "^https$", "x-forwarded-host": "^evil$",
			"x-forwarded-port": "^1$", "forwarded": "^for=1.1.1.1$", "x-request-id": "^mine$"}},
		{"trusted by hops", topology.HTTPOptions{XFFTrustedHops: 1}, map[string]string{
			"x-forwarded-for": `3\.3\.3\.3, 127\.0\.0\.1$`, "x-forwarded-proto": "^https$"}},
		{"Envoy's default leaves X-Forwarded-For alone", topology.HTTPOptions{EnvoyHeaders: true, GenerateRequestID: true}, map[string]string{
			"x-forwarded-for": `^1\.1\.1\.1\|2\.2\.2\.2, 3\.3\.3\.3$`, "x-forwarded-proto": "^https$", "x-request-id": "^mine$"}},
		{"Envoy's use_remote_address", topology.HTTPOptions{EnvoyHeaders: true, GenerateRequestID: true, UseRemoteAddress: true}, map[string]string{
			"x-forwarded-for": `^1\.1\.1\.1,2\.2\.2\.2, 3\.3\.3\.3,127\.0\.0\.1$`, "x-forwarded-proto": "^http$", "x-request-id": uuid,
			"x-envoy-external-address": `^127\.0\.0\.1$`}},
		{"Envoy's preserve_external_request_id", topology.HTTPOptions{EnvoyHeaders: true, GenerateRequestID: true, UseRemoteAddress: true, PreserveRequestID: true}, map[string]string{
			"x-request-id": "^mine$"}},
		{"via", topology.HTTPOptions{Via: "1.1 lb"}, map[string]string{"via": "^1.1 lb$"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			head := forwardedHead(t, setup{http: tt.http}, lies)
			for name, want := range tt.want {
				if got := fieldOf(head, name); !regexp.MustCompile(want).MatchString(got) {
					t.Errorf("%s: %q, want %s", name, got, want)
				}
			}
		})
	}
}

// What only the inside may say is taken from a stranger on Envoy's listeners.
func TestEnvoyFieldsOfStrangers(t *testing.T) {
	head := forwardedHead(t, setup{http: topology.HTTPOptions{EnvoyHeaders: true}},
		"GET / HTTP/1.1$Host: a$X-Envoy-Retry-On: 5xx$x-envoy-internal: true$X-Envoy-Other: stays$X-Forwarded-Client-Cert: x$$")
	for name, want := range map[string]string{"x-envoy-retry-on": "", "x-envoy-internal": "", "x-envoy-other": "stays", "x-forwarded-client-cert": ""} {
		if got := fieldOf(head, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestRewrites(t *testing.T) {
	prefix := func(kind topology.PathKind, text string, w topology.Rewrite) func(*topology.Route) {
		return func(r *topology.Route) {
			r.Match.Path = topology.PathSpec{Kind: kind, Text: text}
			r.Rewrite = w
		}
	}
	for _, tt := range []struct {
		name, target string
		route        func(*topology.Route)
		line, host   string
	}{
		{"strip", "/api/x?y=1", prefix(topology.PathSegmentPrefix, "/api", topology.Rewrite{SetPrefix: true}), "GET /x?y=1 HTTP/1.1", "a"},
		{"strip all", "/api", prefix(topology.PathSegmentPrefix, "/api", topology.Rewrite{SetPrefix: true}), "GET / HTTP/1.1", "a"},
		{"strip all, query", "/api?q", prefix(topology.PathSegmentPrefix, "/api", topology.Rewrite{SetPrefix: true}), "GET /?q HTTP/1.1", "a"},
		{"replace", "/api/x", prefix(topology.PathSegmentPrefix, "/api", topology.Rewrite{SetPrefix: true, Prefix: "/v2/"}), "GET /v2/x HTTP/1.1", "a"},
		{"Envoy's raw prefix", "/apix", prefix(topology.PathRawPrefix, "/api", topology.Rewrite{SetPrefix: true, Prefix: "/v2"}), "GET /v2x HTTP/1.1", "a"},
		{"regex", "/users/7/x", prefix(topology.PathRawPrefix, "/", topology.Rewrite{Regex: "^/users/([0-9]+)", Substitution: "/u-$1"}), "GET /u-7/x HTTP/1.1", "a"},
		{"host", "/", prefix(topology.PathRawPrefix, "/", topology.Rewrite{Host: "inside"}), "GET / HTTP/1.1", "inside"},
		{"auto host", "/", prefix(topology.PathRawPrefix, "/", topology.Rewrite{AutoHost: true}), "GET / HTTP/1.1", "b0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			head := forwardedHead(t, setup{route: tt.route}, "GET "+tt.target+" HTTP/1.1$Host: a$$")
			if line, _, _ := strings.Cut(head, "\r\n"); line != tt.line || fieldOf(head, "host") != tt.host {
				t.Errorf("forwarded %q to %q, want %q to %q", line, fieldOf(head, "host"), tt.line, tt.host)
			}
		})
	}
}

func TestNormalizedPaths(t *testing.T) {
	for in, want := range map[string]string{
		"/a/b": "/a/b", "/a/./b": "/a/b", "/a/../b": "/b", "/a/..": "/", "/a/.": "/a/", "/%61/%2e%2e/b": "/b",
		"/a%2fb": "/a%2fb", `/a\b`: "/a/b", "//a": "//a",
	} {
		got, ok := appendNormalized(nil, []byte(in))
		if !ok || string(got) != want {
			t.Errorf("%s: %s %v, want %s", in, got, ok, want)
		}
	}
	for _, in := range []string{"/..", "/a/../..", "/%", "/%4", "/%zz", "/%00"} {
		if got, ok := appendNormalized(nil, []byte(in)); ok {
			t.Errorf("%s: %s, want it refused", in, got)
		}
	}
}

func TestHeaderMutations(t *testing.T) {
	add := func(a topology.AppendAction, name, value string) topology.HeaderValue {
		return topology.HeaderValue{Name: name, Value: value, Action: a}
	}
	head := forwardedHead(t, setup{route: func(r *topology.Route) {
		r.RequestHeaders = topology.HeaderMutation{
			Remove: []string{"x-gone", "X-Forwarded-Port"},
			Add: []topology.HeaderValue{
				add(topology.AppendOrAdd, "x-a", "2"), add(topology.AddIfAbsent, "x-b", "2"), add(topology.AddIfAbsent, "x-new", "1"),
				add(topology.OverwriteOrAdd, "x-c", "2"), add(topology.OverwriteIfExists, "x-d", "2"), add(topology.OverwriteIfExists, "x-none", "2"),
				add(topology.OverwriteOrAdd, "content-length", "7"), add(topology.AppendOrAdd, "connection", "x"),
			},
		}
	}}, "GET / HTTP/1.1$Host: a$X-A: 1$X-B: 1$X-C: 1$X-D: 1$X-Gone: 1$$")
	for name, want := range map[string]string{
		"x-a": "1|2", "x-b": "1", "x-new": "1", "x-c": "2", "x-d": "2", "x-none": "", "x-gone": "", "x-forwarded-port": "",
		"content-length": "", "connection": "",
	} {
		if got := fieldOf(head, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestResponseFields(t *testing.T) {
	for _, tt := range []struct {
		name     string
		s        setup
		response string
		want     map[string]string
	}{
		{"pass", setup{}, "HTTP/1.1 200 OK$Server: app$Content-Length: 0$$", map[string]string{"server": "^app$", "date": "GMT$", "x-envoy-upstream-service-time": "^$"}},
		{"overwrite", setup{http: topology.HTTPOptions{EnvoyHeaders: true, ServerTransform: topology.ServerOverwrite, ServerName: "envoy"}},
			"HTTP/1.1 200 OK$Server: app$Content-Length: 0$$", map[string]string{"server": "^envoy$", "x-envoy-upstream-service-time": `^\d+$`}},
		{"if absent", setup{http: topology.HTTPOptions{ServerTransform: topology.ServerAppendIfAbsent, ServerName: "lb"}},
			"HTTP/1.1 200 OK$Content-Length: 0$$", map[string]string{"server": "^lb$"}},
		{"not if present", setup{http: topology.HTTPOptions{ServerTransform: topology.ServerAppendIfAbsent, ServerName: "lb"}},
			"HTTP/1.1 200 OK$Server: app$Content-Length: 0$$", map[string]string{"server": "^app$"}},
		{"mutation", setup{route: func(r *topology.Route) {
			r.ResponseHeaders = topology.HeaderMutation{Remove: []string{"x-gone"}, Add: []topology.HeaderValue{{Name: "x-new", Value: "1"}}}
		}}, "HTTP/1.1 200 OK$X-Gone: 1$Content-Length: 0$$", map[string]string{"x-gone": "^$", "x-new": "^1$"}},
		{"sticky cookie", setup{cluster: func(c *topology.Cluster) { c.Sticky = "lb_id" }},
			"HTTP/1.1 200 OK$Set-Cookie: a=b$Content-Length: 0$$", map[string]string{"set-cookie": `^a=b\|lb_id=[0-9a-zA-Z_-]+; Path=/; HttpOnly$`}},
		{"via", setup{http: topology.HTTPOptions{Via: "1.1 lb"}}, "HTTP/1.1 200 OK$Via: 1.0 x$Content-Length: 0$$", map[string]string{"via": "^1.0 x, 1.1 lb$"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := wire.Listen(t, wire.Answer(crlf(tt.response)))
			r := newRig(t, tt.s, b.Addr())
			c := r.dial()
			c.send(crlf(get))
			head := c.head()
			for name, want := range tt.want {
				if got := fieldOf(head, name); !regexp.MustCompile(want).MatchString(got) {
					t.Errorf("%s: %q, want %s", name, got, want)
				}
			}
		})
	}
}

// The cookie leads back to the endpoint that set it.
func TestStickyCookie(t *testing.T) {
	var addrs []netip.AddrPort
	for _, id := range []string{"1", "2", "3"} {
		b := wire.Listen(t, wire.Answer("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 1\r\n\r\n"+id))
		addrs = append(addrs, b.Addr())
	}
	r := newRig(t, setup{cluster: func(c *topology.Cluster) { c.Sticky = "lb_id" }}, addrs...)
	c := r.dial()
	c.send(crlf(get))
	cookie, _, _ := strings.Cut(fieldOf(c.head(), "set-cookie"), ";")
	first := c.readN(1)
	for range 6 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\nCookie: x=y; " + cookie + "; z=1\r\n\r\n")
		head := c.head()
		if got := c.readN(1); got != first {
			t.Errorf("went to %s, want %s", got, first)
		}
		if set := fieldOf(head, "set-cookie"); set != "" {
			t.Errorf("set again: %s", set)
		}
	}
}

func TestHashCookieIsMade(t *testing.T) {
	b := wire.Listen(t, wire.Answer(ok200))
	r := newRig(t, setup{
		route: func(r *topology.Route) {
			r.Hash = []topology.HashSource{{Kind: "cookie", Name: "h", TTL: time.Minute, Path: "/p"}}
		},
		cluster: func(c *topology.Cluster) { c.Policy, c.RingMin, c.RingMax = "ring_hash", 1024, 8<<20 },
	}, b.Addr())
	c := r.dial()
	c.send(crlf(get))
	if got := fieldOf(c.head(), "set-cookie"); !regexp.MustCompile(`^h=[0-9a-f]+; Max-Age=60; Path=/p; HttpOnly$`).MatchString(got) {
		t.Errorf("set-cookie: %q", got)
	}
}

func TestLocalAnswers(t *testing.T) {
	for _, tt := range []struct {
		name, target string
		route        func(*topology.Route)
		status       string
		location     string
		body         string
	}{
		{"direct", "/", func(r *topology.Route) {
			r.Clusters, r.Direct = nil, &topology.DirectResponse{Code: 418, Body: []byte("tea")}
		}, "418", "", "tea"},
		{"redirect scheme", "/x?y", func(r *topology.Route) { r.Clusters, r.Redirect = nil, &topology.Redirect{Code: 308, Scheme: "https"} }, "308", "https://a:8080/x?y", ""},
		{"redirect host, path, no query", "/x?y", func(r *topology.Route) {
			r.Clusters, r.Redirect = nil, &topology.Redirect{Code: 301, Host: "b", Path: "/z", StripQuery: true}
		}, "301", "http://b/z", ""},
		{"redirect port", "/", func(r *topology.Route) { r.Clusters, r.Redirect = nil, &topology.Redirect{Port: 8443, Scheme: "https"} }, "301", "https://a:8443/", ""},
		{"no route", "/", func(r *topology.Route) { r.Match.Path.Text = "/other" }, "404", "", ""},
		{"no cluster", "/", func(r *topology.Route) { r.Clusters[0].Name = "none" }, "503", "", ""},
		{"no cluster, 404", "/", func(r *topology.Route) { r.Clusters[0].Name, r.ClusterNotFoundCode = "none", 404 }, "404", "", ""},
		{"no endpoint", "/", nil, "503", "", "no healthy upstream"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, setup{route: tt.route})
			for _, method := range []string{"GET", "HEAD"} {
				c := r.dial()
				c.send(method + " " + tt.target + " HTTP/1.1\r\nHost: a:8080\r\n\r\n")
				head := c.head()
				if status(head) != tt.status || fieldOf(head, "location") != tt.location {
					t.Errorf("answered %q", head)
				}
				if hasType := fieldOf(head, "content-type") != ""; hasType != (tt.body != "") {
					t.Errorf("content-type with %q: %v", tt.body, hasType)
				}
				if method == "GET" && tt.body != "" {
					if got := c.readN(len(tt.body)); got != tt.body {
						t.Errorf("body %q, want %q", got, tt.body)
					}
				}
				// The connection is kept, and nothing follows a HEAD.
				c.send("GET " + tt.target + " HTTP/1.1\r\nHost: a:8080\r\n\r\n")
				if head := c.head(); status(head) != tt.status {
					t.Errorf("the second time %q", head)
				}
			}
		})
	}
}
