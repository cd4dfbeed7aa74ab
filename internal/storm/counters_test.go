package storm

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCounters(t *testing.T) {
	text := "cluster.a.upstream_rq_total: 1\ncluster.b.upstream_rq_total: 5\nhttp.default.rq: 3\ndockerlb.cluster.a.requests_held_total: 0\nsome.histogram: No recorded values\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(text)) }))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	before, err := readCounters(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	text = "cluster.a.upstream_rq_total: 3\ncluster.b.upstream_rq_total: 6\nhttp.default.rq: 3\ndockerlb.cluster.a.requests_held_total: 4\n"
	after, err := readCounters(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := after.since(before, "a"), "requests_held_total 4, upstream_rq_total 2"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
