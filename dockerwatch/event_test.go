package dockerwatch

import (
	"errors"
	"fmt"
	"testing"

	"github.com/docker/docker/api/types/events"
)

func TestParseEvent(t *testing.T) {
	m := events.Message{Type: "container", Action: "health_status: healthy", TimeNano: 7, Actor: events.Actor{ID: "c"}}
	if e, ok := parseEvent(m); !ok || e.action != "health_status" || e.detail != "healthy" || e.id != "c" || e.nano != 7 || e.network {
		t.Errorf("%+v %v", e, ok)
	}
	m = events.Message{Type: "network", Action: "connect", Actor: events.Actor{ID: "n", Attributes: map[string]string{"container": "c"}}}
	if e, ok := parseEvent(m); !ok || !e.network || e.id != "c" || e.networkID != "n" {
		t.Errorf("%+v %v", e, ok)
	}
	for _, m := range []events.Message{
		{Type: "network", Action: "create", Actor: events.Actor{ID: "n"}},
		{Type: "network", Action: "disconnect", Actor: events.Actor{ID: "n"}}, // of nobody
		{Type: "image", Action: "create", Actor: events.Actor{ID: "i"}},
		{Type: "container", Action: "start"},
	} {
		if e, ok := parseEvent(m); ok {
			t.Errorf("%+v is taken as %+v", m, e)
		}
	}
}

func TestSeen(t *testing.T) {
	var s seen
	a := event{action: "start", id: "a", nano: 1}
	b := event{action: "kill", id: "a", nano: 1}
	if !s.first(a) || !s.first(b) || s.first(a) || s.first(b) {
		t.Error("a repeated event is taken twice, or another one not at all")
	}
	for i := range seenEvents {
		s.first(event{action: "start", id: "a", nano: int64(i + 2)})
	}
	if len(s.set) != seenEvents {
		t.Errorf("remembers %d events, want %d", len(s.set), seenEvents)
	}
	if !s.first(a) {
		t.Error("the oldest is not forgotten")
	}
}

// TestQueueNeverBlocks: a stalled Run costs the events, and says so.
func TestQueueNeverBlocks(t *testing.T) {
	q := newQueue()
	for i := range maxQueued + 10 {
		q.put(arrival{event: event{id: fmt.Sprint(i)}})
	}
	all, overflow, ended := q.take()
	if !overflow || ended != nil || len(all) >= maxQueued {
		t.Errorf("%d events, overflow %v, ended %v", len(all), overflow, ended)
	}
	lost := errors.New("cut")
	q.put(arrival{event: event{id: "last"}})
	q.end(lost)
	<-q.ready
	if all, overflow, ended := q.take(); len(all) != 1 || overflow || !errors.Is(ended, lost) {
		t.Errorf("%d events, overflow %v, ended %v", len(all), overflow, ended)
	}
}
