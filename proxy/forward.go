package proxy

import (
	"strconv"
	"time"

	"github.com/dockerlb/dockerlb/topology"
)

// prepare decides what is sent to the endpoint: target, host and fields. It
// runs once, before the first try: what it depends on is the same for all of
// them, but for auto_host_rewrite.
func (ex *exchange) prepare() {
	spec, o, r := ex.route.Spec, ex.http, &ex.req
	ex.rewrite(&spec.Rewrite)
	ex.forwarded()
	if o.EnvoyHeaders {
		ex.envoyRequest()
	}
	ex.requestID()
	if o.Via != "" {
		// RFC 9110 section 7.6.3: appended to what is there.
		ex.addReq = append(ex.addReq, pair{"via", ex.joined(&r.head, fieldVia, []byte(o.Via))})
		dropAll(&r.head, fieldVia)
	}
	if r.teTrailers {
		// RFC 9110 section 10.1.4: TE is hop-by-hop, so Connection names it.
		ex.addReq = append(ex.addReq, pair{"te", trailersValue})
		if r.upgrade == nil {
			ex.addReq = append(ex.addReq, pair{"connection", teValue})
		}
	}
	ex.addReq = mutate(&r.head, ex.addReq, &spec.RequestHeaders)
	if w := ex.lease.Chosen; w != nil {
		ex.addReq = mutate(&r.head, ex.addReq, &w.RequestHeaders)
	}
}

var (
	trailersValue = []byte("trailers")
	teValue       = []byte("TE")
)

// rewrite makes target and host what the route says.
func (ex *exchange) rewrite(w *topology.Rewrite) {
	r := &ex.req
	ex.target = r.path
	switch {
	case w.SetPrefix:
		ex.targetBuf = replacePrefix(ex.targetBuf[:0], r.path, &ex.route.Spec.Match.Path, w.Prefix)
		ex.target = ex.targetBuf
	case w.Regex != "":
		if re := ex.srv.regexps.get(w.Regex); re != nil {
			ex.targetBuf = append(ex.targetBuf[:0], re.ReplaceAll(r.path, []byte(w.Substitution))...)
			ex.target = ex.targetBuf
		}
	}
	rewritten := ex.newPath || string(ex.target) != string(r.path)
	if rewritten && ex.http.EnvoyHeaders {
		ex.addReq = append(ex.addReq, pair{"x-envoy-original-path", r.target})
	}
	if r.rawq {
		if !rewritten && r.target[0] == '/' {
			ex.target = r.target // the usual case: as it came
		} else {
			ex.targetBuf = append(append(ex.targetBuf[:0], ex.target...), '?')
			ex.targetBuf = append(ex.targetBuf, r.query...)
			ex.target = ex.targetBuf
		}
	}
	if w.Host != "" {
		if ex.http.EnvoyHeaders {
			ex.addReq = append(ex.addReq, pair{"x-envoy-original-host", ex.host})
		}
		ex.hostBuf = append(ex.hostBuf[:0], w.Host...)
		ex.host = ex.hostBuf
	}
}

// replacePrefix replaces what the route matched of the path. A rewrite that
// leaves nothing leaves "/"; one on a segment border does not double the slash.
func replacePrefix(b, path []byte, m *topology.PathSpec, prefix string) []byte {
	n := min(len(m.Text), len(path))
	if m.Kind == topology.PathRegex {
		n = 0 // nothing says how much: the whole stays behind the prefix
	}
	b = append(b, prefix...)
	rest := path[n:]
	if m.Kind == topology.PathSegmentPrefix {
		if len(b) > 0 && b[len(b)-1] == '/' && len(rest) > 0 && rest[0] == '/' {
			rest = rest[1:]
		} else if len(rest) > 0 && rest[0] != '/' && (len(b) == 0 || b[len(b)-1] != '/') {
			b = append(b, '/')
		}
	}
	b = append(b, rest...)
	if len(b) == 0 || b[0] != '/' {
		b = append(b, 0)
		copy(b[1:], b)
		b[0] = '/'
	}
	return b
}

// hostFor is the host that this try sends.
func (ex *exchange) hostFor() []byte {
	e := ex.lease.Endpoint
	if ex.route.Spec.Rewrite.AutoHost {
		if h := e.Spec().Hostname; h != "" {
			ex.hostBuf = append(ex.hostBuf[:0], h...)
			return ex.hostBuf
		}
	}
	if len(ex.host) == 0 { // an HTTP/1.0 client need not say; HTTP/1.1 must
		ex.hostBuf = e.Address().AppendTo(ex.hostBuf[:0])
		return ex.hostBuf
	}
	return ex.host
}

// appendHead writes the request's head as it is sent: the request line, Host
// first (RFC 9110 section 7.2), the fields that pass, ours, and the framing.
func (ex *exchange) appendHead(b []byte) []byte {
	r := &ex.req
	b = append(b, r.method...)
	b = append(b, ' ')
	b = append(b, ex.target...)
	b = append(b, " HTTP/1.1\r\nhost: "...)
	b = append(b, ex.hostFor()...)
	b = append(b, "\r\n"...)
	b = appendFields(b, &r.head)
	b = appendPairs(b, ex.addReq)
	if ex.http.EnvoyHeaders && !ex.deadline.IsZero() {
		b = append(b, "x-envoy-expected-rq-timeout-ms: "...)
		b = appendDecimal(b, max(ex.deadline.Sub(ex.sentAt).Milliseconds(), 0))
		b = append(b, "\r\n"...)
	}
	if r.upgrade != nil {
		b = append(b, "connection: upgrade\r\nupgrade: "...)
		b = append(b, r.upgrade...)
		b = append(b, "\r\n"...)
	}
	switch r.body {
	case bodyLength:
		b = append(b, "content-length: "...)
		b = appendDecimal(b, r.length)
		b = append(b, "\r\n"...)
	case bodyChunked:
		b = append(b, "transfer-encoding: chunked\r\n"...)
	}
	return append(b, "\r\n"...)
}

