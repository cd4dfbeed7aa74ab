package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Who may use the port:
//
//	peer       GET, HEAD   POST
//	loopback   yes         yes
//	any other  yes         with the token
//
// The seed's example binds admin to 0.0.0.0, where every backend reaches it;
// without this table any container could POST /quitquitquit.
//
// A browser is everybody's tool, so two things are checked before the table:
// the Host must be one under which we are known (a page of another site whose
// name was rebound to our address asks with its own name), and an Origin must be
// ours (a form or script of another site tells its own).

// refusal is why a request is not answered.
type refusal struct {
	code int
	text string
}

// admit returns nil where r may go on to a handler.
func (s *Server) admit(r *http.Request) *refusal {
	if !s.knownHost(r.Host) {
		return &refusal{http.StatusForbidden, fmt.Sprintf(
			"asked for as %q, which is not a name of this port: use an IP address or localhost, or allow the name with --admin-host\n", r.Host)}
	}
	if !sameOrigin(r) {
		return &refusal{http.StatusForbidden, fmt.Sprintf("origin %q may not use this port\n", r.Header.Get("Origin"))}
	}
	if r.Method != http.MethodPost || trusted(r) {
		return nil
	}
	if s.o.Token == "" {
		return &refusal{http.StatusForbidden, "changes are allowed from loopback only: no token is set\n"}
	}
	if !s.tokenMatches(r.Header.Values("Authorization")) {
		return &refusal{http.StatusUnauthorized,
			"changes from anywhere but loopback need \"Authorization: Bearer TOKEN\": the token is in --admin-token-file, LB_ADMIN_TOKEN or the log\n"}
	}
	return nil
}

// trusted tells whether the peer itself is on loopback. A reverse proxy on
// loopback speaks for somebody else: it says so, and gets no more than they.
func trusted(r *http.Request) bool {
	for _, h := range [...]string{"X-Forwarded-For", "Forwarded", "X-Real-Ip"} {
		if _, ok := r.Header[h]; ok {
			return false
		}
	}
	return isLoopback(r.RemoteAddr)
}

// tokenMatches compares digests, so that neither the token's text nor its
// length shows in the time it takes.
func (s *Server) tokenMatches(values []string) bool {
	if len(values) != 1 {
		return false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return subtle.ConstantTimeCompare(sum[:], s.tokenSum[:]) == 1
}

// knownHost: an address, localhost, a name without a dot (a Compose service,
// which no stranger's DNS can be made to answer), or one of Options.Hosts.
func (s *Server) knownHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" { // HTTP/1.0; no browser asks so
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") ||
		slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// sameOrigin looks at what a browser says of the page that asks. curl and the
// like say nothing, and pass.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); r.Method == http.MethodPost && site != "" && site != "same-origin" && site != "none" {
		return false
	}
	origin, ok := r.Header["Origin"]
	if !ok {
		return true
	}
	if len(origin) != 1 {
		return false
	}
	u, err := url.Parse(origin[0])
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
