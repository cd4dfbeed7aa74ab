package dockerwatch

import (
	"strings"
	"time"

	"github.com/docker/docker/api/types/events"
)

// watchedActions is the stream's event filter: without it every HEALTHCHECK
// probe of every container brings three exec events. health_status matches by
// prefix. oom, restart and exec_* tell nothing that others do not.
var watchedActions = []string{
	"create", "start", "kill", "die", "stop", "destroy", "pause", "unpause",
	"rename", "update", "health_status", "connect", "disconnect",
}

// event is what is needed of an events.Message.
type event struct {
	network   bool // connect or disconnect of container on networkID
	action    string
	detail    string // "healthy" of "health_status: healthy"
	id        string // the container
	networkID string
	nano      int64 // engine's clock
	attrs     map[string]string
}

func (e event) at() time.Time { return time.Unix(0, e.nano) }

// parseEvent reduces a message; false for what does not concern containers.
func parseEvent(m events.Message) (event, bool) {
	action, detail, _ := strings.Cut(string(m.Action), ": ")
	e := event{action: action, detail: detail, id: m.Actor.ID, nano: m.TimeNano, attrs: m.Actor.Attributes}
	switch m.Type {
	case events.ContainerEventType:
	case events.NetworkEventType:
		if action != "connect" && action != "disconnect" {
			return event{}, false
		}
		e.network, e.networkID, e.id = true, m.Actor.ID, m.Actor.Attributes["container"]
	default:
		return event{}, false
	}
	return e, e.id != ""
}

// seen remembers the last events, so that those which a resumed stream repeats
// are taken once: publishing to the engine's buffer and to its subscribers is
// not one step, and since is inclusive. Not for concurrent use.
type seen struct {
	ring [seenEvents]seenKey
	next int
	set  map[seenKey]struct{}
}

// seenEvents is well above the 256 events that the engine can repeat.
const seenEvents = 1024

type seenKey struct {
	nano       int64
	id, action string
}

// first tells whether the event comes for the first time.
func (s *seen) first(e event) bool {
	k := seenKey{e.nano, e.id + e.networkID, e.action + e.detail}
	if _, ok := s.set[k]; ok {
		return false
	}
	if s.set == nil {
		s.set = make(map[seenKey]struct{}, seenEvents)
	}
	delete(s.set, s.ring[s.next])
	s.ring[s.next] = k
	s.next = (s.next + 1) % seenEvents
	s.set[k] = struct{}{}
	return true
}
