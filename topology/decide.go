package topology

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dockerlb/dockerlb/labels"
)

// defaultService is the name of the service that the short form of the labels
// speaks of.
const defaultService = "default"

// defaultDrain is how long requests in flight may take where neither lb.drain
// nor the engine says.
const defaultDrain = 10 * time.Second

// world is what a decision about one container looks at besides the container
// itself. Equal worlds and equal containers give equal decisions.
type world struct {
	self      Self
	prefix    string
	instance  string
	listeners listenerNames
	file      map[string]bool // clusters of the file; true: with active health checks
	answers   map[Query]Answer
	peer      func(id string) *Container
}

// decision is what became of one container: its trace, and its membership in
// each cluster that it joined. It is immutable.
type decision struct {
	container *Container
	peer      *Container // whose network it borrows; nil: none, or not there
	borrows   bool       // its network is another container's
	trace     *Trace     // as far as the container alone decides it
	members   []*member
	asked     []askedName // the DNS answers that it rests on
	entry     *entry      // for the order of names
}

// askedName is an answer that a decision was made with.
type askedName struct {
	query  Query
	answer Answer
}

// member is one container's place in one cluster.
type member struct {
	decision *decision
	service  *labels.Service
	endpoint *Endpoint
	claims   []claim // the routes that it asks for
	created  int64   // its container's, Unix nanoseconds: thousands are compared
}

// newerThan orders the members whose word counts: creation time, then id.
func (m *member) newerThan(o *member) bool {
	if m.created != o.created {
		return m.created > o.created
	}
	return m.decision.container.ID > o.decision.container.ID
}

// decide applies the rules of the labels to one container. It returns nil for
// a container that carries none of ours.
func decide(c *Container, w *world) *decision {
	if !c.Spec.Managed {
		return nil
	}
	d := &decision{
		container: c,
		trace: &Trace{
			Container: c.ID, Name: c.Name, Image: c.Image, Compose: c.Compose,
			Problems: slices.Clone(c.Problems),
		},
	}
	for i := range c.Spec.Services {
		d.trace.Clusters = append(d.trace.Clusters, c.Spec.Services[i].Cluster)
	}
	slices.Sort(d.trace.Clusters)
	d.trace.Clusters = slices.Compact(d.trace.Clusters)
	if c.NetworkOf != "" {
		d.borrows, d.peer = true, w.peer(c.NetworkOf)
	}
	r := &recorder{trace: d.trace}
	if verdict, ok := admit(c, w, r); !ok {
		d.trace.Verdict, d.trace.Reason = verdict, r.reason
		return d
	}
	for i := range c.Spec.Services {
		svc := &c.Spec.Services[i]
		r.service = ""
		if svc.Name != defaultService {
			r.service = svc.Name
		}
		s := serviceDecider{decision: d, world: w, recorder: r, service: svc}
		if m := s.decide(); m != nil {
			d.members = append(d.members, m)
			d.trace.Endpoints = append(d.trace.Endpoints, m.endpoint.ID)
		}
	}
	switch {
	case len(d.members) == 0:
		d.trace.Verdict, d.trace.Reason = Quarantined, r.reason
	case c.Stopping:
		d.trace.Verdict, d.trace.Reason = Stopping, "state: stopping"
	default:
		d.trace.Verdict = Routed
	}
	return d
}

// admit asks whether the container takes part at all: what it wants itself,
// then its labels, then what it is doing.
func admit(c *Container, w *world, r *recorder) (Verdict, bool) {
	switch {
	case !c.Spec.Enabled:
		r.no("enable", "%s.enable is false", w.prefix)
		return Out, false
	case c.Spec.Instance != "" && c.Spec.Instance != w.instance:
		r.no("instance", "for the proxy %q, this one is %s", c.Spec.Instance, nameOrNone(w.instance))
		return Out, false
	case c.Compose.OneOff && !c.Spec.OneOff:
		r.no("oneoff", "made by `docker-compose run`; %s.oneoff: true lets it in", w.prefix)
		return Out, false
	}
	for _, p := range c.Problems {
		if p.Severity == labels.Quarantined && p.Service == "" {
			r.no("label", "%s", problemText(p))
			return Quarantined, false
		}
	}
	if len(c.Spec.Services) == 0 {
		r.no("cluster", "no %s.cluster", w.prefix)
		return Out, false
	}
	switch c.State {
	case StateRunning:
		switch {
		case c.Stopping:
			r.yes("state", "running, its stop signal was sent: no new requests, those in flight finish")
		case c.IgnoredStop:
			r.yes("state", "running, it ignored its stop signal")
		default:
			r.yes("state", "running")
		}
	case StatePaused:
		r.yes("state", "paused: takes no requests")
	default:
		r.no("state", "%s", nameOr(string(c.State), "unknown"))
		return NotRunning, false
	}
	return "", true
}

