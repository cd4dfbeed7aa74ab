package fakeengine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var versioned = regexp.MustCompile(`^/v(\d+\.\d+)(/.*)$`)

// handler is the whole API.
func (e *Engine) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if hit := versioned.FindStringSubmatch(path); hit != nil {
			path = hit[2]
			if refusal := e.checkVersion(hit[1]); refusal != "" {
				refuse(w, http.StatusBadRequest, refusal)
				return
			}
		}
		name, serve := e.route(path)
		e.mu.Lock()
		e.calls[name]++
		if serve == nil || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
			e.foreign = append(e.foreign, r.Method+" "+r.URL.Path)
			serve = nil
		}
		delay, status, frozen := e.delays[name], e.failures[name], e.frozen
		w.Header().Set("Api-Version", e.apiMax)
		w.Header().Set("Ostype", "linux")
		w.Header().Set("Server", "Docker/"+e.version+" (linux)")
		e.mu.Unlock()
		if frozen != nil {
			select {
			case <-frozen:
			case <-r.Context().Done():
			}
			panic(http.ErrAbortHandler)
		}
		if delay > 0 {
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
				return
			}
		}
		switch {
		case serve == nil:
			refuse(w, http.StatusForbidden, "not served by this engine")
		case status != 0:
			refuse(w, status, "as the test's script says")
		default:
			serve(w, r)
		}
	})
}

func (e *Engine) route(path string) (string, http.HandlerFunc) {
	switch path {
	case "/_ping":
		return "ping", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "OK") }
	case "/version":
		return "version", e.serveVersion
	case "/info":
		return "info", e.serveInfo
	case "/events":
		return "events", e.serveEvents
	case "/containers/json":
		return "list", e.serveList
	case "/networks":
		return "networks", e.serveNetworks
	}
	if ref, ok := strings.CutPrefix(path, "/containers/"); ok {
		if ref, ok := strings.CutSuffix(ref, "/json"); ok {
			return "inspect", func(w http.ResponseWriter, _ *http.Request) { e.serveInspect(w, ref) }
		}
	}
	return "foreign", nil
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": text})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// checkVersion refuses as the engine does.
func (e *Engine) checkVersion(v string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case less(v, e.apiMin):
		return fmt.Sprintf("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", v, e.apiMin)
	case less(e.apiMax, v):
		return fmt.Sprintf("client version %s is too new. Maximum supported API version is %s", v, e.apiMax)
	}
	return ""
}

func less(a, b string) bool {
	am, an, _ := strings.Cut(a, ".")
	bm, bn, _ := strings.Cut(b, ".")
	x, _ := strconv.Atoi(am)
	y, _ := strconv.Atoi(bm)
	if x != y {
		return x < y
	}
	x, _ = strconv.Atoi(an)
	y, _ = strconv.Atoi(bn)
	return x < y
}

func (e *Engine) serveVersion(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	v := map[string]string{"Version": e.version, "ApiVersion": e.apiMax, "MinAPIVersion": e.apiMin, "Os": "linux"}
	e.mu.Unlock()
	answer(w, v)
}

func (e *Engine) serveInfo(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	v := map[string]any{"ServerVersion": e.version, "OperatingSystem": e.operatingSystem, "SecurityOptions": e.securityOptions, "Containers": len(e.containers)}
	e.mu.Unlock()
	answer(w, v)
}

func (e *Engine) serveNetworks(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	all := []map[string]any{}
	for _, n := range e.networks {
		all = append(all, map[string]any{"Name": n.name, "Id": n.id, "Driver": "bridge", "Scope": "local"})
	}
	e.mu.Unlock()
	answer(w, all)
}

func (e *Engine) serveList(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r.URL.Query().Get("filters"))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	every := r.URL.Query().Get("all")
	e.mu.Lock()
	all := make([]any, 0, len(e.order))
	for i := len(e.order) - 1; i >= 0; i-- { // newest first
		c := e.order[i]
		if (every == "1" || every == "true" || c.up()) && f.lists(c) {
			all = append(all, c.summary())
		}
	}
	e.mu.Unlock()
	answer(w, all)
}

func (e *Engine) serveInspect(w http.ResponseWriter, ref string) {
	e.mu.Lock()
	e.inspecting++
	e.maxInspects = max(e.maxInspects, e.inspecting)
	delay := e.delays["answer"]
	var body any
	if c := e.lookup(ref); c != nil && !e.vanish[c.id] {
		body = e.details(c)
	}
	e.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay) // the answer is on its way while the world goes on
	}
	e.mu.Lock()
	e.inspecting--
	e.mu.Unlock()
	if body == nil {
		refuse(w, http.StatusNotFound, "No such container: "+ref)
		return
	}
	answer(w, body)
}
