package storm

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// target is another proxy under the same storm. HAProxy and nginx are run from
// this machine's own binaries, inside the network namespace of a container of
// the stage, so that they have the engine's embedded DNS and a published port
// as a container of theirs would.
type target struct {
	name    string // of the program; empty where it runs already
	address string // host:port, where it runs already
	// configure writes the program's files into a folder and returns its
	// arguments.
	configure func(dir string) (args []string, err error)

	process *exec.Cmd
}

// newTarget reads haproxy, nginx or the URL of a proxy that runs. Nil: ours.
func newTarget(text string) (*target, error) {
	switch text {
	case "":
		return nil, nil
	case "haproxy":
		return &target{name: text, configure: haproxy}, nil
	case "nginx":
		return &target{name: text, configure: nginx}, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Port() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("target %q: want haproxy, nginx or http://HOST:PORT", text)
	}
	return &target{address: u.Host}, nil
}

// start runs the program beside process 1 of a container.
func (t *target) start(dir, pid string) error {
	if err := errors.Join(root(), command("nsenter")(), command(t.name)()); err != nil {
		return fmt.Errorf("target %s: %w", t.name, err)
	}
	args, err := t.configure(dir)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, t.name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	t.process = exec.Command("nsenter", append([]string{"--target", pid, "--net", t.name}, args...)...)
	t.process.Stdout, t.process.Stderr = log, log
	return t.process.Start()
}

// said is the end of the program's log, for an error.
func (t *target) said(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, t.name+".log"))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-1000):]))
}

// stop ends the program, if it was started.
func (t *target) stop() {
	if t.process == nil {
		return
	}
	t.process.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(5*time.Second, func() { t.process.Process.Kill() })
	t.process.Wait() // ended by our signal: there is nothing to report
	kill.Stop()
}

// haproxy is configured as its users advise for Docker: names asked again each
// second, checks each half second, another server where one cannot be reached,
// and for GETs also where one breaks off.
func haproxy(dir string) ([]string, error) {
	var b strings.Builder
	b.WriteString(`global
  maxconn 4000
defaults
  mode http
  maxconn 4000
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response junk-response response-timeout 500
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
  default-server check inter 500ms fall 1 rise 1 resolvers docker init-addr none
resolvers docker
  nameserver dns 127.0.0.11:53
  resolve_retries 1
  timeout resolve 1s
  timeout retry 500ms
  hold valid 1s
frontend all
  bind :10000
`)
	for _, v := range services {
		fmt.Fprintf(&b, "  use_backend %s if { hdr(host) %s }\n", v.name, host(v.name))
	}
	for _, v := range services {
		fmt.Fprintf(&b, "backend %s\n  balance roundrobin\n  http-request disable-l7-retry if METH_POST\n  server-template %s 6 %s:8080\n", v.name, v.name, v.name)
	}
	path := filepath.Join(dir, "haproxy.cfg")
	return []string{"-db", "-f", path}, os.WriteFile(path, []byte(b.String()), 0o644)
}

// nginx is configured as its users advise for Docker: the name in a variable, so
// that it is asked again each second.
func nginx(dir string) ([]string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, `daemon off;
pid %s/nginx.pid;
error_log stderr warn;
events { worker_connections 10000; }
http {
  access_log off;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  resolver 127.0.0.11 valid=1s;
  proxy_http_version 1.1;
  proxy_connect_timeout 2s;
  proxy_next_upstream error timeout http_500 http_502 http_503;
  proxy_set_header Host $host;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $keep;
  map $http_upgrade $keep { default upgrade; "" ""; }
  map $host $service {
`, dir)
	for _, v := range services {
		fmt.Fprintf(&b, "    %s %s;\n", host(v.name), v.name)
	}
	b.WriteString(`  }
  server {
    listen 10000;
    location / { proxy_pass http://$service:8080; }
  }
}
`)
	path := filepath.Join(dir, "nginx.conf")
	return []string{"-c", path, "-p", dir}, os.WriteFile(path, []byte(b.String()), 0o644)
}

// startTarget starts the stage's target beside the front container.
func (s *stage) startTarget(ctx context.Context) error {
	if s.target.name == "" {
		s.address = s.target.address
		return nil
	}
	pid, err := s.docker(ctx, "inspect", "-f", "{{.State.Pid}}", s.front)
	if err != nil {
		return err
	}
	return s.target.start(s.dir, pid)
}
