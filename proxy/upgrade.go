package proxy

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
)

// upgradeAllowed: the route, else the listener, lists the protocol.
// Of several that the client offers the first that is allowed is asked for, and
// no other: who answers must not choose one that nobody has looked at. h2c is
// never asked for; a client that offers it is served without (RFC 9110 section
// 7.8).
func (ex *exchange) upgradeAllowed() bool {
	up := ex.req.upgrade
	onlyH2C := true
	allowed := ex.route.Spec.Upgrades
	if len(allowed) == 0 {
		allowed = ex.http.Upgrades
	}
	for {
		e, rest, ok := nextElement(up)
		if !ok {
			ex.req.upgrade = nil
			return onlyH2C
		}
		up = rest
		if equalFold(e, "h2c") {
			continue
		}
		onlyH2C = false
		if slices.ContainsFunc(allowed, func(a string) bool { return equalFold(e, a) }) {
			ex.req.upgrade = e
			return true
		}
	}
}

// switchProtocols relays a 101 and then raw octets both ways, until both sides
// have ended, nothing has passed for too long, or the endpoint has left and its
// drain time is over.
func (ex *exchange) switchProtocols(up *upConn) (failure, bool) {
	// RFC 9110 section 7.8: not to what the client has not asked for.
	if _, n := ex.resp.lookup("upgrade"); ex.req.upgrade == nil || n != 1 || !foldEqual(ex.resp.upgrade, view(ex.req.upgrade)) {
		return failure{result: balancer.Protocol, reason: "protocol error", flag: FlagUPE}, false
	}
	if !ex.uploadOver() || ex.clientFailed() {
		return failure{result: balancer.Protocol, reason: "protocol error", flag: FlagUPE}, false
	}
	ex.begun = true
	ex.rec.Status, ex.rec.Details = 101, "via_upstream"
	ex.respond()
	ex.addResp = append(ex.addResp, pair{"connection", upgradeValue}, pair{"upgrade", ex.resp.upgrade})
	if err := ex.stream.sendHead(&ex.resp, ex.addResp, bodyNone, 0, false); err != nil {
		return ex.canceledBy(), false
	}
	c, data := ex.stream.hijack()
	// What the endpoint has sent behind its 101.
	early := up.unread()
	if ex.stream.flush() != nil || c.write(early) != nil {
		return ex.canceledBy(), false
	}
	up.in.r = up.in.w
	if up.write(data) != nil {
		return failure{result: balancer.ResetLate}, false
	}
	ex.extraSent, ex.extraReceived = int64(len(early)), int64(len(data))
	ex.keepHeads()
	ex.stream.spare()
	up.release()
	ex.ln.counters.upgrades.Add(1)
	ex.ln.counters.upgradesActive.Add(1)
	defer ex.ln.counters.upgradesActive.Add(-1)
	ex.tunnel(c, up)
	return failure{result: balancer.OK}, false
}

// keepHeads makes copies of what the access log will ask for, so that the buffers
// can go: a tunnel may be silent for hours.
func (ex *exchange) keepHeads() {
	r := &ex.req
	r.data = bytes.Clone(r.data[:r.size])
	r.method, r.target, r.host = bytes.Clone(r.method), bytes.Clone(r.target), bytes.Clone(r.host)
	ex.resp.data = bytes.Clone(ex.resp.data[:ex.resp.size])
	ex.rec.RequestID = bytes.Clone(ex.rec.RequestID)
}

var upgradeValue = []byte("upgrade")

// tunnel copies both ways. An end of one side is passed on as such: half-closed
// streams live (design: upgraded connections keep half-close).
func (ex *exchange) tunnel(c *conn, up *upConn) {
	c.cmu.Lock()
	c.tunnel = true
	rst := c.rst
	c.cmu.Unlock()
	if rst {
		return
	}
	c.disarm()
	up.disarm()
	t := &tunnel{idle: ex.srv.limits.TunnelIdle, clk: ex.srv.clk}
	if ex.http.EnvoyHeaders {
		t.idle = ex.idleLimit() // stream_idle_timeout, or the route's: applies throughout
	}
	t.touched.Store(t.clk.now())
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		ex.watchTunnel(t, c, up, stop)
	}()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		ex.extraReceived += t.copy(&up.sock, &c.sock)
	}()
	n := t.copy(&c.sock, &up.sock)
	<-sent
	close(stop)
	<-watched
	ex.extraSent += n
	ex.ln.counters.rx.Add(uint64(ex.extraReceived))
	ex.ln.counters.tx.Add(uint64(ex.extraSent))
}

// tunnel is an upgraded connection's shared state.
type tunnel struct {
	idle    time.Duration
	clk     *clock
	touched atomic.Int64 // coarse time of the last octet
}

// copy moves octets until from ends, and passes the end on. An error cuts both.
// While it waits it holds no buffer: most tunnels are silent most of the time.
func (t *tunnel) copy(to, from *sock) (n int64) {
	from.readMin = smallBuffer
	for {
		err := from.fill(smallBuffer)
		if p := from.unread(); err == nil && len(p) > 0 {
			t.touched.Store(t.clk.now())
			if to.write(p) != nil {
				_ = from.tcp.CloseRead()
				return n
			}
			n += int64(len(p))
			from.in.r = from.in.w
			from.release()
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			_ = to.tcp.CloseWrite()
			return n
		default:
			// A reset is passed on as the end of both directions.
			_ = to.tcp.SetDeadline(longAgo)
			return n
		}
	}
}

// watchTunnel cuts a tunnel that is idle for too long, or whose endpoint is gone
// and its drain time over.
func (ex *exchange) watchTunnel(t *tunnel, c *conn, up *upConn, stop chan struct{}) {
	gone := ex.lease.Endpoint.Gone()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-gone:
		case <-tick.C:
			if t.idle <= 0 || t.clk.now()-t.touched.Load() < int64(t.idle) {
				continue
			}
		}
		c.abort()
		up.abort()
		<-stop
		return
	}
}
