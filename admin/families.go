package admin

import (
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/config"
	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

// kind is a metric's, with Prometheus's semantics.
type kind uint8

const (
	counter kind = iota
	gauge
)

// reading is what one pass over the metrics looks at: each source once, so that
// the figures of an answer belong together.
type reading struct {
	snap      balancer.Snapshot
	listeners []ListenerCounters
	engines   []topology.EngineStatus
	dns       DNSStatus
	table     *topology.Table
	file      *config.Status // nil: no file was given
	joins     *JoinHistogram
	state     adminv3.ServerInfo_State
	uptime    time.Duration
	now       time.Time
	version   Version
	memory    memory
}

func (s *Server) read() *reading {
	now := time.Now()
	r := &reading{snap: s.o.Balancer.Snapshot(), joins: s.o.Joins, uptime: now.Sub(s.o.Start), now: now, version: s.o.Version, memory: readMemory()}
	r.state, _ = s.state()
	if s.o.Proxy != nil {
		r.listeners = s.o.Proxy()
	}
	if s.o.Docker != nil {
		r.engines = s.o.Docker()
	}
	if s.o.DNS != nil {
		r.dns = s.o.DNS()
	}
	if s.o.Table != nil {
		r.table = s.o.Table()
	}
	if s.o.File != nil {
		st := s.o.File.Status()
		r.file = &st
	}
	return r
}

// family is one metric. Its name is Envoy's dotted one with a $ for
// each label; Prometheus's name and Envoy's tags follow from it.
// Ours begin with "dockerlb.". Where we count nothing, there is no family: a
// constant zero would be a lie.
type family struct {
	name   string
	kind   kind
	help   string
	labels []string
	each   func(r *reading, emit emit)
}

// emit takes one value, with the values of the family's labels in order.
type emit func(value float64, labels ...string)

// prometheusName of "cluster.$.upstream_rq_$xx" is
// envoy_cluster_upstream_rq_xx.
func (f *family) prometheusName() string {
	name := strings.ReplaceAll(strings.ReplaceAll(f.name, ".$", ""), "$", "")
	name = strings.ReplaceAll(name, ".", "_")
	if strings.HasPrefix(name, "dockerlb_") {
		return name
	}
	return "envoy_" + name
}

// dotted is the name with its labels filled in. A colon becomes an underscore,
// as Envoy has it.
func (f *family) dotted(values []string) string {
	var b strings.Builder
	rest := f.name
	for _, v := range values {
		before, after, ok := strings.Cut(rest, "$")
		if !ok {
			break // the label is Prometheus's alone
		}
		b.WriteString(before)
		b.WriteString(strings.ReplaceAll(oneLine(v), ":", "_"))
		rest = after
	}
	b.WriteString(rest)
	return b.String()
}

func ofCluster(name string, k kind, help string, value func(*balancer.ClusterStatus) float64) family {
	return family{"cluster.$." + name, k, help, []string{"envoy_cluster_name"}, func(r *reading, emit emit) {
		for i := range r.snap.Clusters {
			c := &r.snap.Clusters[i]
			emit(value(c), c.Name)
		}
	}}
}

func clusterCounter(name, help string, value func(*balancer.ClusterCounters) uint64) family {
	return ofCluster(name, counter, help, func(c *balancer.ClusterStatus) float64 { return float64(value(&c.Counters)) })
}

func clusterGauge(name, help string, value func(*balancer.ClusterCounters) int64) family {
	return ofCluster(name, gauge, help, func(c *balancer.ClusterStatus) float64 { return float64(value(&c.Counters)) })
}

// ofHTTP are metrics under http.<stat_prefix>.; listeners that share a prefix
// are added up, as Envoy does.
func ofHTTP(name string, k kind, help string, value func(*ListenerCounters) float64) family {
	return family{"http.$." + name, k, help, []string{"envoy_http_conn_manager_prefix"}, func(r *reading, emit emit) {
		sums, order := map[string]float64{}, []string{}
		for i := range r.listeners {
			l := &r.listeners[i]
			if _, ok := sums[l.StatPrefix]; !ok {
				order = append(order, l.StatPrefix)
			}
			sums[l.StatPrefix] += value(l)
		}
		for _, prefix := range order {
			emit(sums[prefix], prefix)
		}
	}}
}

func httpCounter(name, help string, value func(*ListenerCounters) uint64) family {
	return ofHTTP(name, counter, help, func(l *ListenerCounters) float64 { return float64(value(l)) })
}

func httpGauge(name, help string, value func(*ListenerCounters) int64) family {
	return ofHTTP(name, gauge, help, func(l *ListenerCounters) float64 { return float64(value(l)) })
}

func ofListener(name string, k kind, help string, value func(*ListenerCounters) float64) family {
	return family{"listener.$." + name, k, help, []string{"envoy_listener_address"}, func(r *reading, emit emit) {
		for i := range r.listeners {
			l := &r.listeners[i]
			emit(value(l), strings.ReplaceAll(l.Address.String(), ":", "_"))
		}
	}}
}

func ofServer(name string, k kind, help string, value func(*reading) float64) family {
	return family{name, k, help, nil, func(r *reading, emit emit) { emit(value(r)) }}
}

func ofEngine(name string, k kind, help string, value func(*topology.EngineStatus, *reading) float64) family {
	return family{"dockerlb.docker.$." + name, k, help, []string{"engine"}, func(r *reading, emit emit) {
		for i := range r.engines {
			emit(value(&r.engines[i], r), r.engines[i].Name)
		}
	}}
}

func engineCounter(name, help string, value func(*topology.EngineStatus) uint64) family {
	return ofEngine(name, counter, help, func(e *topology.EngineStatus, _ *reading) float64 { return float64(value(e)) })
}

func ofDNS(name string, k kind, help string, value func(*DNSStatus) float64) family {
	return family{"dockerlb.dns_" + name, k, help, nil, func(r *reading, emit emit) {
		if len(r.dns.Servers) > 0 {
			emit(value(&r.dns))
		}
	}}
}

func ofFile(name, help string, value func(*config.Status, *reading) float64) family {
	return family{"dockerlb.file_" + name, gauge, help, nil, func(r *reading, emit emit) {
		if r.file != nil {
			emit(value(r.file, r))
		}
	}}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// families is every counter and gauge that is exported.
var families = []family{
	clusterCounter("upstream_cx_total", "Connections opened to endpoints.", func(c *balancer.ClusterCounters) uint64 { return c.CxTotal }),
	clusterCounter("upstream_cx_connect_fail", "Connections that failed to open.", func(c *balancer.ClusterCounters) uint64 { return c.CxConnectFail }),
	clusterCounter("upstream_cx_connect_timeout", "Connections that did not open in time.", func(c *balancer.ClusterCounters) uint64 { return c.CxConnectTimeout }),
	clusterCounter("upstream_cx_overflow", "Connections that the max_connections breaker refused.", func(c *balancer.ClusterCounters) uint64 { return c.CxOverflow }),
	clusterCounter("upstream_cx_none_healthy", "Requests that found no ready endpoint.", func(c *balancer.ClusterCounters) uint64 { return c.NoneHealthy }),
	clusterGauge("upstream_cx_active", "Connections open to endpoints.", func(c *balancer.ClusterCounters) int64 { return c.CxActive }),
	clusterCounter("upstream_rq_total", "Requests sent to endpoints, each try counted.", func(c *balancer.ClusterCounters) uint64 { return c.RqTotal }),
	clusterCounter("upstream_rq_completed", "Requests that an endpoint answered.", func(c *balancer.ClusterCounters) uint64 { return c.RqCompleted }),
	clusterCounter("upstream_rq_timeout", "Requests that got no response in time.", func(c *balancer.ClusterCounters) uint64 { return c.RqTimeout }),
	clusterCounter("upstream_rq_per_try_timeout", "Tries that got no response in their time.", func(c *balancer.ClusterCounters) uint64 { return c.RqPerTryTimeout }),
	clusterCounter("upstream_rq_cancelled", "Requests whose client went away while they waited for an endpoint.", func(c *balancer.ClusterCounters) uint64 { return c.RqCancelled }),
	clusterCounter("upstream_rq_pending_total", "Requests that waited for an endpoint.", func(c *balancer.ClusterCounters) uint64 { return c.RqPendingTotal }),
	clusterCounter("upstream_rq_pending_overflow", "Requests that a breaker refused.", func(c *balancer.ClusterCounters) uint64 { return c.RqPendingOverflow }),
	clusterCounter("upstream_rq_retry", "Retries.", func(c *balancer.ClusterCounters) uint64 { return c.RqRetry }),
	clusterCounter("upstream_rq_retry_success", "Retries that succeeded.", func(c *balancer.ClusterCounters) uint64 { return c.RqRetrySuccess }),
	clusterCounter("upstream_rq_retry_overflow", "Retries that the breaker or the budget refused.", func(c *balancer.ClusterCounters) uint64 { return c.RqRetryOverflow }),
	clusterCounter("upstream_rq_retry_limit_exceeded", "Requests that failed after their last retry.", func(c *balancer.ClusterCounters) uint64 { return c.RqRetryLimitExceeded }),
	clusterGauge("upstream_rq_active", "Requests at endpoints.", func(c *balancer.ClusterCounters) int64 { return c.RqActive }),
	clusterGauge("upstream_rq_pending_active", "Requests that wait for an endpoint.", func(c *balancer.ClusterCounters) int64 { return c.RqPendingActive }),
	{"cluster.$.upstream_rq_$xx", counter, "Responses of endpoints, by class of status.",
		[]string{"envoy_cluster_name", "envoy_response_code_class"}, func(r *reading, emit emit) {
			for i := range r.snap.Clusters {
				c := &r.snap.Clusters[i]
				for class, n := range [...]uint64{c.Counters.Rq1xx, c.Counters.Rq2xx, c.Counters.Rq3xx, c.Counters.Rq4xx, c.Counters.Rq5xx} {
					emit(float64(n), c.Name, strconv.Itoa(class+1))
				}
			}
		}},
	clusterCounter("membership_change", "Changes of the membership.", func(c *balancer.ClusterCounters) uint64 { return c.MembershipChange }),
	ofCluster("membership_total", gauge, "Endpoints.", func(c *balancer.ClusterStatus) float64 { return float64(c.Total) }),
	ofCluster("membership_healthy", gauge, "Endpoints that take traffic.", func(c *balancer.ClusterStatus) float64 { return float64(c.Ready) }),
	clusterCounter("lb_healthy_panic", "Requests that were balanced in panic mode.", func(c *balancer.ClusterCounters) uint64 { return c.HealthyPanic }),
	clusterCounter("outlier_detection.ejections_enforced_total", "Ejections.", func(c *balancer.ClusterCounters) uint64 { return c.OutlierEnforced }),
	clusterCounter("outlier_detection.ejections_overflow", "Ejections that the cap prevented.", func(c *balancer.ClusterCounters) uint64 { return c.OutlierOverflow }),
	clusterGauge("outlier_detection.ejections_active", "Endpoints that are ejected.", func(c *balancer.ClusterCounters) int64 { return c.OutlierActive }),
	clusterCounter("health_check.attempt", "Health checks.", func(c *balancer.ClusterCounters) uint64 { return c.HealthAttempt }),
	clusterCounter("health_check.success", "Health checks that succeeded.", func(c *balancer.ClusterCounters) uint64 { return c.HealthSuccess }),
	clusterCounter("health_check.failure", "Health checks that failed.", func(c *balancer.ClusterCounters) uint64 { return c.HealthFailure }),
	clusterCounter("health_check.network_failure", "Health checks that failed to connect or to read.", func(c *balancer.ClusterCounters) uint64 { return c.HealthNetwork }),

	httpCounter("downstream_cx_total", "Connections accepted.", func(l *ListenerCounters) uint64 { return l.CxTotal }),
	httpCounter("downstream_cx_destroy", "Connections closed.", func(l *ListenerCounters) uint64 { return l.CxDestroy }),
	httpCounter("downstream_cx_protocol_error", "Connections closed for what was received.", func(l *ListenerCounters) uint64 { return l.CxProtocolError }),
	httpCounter("downstream_cx_idle_timeout", "Connections closed for idleness.", func(l *ListenerCounters) uint64 { return l.CxIdleTimeout }),
	httpCounter("downstream_cx_drain_close", "Connections closed for draining.", func(l *ListenerCounters) uint64 { return l.CxDrainClose }),
	httpCounter("downstream_cx_upgrades_total", "Connections upgraded.", func(l *ListenerCounters) uint64 { return l.CxUpgrades }),
	httpCounter("downstream_cx_rx_bytes_total", "Bytes received.", func(l *ListenerCounters) uint64 { return l.RxBytes }),
	httpCounter("downstream_cx_tx_bytes_total", "Bytes sent.", func(l *ListenerCounters) uint64 { return l.TxBytes }),
	httpGauge("downstream_cx_active", "Connections open.", func(l *ListenerCounters) int64 { return l.CxActive }),
	httpGauge("downstream_cx_upgrades_active", "Upgraded connections open.", func(l *ListenerCounters) int64 { return l.CxUpgradesActive }),
	httpCounter("downstream_rq_total", "Requests received.", func(l *ListenerCounters) uint64 { return l.RqTotal }),
	httpCounter("downstream_rq_completed", "Requests answered.", func(l *ListenerCounters) uint64 { return l.RqCompleted }),
	httpCounter("downstream_rq_timeout", "Requests that were not received in time.", func(l *ListenerCounters) uint64 { return l.RqTimeout }),
	httpCounter("downstream_rq_header_timeout", "Requests whose head was not received in time.", func(l *ListenerCounters) uint64 { return l.RqHeaderTimeout }),
	httpCounter("downstream_rq_rx_reset", "Requests that the client gave up.", func(l *ListenerCounters) uint64 { return l.RqRxReset }),
	httpCounter("downstream_rq_too_large", "Requests with too large a body.", func(l *ListenerCounters) uint64 { return l.RqTooLarge }),
	httpGauge("downstream_rq_active", "Requests being answered.", func(l *ListenerCounters) int64 { return l.RqActive }),
	{"http.$.downstream_rq_$xx", counter, "Responses sent, by class of status.",
		[]string{"envoy_http_conn_manager_prefix", "envoy_response_code_class"}, func(r *reading, emit emit) {
			sums, order := map[string]*[5]uint64{}, []string{}
			for i := range r.listeners {
				l := &r.listeners[i]
				if sums[l.StatPrefix] == nil {
					sums[l.StatPrefix] = new([5]uint64)
					order = append(order, l.StatPrefix)
				}
				for class, n := range [...]uint64{l.Rq1xx, l.Rq2xx, l.Rq3xx, l.Rq4xx, l.Rq5xx} {
					sums[l.StatPrefix][class] += n
				}
			}
			for _, prefix := range order {
				for class, n := range sums[prefix] {
					emit(float64(n), prefix, strconv.Itoa(class+1))
				}
			}
		}},
	httpCounter("no_route", "Requests without a route: 404.", func(l *ListenerCounters) uint64 { return l.NoRoute }),
	httpCounter("no_cluster", "Requests whose route's cluster does not exist.", func(l *ListenerCounters) uint64 { return l.NoCluster }),
	httpCounter("rq_redirect", "Requests answered by a redirect.", func(l *ListenerCounters) uint64 { return l.RqRedirect }),
	httpCounter("rq_direct_response", "Requests answered by the configuration itself.", func(l *ListenerCounters) uint64 { return l.RqDirect }),

	ofListener("downstream_cx_total", counter, "Connections accepted.", func(l *ListenerCounters) float64 { return float64(l.CxTotal) }),
	ofListener("downstream_cx_destroy", counter, "Connections closed.", func(l *ListenerCounters) float64 { return float64(l.CxDestroy) }),
	ofListener("downstream_cx_overflow", counter, "Connections refused by the limit of connections.", func(l *ListenerCounters) float64 { return float64(l.CxOverflow) }),
	ofListener("downstream_cx_active", gauge, "Connections open.", func(l *ListenerCounters) float64 { return float64(l.CxActive) }),
	ofServer("listener_manager.total_listeners_active", gauge, "Listeners.", func(r *reading) float64 { return float64(len(r.snap.Listeners)) }),
	ofServer("cluster_manager.active_clusters", gauge, "Clusters.", func(r *reading) float64 { return float64(len(r.snap.Clusters)) }),

	ofServer("server.live", gauge, "1 where /ready says LIVE.", func(r *reading) float64 { return truth(r.state == adminv3.ServerInfo_LIVE) }),
	ofServer("server.state", gauge, "0 LIVE, 1 DRAINING, 2 PRE_INITIALIZING, 3 INITIALIZING.", func(r *reading) float64 { return float64(r.state) }),
	ofServer("server.uptime", gauge, "Seconds since the start.", func(r *reading) float64 { return float64(int64(r.uptime.Seconds())) }),
	ofServer("server.concurrency", gauge, "Processors in use.", func(*reading) float64 { return float64(runtime.GOMAXPROCS(0)) }),
	ofServer("server.memory_allocated", gauge, "Bytes of live and not yet collected objects.", func(r *reading) float64 { return float64(r.memory.allocated) }),
	ofServer("server.memory_heap_size", gauge, "Bytes of the heap in use or kept.", func(r *reading) float64 { return float64(r.memory.heap) }),

	{"dockerlb.build_info", gauge, "1; the labels say which program this is.", []string{"version", "revision", "go"}, func(r *reading, emit emit) {
		emit(1, r.version.Version, r.version.Revision, r.version.Go)
	}},
	ofEngine("connected", gauge, "1 while the engine's events flow.", func(e *topology.EngineStatus, _ *reading) float64 { return truth(e.Connected) }),
	ofEngine("membership_age_seconds", gauge, "Seconds since the engine's containers were last listed.", func(e *topology.EngineStatus, r *reading) float64 {
		if e.LastList.IsZero() {
			return r.uptime.Seconds()
		}
		return r.now.Sub(e.LastList).Seconds()
	}),
	engineCounter("events_total", "Events received.", func(e *topology.EngineStatus) uint64 { return e.Events }),
	engineCounter("events_missed_total", "Changes that a list showed and no event had.", func(e *topology.EngineStatus) uint64 { return e.Dropped }),
	engineCounter("inspects_total", "Containers inspected.", func(e *topology.EngineStatus) uint64 { return e.Inspects }),
	engineCounter("lists_total", "Full lists.", func(e *topology.EngineStatus) uint64 { return e.Lists }),
	engineCounter("reconnects_total", "Times that the event stream was opened again.", func(e *topology.EngineStatus) uint64 { return e.Reconnects }),

	ofDNS("names", gauge, "Names that are kept resolved.", func(d *DNSStatus) float64 { return float64(d.Names) }),
	ofDNS("names_failing", gauge, "Names whose last query failed; their last good answer stays in force.", func(d *DNSStatus) float64 { return float64(d.Failing) }),
	ofDNS("queries_total", counter, "Queries.", func(d *DNSStatus) float64 { return float64(d.Queries) }),
	ofDNS("failures_total", counter, "Queries without an answer.", func(d *DNSStatus) float64 { return float64(d.Failures) }),

	ofFile("age_seconds", "Seconds since the configuration that is in force was loaded.", func(f *config.Status, r *reading) float64 {
		return r.now.Sub(f.LoadedAt).Seconds()
	}),
	ofFile("errors", "What is wrong with the newest version of the configuration file; 0: it is in force.", func(f *config.Status, _ *reading) float64 {
		return float64(len(config.All(f.Err)))
	}),

	ofServer("dockerlb.table_generation", gauge, "Generation of the table in force.", func(r *reading) float64 { return float64(generation(r.table)) }),
	{"dockerlb.containers.$", gauge, "Labelled containers, by where they ended up.", []string{"verdict"}, func(r *reading, emit emit) {
		count := map[topology.Verdict]int{}
		for _, t := range traces(r.table) {
			count[t.Verdict]++
		}
		for _, v := range [...]topology.Verdict{topology.Routed, topology.Stopping, topology.NotRunning, topology.Out, topology.Quarantined} {
			emit(float64(count[v]), string(v))
		}
	}},
	{"dockerlb.label_problems.$", gauge, "What is wrong with labels now, by what it does.", []string{"severity"}, func(r *reading, emit emit) {
		var count [3]int
		for _, t := range traces(r.table) {
			for _, p := range t.Problems {
				count[min(int(p.Severity), len(count)-1)]++
			}
		}
		for severity, n := range count {
			emit(float64(n), severityName(labels.Severity(severity)))
		}
	}},
	ofServer("dockerlb.conflicts", gauge, "Routes that two clusters ask for, and settings on which members differ.", func(r *reading) float64 {
		if r.table == nil {
			return 0
		}
		return float64(len(r.table.Conflicts))
	}),
	{"dockerlb.cluster.$.requests_held", gauge, "Requests that wait for a ready endpoint.", []string{"cluster"}, func(r *reading, emit emit) {
		for i := range r.snap.Clusters {
			emit(float64(r.snap.Clusters[i].Held), r.snap.Clusters[i].Name)
		}
	}},
	{"dockerlb.cluster.$.requests_held_total", counter, "Requests that had to wait for a ready endpoint.", []string{"cluster"}, func(r *reading, emit emit) {
		for i := range r.snap.Clusters {
			emit(float64(r.snap.Clusters[i].Counters.HeldTotal), r.snap.Clusters[i].Name)
		}
	}},
	{"dockerlb.cluster.$.requests_held_timeout_total", counter, "Requests that waited in vain.", []string{"cluster"}, func(r *reading, emit emit) {
		for i := range r.snap.Clusters {
			emit(float64(r.snap.Clusters[i].Counters.HeldTimeout), r.snap.Clusters[i].Name)
		}
	}},
}

// memory is read by runtime/metrics: ReadMemStats would stop the world, and
// with it every request, for each scrape.
type memory struct{ allocated, heap uint64 }

func readMemory() memory {
	s := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
	}
	metrics.Read(s)
	objects := s[0].Value.Uint64()
	return memory{objects, objects + s[1].Value.Uint64() + s[2].Value.Uint64()}
}

func generation(t *topology.Table) uint64 {
	if t == nil {
		return 0
	}
	return t.Generation
}

func traces(t *topology.Table) []*topology.Trace {
	if t == nil {
		return nil
	}
	return t.Traces
}

func severityName(s labels.Severity) string {
	switch s {
	case labels.Warning:
		return "warning"
	case labels.Skipped:
		return "skipped"
	}
	return "quarantined"
}
