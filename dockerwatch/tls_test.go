package dockerwatch

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
)

// TestEngineOverTLS: tcp:// with a certificate that is verified by a file.
func TestEngineOverTLS(t *testing.T) {
	e := fakeengine.New(t)
	e.Run(app("web"))
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(e.Host(), "unix://"))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "engine"}) },
		FlushInterval: -1, Transport: transport,
	})
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake is what is tested
	front.StartTLS()
	t.Cleanup(front.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	over := func(tls TLS) func(o *Options) {
		return func(o *Options) { o.Host, o.TLS = "tcp://"+front.Listener.Addr().String(), tls }
	}
	w := watch(t, e, over(TLS{CAFile: ca, Verify: true}))
	w.until("web", is("web", running))
	e.Kill("web", 15)
	w.until("stopping", is("web", stopping))

	stranger := watch(t, e, over(TLS{Verify: true})) // no CA of ours
	poll(t, "a refusal of the certificate", func() bool { return strings.Contains(stranger.Status().Error, "certificate") })
	if _, ok := stranger.Latest(); ok {
		t.Error("watches an engine whose certificate nobody vouches for")
	}
	_ = stranger.stop()
	_ = w.stop() // before the front closes, which waits for its requests
}
