package bench

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/dockerlb/dockerlb/internal/freeport"
)

// contender is a proxy that is measured.
type contender struct {
	name string
	// what says how it is set, for the report's head.
	what string
	// command makes ready, in dir, and returns what is to be run so that it
	// listens on addr.
	command func(dir string, addr netip.AddrPort, backends []netip.AddrPort) (*exec.Cmd, error)
}

// Names of the contenders; the ratios are to the first two of the others.
const (
	nameLB      = "lb"
	nameHAProxy = "haproxy"
	nameNginx   = "nginx"
	nameReverse = "ReverseProxy"
)

func (r *run) contenders() []contender {
	return []contender{
		{nameLB, "this tree; metrics on, access log off, no engine, user and capabilities as in the image", r.lb},
		{nameHAProxy, r.tools.version(nameHAProxy) + "; 2 threads, http-reuse always", r.haproxy},
		{nameNginx, r.tools.version(nameNginx) + "; 2 workers, upstream keepalive, proxy buffers of 512 KiB", r.nginx},
		{nameReverse, "net/http/httputil; kept connections, buffer pool", r.reverseProxy},
	}
}

// lb is the program itself, from the bootstrap file that a user would write.
func (r *run) lb(dir string, addr netip.AddrPort, backends []netip.AddrPort) (*exec.Cmd, error) {
	admin, err := freeport.Loopback()
	if err != nil {
		return nil, err
	}
	var endpoints strings.Builder
	for _, b := range backends {
		fmt.Fprintf(&endpoints, "        - endpoint: { address: { socket_address: { address: %s, port_value: %d } } }\n", b.Addr(), b.Port())
	}
	path, err := write(dir, "lb.yaml", fmt.Sprintf(lbFile, admin.Addr(), admin.Port(), addr.Addr(), addr.Port(), endpoints.String()))
	if err != nil {
		return nil, err
	}
	// A copy: the image's user may not be allowed where the tree is. The
	// prefix: should an engine be found, none of its containers is a member.
	program, err := copyProgram(r.o.LB, filepath.Join(dir, "lb"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "run", "--config", path, "--prefix", "bench", "--log-level", "warning", "--max-connections", "0")
	cmd.SysProcAttr = asInImage()
	return cmd, nil
}

const lbFile = `admin: { address: { socket_address: { address: %s, port_value: %d } } }
static_resources:
  listeners:
  - name: front
    address: { socket_address: { address: %s, port_value: %d } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          route_config:
            name: all
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: { prefix: "/" }
                route: { cluster: backends, timeout: 60s }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
  - name: backends
    type: STATIC
    load_assignment:
      cluster_name: backends
      endpoints:
      - lb_endpoints:
%s`

func (r *run) haproxy(dir string, addr netip.AddrPort, backends []netip.AddrPort) (*exec.Cmd, error) {
	var servers strings.Builder
	for i, b := range backends {
		fmt.Fprintf(&servers, "    server b%d %s\n", i+1, b)
	}
	path, err := write(dir, "haproxy.cfg", fmt.Sprintf(haproxyFile, addr, servers.String()))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(r.tools[nameHAProxy], "-db", "-q", "-f", path)
	cmd.SysProcAttr = attributes()
	return cmd, nil
}

// no strict-limits: where descriptors are fewer than twice the connections it
// must say so and run.
const haproxyFile = `global
    nbthread 2
    maxconn 16000
    no strict-limits
defaults
    mode http
    http-reuse always
    timeout client 1h
    timeout http-keep-alive 1h
    timeout connect 2s
    timeout server 60s
frontend front
    bind %s backlog 4096
    default_backend backends
backend backends
    balance roundrobin
%s`

func (r *run) nginx(dir string, addr netip.AddrPort, backends []netip.AddrPort) (*exec.Cmd, error) {
	var servers strings.Builder
	for _, b := range backends {
		fmt.Fprintf(&servers, "        server %s;\n", b)
	}
	http := fmt.Sprintf(nginxProxyFile, servers.String(), addr)
	return r.nginxCommand(dir, "proxy", 2, http)
}

// The buffers are larger than by default, where a POST of 16 KiB goes through a
// file and large responses go in many small pieces.
const nginxProxyFile = `    upstream backends {
%s        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffers 16 32k;
    client_body_buffer_size 64k;
    proxy_max_temp_file_size 0;
    server {
        listen %s backlog=4096 reuseport;
        location / { proxy_pass http://backends; }
    }
`

// nginxCommand runs nginx with its own files in dir and nowhere else.
func (r *run) nginxCommand(dir, name string, workers int, http string) (*exec.Cmd, error) {
	temp := filepath.Join(dir, name)
	if err := os.Mkdir(temp, 0o777); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(nginxFile, userOf(), workers, temp, http)
	path, err := write(dir, name+".conf", text)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(r.tools[nameNginx], "-e", "stderr", "-p", temp, "-c", path)
	cmd.SysProcAttr = attributes()
	return cmd, nil
}

// userOf: root's nginx would give its workers to "nobody", who may not read what
// we have written.
func userOf() string {
	if os.Geteuid() == 0 {
		return "user root;\n"
	}
	return ""
}

const nginxFile = `%sworker_processes %d;
daemon off;
pid %[3]s/pid;
error_log stderr crit;
events { worker_connections 16384; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path %[3]s/body;
    proxy_temp_path %[3]s/proxy;
    fastcgi_temp_path %[3]s/fastcgi;
    uwsgi_temp_path %[3]s/uwsgi;
    scgi_temp_path %[3]s/scgi;
%[4]s}
`

// reverseProxy is this program again (see ReverseProxy).
func (r *run) reverseProxy(_ string, addr netip.AddrPort, backends []netip.AddrPort) (*exec.Cmd, error) {
	args := append([]string(nil), r.o.Reverse...)
	args = append(args, addr.String())
	for _, b := range backends {
		args = append(args, b.String())
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = attributes()
	return cmd, nil
}
