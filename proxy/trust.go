package proxy

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strconv"
)

// trust finds out who the client is. Nothing that a stranger says of itself is
// believed: X-Forwarded-For counts only from peers that are trusted, by address
// or because a number of hops is.
func (ex *exchange) trust() {
	o := ex.http
	peer := ex.rec.Peer.Addr()
	ex.trusted = false
	hops := int(o.XFFTrustedHops)
	if o.EnvoyHeaders {
		// Facts 6.4, x-forwarded-for. Without use_remote_address Envoy takes
		// the last entry for the client, whoever sent it.
		switch {
		case !o.UseRemoteAddress:
			ex.trusted = true
			ex.rec.Client = ex.fromRight(hops+1, peer)
		case hops > 0:
			ex.trusted = true
			ex.rec.Client = ex.fromRight(hops, peer)
		}
		return
	}
	if hops > 0 {
		ex.trusted = true
		ex.rec.Client = ex.fromRight(hops, peer)
		return
	}
	if !within(o.TrustedProxies, peer) {
		return
	}
	ex.trusted = true
	for n := 1; ; n++ {
		a := ex.fromRight(n, netip.Addr{})
		if !a.IsValid() {
			return
		}
		ex.rec.Client = a
		if !within(o.TrustedProxies, a) {
			return
		}
	}
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// fromRight is the nth address of X-Forwarded-For from its right end, counted
// from 1, or other.
func (ex *exchange) fromRight(n int, other netip.Addr) netip.Addr {
	fields := ex.req.fields
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].id != fieldForwardedFor {
			continue
		}
		v := ex.req.value(&fields[i])
		for len(v) > 0 {
			at := len(v)
			for at > 0 && v[at-1] != ',' {
				at--
			}
			e := trimOWS(v[at:])
			v = v[:max(at-1, 0)]
			if len(e) == 0 {
				continue
			}
			if n--; n > 0 {
				continue
			}
			if a, err := netip.ParseAddr(view(e)); err == nil {
				return a.Unmap()
			}
			if a, err := netip.ParseAddrPort(view(e)); err == nil { // some write the port, too
				return a.Addr().Unmap()
			}
			return other
		}
	}
	return other
}

// forwarded writes X-Forwarded-* and Forwarded.
func (ex *exchange) forwarded() {
	o, r := ex.http, &ex.req
	peer := ex.rec.Peer.Addr()
	if o.EnvoyHeaders {
		ex.envoyForwarded()
		return
	}
	n := len(ex.scratch)
	ex.scratch = peer.AppendTo(ex.scratch)
	addr := ex.scratch[n:]
	if !ex.trusted {
		for i := range r.fields {
			switch r.fields[i].id {
			case fieldForwardedFor, fieldForwardedProto, fieldForwardedHost, fieldForwardedPort, fieldForwarded, fieldClaim:
				r.fields[i].drop = true
			}
		}
		ex.addReq = append(ex.addReq,
			pair{"x-forwarded-for", addr},
			pair{"x-forwarded-proto", schemeHTTP},
			pair{"x-forwarded-port", ex.port()})
		if len(ex.req.host) > 0 { // HTTP/1.0 need not say
			ex.addReq = append(ex.addReq, pair{"x-forwarded-host", ex.req.host})
		}
	} else {
		xff := addr
		if !o.SkipXFFAppend {
			xff = ex.joined(&r.head, fieldForwardedFor, addr)
			dropAll(&r.head, fieldForwardedFor)
			ex.addReq = append(ex.addReq, pair{"x-forwarded-for", xff})
		}
		ex.unless(fieldForwardedProto, "x-forwarded-proto", schemeHTTP)
		ex.unless(fieldForwardedHost, "x-forwarded-host", ex.req.host)
		if _, ok := r.get(fieldForwardedPort); !ok {
			ex.addReq = append(ex.addReq, pair{"x-forwarded-port", ex.port()})
		}
	}
	if ex.srv.o.Forwarded {
		ex.addReq = append(ex.addReq, pair{"forwarded", ex.joined(&r.head, fieldForwarded, ex.forwardedElement(peer))})
		dropAll(&r.head, fieldForwarded)
	}
}

var schemeHTTP = []byte("http")

// unless adds a field that the request does not have.
func (ex *exchange) unless(id fieldID, name string, value []byte) {
	if _, ok := ex.req.get(id); !ok {
		ex.addReq = append(ex.addReq, pair{name, value})
	}
}

func (ex *exchange) port() []byte {
	n := len(ex.scratch)
	ex.scratch = strconv.AppendUint(ex.scratch, uint64(ex.ln.bound.Port()), 10)
	return ex.scratch[n:]
}

