package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/dockerlb/dockerlb/internal/fakeengine"
)

// echoHeaders is a backend that answers with the fields that it got, one a line.
func echoHeaders(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = r.Header.Write(w) })}
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-served })
	return l.Addr().String()
}

// What the flags about forwarding make of a request and its response.
func TestForwardingFlags(t *testing.T) {
	engine := fakeengine.New(t)
	engine.Run(fakeengine.Container{Name: "web-1", Labels: map[string]string{"lb.cluster": "web", "lb.address": echoHeaders(t), "lb.ready": "running"}})
	for _, tt := range []struct {
		flags string
		want  []string // fields of the request, as the backend has them
		not   []string
		via   string // of the response
	}{
		{flags: "", want: []string{"X-Forwarded-For: 127.0.0.1"}, not: []string{"Via:", "Forwarded:", "203.0.113.7"}},
		{flags: "--forwarded", want: []string{"X-Forwarded-For: 127.0.0.1", `Forwarded: for=127.0.0.1;host="shop.test";proto=http`}},
		{flags: "--via edge-1", want: []string{"Via: 1.1 edge-1"}, via: "1.1 edge-1"},
		{flags: "--trusted-hops 1", want: []string{"X-Forwarded-For: 203.0.113.7, 127.0.0.1"}},
		{flags: "--trusted-proxies 127.0.0.0/8", want: []string{"X-Forwarded-For: 203.0.113.7, 127.0.0.1"}},
	} {
		t.Run(tt.flags, func(t *testing.T) {
			d, signals, log, wait := start(t, "--docker "+engine.Host()+" "+tt.flags)
			defer func() {
				signals <- syscall.SIGTERM
				wait()
			}()
			<-d.gate.ready
			url := "http://" + d.proxy.Addr("default").String() + "/"
			eventually(t, "a route", func() bool {
				_, code := get(t, url)
				return code == http.StatusOK
			})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host, req.Close = "shop.test", true
			req.Header.Set("X-Forwarded-For", "203.0.113.7")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var b strings.Builder
			if _, err := io.Copy(&b, res.Body); err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(b.String(), "\r\n", "\n")
			for _, w := range tt.want {
				if !strings.Contains("\n"+got, "\n"+w+"\n") {
					t.Errorf("no %q in\n%s\n%s", w, got, log)
				}
			}
			for _, n := range tt.not {
				if strings.Contains("\n"+got, "\n"+n) {
					t.Errorf("%q in\n%s", n, got)
				}
			}
			if v := res.Header.Get("Via"); v != tt.via {
				t.Errorf("Via of the response: %q, want %q", v, tt.via)
			}
		})
	}
}

// Who relies on a flag that a listener of the file does not hear is told, with
// what to write instead.
func TestFlagsThatTheFileDoesNotHear(t *testing.T) {
	f := newFront(t, backend(t, nil))
	for flags, want := range map[string][]string{
		"":                             nil,
		"--trusted-proxies 10.0.0.0/8": {"--trusted-proxies has no effect on the listeners of the file: their own field is xff_num_trusted_hops, with use_remote_address: true"},
		"--trusted-hops 2 --via lb-1 --forwarded": {
			"--trusted-hops has no effect on the listeners of the file: their own field is xff_num_trusted_hops, with use_remote_address: true",
			"--via has no effect on the listeners of the file: their own field is via",
			"--forwarded has no effect on the listeners of the file: no field of theirs says it",
		},
	} {
		t.Run(flags, func(t *testing.T) {
			_, log := runFile(t, f.file, append([]string{"--prefix", "dlbtest-none"}, strings.Fields(flags)...)...)
			if n := strings.Count(log.String(), "has no effect"); n != len(want) {
				t.Errorf("%d warnings, want %d:\n%s", n, len(want), log)
			}
			for _, w := range want {
				if !strings.Contains(log.String(), w) || !strings.Contains(log.String(), f.file) {
					t.Errorf("no %q in\n%s", w, log)
				}
			}
		})
	}
}
