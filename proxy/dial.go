package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// stagger is how long a connection attempt is alone before the next address is
// tried beside it (RFC 8305 section 5 recommends 250 ms; Envoy takes 300).
const stagger = 300 * time.Millisecond

// dialing is the context of one dial: a deadline, and the client's departure.
// One of the library's would cost a timer and a goroutine more.
type dialing struct {
	until  time.Time
	cut    bool // until is the request's limit, and says nothing of the endpoint
	cancel <-chan struct{}
}

func (d *dialing) Deadline() (time.Time, bool) { return d.until, true }
func (d *dialing) Done() <-chan struct{}       { return d.cancel }
func (d *dialing) Value(any) any               { return nil }

func (d *dialing) Err() error {
	select {
	case <-d.cancel:
		return context.Canceled
	default:
		return nil
	}
}

// dial makes a new connection; cancel, where it is closed, ends the attempt, and
// so does by, where it is not zero. The error is errOverflow, errPendingCanceled,
// errPendingTimeout (by has come), errConnectTimeout or the dial's own.
func (p *pool) dial(by time.Time, cancel <-chan struct{}) (*upConn, error) {
	e := p.endpoint
	if !e.ConnOpen() {
		return nil, errOverflow
	}
	spec := e.Cluster().Spec()
	limit := spec.ConnectTimeout
	if limit == 0 {
		limit = p.pools.o.ConnectTimeout
	}
	ctx := &dialing{until: time.Now().Add(limit), cancel: cancel}
	if !by.IsZero() && by.Before(ctx.until) {
		ctx.until, ctx.cut = by, true
	}
	addr := e.Address()
	var tcp *net.TCPConn
	var err error
	if spec.Type == topology.LogicalDNS && e.Spec().Source == topology.FromDNS && len(spec.LogicalAddr) > 1 {
		tcp, addr, err = p.pools.race(ctx, alternate(addr, spec.LogicalAddr))
	} else {
		tcp, err = p.pools.connect(ctx, addr)
	}
	if err != nil {
		err = p.dialFailed(ctx, err)
		p.next()
		return nil, err
	}
	u := &upConn{pool: p, remote: addr}
	u.peekFn = u.peekOnce
	if err := u.init(tcp, p.pools.clk, u); err != nil {
		tcp.Close()
		e.ConnFailed(false)
		p.next()
		return nil, err
	}
	p.mu.Lock()
	u.epoch = p.epoch
	p.mu.Unlock()
	// Not watched is slower, not wrong: a descriptor limit of epoll.
	u.token, _ = p.pools.watch.add(&u.sock, u)
	return u, nil
}

// dialFailed accounts for a dial that has failed, where that says something of
// the endpoint, and names the error.
func (p *pool) dialFailed(ctx *dialing, err error) error {
	var ne net.Error
	switch {
	case ctx.Err() != nil:
		p.endpoint.ConnClosed()
		return errPendingCanceled
	case isOwnFault(err):
		p.endpoint.ConnClosed()
	case errors.As(err, &ne) && ne.Timeout() && ctx.cut:
		p.endpoint.ConnClosed()
		return errPendingTimeout
	case errors.As(err, &ne) && ne.Timeout():
		p.endpoint.ConnFailed(true)
		return errConnectTimeout
	default:
		p.endpoint.ConnFailed(false)
	}
	return err
}

// isOwnFault: a connection could not be made for want of something here, not
// there: descriptors, memory, local ports. (Linux says EAGAIN where a route or
// port cannot be allotted, connect(2).)
func isOwnFault(err error) bool {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return false
	}
	switch no {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EAGAIN:
		return true
	}
	return false
}

func (p *Pools) connect(ctx context.Context, to netip.AddrPort) (*net.TCPConn, error) {
	return p.dialer.DialTCP(ctx, "tcp", netip.AddrPort{}, to)
}

// attempt is what came of one of several dials.
type attempt struct {
	tcp  *net.TCPConn
	addr netip.AddrPort
	err  error
}

// race is Happy Eyeballs (RFC 8305 section 5) over to: one address after the
// other, each stagger after the last, and at once where one fails; who connects
// first wins, and the rest are given up. Where all fail the error is the first
// one's, as it came.
func (p *Pools) race(parent *dialing, to []netip.AddrPort) (*net.TCPConn, netip.AddrPort, error) {
	ctx, over := context.WithCancel(parent)
	defer over()
	ended := make(chan attempt)
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	running, next := 0, 0
	start := func() {
		if next == len(to) {
			return
		}
		addr := to[next]
		next++
		running++
		timer.Reset(stagger)
		go func() {
			tcp, err := p.connect(ctx, addr)
			select {
			case ended <- attempt{tcp, addr, err}:
			case <-ctx.Done(): // too late
				if err == nil {
					tcp.Close()
				}
			}
		}()
	}
	var first error
	for start(); running > 0; {
		select {
		case a := <-ended:
			if a.err == nil {
				return a.tcp, a.addr, nil
			}
			running--
			if first == nil {
				first = a.err
			}
			start()
		case <-timer.C:
			start()
		case <-parent.cancel:
			return nil, netip.AddrPort{}, context.Canceled
		}
	}
	return nil, netip.AddrPort{}, first
}

// alternate is all with first first, the address families taking turns from
// there on (RFC 8305 section 4), each in its order.
func alternate(first netip.AddrPort, all []netip.AddrPort) []netip.AddrPort {
	same, other := []netip.AddrPort{first}, []netip.AddrPort(nil)
	for _, a := range all {
		switch {
		case a == first:
		case a.Addr().Is4() == first.Addr().Is4():
			same = append(same, a)
		default:
			other = append(other, a)
		}
	}
	order := make([]netip.AddrPort, 0, len(all)+1)
	for i := range max(len(same), len(other)) {
		if i < len(same) {
			order = append(order, same[i])
		}
		if i < len(other) {
			order = append(order, other[i])
		}
	}
	return order
}
