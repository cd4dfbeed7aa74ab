package dockerwatch

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

const (
	// coalesce is how long events of one container are gathered before it is
	// looked at again. A start does not wait.
	coalesce = 8 * time.Millisecond
	// suspicion is how long a difference that the list found may wait for its
	// event before the stream is taken for dead.
	suspicion = time.Second
	// lookRetry is the pause after a failed inspect, growing with each.
	lookRetry = 250 * time.Millisecond
)

// members is what is known of the containers that matter: ours, and those whose
// network one of ours borrows. It is a state machine without I/O or clock:
// events, lists and inspects go in, the wish to look at a container and the
// set to show come out. Not for concurrent use.
type members struct {
	prefix, engine string
	parse          func(prefix string, all map[string]string) (labels.Spec, []labels.Problem)
	quickStart     bool          // the engine knows health start intervals
	ahead          time.Duration // the engine's clock, of ours

	byID  map[string]*member
	order []*member // those shown, sorted by id
	// held is how many of those shown have an address.
	held map[netip.Addr]int

	urgent, patient []*member // wait for an inspect
	agenda          agenda
	suspects        map[string]string // container id: what the list found different
	missed          string            // a suspect whose event never came; the session ends
	missedCount     uint64

	changed bool // the set to show is another one than that taken last
	hurry   bool // and it should be shown at once
	notes   []note
}

// note is something for the log.
type note struct {
	c    *topology.Container
	text string
}

func newMembers(prefix, engine string) *members {
	return &members{
		prefix: prefix, engine: engine, parse: labels.Parse,
		byID: map[string]*member{}, suspects: map[string]string{}, held: map[netip.Addr]int{},
	}
}

// show replaces what is shown of x, unless nothing differs. What decides about
// traffic is in a hurry; what merely refines may wait for more of its kind.
func (m *members) show(x *member, c *topology.Container) {
	if x.shown != nil && equal(x.shown, c) {
		return
	}
	if (x.shown == nil || !refines(x.shown, c)) && !m.lenderUnseen(c) {
		m.hurry = m.hurry || up(c.State) || (x.shown != nil && up(x.shown.State))
	}
	if x.shown == nil {
		i, _ := slices.BinarySearchFunc(m.order, x.id, compareID)
		m.order = slices.Insert(m.order, i, x)
	}
	if x.shown != nil {
		m.hold(x.shown, -1)
	}
	m.hold(c, 1)
	x.shown = c
	m.changed = true
}

// hold counts c's addresses in, or out.
func (m *members) hold(c *topology.Container, n int) {
	for i := range c.Networks {
		for _, ip := range [...]netip.Addr{c.Networks[i].IPv4, c.Networks[i].IPv6} {
			if !ip.IsValid() {
				continue
			}
			if m.held[ip] += n; m.held[ip] == 0 {
				delete(m.held, ip)
			}
		}
	}
}

// change shows x with a difference made by edit.
func (m *members) change(x *member, edit func(c *topology.Container)) {
	if x.shown == nil {
		return
	}
	c := *x.shown
	edit(&c)
	m.show(x, &c)
}

func compareID(x *member, id string) int { return strings.Compare(x.id, id) }

func (m *members) remove(x *member) {
	delete(m.byID, x.id)
	if x.shown == nil {
		return
	}
	if i, ok := slices.BinarySearchFunc(m.order, x.id, compareID); ok {
		m.order = slices.Delete(m.order, i, i+1)
		m.hold(x.shown, -1)
	}
	m.changed, m.hurry = true, true
}

// take returns the set to show.
func (m *members) take() []*topology.Container {
	m.changed, m.hurry = false, false
	all := make([]*topology.Container, len(m.order))
	for i, x := range m.order {
		all[i] = x.shown
	}
	return all
}

// reset forgets what belongs to a session: looks under way, and suspicions.
func (m *members) reset() {
	m.urgent, m.patient, m.missed = nil, nil, ""
	clear(m.suspects)
	for _, x := range m.byID {
		x.queued, x.urgent, x.flying, x.again, x.stale, x.retries, x.lookAt = false, false, false, false, false, 0, time.Time{}
	}
}

