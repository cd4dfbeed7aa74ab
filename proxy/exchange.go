package proxy

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/topology"
)

// exchange is one request and its response, whatever protocols carry them:
// match, acquire, send, relay, retry, account. It is used again; everything in
// it is good until release.
type exchange struct {
	srv    *Server
	ln     *listener
	view   *balancer.Listener    // nil: no table yet
	http   *topology.HTTPOptions // of view
	route  *balancer.Route       // nil until matched
	stream stream                // the client's side
	h1     h1stream              // where that is HTTP/1.1
	req    request
	resp   response
	q      balancer.Request
	rec    Record

	addReq, addResp []pair
	scratch         []byte // what pairs point into
	host            []byte // as forwarded
	hostLower       []byte
	target          []byte // as forwarded
	// Scratch that the above may point into.
	hostBuf, lowerBuf, pathBuf, targetBuf []byte
	newPath                               bool   // the path is not the target's any more
	newCookie                             []byte // a hashing cookie to set
	maxBody                               int64  // octets; 0: no limit
	trusted                               bool   // the peer's X-Forwarded-* are believed

	retry      retries
	body       upload
	uploadTo   *upConn // the connection that the current try uses
	replay     *buffer // what has been sent of the body; nil: nothing yet
	replayView []byte  // the same, where it still lies behind the head
	replayed   bool    // the body is still wholly in replay (or there is none)

	extraReceived, extraSent int64 // octets of an upgraded connection
	lease                    balancer.Lease
	chunk                    chunks // of a response
	slow                     bool   // a peer of the response's body is
	start                    time.Time
	came                     time.Time // when the request's head was complete
	sentAt                   time.Time
	deadline                 time.Time // of all tries, once the request is complete; zero: none
	attempts                 int
	prepared                 bool // prepare has run
	perTry, idleOut          bool // which limit is on the response's head
	begun                    bool // the response has begun: no retry, no local reply
}

var exchanges = sync.Pool{New: func() any {
	ex := &exchange{}
	ex.stream = &ex.h1
	ex.body.done = make(chan struct{}, 1)
	ex.q.OnHold = func(q *balancer.Request) { q.Cancel = ex.stream.hold() }
	return ex
}}

func (ex *exchange) begin(s *Server, l *listener, peer netip.AddrPort) {
	ex.srv, ex.ln = s, l
	ex.view, ex.http = s.b.View().Listener(l.name), nil
	if ex.view != nil {
		ex.http = &ex.view.Spec.HTTP
	}
	ex.start = time.Now()
	ex.came = ex.start
	ex.addReq, ex.addResp, ex.scratch = ex.addReq[:0], ex.addResp[:0], ex.scratch[:0]
	ex.newPath = false
	ex.extraReceived, ex.extraSent = 0, 0
	ex.rec = Record{Start: ex.start, Listener: l.name, Peer: peer, Client: peer.Addr(), Protocol: "HTTP/1.1"}
	ex.req.reset()
	ex.resp.reset()
	l.counters.rqActive.Add(1)
	l.counters.rqTotal.Add(1)
}

// release ends the exchange: the access log's line, and the buffers.
func (ex *exchange) release() {
	l := ex.ln
	l.counters.rqActive.Add(-1)
	if st := ex.rec.Status; st > 0 {
		l.counters.status(st)
	}
	if log := ex.srv.o.AccessLog; log != nil {
		r := &ex.rec
		r.Duration = time.Since(ex.start)
		r.BytesReceived, r.BytesSent = ex.stream.received()+ex.extraReceived, ex.stream.sent()+ex.extraSent
		r.Method, r.Target, r.Authority = ex.req.method, ex.req.target, ex.req.host
		if ex.req.minor == 0 {
			r.Protocol = "HTTP/1.0"
		}
		r.Attempts = ex.attempts
		r.request, r.response = &ex.req.head, &ex.resp.head
		log.Log(r)
	}
	if ex.h1.c != nil {
		ex.h1.end()
	}
	putBuffer(ex.replay)
	onHold := ex.q.OnHold
	ex.q = balancer.Request{OnHold: onHold}
	ex.replayView = nil
	ex.replay, ex.route, ex.lease, ex.view, ex.http = nil, nil, balancer.Lease{}, nil, nil
	ex.deadline, ex.attempts, ex.begun, ex.prepared = time.Time{}, 0, false, false
	ex.req.reset()
	ex.resp.reset()
	ex.rec = Record{}
}

