package bench

import "slices"

// figure is one of the things that are measured.
type figure int

const (
	requestsPerSecond figure = iota
	cpuPerRequest            // µs
	p50                      // ms
	p99                      // ms
	resident                 // MiB, at the end of the load
	figureCount
)

// sample is one contender's figures for one work in one round.
type sample struct {
	figures          [figureCount]float64
	errors, statuses int
}

func newSample(l load, before, after usage) sample {
	n := float64(l.requests)
	return sample{
		figures: [figureCount]float64{
			requestsPerSecond: n / l.took.Seconds(),
			cpuPerRequest:     float64((after.cpu - before.cpu).Microseconds()) / n,
			p50:               float64(l.p50.Microseconds()) / 1e3,
			p99:               float64(l.p99.Microseconds()) / 1e3,
			resident:          float64(after.rss) / (1 << 20),
		},
		errors: l.errors, statuses: l.statuses,
	}
}

// series is one contender's samples for one work, by round.
type series []sample

func (s series) of(f figure) []float64 {
	out := make([]float64, len(s))
	for i := range s {
		out[i] = s[i].figures[f]
	}
	return out
}

// failures are the responses that did not come, or not as 2xx.
func (s series) failures() (n int) {
	for i := range s {
		n += s[i].errors + s[i].statuses
	}
	return n
}

// ratios divide s by other, round by round; a round that other has not is left
// out, and so is a zero.
func (s series) ratios(other series, f figure) []float64 {
	var out []float64
	for i := range min(len(s), len(other)) {
		if d := other[i].figures[f]; d > 0 {
			out = append(out, s[i].figures[f]/d)
		}
	}
	return out
}

// median of values; 0: there are none.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}