// event applies an event that came now. live: it happened after we first came,
// and is no replay of what was before.
func (m *members) event(e event, now time.Time, live bool) {
	delete(m.suspects, e.id)
	heard := e.at().Add(-m.ahead)
	if heard.After(now) {
		heard = now
	}
	x := m.byID[e.id]
	if x == nil {
		if e.network || e.action == "destroy" || !hasPrefix(m.prefix, e.attrs) {
			return
		}
		x = &member{id: e.id, ours: true}
		m.byID[e.id] = x
	}
	if e.network {
		m.networkEvent(x, e, now, heard)
		return
	}
	if e.nano < x.nano {
		return // a replay: one container's events are ordered
	}
	x.nano, x.heard = e.nano, heard
	switch e.action {
	case "create":
		m.created(x, e)
		return // inspect would wait for the start that follows
	case "start":
		x.clearStop()
		x.startEvent = time.Time{}
		if live {
			x.startEvent = e.at()
		}
		x.stale = x.flying
		m.look(x, now, now)
		return
	case "kill":
		m.killed(x, e, heard)
		return // inspect cannot tell
	case "die":
		x.clearStop()
		x.startEvent = time.Time{}
		m.change(x, ended)
	case "pause":
		m.change(x, func(c *topology.Container) { c.State = topology.StatePaused })
	case "unpause":
		m.change(x, func(c *topology.Container) { c.State = topology.StateRunning })
	case "health_status":
		m.change(x, func(c *topology.Container) { c.Health = health(e.detail); c.HealthNext = time.Time{} })
	case "rename":
		if name := e.attrs["name"]; name != "" {
			m.change(x, func(c *topology.Container) { c.Name = name })
		}
	case "destroy":
		m.remove(x)
		return
	}
	x.stale = x.flying
	m.look(x, now, now.Add(coalesce))
}

// ended is what a container is after die, until a look tells whether it is
// restarting: without addresses, which the engine may give away at once.
func ended(c *topology.Container) {
	c.State, c.Health, c.HealthNext = topology.StateExited, topology.HealthNone, time.Time{}
	c.Stopping, c.StoppingAt, c.IgnoredStop, c.StartEvent = false, time.Time{}, false, time.Time{}
	c.Networks = slices.Clone(c.Networks)
	for i := range c.Networks {
		n := &c.Networks[i]
		*n = topology.Attachment{Name: n.Name, NetworkID: n.NetworkID}
	}
}

// created shows a new container by its event alone: the engine locks a
// container while it starts, and an inspect now would wait for that.
func (m *members) created(x *member, e event) {
	if x.shown != nil {
		return
	}
	spec, problems := m.parse(m.prefix, e.attrs)
	m.show(x, &topology.Container{
		ID: x.id, Name: e.attrs["name"], Image: e.attrs["image"], Engine: m.engine,
		Spec: spec, Problems: problems, Compose: composeRef(e.attrs),
		State: topology.StateCreated, Health: topology.HealthNone,
		Created: e.at().UTC(), StopTimeout: defaultStopTimeout,
	})
}

func (m *members) networkEvent(x *member, e event, now, heard time.Time) {
	if e.nano < x.netNano {
		return
	}
	x.netNano, x.heard = e.nano, heard
	if e.action == "disconnect" {
		m.change(x, func(c *topology.Container) {
			c.Networks = slices.DeleteFunc(slices.Clone(c.Networks), func(n topology.Attachment) bool { return n.NetworkID == e.networkID })
		})
	}
	if x.shown == nil || (x.shown.State != topology.StateRunning && x.shown.State != topology.StatePaused) {
		return // part of its start or of its end, whose own events follow
	}
	x.stale = x.flying
	if e.action == "connect" {
		m.look(x, now, now)
		return
	}
	m.look(x, now, now.Add(coalesce))
}

// up: the container has a process, or will have one again soon.
func up(s topology.State) bool {
	return s == topology.StateRunning || s == topology.StatePaused || s == topology.StateRestarting
}

func (m *members) killed(x *member, e event, heard time.Time) {
	signal := parseSignal(e.attrs["signal"])
	if signal == 0 {
		return
	}
	if x.signal != 0 && isStop(x.signal, x.stopSignal) && !isStop(signal, x.stopSignal) {
		return // a SIGHUP after its SIGTERM takes nothing back
	}
	if x.signal == 0 || !isStop(x.signal, x.stopSignal) {
		x.signalAt = e.at()
	}
	x.signal, x.signalIn = signal, heard
	m.change(x, func(c *topology.Container) {
		c.IgnoredStop = c.IgnoredStop && !isStop(signal, x.stopSignal) // a new signal counts anew
		m.judgeStop(x, c)
	})
}

