package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
)

// fakeDNS answers A questions from a table; what is not in it does not exist.
type fakeDNS struct {
	addr netip.AddrPort

	mu    sync.Mutex
	names map[string][]netip.Addr
}

func newDNS(t *testing.T) *fakeDNS {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	d := &fakeDNS{addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), names: map[string][]netip.Addr{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return // closed
			}
			if answer, ok := d.answer(b[:n]); ok {
				_, _ = conn.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return d
}

func (d *fakeDNS) set(name string, addresses ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[name+"."] = nil
	for _, a := range addresses {
		d.names[name+"."] = append(d.names[name+"."], netip.MustParseAddr(a))
	}
}

func (d *fakeDNS) answer(question []byte) ([]byte, bool) {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil, false
	}
	q := m.Questions[0]
	out := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	d.mu.Lock()
	addresses, known := d.names[strings.ToLower(q.Name.String())]
	d.mu.Unlock()
	if !known {
		out.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addresses {
		if q.Type == dnsmessage.TypeA {
			out.Answers = append(out.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 600}, Body: &dnsmessage.AResource{A: a.As4()},
			})
		}
	}
	b, err := out.Pack()
	return b, err == nil
}

// twoBackends listen on one port of two addresses, as two containers do, and
// answer with their names.
func twoBackends(t *testing.T) (port string) {
	t.Helper()
	for _, name := range []string{"one", "two"} {
		address := map[string]string{"one": "127.0.0.2:0", "two": "127.0.0.3:" + port}[name]
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", name, r.Host) })}
		done := make(chan struct{})
		go func() { defer close(done); _ = srv.Serve(l) }()
		t.Cleanup(func() { srv.Close(); <-done })
	}
	return port
}

// seedFile is the demo's file with ports that are free here, and a refresh
// that a test can wait for.
func seedFile(t *testing.T, listen, port string) (path, text string) {
	t.Helper()
	b, err := os.ReadFile("../../config/testdata/envoy-demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = string(b)
	_, listenPort, _ := net.SplitHostPort(listen)
	for _, change := range [][2]string{
		{"address: 0.0.0.0\n        port_value: 10000", "address: 127.0.0.1\n        port_value: " + listenPort},
		{"address: 0.0.0.0, port_value: 9901", "address: 127.0.0.1, port_value: 1"}, // the flag counts more
		{"port_value: 8080", "port_value: " + port},
		{"type: STRICT_DNS", "type: STRICT_DNS\n    dns_refresh_rate: 0.05s"},
	} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("the demo's file has no %q", change[0])
		}
		text = strings.ReplaceAll(text, change[0], change[1])
	}
	path = filepath.Join(t.TempDir(), "envoy.yaml")
	write(t, path, text)
	return path, text
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runFile runs "lb run --config" until the test ends.
func runFile(t *testing.T, path string, flags ...string) (d *daemon, log *buffer) {
	t.Helper()
	log = &buffer{}
	started := make(chan *daemon, 1)
	signals := make(chan os.Signal, 2)
	p := Program{Stdout: log, Stderr: log, Signals: signals, started: func(d *daemon) { started <- d }}
	code := make(chan int, 1)
	args := append([]string{"lb", "run", "--config", path, "--admin-listen", "127.0.0.1:0", "--shutdown-timeout", "1s"}, flags...)
	go func() { code <- p.Run(t.Context(), args) }()
	select {
	case d = <-started:
	case c := <-code:
		t.Fatalf("exit code %d: %s", c, log)
	}
	t.Cleanup(func() {
		signals <- syscall.SIGTERM
		if c := <-code; c != 0 {
			t.Errorf("exit code %d: %s", c, log)
		}
	})
	return d, log
}

func get(t *testing.T, url string) (string, int) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Get(url)
	if err != nil {
		return err.Error(), 0
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), res.StatusCode
}

// The demo's file at work: two names, taken in turns; a name that is gone takes
// its endpoint with it; a changed file is in force; a bad one changes nothing.
func TestRunTheDemosFile(t *testing.T) {
	dns := newDNS(t)
	dns.set("daemon1", "127.0.0.2")
	dns.set("daemon2", "127.0.0.3")
	port, listen := twoBackends(t), nobody(t)
	path, text := seedFile(t, listen, port)
	d, log := runFile(t, path, "--dns", dns.addr.String(), "--docker", fakeengine.New(t).Host())
	url, adminURL := "http://"+listen+"/", "http://"+d.admin.Addr().String()
	eventually(t, "both endpoints", func() bool {
		text, _ := get(t, adminURL+"/clusters")
		_, code := get(t, adminURL+"/ready")
		return strings.Count(text, "::health_flags::healthy") == 2 && code == 200
	})

	var turns []string
	for range 6 {
		body, code := get(t, url)
		if code != 200 || !strings.HasSuffix(body, " "+listen) { // Host is passed on
			t.Fatalf("%d %q\n%s", code, body, log)
		}
		turns = append(turns, strings.Fields(body)[0])
	}
	if slices.Equal(turns[:1], turns[1:2]) || !slices.Equal(turns[:2], turns[2:4]) || !slices.Equal(turns[:2], turns[4:]) {
		t.Errorf("turns %q", turns)
	}
	clusters, _ := get(t, adminURL+"/clusters")
	for _, line := range []string{
		"rust_daemons::observability_name::rust_daemons\n", "rust_daemons::default_priority::max_connections::1024\n", "rust_daemons::added_via_api::false\n",
		"rust_daemons::127.0.0.2:" + port + "::hostname::daemon1\n", "rust_daemons::127.0.0.3:" + port + "::hostname::daemon2\n",
		"rust_daemons::127.0.0.3:" + port + "::rq_total::3\n",
	} {
		if !strings.Contains(clusters, line) {
			t.Errorf("no %s in\n%s", line, clusters)
		}
	}
	dump, code := get(t, adminURL+"/config_dump?resource=static_clusters&mask=cluster.name")
	if code != 200 || !strings.Contains(dump, `"name": "rust_daemons"`) || strings.Contains(dump, "daemon1") {
		t.Errorf("dump: %d %s", code, dump)
	}

	dns.set("daemon2") // there is no such container any more
	eventually(t, "daemon2 is gone", func() bool {
		text, _ := get(t, adminURL+"/clusters")
		return !strings.Contains(text, "127.0.0.3:")
	})
	for range 3 {
		if body, code := get(t, url); code != 200 || !strings.HasPrefix(body, "one ") {
			t.Errorf("with daemon1 alone: %d %q", code, body)
		}
	}

	write(t, path, strings.Replace(text, "              - match:\n", "              - {match: {path: /new}, direct_response: {status: 203, body: {inline_string: new}}}\n              - match:\n", 1))
	eventually(t, "the changed file is in force", func() bool { _, code := get(t, url+"new"); return code == 203 })
	write(t, path, "nonsense: true\n")
	eventually(t, "the bad file is noticed", func() bool {
		text, _ := get(t, adminURL+"/lb/v1/config")
		return strings.Contains(text, "nonsense")
	})
	if body, code := get(t, url); code != 200 {
		t.Errorf("with a bad file: %d %q", code, body)
	}
	if s := log.String(); !strings.Contains(s, "line=1") || !strings.Contains(s, "the one loaded before stays in force") {
		t.Errorf("log:\n%s", s)
	}
}

