package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/config"
	"github.com/dockerlb/dockerlb/topology"
)

// The JSON of /lb/v1/: what the lb command prints, and what scripts may rely
// on. Fields are added, never renamed or removed. Durations are milliseconds,
// times RFC 3339; what is unknown is left out.

// Status is in every answer: how whole the picture is, and what people must
// know beneath any list.
type Status struct {
	Generation uint64     `json:"generation"` // of the table
	State      string     `json:"state"`      // LIVE, INITIALIZING, DRAINING
	Reason     string     `json:"reason,omitempty"`
	Engines    []Engine   `json:"engines"`
	File       *FileState `json:"file,omitempty"` // nil: none was given
	// NotRouted are the labelled containers without an endpoint that takes
	// traffic by discovery's decision, and why.
	NotRouted []NotRouted `json:"not_routed"`
	// Problems are what is wrong with labels, of routed containers too.
	Problems  []Problem  `json:"problems"`
	Conflicts []Conflict `json:"conflicts"`
}

type Engine struct {
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	APIVersion string     `json:"api_version,omitempty"`
	Connected  bool       `json:"connected"`
	Since      *time.Time `json:"since,omitempty"`
	LastEvent  *time.Time `json:"last_event,omitempty"`
	LastList   *time.Time `json:"last_list,omitempty"`
	Error      string     `json:"error,omitempty"`
}

// FileState is how the configuration file does. The value that was loaded last
// stays in force while a newer version has errors; /lb/v1/file lists them.
type FileState struct {
	Path     string     `json:"path"`
	LoadedAt time.Time  `json:"loaded_at"`
	FailedAt *time.Time `json:"failed_at,omitempty"`
	Errors   int        `json:"errors"`
	Error    string     `json:"error,omitempty"` // the first
}

func fileState(f File) *FileState {
	if f == nil {
		return nil
	}
	st := f.Status()
	out := &FileState{Path: st.Path, LoadedAt: st.LoadedAt, FailedAt: when(st.FailedAt)}
	if all := config.All(st.Err); len(all) > 0 {
		out.Errors, out.Error = len(all), all[0].Error()
	}
	return out
}

type NotRouted struct {
	Container string `json:"container"` // name
	ID        string `json:"id"`
	Image     string `json:"image,omitempty"`
	Verdict   string `json:"verdict"` // quarantined, out, not running
	Reason    string `json:"reason"`
}

type Problem struct {
	Container string `json:"container"`
	Severity  string `json:"severity"` // warning, skipped, quarantined
	Label     string `json:"label,omitempty"`
	Value     string `json:"value,omitempty"`
	Reason    string `json:"reason"`
	Hint      string `json:"hint,omitempty"`
}

type Conflict struct {
	Kind   string   `json:"kind"` // route, setting
	What   string   `json:"what"`
	Winner string   `json:"winner"`
	Losers []string `json:"losers"`
}

// Clusters is /lb/v1/clusters.
type Clusters struct {
	Clusters []Cluster `json:"clusters"`
	Status
}

type Cluster struct {
	Name      string     `json:"name"`
	Type      string     `json:"type"`
	Source    string     `json:"source"`
	Policy    string     `json:"policy"`
	Ready     int        `json:"ready"`
	Total     int        `json:"total"`
	Warm      bool       `json:"warm"`
	Panic     bool       `json:"panic"`
	Held      int        `json:"held"`
	Tombstone *time.Time `json:"tombstone_until,omitempty"`

	Requests          uint64 `json:"requests"` // sent to endpoints, each try counted
	RequestsActive    int64  `json:"requests_active"`
	Errors            uint64 `json:"responses_5xx"`
	Retries           uint64 `json:"retries"`
	Timeouts          uint64 `json:"timeouts"`
	Connections       uint64 `json:"connections"`
	ConnectionsActive int64  `json:"connections_active"`
	ConnectFailures   uint64 `json:"connect_failures"`
}

// Endpoints is /lb/v1/endpoints.
type Endpoints struct {
	Endpoints []Endpoint `json:"endpoints"`
	Status
}

