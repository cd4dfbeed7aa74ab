package admin

import (
	"net/http"
	"strings"
	"testing"
)

// TestAccess is the table of access.go: each cell, and the ways around it.
func TestAccess(t *testing.T) {
	const (
		loopback  = "127.0.0.1:40000"
		loopback6 = "[::1]:40000"
		mapped    = "[::ffff:127.0.0.1]:40000"
		stranger  = "172.18.0.5:40000"
	)
	for _, tt := range []struct {
		name    string
		peer    string
		method  string
		path    string
		headers map[string]string
		host    string
		want    int
	}{
		{name: "loopback reads", peer: loopback, method: "GET", path: "/clusters", want: 200},
		{name: "loopback reads heads", peer: loopback, method: "HEAD", path: "/clusters", want: 200},
		{name: "loopback changes", peer: loopback, method: "POST", path: "/healthcheck/ok", want: 200},
		{name: "IPv6 loopback changes", peer: loopback6, method: "POST", path: "/healthcheck/ok", want: 200},
		{name: "IPv4 loopback on an IPv6 socket changes", peer: mapped, method: "POST", path: "/healthcheck/ok", want: 200},
		{name: "a stranger reads", peer: stranger, method: "GET", path: "/clusters", want: 200},
		{name: "a stranger reads the page", peer: stranger, method: "GET", path: "/", want: 200},
		{name: "a stranger reads decisions", peer: stranger, method: "GET", path: "/lb/v1/traces", want: 200},
		{name: "a stranger may not change", peer: stranger, method: "POST", path: "/healthcheck/ok", want: 401},
		{name: "a stranger may not POST to a read path", peer: stranger, method: "POST", path: "/stats", want: 401},
		{name: "a stranger may not POST where nothing is", peer: stranger, method: "POST", path: "/nowhere", want: 401},
		{name: "the token opens", peer: stranger, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Authorization": "Bearer " + testToken}, want: 200},
		{name: "the scheme is case-insensitive", peer: stranger, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Authorization": "bearer " + testToken}, want: 200},
		{name: "a wrong token", peer: stranger, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Authorization": "Bearer " + testToken + "x"}, want: 401},
		{name: "a prefix of the token", peer: stranger, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Authorization": "Bearer " + testToken[:8]}, want: 401},
		{name: "an empty token", peer: stranger, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Authorization": "Bearer "}, want: 401},
		{name: "another scheme", peer: stranger, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Authorization": "Basic " + testToken}, want: 401},
		{name: "a proxy on loopback speaks for a stranger", peer: loopback, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"X-Forwarded-For": "203.0.113.7"}, want: 401},
		{name: "a stranger cannot forward himself in", peer: stranger, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"X-Forwarded-For": "127.0.0.1"}, want: 401},

		{name: "a GET changes nothing", peer: loopback, method: "GET", path: "/quitquitquit", want: 405},
		{name: "other methods are refused", peer: loopback, method: "DELETE", path: "/clusters", want: 405},
		{name: "preflights are refused", peer: loopback, method: "OPTIONS", path: "/clusters", want: 405},

		{name: "a rebound name reads", peer: loopback, method: "GET", path: "/clusters", host: "evil.example:9901", want: 403},
		{name: "a rebound name changes", peer: loopback, method: "POST", path: "/healthcheck/ok", host: "evil.example:9901", want: 403},
		{name: "a rebound name with a trailing dot", peer: loopback, method: "GET", path: "/clusters", host: "evil.example.:9901", want: 403},
		{name: "localhost", peer: loopback, method: "GET", path: "/clusters", host: "localhost:9901", want: 200},
		{name: "a Compose service's name", peer: stranger, method: "GET", path: "/clusters", host: "lb:9901", want: 200},
		{name: "an IPv6 address", peer: stranger, method: "GET", path: "/clusters", host: "[fd00::2]:9901", want: 200},
		{name: "a name that was allowed", peer: stranger, method: "GET", path: "/clusters", host: "LB.example.com:9901", want: 200},

		{name: "our own page", peer: loopback, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Origin": "http://localhost:9901", "Sec-Fetch-Site": "same-origin"}, host: "localhost:9901", want: 200},
		{name: "another site's form", peer: loopback, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Origin": "http://evil.example"}, host: "localhost:9901", want: 403},
		{name: "another port's page", peer: loopback, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Origin": "http://localhost:8080"}, host: "localhost:9901", want: 403},
		{name: "a sandboxed page", peer: loopback, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Origin": "null"}, want: 403},
		{name: "a browser without Origin from another site", peer: loopback, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Sec-Fetch-Site": "cross-site"}, want: 403},
		{name: "another site's script reads", peer: loopback, method: "GET", path: "/lb/v1/clusters",
			headers: map[string]string{"Origin": "http://evil.example"}, want: 403},
		{name: "the token does not excuse another site", peer: stranger, method: "POST", path: "/healthcheck/ok",
			headers: map[string]string{"Authorization": "Bearer " + testToken, "Origin": "http://evil.example"}, want: 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newServer(t, func(o *Options) { o.Hosts = []string{"lb.example.com"} })
			w := ask(t, s, tt.method, tt.path, func(r *http.Request) {
				r.RemoteAddr = tt.peer
				if tt.host != "" {
					r.Host = tt.host
				}
				for k, v := range tt.headers {
					r.Header.Set(k, v)
				}
			})
			if w.Code != tt.want {
				t.Errorf("%d, want %d: %s", w.Code, tt.want, w.Body)
			}
			if w.Code == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("401 without a challenge: %v", w.Header())
			}
		})
	}
}

func TestAccessWithoutToken(t *testing.T) {
	s, _ := newServer(t, func(o *Options) { o.Token = "" })
	w := ask(t, s, "POST", "/healthcheck/ok", func(r *http.Request) {
		r.RemoteAddr = "172.18.0.5:40000"
		r.Header.Set("Authorization", "Bearer ")
	})
	if w.Code != http.StatusForbidden {
		t.Errorf("an empty token opened: %d", w.Code)
	}
}

func TestAccessTwoTokens(t *testing.T) {
	s, _ := newServer(t, nil)
	w := ask(t, s, "POST", "/healthcheck/ok", func(r *http.Request) {
		r.RemoteAddr = "172.18.0.5:40000"
		r.Header["Authorization"] = []string{"Bearer wrong", "Bearer " + testToken}
	})
	if w.Code != http.StatusUnauthorized {
		t.Errorf("two tokens: %d, want 401", w.Code)
	}
}