// respond decides on the fields of a response: those of the endpoint that stay,
// and ours.
func (ex *exchange) respond() {
	r, o := &ex.resp, ex.http
	if !r.hasDate {
		ex.addResp = append(ex.addResp, pair{"date", ex.date()})
	}
	if o == nil {
		return
	}
	switch o.ServerTransform {
	case topology.ServerOverwrite:
		dropAll(&r.head, fieldServer)
		ex.addResp = append(ex.addResp, pair{"server", ex.serverName()})
	case topology.ServerAppendIfAbsent:
		if !r.hasServer {
			ex.addResp = append(ex.addResp, pair{"server", ex.serverName()})
		}
	}
	if o.Via != "" {
		ex.addResp = append(ex.addResp, pair{"via", ex.joined(&r.head, fieldVia, []byte(o.Via))})
		dropAll(&r.head, fieldVia)
	}
	if ex.route == nil {
		return
	}
	spec := ex.route.Spec
	if ex.lease.Endpoint != nil && ex.resp.data != nil {
		if o.EnvoyHeaders {
			ex.addResp = append(ex.addResp, pair{"x-envoy-upstream-service-time", ex.decimal(ex.rec.UpstreamTime.Milliseconds())})
		}
		ex.setCookies()
	}
	ex.addResp = mutate(&r.head, ex.addResp, &spec.ResponseHeaders)
	if w := ex.lease.Chosen; w != nil {
		ex.addResp = mutate(&r.head, ex.addResp, &w.ResponseHeaders)
	}
}

func (ex *exchange) serverName() []byte {
	n := len(ex.scratch)
	ex.scratch = append(ex.scratch, ex.http.ServerName...)
	return ex.scratch[n:]
}

// date is now as an IMF-fixdate (RFC 9110 section 5.6.7); section 6.6.1 asks a
// recipient with a clock to add it where it is missing.
func (ex *exchange) date() []byte {
	n := len(ex.scratch)
	ex.scratch = time.Now().UTC().AppendFormat(ex.scratch, "Mon, 02 Jan 2006 15:04:05 GMT")
	return ex.scratch[n:]
}

func (ex *exchange) decimal(v int64) []byte {
	n := len(ex.scratch)
	ex.scratch = strconv.AppendInt(ex.scratch, v, 10)
	return ex.scratch[n:]
}

// joined is all values of a field and one more, as one value.
func (ex *exchange) joined(h *head, id fieldID, last []byte) []byte {
	n := len(ex.scratch)
	for i := range h.fields {
		if f := &h.fields[i]; f.id == id && !f.drop && f.value < f.valueEnd {
			ex.scratch = append(append(ex.scratch, h.value(f)...), ", "...)
		}
	}
	ex.scratch = append(ex.scratch, last...)
	return ex.scratch[n:]
}

func dropAll(h *head, id fieldID) {
	for i := range h.fields {
		if h.fields[i].id == id {
			h.fields[i].drop = true
		}
	}
}

// mutate applies a header mutation: what is to go goes, then what is to come
// comes. Framing and hop-by-hop fields are ours alone.
func mutate(h *head, add []pair, m *topology.HeaderMutation) []pair {
	for _, name := range m.Remove {
		add = remove(h, add, name)
	}
	for i := range m.Add {
		v := &m.Add[i]
		if ours(v.Name) {
			continue
		}
		switch v.Action {
		case topology.AddIfAbsent:
			if present(h, add, v.Name) {
				continue
			}
		case topology.OverwriteIfExists:
			if !present(h, add, v.Name) {
				continue
			}
			add = remove(h, add, v.Name)
		case topology.OverwriteOrAdd:
			add = remove(h, add, v.Name)
		}
		add = append(add, pair{v.Name, []byte(v.Value)})
	}
	return add
}

// ours: fields that frame the message or hold the connection.
func ours(name string) bool {
	switch identify([]byte(name)) {
	case fieldHost, fieldContentLength, fieldTransferEncoding, fieldConnection, fieldKeepAlive,
		fieldProxyConnection, fieldUpgrade, fieldTE:
		return true
	}
	return false
}

func remove(h *head, add []pair, name string) []pair {
	for i := range h.fields {
		if f := &h.fields[i]; foldEqual(h.name(f), name) {
			f.drop = true
		}
	}
	kept := add[:0]
	for _, p := range add {
		if !foldEqual([]byte(p.name), name) {
			kept = append(kept, p)
		}
	}
	return kept
}

func present(h *head, add []pair, name string) bool {
	for i := range h.fields {
		if f := &h.fields[i]; !f.drop && foldEqual(h.name(f), name) {
			return true
		}
	}
	for _, p := range add {
		if foldEqual([]byte(p.name), name) {
			return true
		}
	}
	return false
}

// foldEqual compares two names, ignoring ASCII case.
func foldEqual(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x >= 'A' && x <= 'Z' {
			x |= 0x20
		}
		if y >= 'A' && y <= 'Z' {
			y |= 0x20
		}
		if x != y {
			return false
		}
	}
	return true
}
