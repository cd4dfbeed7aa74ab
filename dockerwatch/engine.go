package dockerwatch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/tlsconfig"
)

const (
	pingTimeout    = 5 * time.Second  // while we connect
	aliveTimeout   = 3 * time.Second  // for the sign of life after a silence
	inspectTimeout = 10 * time.Second // the engine may hold a container's lock while it starts
	listTimeout    = 30 * time.Second
)

// errNotFound is the engine's 404: the container is gone.
var errNotFound = errors.New("no such container")

// engine is one connection (pool) to the engine: made anew for every session,
// since the library negotiates the API version once and then only lowers it,
// and since a bind-mounted socket is another file after the engine restarts.
// Safe for concurrent use.
type engine struct {
	cli  *client.Client
	http *http.Client // over the pool of connections that the library keeps
	// fresh connects for each request. A list goes over it: what waits in the
	// pool may have died in silence, and would keep us from what only a list can
	// tell, that the stream has died too.
	fresh    *http.Client
	root     string        // http://host
	base     string        // http://host/v1.41
	api      string        // negotiated
	version  string        // of the engine
	patience time.Duration // for what it answers out of its head
	// ahead is how far the engine's clock is ahead of ours, to a second or so: an
	// engine on another machine may be minutes off, and since is in its time.
	// Zero where the difference may be none, as on one machine.
	ahead time.Duration

	published sync.Once // guards hidden
	hidden    bool
}

// dial connects, negotiates and asks the version.
func dial(ctx context.Context, host string, tls TLS, patience time.Duration) (*engine, error) {
	transport := &http.Transport{
		MaxIdleConnsPerHost:   maxInspects + 2,
		IdleConnTimeout:       30 * time.Second,
		ResponseHeaderTimeout: listTimeout,
	}
	if tls.enabled() {
		conf, err := tlsconfig.Client(tlsconfig.Options{
			CAFile: tls.CAFile, CertFile: tls.CertFile, KeyFile: tls.KeyFile,
			InsecureSkipVerify: !tls.Verify, ExclusiveRootPools: tls.CAFile != "",
		})
		if err != nil {
			return nil, fmt.Errorf("TLS to the engine: %w", err)
		}
		transport.TLSClientConfig = conf
	}
	cli, err := client.NewClientWithOpts(
		client.WithHTTPClient(&http.Client{Transport: transport, CheckRedirect: client.CheckRedirect}),
		client.WithHost(host), // configures the transport's dialer
		client.WithAPIVersionNegotiation(),
	)
	if err != nil {
		return nil, err
	}
	unpooled := transport.Clone() // after WithHost, for its dialer
	unpooled.DisableKeepAlives = true
	e := &engine{
		cli: cli, http: cli.HTTPClient(),
		fresh:    &http.Client{Transport: unpooled, CheckRedirect: client.CheckRedirect},
		patience: cmp.Or(patience, pingTimeout),
	}
	if err := e.negotiate(ctx, host, tls); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *engine) negotiate(ctx context.Context, host string, tls TLS) error {
	ctx, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	ping, err := e.cli.Ping(ctx)
	if err != nil {
		return err
	}
	e.cli.NegotiateAPIVersionPing(ping)
	e.api = e.cli.ClientVersion()
	u, err := client.ParseHostURL(host)
	if err != nil {
		return err
	}
	scheme, at := "http", u.Host
	if tls.enabled() {
		scheme = "https"
	}
	if u.Scheme != "tcp" {
		at = client.DummyHost
	}
	e.root = scheme + "://" + at + strings.TrimSuffix(u.Path, "/")
	e.base = e.root + "/v" + e.api
	var version struct{ Version string }
	header, err := e.get(ctx, e.http, "/version", &version)
	if err != nil {
		return err
	}
	e.version = version.Version
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		if ahead := time.Until(date); ahead < -2*time.Second || ahead > time.Second {
			e.ahead = ahead // else it is but the fraction that Date leaves out
		}
	}
	return nil
}

