package health

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

// listen serves connections with handle until the test ends.
func listen(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			handle(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// closed is a port where nobody listens.
func closed(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func probe(t *testing.T, a netip.AddrPort, hc topology.HealthCheck, change ...func(*target)) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return probeFor(ctx, a, hc, change...)
}

func probeFor(ctx context.Context, a netip.AddrPort, hc topology.HealthCheck, change ...func(*target)) result {
	tg := target{id: "a", cluster: "c", address: a, host: "check.test", scheme: labels.SchemeHTTP, settings: &settings{HealthCheck: hc}}
	for _, f := range change {
		f(&tg)
	}
	return newProber().probe(ctx, tg)
}

func TestTCP(t *testing.T) {
	talk := func(in, out string) func(net.Conn) {
		return func(c net.Conn) {
			if in != "" {
				if _, err := io.ReadFull(c, make([]byte, len(in))); err != nil {
					return
				}
			}
			for _, piece := range strings.SplitAfter(out, "-") {
				if _, err := io.WriteString(c, piece); err != nil {
					return
				}
			}
			_, _ = io.Copy(io.Discard, c) // until the checker closes
		}
	}
	ping := topology.HealthCheck{Kind: "tcp", Send: []byte("PING"), Receive: []byte("PO-NG")}
	for _, tt := range []struct {
		name   string
		hc     topology.HealthCheck
		handle func(net.Conn) // nil: nobody listens
		want   kind
		reason string
	}{
		{"connect only", topology.HealthCheck{Kind: "tcp"}, func(net.Conn) {}, success, ""},
		{"refused", topology.HealthCheck{Kind: "tcp"}, nil, network, "connection refused"},
		{"send and receive, in pieces and within other bytes", ping, talk("PING", "+-PO-NG!"), success, ""},
		{"send alone", topology.HealthCheck{Kind: "tcp", Send: []byte("PING")}, talk("PING", ""), success, ""},
		{"closed early", ping, func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, 4)) }, network, "connection closed"},
		{"other bytes wait for the timeout", ping, talk("PING", strings.Repeat("NOPE", 5000)), timeout, "no answer in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := closed(t)
			if tt.handle != nil {
				addr = listen(t, tt.handle)
			}
			limit := 5 * time.Second
			if tt.want == timeout {
				limit = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			r := probeFor(ctx, addr, tt.hc)
			if r.kind != tt.want || r.reason != tt.reason {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestHTTP(t *testing.T) {
	h := func(f func(http.ResponseWriter, *http.Request)) http.Handler { return http.HandlerFunc(f) }
	status := func(n int, fields ...string) http.Handler {
		return h(func(w http.ResponseWriter, _ *http.Request) {
			for _, f := range fields {
				w.Header().Set(f, "true")
			}
			w.WriteHeader(n)
		})
	}
	labelStatus := []labels.StatusRange{{From: 200, To: 399}}
	for _, tt := range []struct {
		name    string
		hc      topology.HealthCheck
		handler http.Handler
		want    result
	}{
		{"200", topology.HealthCheck{}, status(200), result{kind: success}},
		{"204 is not exactly 200", topology.HealthCheck{}, status(204), result{kind: active, reason: "status 204"}},
		{"302 is within 200-399, and not followed", topology.HealthCheck{Statuses: labelStatus},
			h(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }), result{kind: success}},
		{"503", topology.HealthCheck{Statuses: labelStatus}, status(503), result{kind: active, reason: "status 503"}},
		{"retriable", topology.HealthCheck{Retriable: []labels.StatusRange{{From: 503, To: 503}}}, status(503),
			result{kind: active, retriable: true, reason: "status 503"}},
		{"degraded", topology.HealthCheck{}, status(200, "x-envoy-degraded"), result{kind: success, degraded: true}},
		{"immediate", topology.HealthCheck{}, status(500, "x-envoy-immediate-health-check-fail"),
			result{kind: active, immediate: true, reason: "status 500"}},
		{"immediate does not count on success", topology.HealthCheck{}, status(200, "x-envoy-immediate-health-check-fail"), result{kind: success}},
		{"receive", topology.HealthCheck{Receive: []byte("all well")},
			h(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "yes, all well here") }), result{kind: success}},
		{"receive, other text", topology.HealthCheck{Receive: []byte("all well")}, status(200),
			result{kind: active, reason: "the expected text is not in the body"}},
		{"receive, too late in the body", topology.HealthCheck{Receive: []byte("all well")},
			h(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, strings.Repeat(".", maxBody)+"all well")
			}),
			result{kind: active, reason: "the expected text is not in the body"}},
		{"request", topology.HealthCheck{Path: "/health?deep=1", Method: "HEAD", RequestHeaders: topology.HeaderMutation{
			Add: []topology.HeaderValue{{Name: "x-check", Value: "1"}}, Remove: []string{"user-agent"}}},
			h(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != "HEAD" || r.RequestURI != "/health?deep=1" || r.Host != "check.test" || r.Header.Get("x-check") != "1" ||
					r.UserAgent() == envoyAgent || !r.Close {
					t.Errorf("got %s %s, host %s, close %v, %v", r.Method, r.RequestURI, r.Host, r.Close, r.Header)
				}
			}), result{kind: success}},
		{"user agent", topology.HealthCheck{}, h(func(_ http.ResponseWriter, r *http.Request) {
			if r.UserAgent() != envoyAgent {
				t.Errorf("user agent %q", r.UserAgent())
			}
		}), result{kind: success}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(tt.handler)
			defer s.Close()
			tt.hc.Kind = "http"
			if r := probe(t, addrOf(t, s), tt.hc); r != tt.want {
				t.Errorf("got %+v, want %+v", r, tt.want)
			}
		})
	}
}

