package health

import (
	"context"
	"maps"
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

// settings are a cluster's check. They are compared once per cluster and Apply;
// the pointer stays the same for as long as the check does.
type settings struct {
	topology.HealthCheck
	mark uint64
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
// checked again at once.
func (c *Checker) Apply(v *balancer.View) {
	var all []endpoint
	v.Endpoints(func(e *balancer.Endpoint) {
		all = append(all, endpoint{e.Spec(), e.Cluster().Spec(), e.Address()})
	})
	c.apply(all)
}

func (c *Checker) apply(all []endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mark++
	now := time.Now()
	for _, e := range all {
		if !wanted(e) {
			continue
		}
		t := c.target(e)
		s := c.sessions[t.id]
		switch {
		case s == nil:
			c.begin(t, now)
		case s.target != t:
			c.change(s, t, now)
		}
		c.sessions[t.id].mark = c.mark
	}
	for id, s := range c.sessions {
		if s.mark != c.mark {
			c.end(s)
			delete(c.sessions, id)
		}
	}
	maps.DeleteFunc(c.clusters, func(_ string, s *settings) bool { return s.mark != c.mark })
	c.kick()
}

// wanted tells whether an endpoint is checked. In a cluster of labels the
// container decides (lb.ready), in one of the file its health_checks do.
func wanted(e endpoint) bool {
	if e.spec.NoHealthCheck {
		return false
	}
	return e.spec.NeedsProbe || e.cluster.Type != topology.Labels && len(e.cluster.HealthChecks) > 0
}

func (c *Checker) target(e endpoint) target {
	st := c.settings(e.cluster)
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

// settings are those of the cluster, by a pointer that changes with them. Envoy
// has one check per cluster, so the first one counts.
func (c *Checker) settings(cl *topology.Cluster) *settings {
	known := c.clusters[cl.Name]
	if known != nil && known.mark == c.mark {
		return known // compared already
	}
	hc := tcpConnect
	if len(cl.HealthChecks) > 0 {
		hc = cl.HealthChecks[0]
	}
	if known == nil || !reflect.DeepEqual(known.HealthCheck, hc) {
		known = &settings{HealthCheck: hc}
		c.clusters[cl.Name] = known
	}
	known.mark = c.mark
	return known
}

func (c *Checker) begin(t target, now time.Time) {
	s := &session{target: t}
	c.sessions[t.id] = s
	if s.state.joining(t.settings) {
		c.waiting++
	}
	if j := t.settings.InitialJitter; j > 0 {
		now = now.Add(c.random(j))
	}
	c.schedule(s, now)
}

// change gives s its new target and has it checked at once.
func (c *Checker) change(s *session, t target, now time.Time) {
	c.waiting += boolToInt(s.state.joining(t.settings)) - boolToInt(s.state.joining(s.target.settings))
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
