package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Idle kept connections: what each holds of memory is the slope between these
// numbers of them, so that what a process holds anyway does not count.
const (
	idleFew  = 5_000
	idleMany = 15_000
	// idleMargin is of descriptors, for all else a process has open.
	idleMargin = 200
)

// idleCounts are the numbers that the limit of descriptors allows, ours and what
// a contender inherits. Zero: too few to tell anything.
func idleCounts() (few, many int, limit uint64) {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0, 0, 0
	}
	limit = l.Max
	many = int(min(limit, idleMany+idleMargin)) - idleMargin
	if many < 3_000 {
		return 0, 0, limit
	}
	return min(idleFew, many/3), many, limit
}

// idleSlope is the octets that each kept connection holds at addr: it opens few,
// each with one request answered, waits until they are idle and the memory rests,
// and goes on to many.
func idleSlope(ctx context.Context, p *process, addr netip.AddrPort, few, many int) (float64, error) {
	conns := make([]net.Conn, 0, many)
	defer func() {
		for _, c := range conns {
			// Reset, or 15,000 of our ports wait for a minute.
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	grow := func(to int) (int64, error) {
		more, err := openKept(ctx, addr, len(conns), to)
		conns = append(conns, more...)
		if err != nil {
			return 0, err
		}
		return atRest(ctx, p)
	}
	first, err := grow(few)
	if err != nil {
		return 0, err
	}
	second, err := grow(many)
	if err != nil {
		return 0, err
	}
	return float64(second-first) / float64(many-few), nil
}

// openKept opens the connections from number from to number to.
func openKept(ctx context.Context, addr netip.AddrPort, from, to int) ([]net.Conn, error) {
	const openers = 32
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		conns []net.Conn
		errs  []error
	)
	for o := range openers {
		wg.Go(func() {
			for i := from + o; i < to && ctx.Err() == nil; i += openers {
				c, err := openOne(ctx, addr, i)
				mu.Lock()
				if c != nil {
					conns = append(conns, c)
				}
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return conns, fmt.Errorf("kept connections: %w", errs[0])
	}
	return conns, ctx.Err()
}

// openOne opens a connection from one of several addresses of loopback, since
// each has ports of its own, and sees one request answered.
func openOne(ctx context.Context, addr netip.AddrPort, i int) (net.Conn, error) {
	d := net.Dialer{
		Timeout: 10 * time.Second, KeepAlive: -1,
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%8))},
	}
	c, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return c, err
	}
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", addr); err != nil {
		return c, err
	}
	var b [2 << 10]byte
	for n := 0; !bytes.HasSuffix(b[:n], []byte(answer)); {
		m, err := c.Read(b[n:])
		if err != nil {
			return c, fmt.Errorf("%w; so far: %q", err, b[:n])
		}
		n += m
	}
	return c, c.SetDeadline(time.Time{})
}

// idleFor is how long connections have been idle at least when they are counted:
// a proxy may keep what it needs for the next request for some seconds.
const idleFor = 8 * time.Second

// atRest is the resident memory after idleFor, once it has not changed by a
// hundredth for two seconds, at the latest after twenty more.
func atRest(ctx context.Context, p *process) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(idleFor):
	}
	var rest, last int64
	for range 20 {
		u, err := p.usage()
		if err != nil {
			return 0, err
		}
		if d := u.rss - last; max(d, -d) < u.rss/100 {
			if rest++; rest == 2 {
				return u.rss, nil
			}
		} else {
			rest = 0
		}
		last = u.rss
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return last, nil
}
