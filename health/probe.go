package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"github.com/dockerlb/dockerlb/labels"
)

// prober puts one check to an endpoint. Any goroutine.
type prober struct {
	tls tlsConfigs
}

func newProber() *prober { return &prober{tls: tlsConfigs{known: map[labels.TLS]*tls.Config{}}} }

func (p *prober) probe(ctx context.Context, t target) result {
	switch t.settings.Kind {
	case "http":
		return p.http(ctx, t)
	case "grpc":
		return p.grpc(ctx, t)
	default:
		return p.tcp(ctx, t)
	}
}

// tcp connects. With Send and Receive it goes on until what was received
// contains what is expected; other bytes just let the time run out (Envoy).
func (p *prober) tcp(ctx context.Context, t target) result {
	conn, err := dial(ctx, t.address)
	if err != nil {
		return failure(ctx, err)
	}
	defer conn.Close()
	st := t.settings
	if len(st.Send) == 0 && len(st.Receive) == 0 {
		return result{kind: success}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	defer stop()
	if _, err := conn.Write(st.Send); err != nil {
		return failure(ctx, err)
	}
	if len(st.Receive) == 0 {
		return result{kind: success}
	}
	// Only as much is kept as a match that began before may need.
	buf := make([]byte, 0, 4096+len(st.Receive))
	for {
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if bytes.Contains(buf, st.Receive) {
			return result{kind: success}
		}
		if err != nil {
			return failure(ctx, err)
		}
		if keep := len(st.Receive) - 1; len(buf) > keep {
			buf = buf[:copy(buf, buf[len(buf)-keep:])]
		}
	}
}

// dialer spares the settings of keep-alive: no check lives that long. It is not
// its DialTCP that is called: that binds first, which takes milliseconds where
// thousands of ports are in use.
var dialer = net.Dialer{KeepAlive: -1}

func dial(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
	return dialer.DialContext(ctx, "tcp", a.String())
}

// failure is a check that got no answer. ctx tells a timeout of ours.
func failure(ctx context.Context, err error) result {
	var ne net.Error
	var errno syscall.Errno
	switch {
	case ctx.Err() != nil, errors.As(err, &ne) && ne.Timeout():
		return result{kind: timeout, reason: "no answer in time"}
	case errors.As(err, &errno):
		return result{kind: network, reason: errno.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return result{kind: network, reason: "connection closed"}
	}
	return result{kind: network, reason: err.Error()}
}

// tlsConfigs are the TLS settings of endpoints, made once each. A CA file is
// read when it is first needed; one that cannot be read is tried again.
type tlsConfigs struct {
	mu    sync.Mutex
	known map[labels.TLS]*tls.Config
}

// maxConfigs bounds what containers that have long gone leave behind.
const maxConfigs = 256

func (c *tlsConfigs) of(t labels.TLS, host string) (*tls.Config, error) {
	if t.ServerName == "" {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		t.ServerName = host
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.known[t]; k != nil {
		return k, nil
	}
	k := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.Insecure} // as lb.tls.insecure asks
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		k.RootCAs = x509.NewCertPool()
		if !k.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate in it", t.CAFile)
		}
	}
	if len(c.known) >= maxConfigs {
		clear(c.known)
	}
	c.known[t] = k
	return k, nil
}
