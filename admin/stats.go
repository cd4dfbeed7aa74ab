package admin

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stat is one value under its dotted name.
type stat struct {
	name  string
	kind  kind
	value float64
}

// stats collects every counter and gauge, sorted by name.
func (r *reading) stats(b *baseline) []stat {
	var out []stat
	for i := range families {
		f := &families[i]
		f.each(r, func(v float64, values ...string) {
			name := f.dotted(values)
			out = append(out, stat{name, f.kind, b.adjust(name, f.kind, v)})
		})
	}
	slices.SortStableFunc(out, func(a, b stat) int { return cmp.Compare(a.name, b.name) })
	return out
}

// baseline is what /reset_counters has taken off the counters since.
type baseline struct {
	mu    sync.Mutex
	zeros map[string]float64
}

func (b *baseline) set(zeros map[string]float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.zeros = zeros
}

// adjust returns v as counted since the last reset. A value below its zero is
// one that began anew (a cluster that left and came back).
func (b *baseline) adjust(name string, k kind, v float64) float64 {
	if k != counter {
		return v
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if zero := b.zeros[name]; zero <= v {
		return v - zero
	}
	return v
}

func (s *Server) resetCounters(w http.ResponseWriter, _ *http.Request) {
	zeros := make(map[string]float64)
	for _, st := range s.read().stats(&baseline{}) {
		if st.kind == counter && st.value != 0 {
			zeros[st.name] = st.value
		}
	}
	s.baseline.set(zeros)
	s.o.Log.Warn("counters reset through the admin port")
	fmt.Fprintln(w, "OK")
}

// stats is Envoy's. There is one histogram, of joins; its quantiles
// are those of its buckets' upper bounds.
func (s *Server) stats(w http.ResponseWriter, r *http.Request) {
	var filter *regexp.Regexp
	if text := r.Form.Get("filter"); text != "" {
		var err error
		if filter, err = regexp.Compile(text); err != nil {
			s.fail(w, http.StatusBadRequest, "Invalid re2 regex")
			return
		}
	}
	wanted, ok := statTypes[r.Form.Get("type")]
	if !ok {
		s.fail(w, http.StatusBadRequest, fmt.Sprintf("type %q: want All, Counters, Gauges, Histograms or TextReadouts\n", r.Form.Get("type")))
		return
	}
	switch f := r.Form.Get("format"); f {
	case "prometheus":
		s.prometheus(w, r)
		return
	case "", "text", "json":
	default:
		s.badFormat(w, f, "text, json or prometheus")
		return
	}

	usedOnly := r.Form.Has("usedonly")
	reading := s.read()
	stats := slices.DeleteFunc(reading.stats(&s.baseline), func(st stat) bool {
		return !wanted.has(st.kind) || usedOnly && st.value == 0 || filter != nil && !filter.MatchString(st.name)
	})
	histogram := wanted.histograms && reading.joins != nil && (filter == nil || filter.MatchString(joinStat))
	if histogram && usedOnly {
		_, n, _ := reading.joins.read()
		histogram = n > 0
	}
	if r.Form.Get("format") == "json" {
		writeStatsJSON(w, stats, reading.joins, histogram)
		return
	}
	b := bufio.NewWriter(w)
	defer b.Flush()
	for _, st := range stats {
		fmt.Fprintf(b, "%s: %s\n", st.name, number(st.value))
	}
	if histogram {
		fmt.Fprintf(b, "%s: %s\n", joinStat, quantileText(reading.joins))
	}
}

type statType struct{ counters, gauges, histograms bool }

func (t statType) has(k kind) bool { return k == counter && t.counters || k == gauge && t.gauges }

var statTypes = map[string]statType{
	"": {true, true, true}, "All": {true, true, true}, "Counters": {counters: true},
	"Gauges": {gauges: true}, "Histograms": {histograms: true}, "TextReadouts": {},
}

// joinStat is the histogram's dotted name; its values there are milliseconds,
// as all of Envoy's times.
const joinStat = "dockerlb.join_ms"

// supportedQuantiles are Envoy's.
var supportedQuantiles = []float64{0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100}

// quantiles returns, for each of Envoy's, the upper bound in milliseconds of
// the bucket that it falls in; none without a sample.
func quantiles(h *JoinHistogram) []float64 {
	cumulative, count, _ := h.read()
	if count == 0 {
		return nil
	}
	out := make([]float64, len(supportedQuantiles))
	for i, q := range supportedQuantiles {
		rank := max(1, uint64(q/100*float64(count)+0.999999))
		out[i] = joinBounds[len(joinBounds)-1] * 1000
		for _, bound := range joinBounds {
			if cumulative[bound] >= rank {
				out[i] = bound * 1000
				break
			}
		}
	}
	return out
}

func quantileText(h *JoinHistogram) string {
	values := quantiles(h)
	if values == nil {
		return "No recorded values"
	}
	var b strings.Builder
	for i, q := range supportedQuantiles {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "P%s(nan,%s)", number(q), number(values[i]))
	}
	return b.String()
}

func writeStatsJSON(w http.ResponseWriter, stats []stat, joins *JoinHistogram, histogram bool) {
	type value struct {
		Name  string  `json:"name"`
		Value float64 `json:"value"`
	}
	all := make([]any, 0, len(stats)+1)
	for _, st := range stats {
		all = append(all, value{st.name, st.value})
	}
	if histogram {
		type quantile struct {
			Interval   *float64 `json:"interval"`
			Cumulative *float64 `json:"cumulative"`
		}
		values := make([]quantile, len(supportedQuantiles))
		for i, v := range quantiles(joins) {
			values[i].Cumulative = &v
		}
		all = append(all, map[string]any{"histograms": map[string]any{
			"supported_quantiles": supportedQuantiles,
			"computed_quantiles":  []any{map[string]any{"name": joinStat, "values": values}},
		}})
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"stats": all})
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// milliseconds of d, for people.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
