package health

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

// target is what a check needs to know of an endpoint: a value, copied when a
// check begins.
type target struct {
	id       string
	cluster  string
	address  netip.AddrPort // to check: the health port where one is given
	host     string         // for HTTP's Host and gRPC's :authority
	scheme   labels.Scheme
	tls      labels.TLS
	paused   bool
	settings *settings
}

// settings are a cluster's check; the pointer stays the same for as long as the
// check does.
type settings struct{ topology.HealthCheck }

// group is a cluster as Apply last saw it.
type group struct {
	of       *balancer.Cluster
	cluster  *topology.Cluster
	members  []*balancer.Endpoint
	settings *settings  // nil: nobody was checked yet
	sessions []*session // of its endpoints
	mark     uint64
}

// tcpConnect is for an endpoint that needs a probe and whose cluster names none.
var tcpConnect = topology.HealthCheck{
	Kind: "tcp", Interval: 2 * time.Second, Limit: time.Second, Rise: 1, Fall: 3, Quick: true,
}

func (s *settings) limit() time.Duration {
	if s.Limit <= 0 {
		return time.Second
	}
	return s.Limit
}

// endpoint is what Apply looks at: an endpoint of a View and its cluster.
type endpoint struct {
	spec    *topology.Endpoint
	cluster *topology.Cluster
	address netip.AddrPort
}

// Apply checks the endpoints of v from now on: begins with new incarnations,
// ends with those that are gone. Those whose check is as before are not
// disturbed; where it, or the address, has changed they keep their state and are
// checked again at once. A cluster that has not changed costs a comparison.
func (c *Checker) Apply(v *balancer.View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mark++
	if known := c.view; known != 0 && v.Number() == known+1 {
		for _, cl := range v.Changed() {
			c.applyChanged(cl)
		}
	} else {
		v.Clusters(c.applyChanged)
		c.sweep()
	}
	c.view = v.Number()
	c.kick()
}

// applyChanged looks at one cluster, which may be gone. mu is held.
func (c *Checker) applyChanged(cl *balancer.Cluster) {
	spec, members := cl.Spec(), cl.Members()
	g := c.clusters[spec.Name]
	switch {
	case cl.Removed():
		if g != nil && g.of == cl { // not that of a new cluster of this name
			c.forget(g)
		}
		return
	case g != nil && g.of == cl && g.cluster == spec && sameMembers(g.members, members):
		g.mark = c.mark
		return
	}
	all := make([]endpoint, 0, len(members))
	for _, e := range members {
		all = append(all, endpoint{e.Spec(), spec, e.Address()})
	}
	g = c.applyCluster(spec, all)
	g.of, g.members = cl, members
}

// sameMembers tells whether both are the same list, which is never written
// again.
func sameMembers(a, b []*balancer.Endpoint) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// applyCluster brings the sessions of one cluster in line. mu is held.
func (c *Checker) applyCluster(cl *topology.Cluster, all []endpoint) *group {
	g := c.clusters[cl.Name]
	if g == nil {
		g = &group{}
		c.clusters[cl.Name] = g
	}
	g.cluster, g.members, g.mark = cl, nil, c.mark
	compared := false
	now := time.Now()
	before := g.sessions
	old := before // by ID, as all is
	g.sessions = make([]*session, 0, len(all))
	for _, e := range all {
		if !wanted(e) {
			continue
		}
		if !compared {
			// Most clusters have the same check: those share it.
			g.settings, compared = checkOf(cl, cmp.Or(g.settings, c.recent)), true
			c.recent = g.settings
		}
		for len(old) > 0 && old[0].spec != e.spec && old[0].target.id < e.spec.ID {
			old = old[1:]
		}
		var s *session
		if len(old) > 0 && (old[0].spec == e.spec || old[0].target.id == e.spec.ID) {
			s, old = old[0], old[1:]
		} else {
			s = c.sessions[e.spec.ID]
		}
		if s == nil || s.spec != e.spec || s.target.settings != g.settings {
			t := targetOf(e, g.settings)
			switch {
			case s == nil:
				s = c.begin(t, now)
			case s.target != t:
				c.change(s, t, now)
			}
			s.spec = e.spec
		}
		s.mark = c.mark
		g.sessions = append(g.sessions, s)
	}
	for _, s := range before {
		if s.mark != c.mark {
			c.end(s)
		}
	}
	return g
}

// sweep ends what belongs to clusters that are gone. mu is held.
func (c *Checker) sweep() {
	for _, g := range c.clusters {
		if g.mark != c.mark {
			c.forget(g)
		}
	}
}