// explainVersion makes the engine's refusal of our API version say what to do.
func explainVersion(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "is too old"):
		return fmt.Errorf("the engine is too new for this program (it speaks API %s at most; lower the engine's min-api-version or update this program): %w", api.DefaultVersion, err)
	case strings.Contains(text, "is too new"):
		return fmt.Errorf("the engine is too old for this program: %w", err)
	}
	return err
}

// close drops the connections that wait in the pool; more can be made.
func (e *engine) close() { _ = e.cli.Close() }

// ping asks for a sign of life, over a connection that looks use if one of them
// is idle: what is as old as the stream tells more of it than a new one would.
// (The library's own ping goes to another host name, and so to another pool.)
func (e *engine) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, min(e.patience, aliveTimeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, e.root+"/_ping", nil)
	if err != nil {
		return err
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode > http.StatusInternalServerError {
		// 500 is the engine's own; these are of a socket proxy that cannot reach it.
		return fmt.Errorf("the answer to a ping is %s", resp.Status)
	}
	return nil
}

// events opens the stream. It returns when the engine has answered the request.
//
// The engine sends its response head before it subscribes (moby:
// daemon/server/router/system getEvents), so an event right after the head
// could be lost; since, which is always given, closes that gap: what was logged
// meanwhile is replayed from the engine's buffer.
func (e *engine) events(ctx context.Context, since time.Time) (<-chan events.Message, <-chan error) {
	f := filters.NewArgs(filters.Arg("type", "container"), filters.Arg("type", "network"))
	for _, action := range watchedActions {
		f.Add("event", action)
	}
	return e.cli.Events(ctx, events.ListOptions{
		Since:   strconv.FormatInt(since.Unix(), 10) + "." + fmt.Sprintf("%09d", since.Nanosecond()),
		Filters: f,
	})
}

// list is every container of the engine, whatever its state.
func (e *engine) list(ctx context.Context) ([]listed, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	var all []listed
	if _, err := e.get(ctx, e.fresh, "/containers/json?all=1", &all); err != nil {
		return nil, fmt.Errorf("list of containers: %w", err)
	}
	return all, nil
}

// inspect looks at one container, by id or name.
func (e *engine) inspect(ctx context.Context, ref string) (*inspected, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	var c inspected
	if _, err := e.get(ctx, e.http, "/containers/"+url.PathEscape(ref)+"/json", &c); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			// What waits in the pool is as old as the connection that was silent.
			e.close()
		}
		return nil, fmt.Errorf("container %.12s: %w", ref, err)
	}
	return &c, nil
}

// publishedOnly asks the engine once: Docker Desktop runs it in a machine of its
// own, rootless engines in a network namespace of their own.
//
// A socket proxy may refuse /info: then the usual is assumed.
func (e *engine) publishedOnly(ctx context.Context) bool {
	e.published.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, e.patience)
		defer cancel()
		var info struct {
			OperatingSystem string
			SecurityOptions []string
		}
		_, err := e.get(ctx, e.http, "/info", &info)
		e.hidden = err == nil && (strings.Contains(info.OperatingSystem, "Docker Desktop") || slices.Contains(info.SecurityOptions, "name=rootless"))
	})
	return e.hidden
}

// get decodes the answer to a GET. The library's types would keep everything
// that the engine says.
func (e *engine) get(ctx context.Context, over *http.Client, path string, into any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := over.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, errNotFound
	case resp.StatusCode != http.StatusOK:
		var refusal struct {
			Message string `json:"message"`
		}
		_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&refusal)
		return nil, explainVersion(fmt.Errorf("the engine answers %s: %s", resp.Status, refusal.Message))
	}
	err = json.NewDecoder(resp.Body).Decode(into)
	// Only a connection whose answer was read to its end goes back to the pool;
	// the decoder stops before the newline.
	_, _ = io.CopyN(io.Discard, resp.Body, 64)
	return resp.Header, err
}
