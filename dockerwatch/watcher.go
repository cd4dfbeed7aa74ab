package dockerwatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/docker/client"
	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/topology"
)

// Options say which engine to watch and how. The zero value watches the usual
// one for labels under "lb".
type Options struct {
	// Host is the engine: unix:///var/run/docker.sock, tcp://host:2375. Empty:
	// DOCKER_HOST, else the usual socket.
	Host string
	TLS  TLS
	// Prefix of the labels, without its dot. Empty: lb.
	Prefix string
	// Resync is the time between two full lists, ± 10 %. 0: 15 s.
	Resync time.Duration
	// Log; nil: nothing is logged.
	Log *logrus.Entry

	knobs knobs
}

// TLS to an engine on tcp://; the zero value is none. Files are PEM.
type TLS struct {
	CAFile, CertFile, KeyFile string
	Verify                    bool // the engine's certificate
}

func (t TLS) enabled() bool { return t.Verify || t.CAFile != "" || t.CertFile != "" }

// knobs are what tests turn; zero is the real thing.
type knobs struct {
	silence   time.Duration // without an event until a ping: 10 s
	pingLimit time.Duration // for an answer to it, and to the first one: 5 s
	backoff   time.Duration // replaces the pauses between sessions
	goodbye   time.Duration // how long a permission problem may last at start: 2 s
	place     *place        // replaces what lookAround finds
}

const (
	defaultResync = 15 * time.Second
	// lookBack is how far the first subscription reaches back, so that stops in
	// progress are known. The engine keeps 256 events.
	lookBack = time.Minute
	// overlap is how far a resumed subscription reaches back behind the last
	// event that was seen: events of two containers may be logged out of order.
	overlap = time.Second
	// defaultSilence is how long nothing may be heard before a ping.
	defaultSilence = 10 * time.Second
	// defaultGoodbye: an engine that starts creates its socket before it hands
	// it to the group, so a refusal is believed only when it lasts.
	defaultGoodbye = 2 * time.Second
	// maxInspects at a time: an engine serialises them on its locks anyway.
	maxInspects = 8
	// refinement is how long what merely refines waits to be shown together.
	refinement = 50 * time.Millisecond
	// complainEvery is how often a lasting failure is logged again.
	complainEvery = 5 * time.Minute
)

// Watcher watches one engine. Run once; the other methods may be called by any
// goroutine at any time.
type Watcher struct {
	o       Options
	log     *logrus.Entry
	where   place
	updates chan struct{}
	latest  atomic.Pointer[topology.Membership]

	mu     sync.Mutex
	status topology.EngineStatus

	// Owned by Run.
	members *members
	self    topology.Self
	lender  string // whose network we borrow
	seen    seen
	since   time.Time // engine's time of the last event
	came    time.Time // engine's time of our first subscription
	gen     uint64
}

// New checks the options. It does not connect.
func New(o Options) (*Watcher, error) {
	if o.Host == "" {
		o.Host = os.Getenv(client.EnvOverrideHost)
	}
	if o.Host == "" {
		o.Host = client.DefaultDockerHost
	}
	if o.Prefix == "" {
		o.Prefix = "lb"
	}
	if o.Resync <= 0 {
		o.Resync = defaultResync
	}
	if err := checkHost(o.Host); err != nil {
		return nil, err
	}
	w := &Watcher{
		o: o, log: o.Log, updates: make(chan struct{}, 1),
		members: newMembers(o.Prefix, o.Host),
		status:  topology.EngineStatus{Name: o.Host, Since: time.Now(), Error: "not connected yet"},
	}
	if w.log == nil {
		quiet := logrus.New()
		quiet.SetOutput(nullWriter{})
		w.log = logrus.NewEntry(quiet)
	}
	w.log = w.log.WithField("engine", o.Host)
	if o.knobs.place != nil {
		w.where = *o.knobs.place
	} else {
		w.where = lookAround()
	}
	return w, nil
}

type nullWriter struct{}

func (nullWriter) Write(p []byte) (int, error) { return len(p), nil }

func checkHost(host string) error {
	u, err := client.ParseHostURL(host)
	if err != nil {
		return fmt.Errorf("engine address %q: want unix:///path or tcp://host:port", host)
	}
	switch u.Scheme {
	case "unix":
		return nil
	case "tcp":
		if _, _, err := net.SplitHostPort(u.Host); err != nil {
			return fmt.Errorf("engine address %q: want tcp://host:port (2375, or 2376 with TLS): %w", host, err)
		}
		return nil
	}
	return fmt.Errorf("engine address %q: %s:// is not supported, only unix:// and tcp://", host, u.Scheme)
}

// Updates has something in it when Latest has changed since the last receive.
func (w *Watcher) Updates() <-chan struct{} { return w.updates }

// Latest is the last Membership; false before the first full one.
func (w *Watcher) Latest() (topology.Membership, bool) {
	m := w.latest.Load()
	if m == nil {
		return topology.Membership{}, false
	}
	return *m, true
}

// Status is how the watcher does right now: unlike Membership.Engines, which is
// as of that Membership.
func (w *Watcher) Status() topology.EngineStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

func (w *Watcher) note(change func(s *topology.EngineStatus)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.status)
}

// Run watches until ctx ends and then returns nil. An engine that is away, at
// start or later, is waited for. It returns an error only for what waiting
// cannot heal, and only as long as it has never been connected: a socket that
// may not be opened, a path that is no socket.
func (w *Watcher) Run(ctx context.Context) error {
	var (
		pause     backoff
		complaint complaint
		refused   time.Time // since when the socket may not be opened
		met       bool
	)
	for {
		began := time.Now()
		err := w.session(ctx)
		if ctx.Err() != nil {
			w.disconnected(ctx.Err())
			return nil
		}
		wasUp := w.Status().Connected
		w.disconnected(err)
		if wasUp {
			met = true
			pause.reset()
			refused = time.Time{}
		}
		var u unhealable
		if errors.As(err, &u) && !met {
			if refused.IsZero() {
				refused = began
			}
			if time.Since(refused) >= w.goodbye() {
				return fmt.Errorf("docker engine: %w", u.error)
			}
		}
		if wasUp && errors.Is(err, errStreamEnded) {
			// Usual: socket proxies cut long requests every ten minutes.
			w.log.WithError(err).Debug("event stream ended, connecting again")
		} else {
			complaint.make(w.log, err, w.latest.Load() != nil)
		}
		wait := pause.next()
		if w.o.knobs.backoff > 0 {
			wait = w.o.knobs.backoff
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		w.note(func(s *topology.EngineStatus) { s.Reconnects++ })
	}
}

func (w *Watcher) goodbye() time.Duration {
	if w.o.knobs.goodbye > 0 {
		return w.o.knobs.goodbye
	}
	return defaultGoodbye
}

func (w *Watcher) disconnected(err error) {
	w.note(func(s *topology.EngineStatus) {
		if s.Connected {
			s.Connected, s.Since = false, time.Now()
		}
		s.Error = strings.TrimSpace(fmt.Sprint(err))
	})
}

// complaint logs a lasting failure once, and then rarely.
type complaint struct {
	text string
	at   time.Time
}

func (c *complaint) make(log *logrus.Entry, err error, known bool) {
	if err.Error() == c.text && time.Since(c.at) < complainEvery {
		return
	}
	c.text, c.at = err.Error(), time.Now()
	if !known {
		log.WithError(err).Warn("no connection to the engine yet, trying again")
		return
	}
	log.WithError(err).Warn("no connection to the engine; the last known state stays in force, trying again")
}
