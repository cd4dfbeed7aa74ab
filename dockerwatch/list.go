package dockerwatch

import (
	"net/netip"
	"slices"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

var noAddress netip.Addr

// listed applies a full list that was asked for at began and came now. first:
// the first of a session, before which nothing can have been missed.
//
// The list is the truth, but it is as old as began: a container that an event
// has spoken of since is left to the look which that event caused.
func (m *members) listed(all []listed, began, now time.Time, first bool) {
	lent := m.lent(all)
	here := make(map[string]bool, len(m.byID))
	for i := range all {
		l := &all[i]
		ours := hasPrefix(m.prefix, l.Labels)
		if !ours && !lent[l.ID] {
			continue
		}
		here[l.ID] = true
		x := m.byID[l.ID]
		if x == nil {
			x = &member{id: l.ID}
			m.byID[l.ID] = x
		}
		x.ours = ours
		if x.shown == nil || !x.heard.After(began) {
			c := m.fromList(x, l, all)
			if what := differs(x.shown, c); what != "" {
				c.Inspected = false
				if x.ours && !first {
					m.suspect(x.id, "container "+c.Name+" "+what, now)
				}
			}
			m.show(x, c)
		}
		switch {
		case x.heard.After(began):
			m.look(x, now, now)
		case up(x.shown.State) && (!x.shown.Inspected || (first && len(x.shown.Networks) == 0)):
			// Without networks of its own a restart that we missed does not
			// show in the list.
			m.lookLater(x)
		}
	}
	for id, x := range m.byID {
		switch {
		case here[id]:
		case x.heard.After(began):
			m.look(x, now, now)
		default:
			if x.ours && x.shown != nil && up(x.shown.State) && !first {
				m.suspect(id, "container "+x.shown.Name+" is gone", now)
			}
			m.remove(x)
		}
	}
}

// lent is the ids of the containers whose network one of ours borrows.
func (m *members) lent(all []listed) map[string]bool {
	lent := map[string]bool{}
	for i := range all {
		if ref := borrowedNetwork(all[i].HostConfig.NetworkMode); ref != "" && hasPrefix(m.prefix, all[i].Labels) {
			lent[resolve(ref, all)] = true
		}
	}
	return lent
}

// resolve turns a container's name into its id; an id stays.
func resolve(ref string, all []listed) string {
	if ref == "" || len(ref) == 64 {
		return ref
	}
	for i := range all {
		if listedName(all[i].Names) == ref {
			return all[i].ID
		}
	}
	return ref
}

// fromList is x by the list's words, with what only inspect and events tell
// kept as it was.
func (m *members) fromList(x *member, l *listed, all []listed) *topology.Container {
	var c topology.Container
	if x.shown != nil {
		c = *x.shown
	} else {
		c = topology.Container{
			ID: x.id, Image: l.Image, Engine: m.engine, Compose: composeRef(l.Labels),
			Created: time.Unix(l.Created, 0).UTC(), StopTimeout: defaultStopTimeout,
		}
		c.Spec, c.Problems = m.parse(m.prefix, l.Labels)
	}
	c.Name = listedName(l.Names)
	c.State = topology.State(l.State)
	c.HostNetwork = l.HostConfig.NetworkMode == "host"
	c.NetworkOf = resolve(borrowedNetwork(l.HostConfig.NetworkMode), all)
	c.Networks = attachments(l.NetworkSettings.Networks)
	if !up(c.State) {
		ended(&c)
		c.State = topology.State(l.State)
		m.judgeStop(x, &c)
		return &c
	}
	if c.State == topology.StateRunning {
		if c.Health = listedHealth(l); c.Health != topology.HealthStarting {
			c.HealthNext = time.Time{}
		}
	}
	if !c.Inspected {
		// Inspect knows more: the list has no ports of a container that uses the
		// host's network or another one's.
		c.Ports = listedPorts(l.Ports)
	}
	m.judgeStop(x, &c)
	return &c
}

// differs tells what the list says of a container that the events did not;
// empty: nothing. The states on the way out (removing, dead) have no event.
func differs(old, c *topology.Container) string {
	switch {
	case old == nil:
		if up(c.State) {
			return "is new"
		}
	case up(old.State) != up(c.State) || (up(c.State) && old.State != c.State):
		return "is " + string(c.State) + ", not " + string(old.State)
	case up(c.State) && !slices.EqualFunc(old.Networks, c.Networks, sameEndpoint):
		return "has other networks"
	}
	return ""
}

func sameEndpoint(a, b topology.Attachment) bool {
	return a.NetworkID == b.NetworkID && a.EndpointID == b.EndpointID
}

// suspect gives the event of a difference a moment to arrive.
func (m *members) suspect(id, what string, now time.Time) {
	m.suspects[id] = what
	m.agenda.add(now.Add(suspicion), dutySuspect, id)
}
