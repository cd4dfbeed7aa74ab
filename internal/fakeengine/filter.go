package fakeengine

import (
	"encoding/json"
	"strings"
)

// filter is the API's filters parameter: keys AND, values of one key OR.
type filter map[string]map[string]bool

// parseFilter reads both of its forms: {"type":["container"]} and
// {"type":{"container":true}}.
func parseFilter(s string) (filter, error) {
	f := filter{}
	if s == "" {
		return f, nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &raw); err != nil {
		return nil, err
	}
	for key, value := range raw {
		set := map[string]bool{}
		if err := json.Unmarshal(value, &set); err != nil {
			var list []string
			if err := json.Unmarshal(value, &list); err != nil {
				return nil, err
			}
			for _, v := range list {
				set[v] = true
			}
		}
		f[key] = set
	}
	return f, nil
}

// passes is the engine's event filter. A label filter drops every network
// event, since those carry no container's labels.
func (f filter) passes(m message) bool {
	action, _, _ := strings.Cut(m.Action, ":")
	return f.has("type", m.Type) && (f.has("event", m.Action) || f.has("event", action)) &&
		f.has("container", m.Actor.ID) && f.labels(m.Actor.Attributes)
}

func (f filter) has(key, value string) bool { return len(f[key]) == 0 || f[key][value] }

func (f filter) labels(have map[string]string) bool {
	for want := range f["label"] {
		key, value, exact := strings.Cut(want, "=")
		got, ok := have[key]
		if !ok || (exact && got != value) {
			return false
		}
	}
	return true
}

// lists is the engine's filter of /containers/json, as far as it is used.
func (f filter) lists(c *container) bool {
	return f.has("id", c.id) && f.has("name", c.Name) && f.has("status", c.state) && f.labels(c.Labels)
}