// serviceDecider decides about one membership of one container.
type serviceDecider struct {
	*recorder
	decision *decision
	world    *world
	service  *labels.Service
}

// decide returns the membership, or nil where a step kept it out.
func (s *serviceDecider) decide() *member {
	c, svc := s.decision.container, s.service
	for _, p := range c.Problems {
		if p.Severity == labels.Quarantined && p.Service == svc.Name {
			s.no("label", "%s", problemText(p))
			return nil
		}
	}
	port, ok := s.port()
	if !ok {
		return nil
	}
	at, ok := s.place(port)
	if !ok {
		return nil
	}
	e := Endpoint{
		ID:            strings.Join([]string{svc.Cluster, FromLabels.String(), c.ShortID(), at.incarnation, strconv.Itoa(int(port))}, "/"),
		Address:       at.address,
		Hostname:      c.Name,
		Source:        FromLabels,
		Scheme:        svc.Scheme,
		TLS:           svc.TLS,
		Container:     c.ID,
		ContainerName: c.Name,
		Engine:        c.Engine,
		Unconfirmed:   at.unconfirmed,
		Disputed:      at.disputed,
		Weight:        svc.Weight,
		Tier:          svc.Tier,
		Zone:          svc.Zone,
		Paused:        c.State == StatePaused,
		Stopping:      c.Stopping,
		StoppingAt:    c.StoppingAt,
		StopTimeout:   c.StopTimeout,
		IgnoredStop:   c.IgnoredStop,
		Drain:         drainTime(c, svc),
		StartEvent:    c.StartEvent,
		StartedAt:     c.StartedAt,
	}
	if at.hostname != "" {
		e.Hostname = at.hostname
	}
	s.readiness(&e)
	m := &member{decision: s.decision, service: svc, endpoint: &e, created: created(c)}
	m.claims = s.routes()
	return m
}

// created is c.Created; the zero time is before all.
func created(c *Container) int64 {
	if c.Created.IsZero() {
		return math.MinInt64
	}
	return c.Created.UnixNano()
}

func drainTime(c *Container, svc *labels.Service) time.Duration {
	switch {
	case svc.Drain != nil:
		return *svc.Drain
	case c.StopTimeout > 0:
		return c.StopTimeout
	}
	return defaultDrain
}

// port finds the container's port: lb.address's, lb.port, or the single
// exposed one; of the container whose network it borrows where it exposes
// none itself.
func (s *serviceDecider) port() (uint16, bool) {
	c, svc := s.decision.container, s.service
	switch {
	case svc.Address.Port != 0:
		s.yes("port", "%d, by %s", svc.Address.Port, s.key("address"))
		return svc.Address.Port, true
	case svc.Port != 0:
		s.yes("port", "%d, by %s", svc.Port, s.key("port"))
		return svc.Port, true
	}
	ports, whose := tcpPorts(c), "its"
	if len(ports) == 0 && s.decision.peer != nil {
		ports, whose = tcpPorts(s.decision.peer), s.decision.peer.Name+"'s"
	}
	switch len(ports) {
	case 0:
		s.no("port", "it exposes no TCP port: say with %s which one it listens on", s.key("port"))
		return 0, false
	case 1:
		s.yes("port", "%d, %s only exposed TCP port", ports[0], whose)
		return ports[0], true
	}
	s.no("port", "several TCP ports are exposed (%s): choose one with %s", joinPorts(ports), s.key("port"))
	return 0, false
}

