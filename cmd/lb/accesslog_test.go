package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dockerlb/dockerlb/internal/freeport"
)

const directFile = `
static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 418}}]}
`

// A request's line is in the file after the end, and after SIGUSR1 in a new one.
func TestAccessLog(t *testing.T) {
	addr, err := freeport.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, access := filepath.Join(dir, "lb.yaml"), filepath.Join(dir, "access.log")
	if err := os.WriteFile(file, fmt.Appendf(nil, directFile, addr.Port()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, signals, log, wait := start(t, "--config "+file+" --access-log "+access)
	get := func(path string) {
		eventually(t, path+" is answered", func() bool {
			res, err := http.Get(fmt.Sprintf("http://%s%s", addr, path))
			if err != nil {
				return false
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			return res.StatusCode == 418
		})
	}
	get("/one")
	if err := os.Rename(access, access+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is there anew", func() bool { _, err := os.Stat(access); return err == nil })
	get("/two")
	http.DefaultClient.CloseIdleConnections()
	signals <- syscall.SIGTERM
	if code := wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, log)
	}
	for name, path := range map[string]string{access + ".1": "/one", access: "/two"} {
		got, err := os.ReadFile(name)
		if err != nil || strings.Count(string(got), "\n") != 1 || !strings.Contains(string(got), `"GET `+path+` HTTP/1.1" 418 - 0 0 `) {
			t.Errorf("%s: %v, %q", name, err, got)
		}
	}
}

func TestAccessLogThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	_, errs, code := lb(t, "run --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --access-log "+dir)
	if code != 1 || !strings.Contains(errs, "access log: open "+dir) {
		t.Errorf("%d %q", code, errs)
	}
	if _, errs, code := lb(t, "run --access-log-format xml"); code != 2 || !strings.Contains(errs, `--access-log-format: "xml": want text, json`) {
		t.Errorf("%d %q", code, errs)
	}
}