// judgeStop writes into c whether x is stopping, and makes the appointment at
// which that is judged again.
func (m *members) judgeStop(x *member, c *topology.Container) {
	c.Stopping, c.StoppingAt = false, time.Time{}
	if x.signal == 0 || !isStop(x.signal, x.stopSignal) || !up(c.State) {
		return
	}
	c.StoppingAt = x.signalAt
	if c.IgnoredStop {
		return
	}
	c.Stopping = true
	m.agenda.add(x.signalIn.Add(patience(c)), dutyReadmit, x.id)
}

// look asks for an inspect of x at a time; at most one is under way, and those
// of one container keep a distance of coalesce, except for what is due at once.
func (m *members) look(x *member, now, at time.Time) {
	switch {
	case x.flying:
		x.again = true
	case at.After(now):
		if !x.queued && (x.lookAt.IsZero() || at.Before(x.lookAt)) {
			x.lookAt = at
			m.agenda.add(at, dutyLook, x.id)
		}
	case !x.urgent:
		x.queued, x.urgent = true, true
		m.urgent = append(m.urgent, x)
	}
}

// lookLater asks for an inspect of x when nothing urgent waits.
func (m *members) lookLater(x *member) {
	if !x.queued && !x.flying {
		x.queued = true
		m.patient = append(m.patient, x)
	}
}

// nextLook takes the container to be inspected next.
func (m *members) nextLook(now time.Time) (id string, ok bool) {
	for {
		var x *member
		switch {
		case len(m.urgent) > 0:
			x, m.urgent = m.urgent[0], m.urgent[1:]
		case len(m.patient) > 0:
			x, m.patient = m.patient[0], m.patient[1:]
		default:
			return "", false
		}
		if !x.queued || m.byID[x.id] != x {
			continue // looked at by way of the other queue, or gone
		}
		x.queued, x.urgent, x.flying, x.again, x.stale, x.looked, x.lookAt = false, false, true, false, false, now, time.Time{}
		return x.id, true
	}
}

// tick keeps the appointments that are due.
func (m *members) tick(now time.Time) {
	for {
		a, ok := m.agenda.due(now)
		if !ok {
			return
		}
		x := m.byID[a.id]
		switch a.duty {
		case dutyLook:
			if x != nil && x.lookAt.Equal(a.at) {
				m.look(x, now, now)
			}
		case dutyHealth:
			if x != nil && x.shown != nil && x.shown.Health == topology.HealthStarting {
				m.lookLater(x)
			}
		case dutyReadmit:
			m.readmit(x, now)
		case dutySuspect:
			if what, ok := m.suspects[a.id]; ok {
				delete(m.suspects, a.id)
				m.missed = what
				m.missedCount++
			}
		}
	}
}

// readmit takes a container in again that ignored its stop signal.
func (m *members) readmit(x *member, now time.Time) {
	if x == nil || x.shown == nil || !x.shown.Stopping || now.Before(x.signalIn.Add(patience(x.shown))) {
		return
	}
	m.change(x, func(c *topology.Container) { c.Stopping, c.IgnoredStop = false, true })
	m.notes = append(m.notes, note{x.shown, "still runs after its stop signal: ignored its stop signal, takes traffic again"})
}

// inspected applies the answer to a look.
func (m *members) inspected(id string, in *inspected, err error, now time.Time) {
	x := m.byID[id]
	if x == nil || !x.flying {
		return // destroyed meanwhile, or a session that is over
	}
	x.flying = false
	switch {
	case errors.Is(err, errNotFound):
		m.remove(x)
		return
	case err != nil:
		x.retries++
		m.look(x, now, now.Add(time.Duration(min(x.retries, 20))*lookRetry))
		return
	}
	x.retries = 0
	if !x.stale {
		m.apply(x, in, now)
	}
	if x.again {
		at := x.looked.Add(coalesce)
		if !at.After(now) {
			at = now
		}
		m.look(x, now, at)
	}
}