// forget ends a cluster's checks. mu is held.
func (c *Checker) forget(g *group) {
	for _, s := range g.sessions {
		c.end(s)
	}
	delete(c.clusters, g.cluster.Name)
}

// wanted tells whether an endpoint is checked. In a cluster of labels the
// container decides (lb.ready), in one of the file its health_checks do.
func wanted(e endpoint) bool {
	if e.spec.NoHealthCheck {
		return false
	}
	return e.spec.NeedsProbe || e.cluster.Type != topology.Labels && len(e.cluster.HealthChecks) > 0
}

func targetOf(e endpoint, st *settings) target {
	t := target{
		id: e.spec.ID, cluster: e.cluster.Name, address: e.address,
		scheme: e.spec.Scheme, tls: e.spec.TLS, paused: e.spec.Paused, settings: st,
	}
	switch {
	case e.spec.HealthPort != 0:
		t.address = netip.AddrPortFrom(t.address.Addr(), e.spec.HealthPort)
	case st.Port != 0:
		t.address = netip.AddrPortFrom(t.address.Addr(), st.Port)
	}
	switch {
	case e.spec.HealthHost != "":
		t.host = e.spec.HealthHost
	case st.Host != "":
		t.host = st.Host
	case e.cluster.Type == topology.Labels:
		t.host = hostPort(t.address)
	default:
		t.host = e.cluster.Name // Envoy
	}
	return t
}

// hostPort is a Host field for an address: without the port where it is HTTP's.
func hostPort(a netip.AddrPort) string {
	if a.Port() == 80 {
		if a.Addr().Is6() {
			return "[" + a.Addr().String() + "]"
		}
		return a.Addr().String()
	}
	return net.JoinHostPort(a.Addr().String(), strconv.Itoa(int(a.Port())))
}

// checkOf is the cluster's check: known where it is as before. Envoy has one
// check per cluster, so the first one counts.
func checkOf(cl *topology.Cluster, known *settings) *settings {
	hc := tcpConnect
	if len(cl.HealthChecks) > 0 {
		hc = cl.HealthChecks[0]
	}
	if known == nil || !reflect.DeepEqual(known.HealthCheck, hc) {
		return &settings{HealthCheck: hc}
	}
	return known
}

func (c *Checker) begin(t target, now time.Time) *session {
	s := &session{target: t}
	c.sessions[t.id] = s
	c.load += t.settings.load()
	if s.state.joining(t.settings) {
		c.waiting++
	}
	if j := t.settings.InitialJitter; j > 0 {
		now = now.Add(c.random(j))
	}
	c.schedule(s, now)
	return s
}

// change gives s its new target and has it checked at once.
func (c *Checker) change(s *session, t target, now time.Time) {
	c.waiting += boolToInt(s.state.joining(t.settings)) - boolToInt(s.state.joining(s.target.settings))
	c.load += t.settings.load() - s.target.settings.load()
	s.target = t
	if s.cancel != nil {
		s.again = true
		s.cancel() // of the old target
		return
	}
	c.unqueue(s)
	c.schedule(s, now)
}

func (c *Checker) end(s *session) {
	s.gone = true
	delete(c.sessions, s.target.id)
	c.load -= s.target.settings.load()
	if s.state.joining(s.target.settings) {
		c.waiting--
	}
	if s.cancel != nil {
		s.cancel()
	}
	c.unqueue(s)
}

func (c *Checker) unqueue(s *session) {
	if s.in != nil {
		s.in.remove(s)
	}
}

// session is one incarnation that is checked. Checker.mu guards it.
type session struct {
	target target
	spec   *topology.Endpoint // that target was made from
	state  state
	due    time.Time
	cancel context.CancelFunc // of the check in flight; nil: none
	again  bool               // the target changed while it was checked
	gone   bool
	mark   uint64

	in    *lane // where queued; nil: not
	index int
}

// verdict is what the balancer is to know after r, and whether that is news.
func (s *session) verdict(before state, r result) (balancer.Verdict, bool) {
	v := balancer.Verdict{
		Endpoint: s.target.id, At: time.Now(), Reason: r.reason,
		Healthy: s.state.healthy, Degraded: s.state.degraded,
		TimedOut: s.state.timedOut, Immediate: s.state.immediate,
		First: s.state.healthy && !before.everHealthy,
	}
	news := before.attempts == 0 || before.flags != s.state.flags
	return v, news
}
