package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asLB makes the test binary be lb: see TestMain.
const asLB = "DOCKERLB_TEST_BE_LB"

// process is an lb of its own, so that signals, sockets and exits are real.
type process struct {
	cmd   *exec.Cmd
	log   *buffer
	ended chan error
}

func runLB(t *testing.T, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(exe, append([]string{"run"}, args...)...), log: &buffer{}, ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), asLB+"=1")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // where the test has not seen its end
		if t.Failed() {
			t.Logf("lb %s:\n%s", strings.Join(args, " "), p.log)
		}
	})
	return p
}

func (p *process) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, "log of "+text, func() bool { return strings.Contains(p.log.String(), text) })
}

// exit waits for the process's end and returns its code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.ended:
		p.ended <- err
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		t.Fatalf("process %d does not end: %s", p.cmd.Process.Pid, p.log)
		return -1
	}
}

func (p *process) running() bool {
	return syscall.Kill(p.cmd.Process.Pid, 0) == nil && len(p.ended) == 0
}

// slow is what a backend's /slow waits for: so that a request is in flight for
// as long as a test wants, however slow the machine is.
type slow struct {
	arrived chan struct{} // gets one for each request
	release chan struct{} // closed: they are answered
}

func newSlow() *slow {
	return &slow{arrived: make(chan struct{}, 16), release: make(chan struct{})}
}

// begun waits until a request is there.
func (s *slow) begun(t *testing.T) {
	t.Helper()
	select {
	case <-s.arrived:
	case <-time.After(30 * time.Second):
		t.Fatal("no slow request has arrived within 30 s")
	}
}

// backend is an HTTP server that answers with its path; /slow waits, where it is
// told for what.
func backend(t *testing.T, slow *slow) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slow != nil && r.URL.Path == "/slow" {
			slow.arrived <- struct{}{}
			select {
			case <-slow.release:
			case <-r.Context().Done():
			}
		}
		fmt.Fprint(w, r.URL.Path)
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-served })
	return l.Addr().String()
}

// freePort is an address that nobody listens on now.
func freePort(t *testing.T) string { return nobody(t) }

// front is where the processes of one test listen, and their file.
type front struct {
	listen, admin, socket, file string
}

func newFront(t *testing.T, backend string) *front {
	t.Helper()
	dir := t.TempDir()
	f := &front{listen: freePort(t), admin: freePort(t), socket: filepath.Join(dir, "lb.sock"), file: filepath.Join(dir, "envoy.yaml")}
	host, port, _ := net.SplitHostPort(f.listen)
	bhost, bport, _ := net.SplitHostPort(backend)
	text := fmt.Sprintf(`static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: %s, port_value: %s}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: "/"}, route: {cluster: app}}]}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: app
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]
`, host, port, bhost, bport)
	if err := os.WriteFile(f.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// run starts an lb of the front, which needs no engine: its address is one
// where nobody is looked for.
func (f *front) run(t *testing.T, args ...string) *process {
	t.Helper()
	return runLB(t, append([]string{"--config", f.file, "--prefix", "dlbtest-none", "--admin-listen", f.admin}, args...)...)
}

func (f *front) takeover(t *testing.T, args ...string) *process {
	t.Helper()
	return f.run(t, append([]string{"--takeover", "--takeover-socket", f.socket}, args...)...)
}

// ready asks /ready on a connection of its own.
func (f *front) ready(t *testing.T) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://"+f.admin+"/ready", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}
