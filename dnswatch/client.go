package dnswatch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// client puts questions to servers: UDP, then TCP where an answer was cut.
type client struct {
	servers []netip.AddrPort
	counts  *counters
}

var (
	errNoServer = errors.New("no DNS server is configured")
	errSilent   = errors.New("no answer in time")
	errGarbage  = errors.New("malformed answer")
)

// ask asks the servers in order until one answers. A server that refuses, or
// cannot, is passed over; one that stays silent is asked again, as long as
// there are tries.
func (c *client) ask(ctx context.Context, name string, qtype uint16, p patience) reply {
	last := errNoServer
	pending := c.servers
	for range p.tries {
		var silent []netip.AddrPort
		for _, server := range pending {
			m, err := c.exchange(ctx, server, name, qtype, p.timeout)
			if ctx.Err() != nil {
				return failed(ctx.Err())
			}
			if err == nil && (m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError) {
				return read(m)
			}
			if err == nil {
				err = fmt.Errorf("%s", rcodeName(m.Rcode))
			}
			if errors.Is(err, errSilent) {
				c.counts.timeouts.Add(1)
				silent = append(silent, server)
			}
			last = fmt.Errorf("%s %s from %s: %w", name, dns.TypeToString[qtype], server, err)
		}
		pending = silent
	}
	return failed(last)
}

func rcodeName(code int) string {
	if s := dns.RcodeToString[code]; s != "" {
		return s
	}
	return fmt.Sprintf("response code %d", code)
}

// exchange has one server answer, within limit.
func (c *client) exchange(ctx context.Context, server netip.AddrPort, name string, qtype uint16, limit time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m, err := c.udp(ctx, server, newQuestion(name, qtype, true))
	if err == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented || m.Rcode == dns.RcodeBadVers) {
		// RFC 6891 section 6.2.2: perhaps it does not know EDNS.
		m, err = c.udp(ctx, server, newQuestion(name, qtype, false))
	}
	if err == nil && m.Truncated {
		c.counts.truncated.Add(1)
		m, err = c.tcp(ctx, server, newQuestion(name, qtype, true))
	}
	return m, err
}

// udp asks from a socket, and so a port, of its own. It is connected: the
// kernel drops what others send. Of what comes, only a response to this very
// question counts.
func (c *client) udp(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	packed, err := q.Pack()
	if err != nil {
		return nil, err
	}
	conn, done, err := dial(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer done()
	c.counts.udp.Add(1)
	if _, err := conn.Write(packed); err != nil {
		return nil, plain(err)
	}
	buf := make([]byte, udpSize)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, plain(err)
		}
		m, err := parse(buf[:n], q)
		if errors.Is(err, errStranger) {
			c.counts.strangers.Add(1)
			continue
		}
		return m, err
	}
}

// tcp asks over a connection of its own: RFC 7766, two bytes of length first.
func (c *client) tcp(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	packed, err := q.Pack()
	if err != nil {
		return nil, err
	}
	conn, done, err := dial(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer done()
	c.counts.tcp.Add(1)
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(packed)))
	if _, err := conn.Write(append(framed, packed...)); err != nil {
		return nil, plain(err)
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, plain(err)
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, plain(err)
	}
	m, err := parse(buf, q)
	if err == nil && m.Truncated {
		return nil, fmt.Errorf("%w: cut over TCP", errGarbage)
	}
	return m, err
}

// errStranger is what is not a response to our question: spoofed, or late.
var errStranger = errors.New("not the response to this question")

// parse reads a response to q. Anything with another id or question, or that is
// no response, is a stranger's; a response that cannot be read is garbage, but
// for a cut one, whose flag is enough.
func parse(b []byte, q *dns.Msg) (*dns.Msg, error) {
	if len(b) < 12 || binary.BigEndian.Uint16(b) != q.Id || b[2]&0x80 == 0 {
		return nil, errStranger
	}
	m := new(dns.Msg)
	err := m.Unpack(b)
	if len(m.Question) > 0 {
		if got, want := m.Question[0], q.Question[0]; got.Qtype != want.Qtype || got.Qclass != want.Qclass || !strings.EqualFold(got.Name, want.Name) {
			return nil, errStranger
		}
	}
	cut := b[2]&0x02 != 0
	switch {
	case cut:
		m.Truncated = true
		return m, nil
	case err != nil:
		return nil, errGarbage
	case len(m.Question) != 1 && (m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError):
		// Only an error may leave the question out (FORMERR does).
		return nil, errGarbage
	}
	return m, nil
}

// dial connects. The end of ctx ends whatever conn waits for; done closes it.
func dial(ctx context.Context, network string, server netip.AddrPort) (conn net.Conn, done func(), err error) {
	var d net.Dialer
	conn, err = d.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, nil, plain(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() { stop(); conn.Close() }, nil
}

// plain takes ports and addresses out of a network error, so that the same
// failure has the same text each time.
func plain(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return errSilent
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: connection closed", errGarbage)
	}
	return err
}
