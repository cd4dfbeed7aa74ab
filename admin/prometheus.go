package admin

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// collector hands our own counters to Prometheus's client when it asks.
// Nothing of the client is on a request's path.
type collector struct {
	s     *Server
	descs []*prometheus.Desc // as families
	join  *prometheus.Desc
}

func (s *Server) newRegistry() *prometheus.Registry {
	c := &collector{s: s, join: prometheus.NewDesc("dockerlb_join_seconds",
		"From the engine's start event until the endpoint takes traffic.", nil, nil)}
	for i := range families {
		f := &families[i]
		c.descs = append(c.descs, prometheus.NewDesc(f.prometheusName(), f.help, f.labels, nil))
	}
	r := prometheus.NewRegistry()
	r.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
	ch <- c.join
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	r := c.s.read()
	for i := range families {
		f := &families[i]
		valueType := prometheus.CounterValue
		if f.kind == gauge {
			valueType = prometheus.GaugeValue
		}
		f.each(r, func(v float64, values ...string) {
			v = c.s.baseline.adjust(f.dotted(values), f.kind, v)
			for i := range values {
				values[i] = valid(values[i])
			}
			ch <- prometheus.MustNewConstMetric(c.descs[i], valueType, v, values...)
		})
	}
	if r.joins != nil {
		buckets, count, sum := r.joins.read()
		ch <- prometheus.MustNewConstHistogram(c.join, count, sum.Seconds(), buckets)
	}
}

func (s *Server) prometheus(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{ErrorLog: s.o.Log}).ServeHTTP(w, r)
}