type Endpoint struct {
	Cluster     string     `json:"cluster"`
	ID          string     `json:"id"`
	Address     string     `json:"address"`
	Hostname    string     `json:"hostname,omitempty"`
	Source      string     `json:"source"`
	Scheme      string     `json:"scheme,omitempty"`
	Container   string     `json:"container,omitempty"` // name
	ContainerID string     `json:"container_id,omitempty"`
	Engine      string     `json:"engine,omitempty"`
	State       string     `json:"state"`
	Why         string     `json:"why,omitempty"`
	Since       *time.Time `json:"since,omitempty"`
	Unconfirmed bool       `json:"unconfirmed,omitempty"` // by DNS
	Flags       string     `json:"health_flags"`
	Weight      uint32     `json:"weight"`            // in force
	Configured  uint32     `json:"weight_configured"` // by the label or the file
	Tier        uint32     `json:"tier"`
	Zone        string     `json:"zone,omitempty"`
	// Drained and WeightSet tell an operator's hand.
	Drained      bool       `json:"drained_by_operator,omitempty"`
	WeightSet    bool       `json:"weight_by_operator,omitempty"`
	EjectedUntil *time.Time `json:"ejected_until,omitempty"`
	JoinMS       float64    `json:"join_ms,omitempty"` // from the engine's start event to traffic

	Requests          uint64 `json:"requests"`
	RequestsActive    int64  `json:"requests_active"`
	Successes         uint64 `json:"successes"`
	Errors            uint64 `json:"errors"`
	Timeouts          uint64 `json:"timeouts"`
	Connections       uint64 `json:"connections"`
	ConnectionsActive int64  `json:"connections_active"`
	ConnectFailures   uint64 `json:"connect_failures"`
}

// Routes is /lb/v1/routes, in the order of matching.
type Routes struct {
	Routes []Route `json:"routes"`
	Status
}

type Route struct {
	Key      string            `json:"key"`
	Name     string            `json:"name,omitempty"`
	Listener string            `json:"listener"`
	Hosts    []string          `json:"hosts"`
	Match    string            `json:"match"` // for people: "/api", "=/exact", "~regex", with headers
	Clusters []WeightedCluster `json:"clusters,omitempty"`
	Answer   string            `json:"answer,omitempty"` // a redirect's or a direct response's
	Source   string            `json:"source"`
	AskedBy  []string          `json:"asked_by,omitempty"`
}

type WeightedCluster struct {
	Name   string `json:"name"`
	Weight uint32 `json:"weight"`
}

// Listeners is /lb/v1/listeners.
type Listeners struct {
	Listeners []Listener `json:"listeners"`
	Status
}

type Listener struct {
	Name              string `json:"name"`
	Address           string `json:"address"`
	Source            string `json:"source"`
	Routes            int    `json:"routes"`
	Requests          uint64 `json:"requests"`
	Connections       uint64 `json:"connections"`
	ConnectionsActive int64  `json:"connections_active"`
}

// Traces is /lb/v1/traces.
type Traces struct {
	Traces []Trace `json:"traces"`
	Status
}

type Trace struct {
	Container string    `json:"container"` // name
	ID        string    `json:"id"`
	Image     string    `json:"image,omitempty"`
	Project   string    `json:"compose_project,omitempty"`
	Service   string    `json:"compose_service,omitempty"`
	Verdict   string    `json:"verdict"`
	Reason    string    `json:"reason,omitempty"`
	Steps     []Step    `json:"steps"`
	Endpoints []string  `json:"endpoints"`
	Problems  []Problem `json:"problems"`
}