// apply shows x as inspect tells it.
func (m *members) apply(x *member, in *inspected, now time.Time) {
	x.ours = hasPrefix(m.prefix, in.Config.Labels)
	x.stopSignal = parseSignal(in.Config.StopSignal)
	started := in.State.StartedAt
	if x.signal != 0 && started.After(x.signalAt) {
		x.clearStop()
	}
	c := &topology.Container{
		ID: x.id, Name: strings.TrimPrefix(in.Name, "/"), Image: in.Config.Image, Engine: m.engine,
		State: topology.State(in.State.Status), Health: topology.HealthNone,
		Created: in.Created.UTC(), StartedAt: started.UTC(), StopTimeout: stopTimeout(in.Config.StopTimeout),
		HostNetwork: in.HostConfig.NetworkMode == "host",
		Networks:    attachments(in.NetworkSettings.Networks),
		Ports:       inspectedPorts(in), Inspected: true,
	}
	if old := x.shown; old != nil {
		c.Spec, c.Problems, c.Compose, c.Created = old.Spec, old.Problems, old.Compose, old.Created
		c.IgnoredStop = old.IgnoredStop && started.Equal(old.StartedAt)
	} else {
		c.Spec, c.Problems = m.parse(m.prefix, in.Config.Labels)
		c.Compose = composeRef(in.Config.Labels)
	}
	if up(c.State) {
		c.StartEvent = x.startEvent
		if in.State.Health != nil {
			c.Health = health(in.State.Health.Status)
		}
		if c.Health == topology.HealthStarting {
			c.HealthNext = nextHealthCheck(in, m.quickStart)
			m.agenda.add(latest(c.HealthNext, now).Add(healthLook), dutyHealth, x.id)
		}
	}
	c.NetworkOf = m.lender(borrowedNetwork(in.HostConfig.NetworkMode), now)
	m.judgeStop(x, c)
	m.evictAddress(x, c, now)
	m.show(x, c)
}

// healthLook is how long after a probe is due a starting container is looked at
// again: a probe that fails changes nothing and makes no event.
const healthLook = time.Second

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lender returns the id of the container whose network another one borrows,
// and follows it from now on. ref is an id, or the name that a user gave.
func (m *members) lender(ref string, now time.Time) string {
	if ref == "" {
		return ""
	}
	if x := m.byID[ref]; x != nil {
		return ref
	}
	for _, x := range m.order {
		if x.shown.Name == ref {
			return x.id
		}
	}
	if len(ref) != 64 {
		return ref // a name that the next list resolves
	}
	x := &member{id: ref}
	m.byID[ref] = x
	m.look(x, now, now)
	return ref
}

// lenderUnseen: c borrows the network of a container that is just being looked
// at. Without it c has no address: shown alone, it would be called unreachable
// for the moment until the lender is shown, which is in a hurry itself.
func (m *members) lenderUnseen(c *topology.Container) bool {
	lender := m.byID[c.NetworkOf]
	return lender != nil && lender.shown == nil
}

// evictAddress: an address that c now has is no longer that of another one. The
// engine gives a freed address away at once, and the old holder's event may
// have been lost.
func (m *members) evictAddress(x *member, c *topology.Container, now time.Time) {
	if c.State != topology.StateRunning || (x.shown != nil && slices.Equal(x.shown.Networks, c.Networks)) {
		return
	}
	for _, n := range c.Networks {
		if m.held[n.IPv4] == 0 && m.held[n.IPv6] == 0 {
			continue // nobody has it; an invalid one is held by none
		}
		for _, y := range m.order {
			if y == x || !holds(y.shown, n) {
				continue
			}
			m.change(y, func(old *topology.Container) {
				old.Networks = slices.Clone(old.Networks)
				for i := range old.Networks {
					if o := &old.Networks[i]; o.NetworkID == n.NetworkID {
						o.IPv4, o.IPv6, o.EndpointID = noAddress, noAddress, ""
					}
				}
			})
			m.look(y, now, now)
		}
	}
}

func holds(c *topology.Container, n topology.Attachment) bool {
	for _, o := range c.Networks {
		if o.NetworkID == n.NetworkID && ((n.IPv4.IsValid() && o.IPv4 == n.IPv4) || (n.IPv6.IsValid() && o.IPv6 == n.IPv6)) {
			return true
		}
	}
	return false
}
