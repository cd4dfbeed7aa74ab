package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ErrUnreachable: nobody answers at the address. The error that wraps it says
// what to do.
var ErrUnreachable = errors.New("cannot reach the admin port")

// StatusError is an answer that is not 200.
type StatusError struct {
	Code int
	Text string
}

func (e *StatusError) Error() string { return e.Text }

// Limits of the client: an answer about ten thousand endpoints is some MB.
const (
	clientTimeout   = 10 * time.Second
	maxAnswer       = 256 << 20
	maxErrorMessage = 64 << 10
)

// Client asks an admin port. It may be used by several goroutines. Close it.
type Client struct {
	addr  string
	token string
	http  http.Client
}

// Dial returns a Client of the admin port at addr, host:port; nothing is sent
// yet. token is for changes from anywhere but loopback; it may be empty.
func Dial(addr, token string) *Client {
	return &Client{addr: addr, token: token, http: http.Client{
		Transport: &http.Transport{ // no proxy from the environment: this is for the machine itself
			DialContext:            (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			ResponseHeaderTimeout:  clientTimeout,
			MaxIdleConns:           2,
			IdleConnTimeout:        clientTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Addr is what Dial was given.
func (c *Client) Addr() string { return c.addr }

func (c *Client) Clusters(ctx context.Context) (Clusters, error) {
	return get[Clusters](ctx, c, "/lb/v1/clusters")
}

func (c *Client) Endpoints(ctx context.Context) (Endpoints, error) {
	return get[Endpoints](ctx, c, "/lb/v1/endpoints")
}

func (c *Client) Routes(ctx context.Context) (Routes, error) {
	return get[Routes](ctx, c, "/lb/v1/routes")
}

func (c *Client) Listeners(ctx context.Context) (Listeners, error) {
	return get[Listeners](ctx, c, "/lb/v1/listeners")
}

// Traces returns the decisions about one container, or about all where the
// name is empty.
func (c *Client) Traces(ctx context.Context, container string) (Traces, error) {
	path := "/lb/v1/traces"
	if container != "" {
		path += "?" + url.Values{"container": {container}}.Encode()
	}
	return get[Traces](ctx, c, path)
}

// InFlight is how many requests are in flight on a container.
func (c *Client) InFlight(ctx context.Context, container string) (InFlight, error) {
	return get[InFlight](ctx, c, "/lb/v1/in_flight?"+url.Values{"container": {container}}.Encode())
}

// Drain takes a container out of rotation.
func (c *Client) Drain(ctx context.Context, container string) (InFlight, error) {
	return post(ctx, c, "/lb/v1/drain", url.Values{"container": {container}})
}

// Undrain takes it in again.
func (c *Client) Undrain(ctx context.Context, container string) (InFlight, error) {
	return post(ctx, c, "/lb/v1/undrain", url.Values{"container": {container}})
}

// Weight sets a container's weight.
func (c *Client) Weight(ctx context.Context, container string, weight uint32) (InFlight, error) {
	return post(ctx, c, "/lb/v1/weight", url.Values{
		"container": {container}, "weight": {strconv.FormatUint(uint64(weight), 10)},
	})
}

// DefaultWeight lifts a weight that was set.
func (c *Client) DefaultWeight(ctx context.Context, container string) (InFlight, error) {
	return post(ctx, c, "/lb/v1/weight", url.Values{"container": {container}, "weight": {"default"}})
}

// Ready asks /ready: the state's word and, where it is not LIVE, why.
func (c *Client) Ready(ctx context.Context) (live bool, state, reason string, err error) {
	res, err := c.do(ctx, http.MethodGet, "/ready", nil)
	if err != nil {
		return false, "", "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxErrorMessage))
	if err != nil {
		return false, "", "", fmt.Errorf("%s: /ready: %w", c.addr, err)
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
		return false, "", "", &StatusError{res.StatusCode, fmt.Sprintf("%s: /ready: %s", c.addr, res.Status)}
	}
	return res.StatusCode == http.StatusOK, strings.TrimSpace(string(b)), res.Header.Get(ReasonHeader), nil
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return answer[T](ctx, c, http.MethodGet, path, nil)
}

func post(ctx context.Context, c *Client, path string, form url.Values) (InFlight, error) {
	return answer[InFlight](ctx, c, http.MethodPost, path, form)
}

func answer[T any](ctx context.Context, c *Client, method, path string, form url.Values) (T, error) {
	var v T
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	res, err := c.do(ctx, method, path, form)
	if err != nil {
		return v, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorMessage))
		text := strings.TrimSpace(string(b))
		if res.StatusCode == http.StatusNotFound && strings.HasPrefix(text, "invalid path.") {
			text = fmt.Sprintf("%s has no %s: is it an lb of another version, or an Envoy?", c.addr, path)
		}
		return v, &StatusError{res.StatusCode, text}
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&v); err != nil {
		return v, fmt.Errorf("%s does not answer as lb's admin port: %w", c.addr, err)
	}
	return v, nil
}

func (c *Client) do(ctx context.Context, method, path string, form url.Values) (*http.Response, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.addr+path, body)
	if err != nil {
		return nil, fmt.Errorf("admin address %q: want host:port", c.addr)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	return res, nil
}

// explain turns what the network says into what a person can do.
func (c *Client) explain(err error) error {
	var dial *net.OpError
	if !errors.As(err, &dial) || dial.Op != "dial" {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("%s: %w", c.addr, err)
	}
	return fmt.Errorf("%w at %s: %v\n"+
		"is \"lb run\" running there? inside its container: docker-compose exec lb /lb list clusters\n"+
		"elsewhere give the address: --admin HOST:PORT, or LB_ADMIN", ErrUnreachable, c.addr, dial.Err)
}