// Containers join a cluster of the file by its name; the same address twice is
// one endpoint, and the file's values count.
func TestFileAndLabels(t *testing.T) {
	engine := fakeengine.New(t)
	dns := newDNS(t)
	engine.Run(fakeengine.Container{Name: "web-1", Labels: map[string]string{"lb.cluster": "rust_daemons", "lb.policy": "random", "lb.host": "web.test"}, Ports: []string{"8000/tcp"}})
	engine.Run(fakeengine.Container{Name: "other-1", Labels: map[string]string{"lb.cluster": "other", "lb.host": "other.test"}, Ports: []string{"8000/tcp"}})
	address := engine.Address("web-1", "bridge")
	dns.set("daemon1", address) // the very container
	dns.set("daemon2", "127.0.0.3")
	listen := nobody(t)
	path, _ := seedFile(t, listen, "8000")
	d, log := runFile(t, path, "--dns", dns.addr.String(), "--docker", engine.Host())
	t.Setenv("LB_ADMIN", d.admin.Addr().String())
	eventually(t, "all endpoints", func() bool {
		out, _, _ := lb(t, "list endpoints")
		return strings.Contains(out, "web-1") && strings.Contains(out, "127.0.0.3:8000") && strings.Contains(out, "other-1")
	})
	endpoints, _, _ := lb(t, "list endpoints")
	if n := strings.Count(endpoints, address+":8000"); n != 1 {
		t.Errorf("%s:8000 is there %d times:\n%s", address, n, endpoints)
	}
	clusters, _, _ := lb(t, "list clusters")
	for name, words := range map[string][]string{"rust_daemons": {"file", "round_robin"}, "other": {"labels"}} {
		i := strings.Index(clusters, "\n"+name+" ")
		if i < 0 {
			t.Fatalf("no %s in\n%s\n%s", name, clusters, log)
		}
		line, _, _ := strings.Cut(clusters[i+1:], "\n")
		for _, w := range words {
			if !strings.Contains(line, w) {
				t.Errorf("no %q in %q", w, line)
			}
		}
	}
	routes, _, _ := lb(t, "list routes")
	if !strings.Contains(routes, "other.test") || !strings.Contains(routes, "file") || !strings.Contains(routes, "labels") {
		t.Errorf("routes:\n%s", routes)
	}
	dump, _ := get(t, "http://"+d.admin.Addr().String()+"/config_dump?resource=dynamic_active_clusters")
	if !strings.Contains(dump, `"name": "other"`) || strings.Contains(dump, "rust_daemons") {
		t.Errorf("dynamic clusters: %s", dump)
	}
}

func TestRunRefusesABadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	write(t, path, "static_resources:\n  clusters:\n  - name: c\n    lb_polcy: RANDOM\n")
	_, errs, code := lb(t, "run --config "+path)
	if want := path + ":4: static_resources.clusters[0].lb_polcy: unknown field; did you mean lb_policy?"; code != exitUsage || !strings.Contains(errs, want) {
		t.Errorf("%d %q, want %q", code, errs, want)
	}
}

func TestValidateSumsUp(t *testing.T) {
	out, errs, code := lb(t, "validate --config ../../config/testdata/envoy-demo.yaml")
	want := `../../config/testdata/envoy-demo.yaml is good
admin     0.0.0.0:9901
listener  0.0.0.0:10000: 1 virtual host, 1 route
cluster   rust_daemons: STRICT_DNS, round_robin: daemon1:8080, daemon2:8080
`
	if code != exitOK || out != want || errs != "" {
		t.Errorf("%d %q %q", code, out, errs)
	}
}

// An engine is looked for where nobody names one; a file does without.
func TestEngineIsOptional(t *testing.T) {
	if err := (&runOptions{}).noEngine(""); err != nil {
		t.Errorf("without a file: %v", err)
	}
	o := &runOptions{anyEngine: true}
	if err := o.noEngine(filepath.Join(t.TempDir(), "none.sock")); err == nil {
		t.Error("no socket is an engine")
	}
	if err := o.noEngine(strings.TrimPrefix(fakeengine.New(t).Host(), "unix://")); err != nil {
		t.Errorf("with an engine: %v", err)
	}
}
