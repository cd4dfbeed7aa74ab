package fakeengine

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// bufferedEvents is what the engine keeps for since.
const bufferedEvents = 256

// subscriberRoom is the engine's room for a reader that is behind.
const subscriberRoom = 1024

type message struct {
	Type   string
	Action string
	Actor  struct {
		ID         string
		Attributes map[string]string
	}
	Scope    string `json:"scope"`
	Time     int64  `json:"time"`
	TimeNano int64  `json:"timeNano"`
}

type subscriber struct {
	filter  filter
	ch      chan message
	cut     chan struct{}
	cutHalf bool // set before cut is closed
	dead    bool // by mu
}

func (e *Engine) emit(c *container, action string, extra map[string]string) {
	m := message{Type: "container", Action: action, Scope: "local"}
	m.Actor.ID = c.id
	m.Actor.Attributes = map[string]string{}
	maps.Copy(m.Actor.Attributes, c.Labels)
	m.Actor.Attributes["image"], m.Actor.Attributes["name"] = c.Image, c.Name
	maps.Copy(m.Actor.Attributes, extra)
	e.publish(m)
}

func (e *Engine) emitNetwork(c *container, n *network, action string) {
	m := message{Type: "network", Action: action, Scope: "local"}
	m.Actor.ID = n.id
	m.Actor.Attributes = map[string]string{"container": c.id, "name": n.name, "type": "bridge"}
	e.publish(m)
}

func (e *Engine) publish(m message) {
	m.TimeNano = e.now()
	m.Time = m.TimeNano / int64(time.Second)
	if e.drop {
		return
	}
	if len(e.buffer) == bufferedEvents {
		e.buffer = append(e.buffer[:0], e.buffer[1:]...)
	}
	e.buffer = append(e.buffer, m)
	for s := range e.subscribers {
		if s.dead || e.frozen != nil || !s.filter.passes(m) {
			continue
		}
		select {
		case s.ch <- m:
		default: // a slow reader loses it, and is not told
		}
	}
}

// subscribe registers a reader and returns what since replays.
func (e *Engine) subscribe(f filter, since int64) (*subscriber, []message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &subscriber{filter: f, ch: make(chan message, subscriberRoom), cut: make(chan struct{})}
	e.subscribers[s] = struct{}{}
	if since == 0 {
		return s, nil
	}
	var replay []message
	for _, m := range e.buffer {
		if m.TimeNano >= since && f.passes(m) {
			replay = append(replay, m)
		}
	}
	return s, replay
}

func (e *Engine) unsubscribe(s *subscriber) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.subscribers, s)
}

func (e *Engine) serveEvents(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r.URL.Query().Get("filters"))
	since, errSince := parseTime(r.URL.Query().Get("since"))
	if err != nil || errSince != nil {
		refuse(w, http.StatusBadRequest, "bad filters or since")
		return
	}
	// The head goes out before the subscription is made, as in the engine.
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	if flush.Flush() != nil {
		return
	}
	s, replay := e.subscribe(f, since)
	defer e.unsubscribe(s)
	out := json.NewEncoder(w)
	for _, m := range replay {
		if out.Encode(m) != nil {
			return
		}
	}
	if flush.Flush() != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case <-s.cut:
			if s.cutHalf {
				_, _ = w.Write([]byte(`{"Type":"container","Action":"sta`))
				_ = flush.Flush()
			}
			panic(http.ErrAbortHandler) // no last chunk: the connection breaks
		case m := <-s.ch:
			if out.Encode(m) != nil || flush.Flush() != nil {
				return
			}
		}
	}
}

// parseTime reads sec or sec.nanos.
func parseTime(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	sec, nanos, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return 0, err
	}
	frac := int64(0)
	if nanos != "" {
		frac, err = strconv.ParseInt((nanos + "000000000")[:9], 10, 64)
	}
	return n*int64(time.Second) + frac, err
}