// forwardedElement is RFC 7239's: an IPv6 address is bracketed and quoted
// (section 6.1), a host with a port or brackets quoted.
func (ex *exchange) forwardedElement(peer netip.Addr) []byte {
	b := make([]byte, 0, 128)
	if peer.Is6() {
		b = append(b, `for="[`...)
		b = peer.AppendTo(b)
		b = append(b, `]"`...)
	} else {
		b = append(b, "for="...)
		b = peer.AppendTo(b)
	}
	if len(ex.req.host) > 0 {
		b = append(b, `;host="`...)
		b = append(b, ex.req.host...)
		b = append(b, '"')
	}
	return append(b, ";proto=http"...)
}

// envoyForwarded is as in Envoy: X-Forwarded-For is untouched unless
// use_remote_address, and then joined without a space.
func (ex *exchange) envoyForwarded() {
	o, r := ex.http, &ex.req
	if !o.UseRemoteAddress {
		ex.unless(fieldForwardedProto, "x-forwarded-proto", schemeHTTP)
		return
	}
	if !o.SkipXFFAppend {
		n := len(ex.scratch)
		for i := range r.fields {
			if f := &r.fields[i]; f.id == fieldForwardedFor && !f.drop {
				ex.scratch = append(append(ex.scratch, r.value(f)...), ',')
				f.drop = true
			}
		}
		peer := ex.rec.Peer.Addr()
		if peer.IsLoopback() {
			peer = ex.ln.bound.Addr() // our own address for a loopback peer
		}
		ex.scratch = peer.AppendTo(ex.scratch)
		ex.addReq = append(ex.addReq, pair{"x-forwarded-for", ex.scratch[n:]})
	}
	if o.XFFTrustedHops == 0 {
		dropAll(&r.head, fieldForwardedProto)
		ex.addReq = append(ex.addReq, pair{"x-forwarded-proto", schemeHTTP})
	} else {
		ex.unless(fieldForwardedProto, "x-forwarded-proto", schemeHTTP)
	}
	n := len(ex.scratch)
	ex.scratch = ex.rec.Client.AppendTo(ex.scratch)
	ex.addReq = append(ex.addReq, pair{"x-envoy-external-address", ex.scratch[n:]})
}

// envoyRequest removes the x-envoy-* fields that only the inside may set: no
// address is internal by default.
func (ex *exchange) envoyRequest() {
	r := &ex.req
	for i := range r.fields {
		f := &r.fields[i]
		switch f.id {
		case fieldEnvoy:
			if internalOnly(r.name(f)[len("x-envoy-"):], ex.http.UseRemoteAddress) {
				f.drop = true
			}
		case fieldClaim:
			if equalFold(r.name(f), "x-forwarded-client-cert") {
				f.drop = true
			}
		}
	}
}

var (
	internalNames = []string{
		"retriable-status-codes", "retriable-header-names", "retry-on", "retry-grpc-on", "max-retries",
		"upstream-alt-stat-name", "upstream-rq-timeout-ms", "upstream-rq-per-try-timeout-ms",
		"upstream-rq-timeout-alt-response", "expected-rq-timeout-ms", "force-trace", "ip-tags",
		"original-url", "hedge-on-per-try-timeout", "internal",
	}
	edgeNames = []string{
		"decorator-operation", "downstream-service-cluster", "downstream-service-node",
		"original-path", "original-host", "external-address",
	}
)

func internalOnly(name []byte, edge bool) bool {
	for _, n := range internalNames {
		if equalFold(name, n) {
			return true
		}
	}
	if edge {
		for _, n := range edgeNames {
			if equalFold(name, n) {
				return true
			}
		}
	}
	return false
}

// requestID makes or keeps X-Request-Id: a stranger's is replaced unless the
// listener preserves it.
func (ex *exchange) requestID() {
	o, r := ex.http, &ex.req
	have, ok := r.passing(fieldRequestID)
	edge := !ex.trusted
	if o.EnvoyHeaders {
		edge = o.UseRemoteAddress
		if !o.GenerateRequestID {
			ex.rec.RequestID = have
			return
		}
	}
	if ok && len(have) > 0 && (!edge || o.PreserveRequestID) {
		ex.rec.RequestID = have
		return
	}
	dropAll(&r.head, fieldRequestID)
	n := len(ex.scratch)
	ex.scratch = appendUUID(ex.scratch, rand.Uint64(), rand.Uint64())
	id := ex.scratch[n:]
	ex.addReq = append(ex.addReq, pair{"x-request-id", id})
	ex.rec.RequestID = id
}

// appendUUID makes a UUID version 4 (RFC 9562 section 5.4) of random bits.
func appendUUID(b []byte, hi, lo uint64) []byte {
	const digits = "0123456789abcdef"
	var u [16]byte
	binary.BigEndian.PutUint64(u[:8], hi)
	binary.BigEndian.PutUint64(u[8:], lo)
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	for i, c := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}
