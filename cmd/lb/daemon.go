package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/accesslog"
	"github.com/dockerlb/dockerlb/admin"
	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/control"
	"github.com/dockerlb/dockerlb/dnswatch"
	"github.com/dockerlb/dockerlb/dockerwatch"
	"github.com/dockerlb/dockerlb/handover"
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
	joins    *admin.JoinHistogram

	accessLog *accesslog.Writer // nil: off

	gate      *gate               // between control and proxy
	successor *handover.Successor // we are to take over; nil: nobody is there
	token     string              // of the admin port

	quit  chan struct{} // closed by /quitquitquit
	taken chan int      // the process that has taken over from us
}

// newDaemon makes every room. The only thing that it opens is the admin port,
// so that a second lb on the machine fails before it does anything; where there
// is a process to take over from, that is left for later.
func newDaemon(o *runOptions, log *logrus.Logger) (d *daemon, err error) {
	d = &daemon{o: o, log: log, joins: &admin.JoinHistogram{}, quit: make(chan struct{}), taken: make(chan int, 1)}
	room := d.room
	joins := d.joins
	if err := d.greet(); err != nil {
		return nil, err
	}
	successor := d.successor
	defer func() {
		if err != nil && successor != nil {
			successor.Close()
		}
	}()

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
	if err := d.openAccessLog(); err != nil {
		return nil, err
	}
	opened := d // a return with an error sets d to nil
	defer func() {
		if err != nil {
			opened.closeAccessLog()
		}
	}()
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
	engine := proxy.Options{
		Balancer: d.balancer, Pools: d.pools, Log: room("proxy"), Version: version.Version,
		Forwarded: o.forwarded, Limits: o.limits,
	}
	if d.accessLog != nil {
		engine.AccessLog = d.accessLog
	}
	d.proxy = proxy.New(engine)
	d.health = health.New(health.Options{
		Report: func(v balancer.Verdict) {
			d.balancer.Report(v)
			d.control.Checked()
		},
		HadTraffic: d.balancer.HadTraffic,
		Count:      func(cluster string, e health.Event) { d.balancer.CountCheck(cluster, checkEvents[e]) },
		Log:        room("health"),
	})

	d.gate = newGate(d.proxy, d.successor == nil)
	sources := control.Options{
		Balancer: d.balancer, Proxy: d.gate, Health: d.health, Defaults: o.defaults(), Log: room("control"),
	}
	if o.file != nil {
		o.file.SetLog(room("config"))
		o.tellUnheard(room("config"))
		sources.File = o.file
	}
	if err := o.noEngine(engineSocket); err != nil {
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

	d.token = o.adminToken
	if d.token == "" {
		d.token = admin.NewToken()
		room("admin").WithField("token", d.token).Info("no admin token was given (--admin-token-file, LB_ADMIN_TOKEN): this one is good until the end of the process")
	}
	if d.successor == nil {
		if err := d.openAdmin(nil); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// room is the log of one room.
func (d *daemon) room(name string) *logrus.Entry { return d.log.WithField("room", name) }

// openAdmin makes the admin port, of a socket that was handed over or of a new
// one.
func (d *daemon) openAdmin(inherited *net.TCPListener) (err error) {
	o := d.o
	d.admin, err = admin.New(admin.Options{
		Address: o.admin, Listener: inherited, Balancer: d.balancer, Table: d.control.Table, Ready: d.control.Ready,
		Docker: d.engineStatus,
		DNS:    d.dnsStatus, File: o.adminFile(), Proxy: d.listenerCounters, Joins: d.joins,
		Token: d.token, Hosts: o.adminHosts,
		Quit:           sync.OnceFunc(func() { close(d.quit) }),
		FailHealth:     d.proxy.SetFailing,
		DrainListeners: d.drainListeners,
		LogLevel:       func() string { return d.log.GetLevel().String() },
		SetLogLevel:    func(level string) error { return setLevel(d.log, level) },
		Version:        buildVersion(),
		CommandLine: admin.CommandLine{
			ConfigPath: o.configPath(), LogLevel: o.logLevel, LogFormat: o.logFormat, Concurrency: runtime.GOMAXPROCS(0),
			DrainTime: o.drainDelay, Shutdown: o.shutdown, Node: o.instance,
		},
		Log: d.room("admin"),
	})
	return err
}

// run serves until a signal, ctx's end, /quitquitquit, or a room that fails;
// only the last is an error.
func (d *daemon) run(ctx context.Context, signals <-chan os.Signal, started func(*daemon)) error {
	defer d.pools.Close()
	defer d.closeAccessLog()
	defer d.reopenOnSignal()()
	d.log.WithFields(logrus.Fields{"version": buildVersion().Version, "admin": d.adminAddr(), "engine": d.engineName()}).Info("lb starts")
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
	if d.successor != nil {
		if err := d.takeOver(ctx, signals, rooms); err != nil {
			_ = d.proxy.Shutdown(ctx) // what was opened, if anything
			if why := rooms.end(); why != nil || errors.Is(err, errGaveUp) {
				return why
			}
			return err
		}
	}
	adminPort, endAdmin := context.WithCancel(rooms.ctx)
	defer endAdmin()
	rooms.run("admin", func(ctx context.Context) error {
		if err := d.admin.Run(adminPort); err != nil {
			return err
		}
		<-ctx.Done() // another process may serve it by now
		return nil
	})
	if d.o.takeover {
		d.confirmTaken()
		rooms.run("takeover", d.offer)
	}
	if started != nil {
		started(d)
	}

	select {
	case sig := <-signals:
		d.log.WithField("signal", sig.String()).Info("lb ends: finishing what is in flight")
	case pid := <-d.taken:
		d.log.WithField("pid", pid).Info("lb ends: another has taken over; finishing what is in flight")
		endAdmin()
		d.handOver(ctx, signals)
		return rooms.end()
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
	d.gate.shut()
	d.tellEnd(d.proxy.Shutdown(limit), patience)
}

// tellEnd logs how the proxy ended. patience is done after a second signal.
func (d *daemon) tellEnd(err error, patience context.Context) {
	switch {
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
