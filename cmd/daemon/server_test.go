package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// start serves with these settings on a port of its own. The client makes a
// connection per request; ended gives what serve returned.
func start(t *testing.T, s settings) (url string, client *http.Client, signals chan<- os.Signal, ended <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in, out := make(chan os.Signal), make(chan error, 1)
	go func() { out <- serve(listener, s, in, record{id: newID(), to: io.Discard}) }()
	t.Cleanup(func() { listener.Close() })
	client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	return "http://" + listener.Addr().String(), client, in, out
}

func get(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// inFlight sends a request whose body does not end before release is called,
// and returns once it is inside; done gives what became of it.
func inFlight(t *testing.T, client *http.Client, url string) (release func(), done <-chan error) {
	t.Helper()
	result := make(chan error, 1)
	body, sent := io.Pipe()
	go func() {
		response, err := client.Post(url+"/echo", "text/plain", body)
		if err == nil {
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		result <- err
	}()
	if _, err := sent.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sent.Close() })
	return func() { sent.Close() }, result
}

func TestLingerServesOnAndThenFinishes(t *testing.T) {
	url, client, signals, ended := start(t, settings{onTerm: termLinger, linger: 100 * time.Millisecond})
	release, slow := inFlight(t, client, url)
	began := time.Now()
	signals <- syscall.SIGTERM
	if body, err := get(client, url); err != nil || !strings.HasPrefix(body, "My id is ") {
		t.Fatalf("just after SIGTERM: %q, %v", body, err)
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended with a request in flight: %v", err)
	case <-time.After(200 * time.Millisecond): // well past the linger
	}
	release()
	if err := <-slow; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("it lingered only %v", took)
	}
	if _, err := get(client, url); err == nil {
		t.Error("it still answers after its end")
	}
}

func TestCloseCutsAtOnce(t *testing.T) {
	url, client, signals, ended := start(t, settings{onTerm: termClose, linger: time.Hour})
	release, slow := inFlight(t, client, url)
	signals <- syscall.SIGTERM
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
	release() // the client reports the cut only once its body has ended
	if err := <-slow; err == nil {
		t.Error("the request in flight was answered")
	}
}

func TestIgnoreServesOn(t *testing.T) {
	url, client, signals, ended := start(t, settings{onTerm: termIgnore})
	for range 3 {
		signals <- syscall.SIGTERM // taken: the channel has no room
	}
	if body, err := get(client, url); err != nil || !strings.HasPrefix(body, "My id is ") {
		t.Fatalf("after SIGTERM: %q, %v", body, err)
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended: %v", err)
	default:
	}
	// Only the listener's end ends it; connections are per request.
}

func TestAsk(t *testing.T) {
	url, _, signals, ended := start(t, settings{onTerm: termClose})
	defer func() { signals <- syscall.SIGTERM; <-ended }()
	defer http.DefaultClient.CloseIdleConnections()
	listen := strings.TrimPrefix(url, "http://")
	for _, step := range []struct{ method, target, fails string }{
		{"GET", "/healthz", ""},
		{"PUT", "/healthz?ok=false", ""},
		{"GET", "/healthz", "503"},
		{"PUT", "/healthz?ok=true", ""},
		{"GET", "/healthz", ""},
	} {
		err := ask(listen, step.method, step.target)
		if step.fails == "" && err != nil || step.fails != "" && (err == nil || !strings.Contains(err.Error(), step.fails)) {
			t.Fatalf("%s%s: %v, want %q", step.method, step.target, err, step.fails)
		}
	}
}

func TestRecordSaysWhoseItIs(t *testing.T) {
	for service, want := range map[string]string{"web": `^\d{19} x listening web\n\d{19} x end\n$`, "": `^\d{19} x listening\n\d{19} x end\n$`} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close() // so that it ends at once
		var written strings.Builder
		serve(listener, settings{service: service}, nil, record{id: "x", to: &written})
		if !regexp.MustCompile(want).MatchString(written.String()) {
			t.Errorf("service %q: record %q", service, &written)
		}
	}
}
