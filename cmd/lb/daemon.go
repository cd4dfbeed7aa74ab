package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/admin"
	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/control"
	"github.com/dockerlb/dockerlb/dnswatch"
	"github.com/dockerlb/dockerlb/dockerwatch"
	"github.com/dockerlb/dockerlb/health"
	"github.com/dockerlb/dockerlb/proxy"
	"github.com/dockerlb/dockerlb/topology"
)

// daemon is the rooms of a running lb, wired. It holds no logic of its own but
// the order of beginning and end.
type daemon struct {
	o   *runOptions
	log *logrus.Logger

	pools    *proxy.Pools
	balancer *balancer.Balancer
	proxy    *proxy.Server
	health   *health.Checker
	docker   *dockerwatch.Watcher // nil: no engine
	dns      *dnswatch.Watcher
	control  *control.Control
	admin    *admin.Server

	quit chan struct{} // closed by /quitquitquit
}

// newDaemon makes every room. The only thing that it opens is the admin port,
// so that a second lb on the machine fails before it does anything.
func newDaemon(o *runOptions, log *logrus.Logger) (d *daemon, err error) {
	d = &daemon{o: o, log: log, quit: make(chan struct{})}
	room := func(name string) *logrus.Entry { return log.WithField("room", name) }
	joins := &admin.JoinHistogram{}

	pools, err := proxy.NewPools(proxy.PoolOptions{MaxIdle: o.maxIdle})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			pools.Close()
		}
	}()
	d.pools = pools
	d.balancer = balancer.New(balancer.Options{
		NewSlot: d.pools.NewSlot,
		OnJoin: func(e *balancer.Endpoint, took time.Duration) {
			spec := e.Spec()
			entry := room("balancer").WithFields(logrus.Fields{
				"cluster": e.Cluster().Name(), "container": spec.ContainerName, "endpoint": spec.Address.String(),
			})
			if took > 0 { // else it was running when we came
				joins.Observe(took)
				entry = entry.WithField("took", took.String())
			}
			entry.Info("in rotation")
		},
		Rebuild: func() { d.control.Rebuild() },
	})
	version := buildVersion()
	d.proxy = proxy.New(proxy.Options{
		Balancer: d.balancer, Pools: d.pools, Log: room("proxy"), Version: version.Version, Limits: o.limits,
	})
	d.health = health.New(health.Options{
		Report: d.balancer.Report, HadTraffic: d.balancer.HadTraffic,
		Count: func(cluster string, e health.Event) { d.balancer.CountCheck(cluster, checkEvents[e]) },
		Log:   room("health"),
	})

	sources := control.Options{
		Balancer: d.balancer, Proxy: d.proxy, Health: d.health, Defaults: o.defaults(), Log: room("control"),
	}
	if o.file != nil {
		o.file.SetLog(room("config"))
		sources.File = o.file
	}
	if err := o.noEngine(); err != nil {
		room("docker").WithField("reason", err.Error()).Info("no engine is watched: with --config none is needed (--docker asks for one)")
	} else {
		o.docker.Log = room("docker")
		if d.docker, err = dockerwatch.New(o.docker); err != nil {
			return nil, usageError("--docker: %w", err)
		}
		sources.Docker = d.docker
	}
	d.dns, err = dnswatch.New(dnswatch.Options{Servers: o.dns, Timeout: o.dnsTry, Log: room("dns")})
	if err != nil {
		return nil, err
	}
	sources.DNS = d.dns
	d.control = control.New(sources)

	token := o.adminToken
	if token == "" {
		token = admin.NewToken()
		room("admin").WithField("token", token).Info("no admin token was given (--admin-token-file, LB_ADMIN_TOKEN): this one is good until the end of the process")
	}
	d.admin, err = admin.New(admin.Options{
		Address: o.admin, Balancer: d.balancer, Table: d.control.Table, Ready: d.control.Ready,
		Docker: d.engineStatus,
		DNS:    d.dnsStatus, File: o.adminFile(), Proxy: d.listenerCounters, Joins: joins,
		Token: token, Hosts: o.adminHosts,
		Quit:        sync.OnceFunc(func() { close(d.quit) }),
		LogLevel:    func() string { return log.GetLevel().String() },
		SetLogLevel: func(level string) error { return setLevel(log, level) },
		Version:     version,
		CommandLine: admin.CommandLine{
			ConfigPath: o.configPath(), LogLevel: o.logLevel, LogFormat: o.logFormat, Concurrency: runtime.GOMAXPROCS(0),
			DrainTime: o.drainDelay, Shutdown: o.shutdown, Node: o.instance,
		},
		Log: room("admin"),
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// run serves until a signal, ctx's end, /quitquitquit, or a room that fails;
// only the last is an error.
func (d *daemon) run(ctx context.Context, signals <-chan os.Signal, started func(*daemon)) error {
	defer d.pools.Close()
	d.log.WithFields(logrus.Fields{"version": buildVersion().Version, "admin": d.admin.Addr().String(), "engine": d.engineName()}).Info("lb starts")
	// The rooms outlive ctx: they are needed while requests in flight finish.
	rooms := newGroup(context.WithoutCancel(ctx))
	rooms.run("balancer", func(ctx context.Context) error { d.balancer.Run(ctx); return nil })
	rooms.run("health", d.health.Run)
	rooms.run("dns", d.dns.Run)
	if d.docker != nil {
		rooms.run("docker", d.docker.Run)
	}
	if d.o.file != nil {
		rooms.run("config", d.o.file.Run)
		defer reloadOnHangup(d.o.file)()
	}
	rooms.run("control", d.control.Run)
	rooms.run("admin", d.admin.Run)
	if started != nil {
		started(d)
	}

	select {
	case sig := <-signals:
		d.log.WithField("signal", sig.String()).Info("lb ends: finishing what is in flight")
	case <-d.quit:
		d.log.Info("lb ends: /quitquitquit")
	case <-ctx.Done():
	case <-rooms.done():
	}
	d.shutDown(ctx, signals, rooms)
	return rooms.end()
}

// shutDown lets what is in flight finish, as the flags and a second signal
// allow.
func (d *daemon) shutDown(ctx context.Context, signals <-chan os.Signal, rooms *group) {
	patience, cancel := awaitSignal(context.WithoutCancel(ctx), signals)
	defer cancel()
	d.admin.SetDraining()
	d.proxy.Drain()
	if d.o.drainDelay > 0 {
		delay := time.NewTimer(d.o.drainDelay)
		defer delay.Stop()
		select {
		case <-delay.C:
		case <-patience.Done():
		case <-rooms.done(): // without control or balancer there is no point
		}
	}
	limit, stop := context.WithTimeout(patience, d.o.shutdown)
	defer stop()
	switch err := d.proxy.Shutdown(limit); {
	case err == nil:
		d.log.Info("nothing is in flight any more")
	case patience.Err() != nil:
		d.log.Warn("second signal: what was in flight is cut off")
	case errors.Is(err, context.DeadlineExceeded):
		d.log.Warnf("what was still in flight after %s (--shutdown-timeout) is cut off", d.o.shutdown)
	default:
		d.log.WithError(err).Warn("listeners did not close well")
	}
}

// checkEvents are health's events in the balancer's words.
var checkEvents = map[health.Event]balancer.CheckEvent{
	health.Attempt: balancer.CheckAttempt, health.Success: balancer.CheckSuccess,
	health.Failure: balancer.CheckFailure, health.NetworkFailure: balancer.CheckNetworkFailure,
}

// listenerCounters hands the proxy's counters to admin in its words.
func (d *daemon) listenerCounters() []admin.ListenerCounters {
	var out []admin.ListenerCounters
	for _, c := range d.proxy.Counters() {
		prefix := c.StatPrefix
		if prefix == "" {
			prefix = c.Listener
		}
		out = append(out, admin.ListenerCounters{
			Name: c.Listener, StatPrefix: prefix, Address: d.proxy.Addr(c.Listener),
			CxTotal: c.CxTotal, CxDestroy: c.CxTotal - min(c.CxTotal, uint64(max(c.CxActive, 0))),
			CxOverflow: c.CxOverflow, CxProtocolError: c.CxProtocolError, CxIdleTimeout: c.CxIdleTimeout,
			CxDrainClose: c.CxDrainClose, CxUpgrades: c.CxUpgradesTotal, RxBytes: c.CxRxBytes, TxBytes: c.CxTxBytes,
			RqTotal: c.RqTotal, RqCompleted: c.RqCompleted,
			Rq1xx: c.Rq1xx, Rq2xx: c.Rq2xx, Rq3xx: c.Rq3xx, Rq4xx: c.Rq4xx, Rq5xx: c.Rq5xx,
			RqTimeout: c.RqTimeout, RqHeaderTimeout: c.RqHeaderTimeout, RqRxReset: c.RqRxReset, RqTooLarge: c.RqTooLarge,
			NoRoute: c.NoRoute, NoCluster: c.NoCluster, RqRedirect: c.RqRedirect, RqDirect: c.RqDirect,
			CxActive: c.CxActive, RqActive: c.RqActive, CxUpgradesActive: c.CxUpgradesActive,
		})
	}
	return out
}

// dnsStatus hands the resolver's standing to admin in its words.
func (d *daemon) dnsStatus() admin.DNSStatus {
	s := d.dns.Status()
	out := admin.DNSStatus{
		Names: len(s.Names), Queries: s.Counters.Lookups, Success: s.Counters.Found, Empty: s.Counters.Empty, Failures: s.Counters.Failed,
	}
	for _, a := range s.Servers {
		out.Servers = append(out.Servers, a.String())
	}
	for _, n := range s.Names {
		if n.Answer.Outcome == topology.OutcomeFailed {
			out.Failing++
			out.LastError = fmt.Sprintf("%s: %s", n.Query.Name, n.Answer.Error)
		}
	}
	return out
}

func setLevel(log *logrus.Logger, level string) error {
	lvl, err := logrus.ParseLevel(level)
	if err != nil {
		return err
	}
	log.SetLevel(lvl)
	return nil
}