// tcpPorts are the container's exposed TCP ports, sorted, each once.
func tcpPorts(c *Container) []uint16 {
	var ports []uint16
	for _, p := range c.Ports {
		if p.Protocol == "tcp" {
			ports = append(ports, p.Number)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// readiness turns lb.ready into what stands against the endpoint. That a
// container has a HEALTHCHECK shows in its health not being "none".
func (s *serviceDecider) readiness(e *Endpoint) {
	c := s.decision.container
	docker := nameOr(string(c.Health), string(HealthNone))
	checked := Health(docker) != HealthNone
	e.DockerHealth = HealthNone
	switch s.service.Ready {
	case labels.ReadyRunning:
		s.yes("ready", "running is enough, by %s", s.key("ready"))
	case labels.ReadyProbe:
		e.NeedsProbe = true
		s.yes("ready", "our probe decides, by %s", s.key("ready"))
	case labels.ReadyDocker:
		if !checked {
			s.yes("ready", "running is enough: %s is docker, but the container has no HEALTHCHECK", s.key("ready"))
			break
		}
		e.DockerHealth, e.HealthNext = Health(docker), c.HealthNext
		s.yes("ready", "Docker's health decides (%s), by %s", docker, s.key("ready"))
	default: // auto
		e.NeedsProbe = true
		if !checked {
			s.yes("ready", "our probe decides: it has no HEALTHCHECK")
			break
		}
		e.DockerHealth, e.HealthNext = Health(docker), c.HealthNext
		s.yes("ready", "Docker's health (%s) and our probe decide", docker)
	}
	// A cluster of the file is checked as the file says, or not at all.
	active, ofFile := s.world.file[s.service.Cluster]
	switch {
	case !ofFile:
		e.NoHealthCheck = !e.NeedsProbe
	case !active && e.NeedsProbe:
		e.NeedsProbe = false
		s.yes("ready", "no probe: the file gives cluster %s no health_checks", s.service.Cluster)
	}
}

// routes are the routes that the member asks for. In a cluster of the file
// they have no effect, and neither have the cluster keys: that is said.
func (s *serviceDecider) routes() []claim {
	svc := s.service
	if _, ofFile := s.world.file[svc.Cluster]; ofFile {
		s.yes("cluster", "%s, defined in the file: its settings and routes hold", svc.Cluster)
		for _, set := range svc.Settings {
			s.problem(labels.Warning, set.Key, set.Text,
				fmt.Sprintf("has no effect: cluster %s is defined in the file, whose values win", svc.Cluster), "")
		}
		if !plainRoutes(svc.Routes) {
			s.problem(labels.Warning, "host", "",
				fmt.Sprintf("route labels have no effect: cluster %s is defined in the file, whose routes hold", svc.Cluster), "")
		}
		return nil
	}
	s.yes("cluster", "%s", svc.Cluster)
	var claims []claim
	for i := range svc.Routes {
		r := &svc.Routes[i]
		for _, name := range r.Listeners {
			listener, ok := s.world.listeners.find(name)
			if !ok {
				s.no("route", "no listener %q (there are: %s)", name, s.world.listeners)
				s.problem(labels.Skipped, "listener", name, fmt.Sprintf("no listener %q", name),
					fmt.Sprintf("there are: %s", s.world.listeners))
				continue
			}
			claims = append(claims, claimsOf(listener, r)...)
		}
	}
	for i := range claims {
		s.yes("route", "%s", claims[i].key)
	}
	return claims
}

// plainRoutes reports whether the routes are what a service without a route
// label gets.
func plainRoutes(routes []labels.Route) bool {
	if len(routes) != 1 {
		return len(routes) == 0
	}
	r := routes[0]
	return len(r.Hosts) == 0 && len(r.Headers) == 0 && !r.Strip && r.Rewrite == "" &&
		r.Path.Kind == labels.PathPrefix && (r.Path.Text == "/" || r.Path.Text == "") &&
		len(r.Listeners) == 1 && r.Listeners[0] == defaultListener
}

// key is the full name of the service's label, as the user would write it.
func (s *serviceDecider) key(k string) string { return labelKey(s.world.prefix, s.service.Name, k) }

// problem adds a problem that only the join of the sources can find.
func (s *serviceDecider) problem(sev labels.Severity, key, value, reason, hint string) {
	s.trace.Problems = append(s.trace.Problems, labels.Problem{
		Severity: sev, Service: s.service.Name, Label: s.key(key), Value: value, Reason: reason, Hint: hint,
	})
}

func labelKey(prefix, service, key string) string {
	if service == defaultService || service == "" {
		return prefix + "." + key
	}
	return prefix + ".svc." + service + "." + key
}

func problemText(p labels.Problem) string {
	text := fmt.Sprintf("%s: %s", p.Label, p.Reason)
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return text
}

func joinPorts(ports []uint16) string {
	var b strings.Builder
	for i, p := range ports {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(int(p)))
	}
	return b.String()
}

func nameOr(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func nameOrNone(s string) string {
	if s == "" {
		return "none"
	}
	return strconv.Quote(s)
}
