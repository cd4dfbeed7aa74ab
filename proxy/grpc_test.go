package proxy

import (
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/internal/wire"
	"github.com/dockerlb/dockerlb/topology"
)

// withoutDate cuts the one field of a local reply that the clock makes.
func withoutDate(t *testing.T, response string) string {
	t.Helper()
	before, rest, ok := strings.Cut(response, "date: ")
	_, after, ok2 := strings.Cut(rest, "\r\n")
	if !ok || !ok2 {
		t.Fatalf("no date in %q", response)
	}
	return before + after
}

func TestLocalReplyToGRPC(t *testing.T) {
	direct := func(code int, body string) func(*topology.Route) {
		return func(r *topology.Route) {
			r.Clusters, r.Direct = nil, &topology.DirectResponse{Code: code, Body: []byte(body)}
		}
	}
	const plain = "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnone"
	for _, test := range []struct {
		contentType, body string
		code              int
		want              string
	}{
		{"application/grpc", "", 404, "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 12\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"},
		{"application/grpc+proto", "100 % späť\n~", 503, "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\n" +
			"grpc-message: 100 %25 sp%C3%A4%C5%A5%0A~\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"},
		{"application/grpc-web", "none", 404, plain},
		{"application/grpcx", "none", 404, plain},
		{"text/plain", "none", 404, plain},
	} {
		r := newRig(t, setup{route: direct(test.code, test.body), log: true})
		got := r.exchange("POST /s/M HTTP/1.1\r\nHost: a\r\nContent-Type: " + test.contentType + "\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
		if got := withoutDate(t, got); got != test.want {
			t.Errorf("%s, %d: answered\n%q, want\n%q", test.contentType, test.code, got, test.want)
		}
	}
}

func TestGRPCOverEndpointThatRefuses(t *testing.T) {
	r := newRig(t, setup{log: true}, refusing(t))
	got := r.exchange("POST /s/M HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
	const want = "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\n" +
		"grpc-message: upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure, " +
		"transport failure reason: delayed connect error: Connection refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
	if got := withoutDate(t, got); got != want {
		t.Errorf("answered\n%q, want\n%q", got, want)
	}
	if rec := <-r.log.lines; rec.Status != 200 || rec.Flags != FlagUF {
		t.Errorf("logged %d %v, want 200 UF", rec.Status, rec.Flags)
	}
}

// What is no proper HTTP is not taken for gRPC either.
func TestMalformedGRPCIsRefused(t *testing.T) {
	r := newRig(t, setup{}, wire.Listen(t, wire.Answer(ok200)).Addr())
	got := r.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi")
	if status(got) != "400" {
		t.Errorf("answered %q", got)
	}
}

func TestGRPCStatus(t *testing.T) {
	for http, want := range map[int]int{200: 2, 400: 13, 401: 16, 403: 7, 404: 12, 408: 2, 429: 14, 500: 2, 502: 14, 503: 14, 504: 14} {
		if got := grpcStatus(http); got != want {
			t.Errorf("%d: %d, want %d", http, got, want)
		}
	}
}
