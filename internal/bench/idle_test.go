package bench

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dockerlb/dockerlb/internal/freeport"
)

// Each connection is one whose request was answered, from several addresses.
func TestOpenKept(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(answer))
	}))
	defer server.Close()
	addr := server.Listener.Addr().(*net.TCPAddr).AddrPort()
	conns, err := openKept(t.Context(), addr, 10, 50)
	if err != nil {
		t.Fatal(err)
	}
	from := make(map[string]bool)
	for _, c := range conns {
		from[c.LocalAddr().(*net.TCPAddr).IP.String()] = true
		c.Close()
	}
	if len(conns) != 40 || len(from) != 8 {
		t.Errorf("%d connections from %d addresses, want 40 from 8", len(conns), len(from))
	}
}

func TestOpenKeptTellsWhy(t *testing.T) {
	addr, err := freeport.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	if conns, err := openKept(t.Context(), addr, 0, 50); err == nil || len(conns) > 0 {
		t.Errorf("%d connections, error %v", len(conns), err)
	}
}