type Step struct {
	Rule string `json:"rule"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// InFlight is the answer to drain, undrain, weight and in_flight.
type InFlight struct {
	Container string `json:"container"`
	InFlight  int    `json:"in_flight"`
	// DrainLeftMS is the time until upgraded connections that are still open
	// are cut (lb.drain); left out where nothing is cut.
	DrainLeftMS float64 `json:"drain_left_ms,omitempty"`
	// Process is who answers. It differs after an upgrade (--takeover) or a
	// restart: then the other fields no longer tell of the same leases, and a
	// drain is forgotten. Only equality means anything.
	Process string `json:"process,omitempty"`
}

func (s *Server) writeJSON(w http.ResponseWriter, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		s.fail(w, http.StatusInternalServerError, err.Error()+"\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(b, '\n'))
}

func (s *Server) status() Status {
	state, reason := s.state()
	st := Status{
		State: state.String(), Reason: reason,
		File:    fileState(s.o.File),
		Engines: []Engine{}, NotRouted: []NotRouted{}, Problems: []Problem{}, Conflicts: []Conflict{},
	}
	if s.o.Docker != nil {
		for _, e := range s.o.Docker() {
			st.Engines = append(st.Engines, Engine{
				Name: e.Name, Version: e.Version, APIVersion: e.APIVersion, Connected: e.Connected,
				Since: when(e.Since), LastEvent: when(e.LastEvent), LastList: when(e.LastList), Error: e.Error,
			})
		}
	}
	if s.o.Table == nil {
		return st
	}
	t := s.o.Table()
	if t == nil {
		return st
	}
	st.Generation = t.Generation
	for _, tr := range t.Traces {
		if tr.Verdict != topology.Routed && tr.Verdict != topology.Stopping {
			st.NotRouted = append(st.NotRouted, NotRouted{
				Container: tr.Name, ID: tr.Container, Image: tr.Image, Verdict: string(tr.Verdict), Reason: tr.Reason,
			})
		}
		st.Problems = append(st.Problems, problems(tr)...)
	}
	for _, c := range t.Conflicts {
		st.Conflicts = append(st.Conflicts, Conflict(c))
	}
	return st
}

func problems(t *topology.Trace) []Problem {
	out := make([]Problem, 0, len(t.Problems))
	for _, p := range t.Problems {
		out = append(out, Problem{
			Container: t.Name, Severity: severityName(p.Severity),
			Label: p.Label, Value: p.Value, Reason: p.Reason, Hint: p.Hint,
		})
	}
	return out
}

// when is t, or nothing where it is not known.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (s *Server) apiClusters(w http.ResponseWriter, _ *http.Request) {
	out := Clusters{Clusters: []Cluster{}, Status: s.status()}
	for _, c := range s.o.Balancer.Snapshot().Clusters {
		n := c.Counters
		out.Clusters = append(out.Clusters, Cluster{
			Name: c.Name, Type: c.Type, Source: c.Source.String(), Policy: c.Policy,
			Ready: c.Ready, Total: c.Total, Warm: c.Warm, Panic: c.Panic, Held: c.Held, Tombstone: when(c.Tombstone),
			Requests: n.RqTotal, RequestsActive: n.RqActive, Errors: n.Rq5xx, Retries: n.RqRetry, Timeouts: n.RqTimeout,
			Connections: n.CxTotal, ConnectionsActive: n.CxActive, ConnectFailures: n.CxConnectFail,
		})
	}
	s.writeJSON(w, out)
}

func (s *Server) apiEndpoints(w http.ResponseWriter, _ *http.Request) {
	out := Endpoints{Endpoints: []Endpoint{}, Status: s.status()}
	for _, c := range s.o.Balancer.Snapshot().Clusters {
		for i := range c.Endpoints {
			out.Endpoints = append(out.Endpoints, endpointJSON(c.Name, &c.Endpoints[i]))
		}
	}
	s.writeJSON(w, out)
}

func endpointJSON(cluster string, e *balancer.EndpointStatus) Endpoint {
	return Endpoint{
		Cluster: cluster, ID: e.ID, Address: e.Address.String(), Hostname: e.Hostname,
		Source: e.Source.String(), Scheme: string(e.Scheme),
		Container: e.ContainerName, ContainerID: e.Container, Engine: e.Engine,
		State: string(e.State), Why: e.Why, Since: when(e.Since), Unconfirmed: e.Unconfirmed, Flags: healthFlags(e),
		Weight: e.EffectiveWeight, Configured: e.Weight, Tier: e.Tier, Zone: e.Zone,
		Drained: e.OverrideDrain, WeightSet: e.OverrideWeight != nil,
		EjectedUntil: when(e.EjectedUntil), JoinMS: milliseconds(e.JoinTook),
		Requests: e.RqTotal, RequestsActive: e.RqActive, Successes: e.RqSuccess, Errors: e.RqError, Timeouts: e.RqTimeout,
		Connections: e.CxTotal, ConnectionsActive: e.CxActive, ConnectFailures: e.CxConnectFail,
	}
}

func (s *Server) apiRoutes(w http.ResponseWriter, _ *http.Request) {
	out := Routes{Routes: []Route{}, Status: s.status()}
	for _, l := range s.o.Balancer.Snapshot().Table.Listeners {
		for _, vh := range l.VirtualHosts {
			for i := range vh.Routes {
				out.Routes = append(out.Routes, routeJSON(l.Name, vh.Domains, &vh.Routes[i]))
			}
		}
	}
	s.writeJSON(w, out)
}

func routeJSON(listener string, domains []string, r *topology.Route) Route {
	out := Route{
		Key: r.Key, Name: r.Name, Listener: listener, Hosts: domains, Match: matchText(&r.Match),
		Source: r.Source.String(), AskedBy: r.AskedBy,
	}
	for _, c := range r.Clusters {
		out.Clusters = append(out.Clusters, WeightedCluster{c.Name, c.Weight})
	}
	switch {
	case r.Redirect != nil:
		out.Answer = "redirect"
	case r.Direct != nil:
		out.Answer = http.StatusText(r.Direct.Code)
	}
	return out
}

// matchText writes a match for people: /api (on segment borders), /api* (any
// string), =/api, ~regex; then the headers and query parameters.
func matchText(m *topology.Match) string {
	var b strings.Builder
	switch m.Path.Kind {
	case topology.PathRawPrefix:
		b.WriteString(m.Path.Text)
		if m.Path.Text != "/" {
			b.WriteByte('*')
		}
	case topology.PathSegmentPrefix:
		b.WriteString(m.Path.Text)
	case topology.PathExact:
		b.WriteString("=" + m.Path.Text)
	case topology.PathRegex:
		b.WriteString("~" + m.Path.Text)
	}
	for _, h := range m.Headers {
		b.WriteString(" " + matcherText(&h))
	}
	for _, q := range m.Query {
		b.WriteString(" ?" + matcherText(&q))
	}
	if m.GRPC {
		b.WriteString(" grpc")
	}
	return b.String()
}

func matcherText(m *topology.HeaderMatcher) string {
	not := ""
	if m.Invert {
		not = "!"
	}
	switch m.Kind {
	case topology.StringPresent:
		return not + m.Name
	case topology.StringPrefix:
		return not + m.Name + "=" + m.Text + "*"
	case topology.StringSuffix:
		return not + m.Name + "=*" + m.Text
	case topology.StringContains:
		return not + m.Name + "=*" + m.Text + "*"
	case topology.StringRegex:
		return not + m.Name + "~" + m.Text
	case topology.StringRange:
		return not + m.Name + "=[" + number(float64(m.From)) + "," + number(float64(m.To)) + ")"
	}
	return not + m.Name + "=" + m.Text
}

func (s *Server) apiListeners(w http.ResponseWriter, _ *http.Request) {
	out := Listeners{Listeners: []Listener{}, Status: s.status()}
	counters := make(map[string]ListenerCounters)
	if s.o.Proxy != nil {
		for _, c := range s.o.Proxy() {
			counters[c.Name] = c
		}
	}
	bound := s.boundAddresses()
	for _, l := range s.o.Balancer.Snapshot().Listeners {
		c := counters[l.Name]
		out.Listeners = append(out.Listeners, Listener{
			Name: l.Name, Address: addressOf(l, bound).String(), Source: l.Source.String(), Routes: l.Routes,
			Requests: c.RqTotal, Connections: c.CxTotal, ConnectionsActive: c.CxActive,
		})
	}
	s.writeJSON(w, out)
}

func (s *Server) apiTraces(w http.ResponseWriter, r *http.Request) {
	out := Traces{Traces: []Trace{}, Status: s.status()}
	var table *topology.Table
	if s.o.Table != nil {
		table = s.o.Table()
	}
	want := r.Form.Get("container")
	for _, t := range traces(table) {
		if want != "" && t.Name != want && !(len(want) >= 4 && strings.HasPrefix(t.Container, want)) {
			continue
		}
		tr := Trace{
			Container: t.Name, ID: t.Container, Image: t.Image, Project: t.Compose.Project, Service: t.Compose.Service,
			Verdict: string(t.Verdict), Reason: t.Reason, Steps: []Step{}, Endpoints: append([]string{}, t.Endpoints...), Problems: problems(t),
		}
		for _, st := range t.Steps {
			tr.Steps = append(tr.Steps, Step(st))
		}
		out.Traces = append(out.Traces, tr)
	}
	if want != "" && len(out.Traces) == 0 {
		s.fail(w, http.StatusNotFound, "no labelled container \""+oneLine(want)+"\"\n")
		return
	}
	s.writeJSON(w, out)
}
