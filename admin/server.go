package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/topology"
)

// Balancer is what admin needs of balancer.Balancer.
type Balancer interface {
	Snapshot() balancer.Snapshot
	Override(balancer.Override) error
	InFlight(container string) int
	DrainDeadline(container string) time.Time
}

// Options is what New needs. Functions may be nil where noted; all of them are
// called from any goroutine.
type Options struct {
	// Address is what to listen on; port 0 picks one (tests).
	Address netip.AddrPort
	// Listener, if set, is used instead of listening on Address: it was handed
	// over by another process. It is the server's from then on.
	Listener *net.TCPListener
	Balancer Balancer
	// Table is the newest table, nil before the first.
	Table func() *topology.Table
	// Ready says whether every source has spoken once; the text says what is
	// missing.
	Ready func() (bool, string)
	// Docker is how the engines' watchers do; nil where no engine is watched.
	Docker func() []topology.EngineStatus
	// DNS is how the resolver does; nil: not watched.
	DNS func() DNSStatus
	// File is the bootstrap file; nil: none was given.
	File File
	// Proxy is the data plane's counters, one entry per listener; nil: none.
	Proxy func() []ListenerCounters
	// Joins is fed by the balancer's OnJoin; nil: no histogram.
	Joins *JoinHistogram

	// Token is what a POST from anywhere but loopback must carry. Empty:
	// nobody but loopback may POST.
	Token string
	// Hosts are names, besides IP addresses, localhost and names without a
	// dot, under which the admin port may be asked for.
	Hosts []string

	// What the operator can do to the process; nil: 501.
	Quit       func()          // /quitquitquit
	FailHealth func(fail bool) // /healthcheck/fail and /ok, after /ready has changed
	// DrainListeners is /drain_listeners: at once; or gracefully, and then
	// without closing the listeners where skipExit is set. It does not wait.
	DrainListeners func(graceful, skipExit bool)
	LogLevel       func() string          // the level in force
	SetLogLevel    func(lvl string) error // /logging

	Version Version
	// CommandLine is what /server_info shows.
	CommandLine CommandLine
	Start       time.Time
	Log         *logrus.Entry
}

// Version is what this program is.
type Version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source
	Modified bool   `json:"modified,omitempty"` // the source had uncommitted changes
	Built    string `json:"built,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// CommandLine is the part of the flags that Envoy's /server_info has a place
// for.
type CommandLine struct {
	ConfigPath  string
	LogLevel    string
	LogFormat   string
	Concurrency int
	DrainTime   time.Duration // how long listeners stay open when draining
	Shutdown    time.Duration // the limit of the whole end
	Node        string        // --instance
}

// DNSStatus is how the resolver does.
type DNSStatus struct {
	Servers                           []string
	Names, Failing                    int    // that are kept resolved; whose last query failed
	Queries, Success, Failures, Empty uint64 // since start
	LastError                         string
}

// ListenerCounters is what the proxy counted on one listener: Envoy's names
// (http.<stat_prefix>. and listener.<address>.), monotonic since start;
// those with Active are gauges.
type ListenerCounters struct {
	Name, StatPrefix string
	Address          netip.AddrPort // as bound

	CxTotal, CxDestroy, CxOverflow, CxProtocolError, CxIdleTimeout uint64
	CxDrainClose, CxUpgrades, RxBytes, TxBytes                     uint64
	RqTotal, RqCompleted, Rq1xx, Rq2xx, Rq3xx, Rq4xx, Rq5xx        uint64
	RqTimeout, RqHeaderTimeout, RqRxReset, RqTooLarge              uint64
	NoRoute, NoCluster, RqRedirect, RqDirect                       uint64
	CxActive, RqActive, CxUpgradesActive                           int64
}

// Limits of the port. It is for people, scripts and scrapers, and its owner
// must get in while strangers are busy there.
const (
	maxConnections      = 128 // from anywhere
	loopbackConnections = 32  // of these, kept for loopback
	maxHeaderBytes      = 16 << 10
	maxBodyBytes        = 64 << 10
	headTimeout         = 5 * time.Second
	readTimeout         = 10 * time.Second
	writeTimeout        = 30 * time.Second
	idleTimeout         = 60 * time.Second
	shutdownTimeout     = 2 * time.Second
)

// Server is the administration port. New listens, Run serves.
type Server struct {
	o         Options
	tokenSum  [sha256.Size]byte
	socket    *net.TCPListener // beneath listener
	listener  net.Listener
	registry  *prometheus.Registry
	process   string // InFlight.Process
	baseline  baseline
	failed    atomic.Bool // /healthcheck/fail
	draining  atomic.Bool // the process is ending
	endpoints []endpoint
}

// New listens on o.Address, so that a taken port is known before anything is
// started. Run must follow, or Close.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		l := logrus.New()
		l.SetOutput(io.Discard)
		o.Log = logrus.NewEntry(l)
	}
	if o.Start.IsZero() {
		o.Start = time.Now()
	}
	l := o.Listener
	if l == nil {
		var err error
		network := "tcp" // [::] is both families
		if o.Address.Addr().Is4() {
			network = "tcp4" // 0.0.0.0 is IPv4 alone, as in Envoy; net would bind [::]
		}
		if l, err = net.ListenTCP(network, net.TCPAddrFromAddrPort(o.Address)); err != nil {
			return nil, fmt.Errorf("admin: cannot listen on %s: %w (--admin-listen chooses another address)", o.Address, cause(err))
		}
	}
	s := &Server{
		o:        o,
		socket:   l,
		process:  processID(os.Getpid(), o.Start),
		tokenSum: sha256.Sum256([]byte(o.Token)),
		listener: newLimitListener(l, maxConnections, loopbackConnections),
	}
	s.endpoints = s.table()
	s.registry = s.newRegistry()
	return s, nil
}

// processID tells processes apart. A pid alone does not: two containers that
// take turns are both process 1.
func processID(pid int, start time.Time) string {
	return strconv.Itoa(pid) + "@" + start.UTC().Format(time.RFC3339Nano)
}

// cause drops what the net package says twice.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// Addr is the address that the server is bound to.
func (s *Server) Addr() netip.AddrPort {
	a := s.listener.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Socket is the listening socket, to be handed over; it stays the server's.
func (s *Server) Socket() syscall.Conn { return s.socket }

// SetDraining makes /ready answer 503 DRAINING for the rest of the process's
// life. The port itself stays open until Run's ctx is done, so that the end can
// be watched.
func (s *Server) SetDraining() { s.draining.Store(true) }

// Close closes the listener of a Server that was never run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx is done, then gives what is being answered two seconds.
func (s *Server) Run(ctx context.Context) error {
	w := s.o.Log.WriterLevel(logrus.DebugLevel)
	defer w.Close()
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          stdlog.New(w, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("admin: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if srv.Shutdown(end) != nil {
		srv.Close()
	}
	<-done
	return nil
}
