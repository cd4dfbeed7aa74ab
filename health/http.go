package health

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/dockerlb/dockerlb/labels"
	"github.com/dockerlb/dockerlb/topology"
)

const (
	// userAgent of the file's checks is Envoy's, for backends that look for it.
	envoyAgent = "Envoy/HC"
	labelAgent = "dockerlb/health"

	maxHead = 60 << 10
	// maxBody is how much of a response's body Receive is looked for in:
	// Envoy's response_buffer_size.
	maxBody = 1024
)

// past is a deadline that is over.
var past = time.Unix(1, 0)

// http asks for a page on a connection of its own. Redirects are not followed:
// their status counts.
func (p *prober) http(ctx context.Context, t target) result {
	tr, scheme, err := p.transport(t)
	if err != nil {
		return result{kind: network, reason: err.Error()}
	}
	defer tr.CloseIdleConnections()
	st := t.settings
	method := st.Method
	if method == "" {
		method = http.MethodGet
	}
	path := st.Path
	if path == "" {
		path = "/"
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return result{kind: network, reason: err.Error()}
	}
	u.Scheme, u.Host = scheme, t.address.String()
	req := (&http.Request{Method: method, URL: u, Host: t.host, Header: http.Header{}}).WithContext(ctx)
	agent := envoyAgent
	if st.Quick {
		agent = labelAgent
	}
	req.Header.Set("User-Agent", agent)
	mutate(req.Header, st.RequestHeaders)
	res, err := tr.RoundTrip(req)
	if err != nil {
		return failure(ctx, err)
	}
	defer res.Body.Close()
	r := judge(st, res)
	if r.kind == success && len(st.Receive) > 0 {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
		if err != nil {
			return failure(ctx, err)
		}
		if !bytes.Contains(body, st.Receive) {
			r.kind, r.reason = active, "the expected text is not in the body"
		}
	}
	if r.kind != success {
		r.immediate = len(res.Header.Values("x-envoy-immediate-health-check-fail")) > 0
	}
	return r
}

func judge(st *settings, res *http.Response) result {
	switch {
	case expected(st.Statuses, res.StatusCode):
		return result{kind: success, degraded: len(res.Header.Values("x-envoy-degraded")) > 0}
	case within(st.Retriable, res.StatusCode):
		return result{kind: active, retriable: true, reason: fmt.Sprintf("status %d", res.StatusCode)}
	}
	return result{kind: active, reason: fmt.Sprintf("status %d", res.StatusCode)}
}

// expected: Envoy's default is exactly 200.
func expected(ranges []labels.StatusRange, status int) bool {
	if len(ranges) == 0 {
		return status == http.StatusOK
	}
	return within(ranges, status)
}

func within(ranges []labels.StatusRange, status int) bool {
	for _, r := range ranges {
		if int(r.From) <= status && status <= int(r.To) {
			return true
		}
	}
	return false
}

// transport dials the endpoint itself, whatever the URL's host.
func (p *prober) transport(t target) (*http.Transport, string, error) {
	tr := &http.Transport{
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, t.address)
		},
		Protocols: new(http.Protocols),
	}
	h2 := t.settings.Kind == "grpc" || t.scheme == labels.SchemeH2C
	if t.scheme != labels.SchemeHTTPS {
		tr.Protocols.SetUnencryptedHTTP2(h2)
		tr.Protocols.SetHTTP1(!h2)
		return tr, "http", nil
	}
	c, err := p.tls.of(t.tls, t.host)
	if err != nil {
		return nil, "", err
	}
	tr.TLSClientConfig = c.Clone() // the transport writes its protocols into it
	tr.Protocols.SetHTTP2(h2)
	tr.Protocols.SetHTTP1(!h2)
	return tr, "https", nil
}

// mutate is request_headers_to_add and request_headers_to_remove.
func mutate(h http.Header, m topology.HeaderMutation) {
	for _, name := range m.Remove {
		h.Del(name)
	}
	for _, f := range m.Add {
		there := len(h.Values(f.Name)) > 0
		switch f.Action {
		case topology.AppendOrAdd:
			h.Add(f.Name, f.Value)
		case topology.AddIfAbsent:
			if !there {
				h.Set(f.Name, f.Value)
			}
		case topology.OverwriteOrAdd:
			h.Set(f.Name, f.Value)
		case topology.OverwriteIfExists:
			if there {
				h.Set(f.Name, f.Value)
			}
		}
	}
}
