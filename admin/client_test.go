package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestClient(t *testing.T) {
	s, b := newServer(t, nil)
	c := Dial(serve(t, s), "")
	t.Cleanup(c.Close)
	ctx := context.Background()

	clusters, err := c.Clusters(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(clusters.Clusters) != 2 || clusters.Clusters[1].Name != "web" || clusters.Clusters[1].Held != 3 || clusters.State != "LIVE" {
		t.Errorf("clusters %+v", clusters)
	}
	if n := clusters.NotRouted; len(n) != 1 || n[0].Container != "shop-1" || n[0].Verdict != "quarantined" || n[0].Reason == "" {
		t.Errorf("not routed %+v", n)
	}
	if p := clusters.Problems; len(p) != 1 || p[0].Hint != "did you mean lb.port?" || p[0].Severity != "warning" {
		t.Errorf("problems %+v", p)
	}
	endpoints, err := c.Endpoints(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if e := endpoints.Endpoints; len(e) != 3 || e[1].Address != "[fd00::1]:80" || e[1].Weight != 7 || !e[1].WeightSet || e[1].JoinMS != 12 || e[2].State != "waiting" {
		t.Errorf("endpoints %+v", e)
	}
	routes, err := c.Routes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r := routes.Routes; len(r) != 1 || r[0].Clusters[0].Name != "web" || r[0].Match != "/" || len(r[0].AskedBy) != 2 {
		t.Errorf("routes %+v", r)
	}
	listeners, err := c.Listeners(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if l := listeners.Listeners; len(l) != 1 || l[0].Address != "0.0.0.0:10000" || l[0].Requests != 14 {
		t.Errorf("listeners %+v", l)
	}
	traces, err := c.Traces(ctx, "aaaabbbb")
	if err != nil {
		t.Fatal(err)
	}
	if tr := traces.Traces; len(tr) != 1 || tr[0].Container != "shop-1" || len(tr[0].Steps) != 1 || tr[0].Steps[0].OK {
		t.Errorf("traces %+v", tr)
	}
	if _, err := c.Traces(ctx, "nobody"); err == nil || !strings.Contains(err.Error(), `no labelled container "nobody"`) {
		t.Errorf("traces of nobody: %v", err)
	}
	b.inFlight = 1
	if st, err := c.Drain(ctx, "web-1"); err != nil || st.InFlight != 1 {
		t.Errorf("drain: %+v, %v", st, err)
	}
	if _, err := c.Undrain(ctx, "web-1"); err != nil {
		t.Errorf("undrain: %v", err)
	}
	if _, err := c.Weight(ctx, "web-1", 9); err != nil || *b.overrides[2].Weight != 9 {
		t.Errorf("weight: %v, %+v", err, b.overrides)
	}
	var st *StatusError
	if _, err := c.Drain(ctx, "nobody"); !errors.As(err, &st) || st.Code != 404 || !strings.Contains(err.Error(), "there are: web-1") {
		t.Errorf("drain nobody: %v", err)
	}
	if live, state, _, err := c.Ready(ctx); !live || state != "LIVE" || err != nil {
		t.Errorf("ready: %v %q %v", live, state, err)
	}
	s.SetDraining()
	if live, state, why, err := c.Ready(ctx); live || state != "DRAINING" || why == "" || err != nil {
		t.Errorf("ready at the end: %v %q %q %v", live, state, why, err)
	}
}

func TestClientNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c := Dial(addr, "")
	defer c.Close()
	_, err = c.Clusters(context.Background())
	if !errors.Is(err, ErrUnreachable) {
		t.Fatalf("%v, want ErrUnreachable", err)
	}
	for _, want := range []string{addr, "refused", "lb run", "--admin", "LB_ADMIN"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not speak of %q", err, want)
		}
	}
}

func TestClientOfSomethingElse(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		h          http.HandlerFunc
	}{
		{"another web server", "does not answer as lb's admin port", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }},
		{"an Envoy", "an Envoy?", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			w.Write([]byte("invalid path. admin commands are:\n"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.h)
			defer srv.Close()
			c := Dial(strings.TrimPrefix(srv.URL, "http://"), "")
			defer c.Close()
			if _, err := c.Clusters(context.Background()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestTakenPort(t *testing.T) {
	s, _ := newServer(t, nil)
	_, err := New(Options{Address: s.Addr(), Balancer: example()})
	if err == nil || !strings.Contains(err.Error(), s.Addr().String()) || !strings.Contains(err.Error(), "--admin-listen") {
		t.Errorf("%v, want the address and the flag", err)
	}
	if strings.Count(err.Error(), s.Addr().String()) != 1 {
		t.Errorf("%v says the address twice", err)
	}
	if _, err := New(Options{Address: netip.MustParseAddrPort("192.0.2.1:0"), Balancer: example()}); err == nil {
		t.Error("listens on an address that is not ours")
	}
}