func addrOf(t *testing.T, s *httptest.Server) netip.AddrPort {
	t.Helper()
	return s.Listener.Addr().(*net.TCPAddr).AddrPort()
}

func TestHTTPNetworkFailures(t *testing.T) {
	get := topology.HealthCheck{Kind: "http", Path: "/"}
	if r := probe(t, closed(t), get); r.kind != network || r.reason != "connection refused" {
		t.Errorf("refused: %+v", r)
	}
	cut := listen(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) })
	if r := probe(t, cut, get); r.kind != network {
		t.Errorf("closed without a response: %+v", r)
	}
	garbage := listen(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)); _, _ = io.WriteString(c, "220 smtp ready\r\n") })
	if r := probe(t, garbage, get); r.kind != network {
		t.Errorf("garbage: %+v", r)
	}
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r := probeFor(ctx, silent, get); r.kind != timeout {
		t.Errorf("silence: %+v", r)
	}
}

func TestHTTPS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
	s.StartTLS()
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		tls  labels.TLS
		want kind
	}{
		{"its CA", labels.TLS{ServerName: "example.com", CAFile: ca}, success},
		{"another name", labels.TLS{ServerName: "other.test", CAFile: ca}, network},
		{"insecure", labels.TLS{Insecure: true}, success},
		{"unknown CA", labels.TLS{ServerName: "example.com"}, network},
		{"no such file", labels.TLS{CAFile: ca + ".not"}, network},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := probe(t, addrOf(t, s), topology.HealthCheck{Kind: "http"}, func(tg *target) {
				tg.scheme, tg.tls = labels.SchemeHTTPS, tt.tls
			})
			if r.kind != tt.want || (r.kind != success && r.reason == "") {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestGRPC(t *testing.T) {
	frame := func(message ...byte) string {
		return string(append([]byte{0, 0, 0, 0, byte(len(message))}, message...))
	}
	for _, tt := range []struct {
		name   string
		body   string
		status string
		code   int
		want   result
	}{
		{"SERVING", frame(8, 1), "0", 200, result{kind: success}},
		{"NOT_SERVING", frame(8, 2), "0", 200, result{kind: active, reason: "serving status 2"}},
		{"UNKNOWN is an empty message", frame(), "0", 200, result{kind: active, reason: "serving status 0"}},
		{"unknown fields are passed over", frame(0x12, 1, 'x', 8, 1), "0", 200, result{kind: success}},
		{"NOT_FOUND", "", "5", 200, result{kind: active, reason: `grpc-status "5"`}},
		{"no status", frame(8, 1), "", 200, result{kind: active, reason: `grpc-status ""`}},
		{"not a frame", "x", "0", 200, result{kind: active, reason: "malformed gRPC message of 1 bytes"}},
		{"HTTP 503", "", "", 503, result{kind: active, reason: "status 503"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.ProtoMajor != 2 || r.URL.Path != "/grpc.health.v1.Health/Check" || r.Host != "check.test" ||
					r.Header.Get("content-type") != "application/grpc" || string(body) != frame('\n', 3, 'f', 'o', 'o') {
					t.Errorf("got %s %s, host %s, %v, body %q", r.Proto, r.URL.Path, r.Host, r.Header, body)
				}
				w.Header().Set("Trailer", "Grpc-Status")
				w.WriteHeader(tt.code)
				_, _ = io.WriteString(w, tt.body)
				if tt.status != "" {
					w.Header().Set("Grpc-Status", tt.status)
				}
			}))
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Start()
			defer s.Close()
			r := probe(t, addrOf(t, s), topology.HealthCheck{Kind: "grpc", Service: "foo"})
			if r != tt.want {
				t.Errorf("got %+v, want %+v", r, tt.want)
			}
		})
	}
}

func TestMutate(t *testing.T) {
	h := http.Header{"A": {"1"}, "B": {"1"}, "C": {"1"}}
	mutate(h, topology.HeaderMutation{
		Remove: []string{"b"},
		Add: []topology.HeaderValue{
			{Name: "a", Value: "2"},
			{Name: "c", Value: "2", Action: topology.AddIfAbsent}, {Name: "d", Value: "2", Action: topology.AddIfAbsent},
			{Name: "c", Value: "3", Action: topology.OverwriteIfExists}, {Name: "e", Value: "3", Action: topology.OverwriteIfExists},
			{Name: "f", Value: "4", Action: topology.OverwriteOrAdd},
		},
	})
	want := http.Header{"A": {"1", "2"}, "C": {"3"}, "D": {"2"}, "F": {"4"}}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %v, want %v", h, want)
	}
}