// run serves the request whose head has been read.
func (ex *exchange) run() {
	if ex.http == nil {
		ex.ln.counters.noRoute.Add(1)
		ex.local(404, "", FlagNR, "route_not_found")
		return
	}
	if ex.req.connect {
		ex.stream.closeAfter()
		ex.local(403, "", 0, "upgrade_failed")
		return
	}
	ex.trust()
	if !ex.normalize() {
		ex.local(400, "", 0, "path_normalization_failed")
		return
	}
	if ex.maxForwards() {
		return
	}
	ex.route = ex.view.Match(ex)
	if ex.route == nil {
		ex.ln.counters.noRoute.Add(1)
		ex.local(404, "", FlagNR, "route_not_found")
		return
	}
	spec := ex.route.Spec
	ex.rec.Route = spec.Key
	switch {
	case spec.Redirect != nil:
		ex.redirect(spec.Redirect)
		return
	case spec.Direct != nil:
		ex.ln.counters.direct.Add(1)
		ex.direct(spec.Direct.Code, spec.Direct.Body, "direct_response")
		return
	}
	if m := ex.maxBody; m > 0 && ex.req.body == bodyLength && ex.req.length > m {
		ex.refuse(faultBodySize)
		return
	}
	if ex.req.upgrade != nil && !ex.upgradeAllowed() {
		ex.ln.counters.noWS.Add(1)
		ex.stream.closeAfter()
		ex.local(403, "", 0, "upgrade_failed")
		return
	}
	ex.q.Idempotent = ex.req.idempotent()
	ex.q.Random = rand.Uint64()
	if spec.Timeout > 0 {
		ex.q.Deadline = ex.came.Add(spec.Timeout)
		if ex.req.body == bodyNone {
			ex.deadline = ex.q.Deadline
		}
	}
	ex.hash()
	ex.tries()
}

// Host, Path, Query, Method and Header make the exchange a router.Request.

// Host is the host as it is matched: lower case.
func (ex *exchange) Host() string { return view(ex.hostLower) }

// Path is the path without the query. The asterisk form is matched as "/":
// OPTIONS * asks about the server as a whole.
func (ex *exchange) Path() string {
	if len(ex.req.path) == 1 && ex.req.path[0] == '*' {
		return "/"
	}
	return view(ex.req.path)
}

// Query is what follows the question mark.
func (ex *exchange) Query() string { return view(ex.req.query) }

// Method is the request's.
func (ex *exchange) Method() string { return view(ex.req.method) }

// Header returns a field's value, several joined by a comma.
func (ex *exchange) Header(lower string) (string, bool) {
	switch lower {
	case "host":
		return view(ex.req.host), len(ex.req.host) > 0
	}
	v, n := ex.req.lookup(lower)
	if n <= 1 {
		return view(v), n == 1
	}
	joined := make([]byte, 0, 256) // rare: the same field twice
	for i := range ex.req.fields {
		f := &ex.req.fields[i]
		if equalFold(ex.req.name(f), lower) {
			if len(joined) > 0 {
				joined = append(joined, ',')
			}
			joined = append(joined, ex.req.value(f)...)
		}
	}
	return view(joined), true
}

// view makes a string of b without a copy; it is valid as long as b is not
// written.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// tries sends the request to endpoints until one has answered or the route's
// rules end it.
func (ex *exchange) tries() {
	ex.beginRetries()
	var last failure
	for {
		lease, err := ex.srv.b.Acquire(ex.route, &ex.q)
		if err != nil {
			ex.endTry(&last)
			ex.unserved(err, &last)
			return
		}
		ex.lease = lease
		ex.attempts++
		ex.rec.Cluster = lease.Cluster.Name()
		ex.rec.Upstream = lease.Endpoint.Address()
		f := ex.try()
		lease.Done(balancer.Outcome{Result: f.blame(), PerTry: f.perTry, Late: f.late, Status: ex.resp.status, Elapsed: ex.rec.UpstreamTime})
		ex.endTry(&f)
		if ex.begun {
			return
		}
		last = f
		if f.result == balancer.Canceled || ex.clientFailed() || !ex.mayRetry(&f) {
			ex.dropRetry()
			ex.giveUp(&f)
			return
		}
	}
}

// failure is why a try has not answered.
type failure struct {
	result    balancer.Result
	reason    string // Envoy's words
	transport string
	flag      Flags
	unsent    bool // the endpoint cannot have seen any of it
	own       bool // the fault is ours: no descriptor, no port, no turn in time
	disliked  bool // there is a response, and the retry policy wants another
	perTry    bool // the try's own time was up
	late      bool // the response had begun
	idle      bool // the stream's was
	moved     bool // the endpoint is lost, and the wait was given up: lost.go
}

// blame is what the endpoint is to hear of the try.
func (f *failure) blame() balancer.Result {
	if f.own {
		return balancer.Overflow
	}
	return f.result
}

// unserved answers where no endpoint was given.
func (ex *exchange) unserved(err error, last *failure) {
	switch {
	case errors.Is(err, balancer.ErrCanceled):
		ex.clientGone()
	case last.reason != "" && !errors.Is(err, balancer.ErrOverflow):
		ex.retryAfter()
		ex.giveUp(last)
	case errors.Is(err, balancer.ErrNoCluster):
		ex.ln.counters.noCluster.Add(1)
		code := ex.route.Spec.ClusterNotFoundCode
		if code == 0 {
			code = 503
		}
		ex.local(code, "", FlagNC, "cluster_not_found")
	case errors.Is(err, balancer.ErrOverflow):
		ex.giveUp(&failure{reason: "overflow", flag: FlagUO})
	default:
		ex.retryAfter()
		ex.local(503, "no healthy upstream", FlagUH, "no_healthy_upstream")
	}
}

// retryAfter tells the client when to come back; Envoy says nothing of the kind.
func (ex *exchange) retryAfter() {
	ex.addResp = ex.addResp[:0]
	if !ex.http.EnvoyHeaders {
		ex.addResp = append(ex.addResp, pair{"retry-after", aSecond})
	}
}

var aSecond = []byte("1")
