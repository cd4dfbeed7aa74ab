package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// endpoint is one row of the table that /, /help, the text of a 404 and the
// dispatch come from.
type endpoint struct {
	path   string
	help   string
	post   bool // changes something: only by POST
	params []param
	serve  func(w http.ResponseWriter, r *http.Request)
}

type param struct{ name, help string }

// table is every endpoint, sorted by path as Envoy lists them.
func (s *Server) table() []endpoint {
	format := param{"format", "text or json"}
	container := param{"container", "its name, id or short id"}
	t := []endpoint{
		{path: "/", help: "the page: clusters, endpoints, what is not routed and why", serve: s.page},
		{path: "/help", help: "this list", serve: s.help},
		{path: "/ready", help: "200 LIVE, or 503 and the state", serve: s.ready},
		{path: "/server_info", help: "version, state and uptime (JSON)", serve: s.serverInfo},
		{path: "/clusters", help: "clusters and their endpoints", params: []param{format}, serve: s.clusters},
		{path: "/config_dump", help: "what the configuration file said, and what labels made of it (JSON)", params: []param{
			{"resource", "only this list, as static_clusters"},
			{"mask", "only these fields, a FieldMask"},
			{"name_regex", "only what has such a name"},
			{"include_eds", "the endpoints, too"},
		}, serve: s.configDump},
		{path: "/listeners", help: "listeners and their addresses", params: []param{format}, serve: s.listeners},
		{path: "/stats", help: "counters and gauges", params: []param{
			{"format", "text, json or prometheus"},
			{"filter", "a regular expression that names must contain"},
			{"type", "All, Counters, Gauges or Histograms"},
			{"usedonly", "only what is not zero"},
		}, serve: s.stats},
		{path: "/stats/prometheus", help: "counters, gauges and histograms for Prometheus", serve: s.prometheus},

		{path: "/lb/v1/clusters", help: "clusters (JSON)", serve: s.apiClusters},
		{path: "/lb/v1/endpoints", help: "endpoints: state, why, weight, counters (JSON)", serve: s.apiEndpoints},
		{path: "/lb/v1/routes", help: "routes and who asked for them (JSON)", serve: s.apiRoutes},
		{path: "/lb/v1/listeners", help: "listeners (JSON)", serve: s.apiListeners},
		{path: "/lb/v1/traces", help: "every decision about each labelled container (JSON)",
			params: []param{{"container", "only this one"}}, serve: s.apiTraces},
		{path: "/lb/v1/config", help: "how the configuration file does, and what is wrong with it (JSON)", serve: s.fileStatus},
		{path: "/lb/v1/in_flight", help: "requests in flight on a container (JSON)", params: []param{container}, serve: s.apiInFlight},

		{path: "/lb/v1/drain", post: true, help: "take a container out of rotation; what is in flight finishes",
			params: []param{container}, serve: s.drain},
		{path: "/lb/v1/undrain", post: true, help: "take it in again", params: []param{container}, serve: s.undrain},
		{path: "/lb/v1/weight", post: true, help: "set a container's weight",
			params: []param{container, {"weight", "0 to 1000; 0 takes no traffic; default lifts it"}}, serve: s.weight},

		{path: "/healthcheck/fail", post: true, help: "make /ready answer 503, and tell connections to close", serve: s.healthcheckFail},
		{path: "/healthcheck/ok", post: true, help: "undo /healthcheck/fail", serve: s.healthcheckOK},
		{path: "/drain_listeners", post: true, help: "close the listeners",
			params: []param{
				{"graceful", "tell connections to close, keep accepting for the drain delay, then close"},
				{"skip_exit", "with graceful: never close"},
			}, serve: s.drainListeners},
		{path: "/logging", post: true, help: "show or set the log level",
			params: []param{{"level", "trace, debug, info, warning, error, critical or off"}}, serve: s.logging},
		{path: "/quitquitquit", post: true, help: "end the process, gracefully", serve: s.quit},
		{path: "/reset_counters", post: true, help: "set all counters to zero", serve: s.resetCounters},
	}
	slices.SortFunc(t, func(a, b endpoint) int { return cmp.Compare(a.path, b.path) })
	return t
}

// Handler is the whole port as an http.Handler.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

// serveHTTP follows Envoy's generic rules: exact path, the two
// headers on everything, the list of commands with a 404, 405 where something
// would change by anything but a POST.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Cache-Control", "no-cache, max-age=0")
	h.Set("X-Content-Type-Options", "nosniff")

	i, found := slices.BinarySearchFunc(s.endpoints, r.URL.Path, func(e endpoint, path string) int { return cmp.Compare(e.path, path) })
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		h.Set("Allow", "GET, HEAD, POST")
		s.fail(w, http.StatusMethodNotAllowed, fmt.Sprintf("Method %s not allowed.", r.Method))
		return
	}
	if no := s.admit(r); no != nil {
		if no.code == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Bearer realm="lb admin"`)
		}
		s.fail(w, no.code, no.text)
		return
	}
	if !found {
		s.fail(w, http.StatusNotFound, "invalid path. "+s.helpText())
		return
	}
	e := s.endpoints[i]
	if e.post && r.Method != http.MethodPost {
		h.Set("Allow", "POST")
		s.fail(w, http.StatusMethodNotAllowed, fmt.Sprintf("Method %s not allowed, POST required.", r.Method))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	if err := r.ParseForm(); err != nil {
		s.fail(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	e.serve(w, r)
}

// fail answers with a text.
func (s *Server) fail(w http.ResponseWriter, code int, text string) {
	w.WriteHeader(code)
	fmt.Fprint(w, text)
}

func (s *Server) help(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s.helpText()) }

// helpText is Envoy's list.
func (s *Server) helpText() string {
	var b strings.Builder
	b.WriteString("admin commands are:\n")
	for _, e := range s.endpoints {
		fmt.Fprintf(&b, "  %s%s: %s\n", e.path, postMark(e), e.help)
		for _, p := range e.params {
			fmt.Fprintf(&b, "      %s: %s\n", p.name, p.help)
		}
	}
	return b.String()
}

func postMark(e endpoint) string {
	if e.post {
		return " (POST)"
	}
	return ""
}
