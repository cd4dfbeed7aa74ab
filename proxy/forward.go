package proxy

import "github.com/dockerlb/dockerlb/topology"

func (ex *exchange) trust() {}
func (ex *exchange) hash()  {}

func (ex *exchange) redirect(r *topology.Redirect)     {}
func stripPort(h []byte, any bool, port uint16) []byte { return h }

// forward prepares what this try sends: target, host and fields.
func (ex *exchange) forward() {
	ex.addReq = ex.addReq[:0]
	ex.addResp = ex.addResp[:0]
	ex.scratch = ex.scratch[:0]
	ex.target = ex.req.target
}

// appendHead writes the request's head as it is sent: the request line, Host
// first (RFC 9110 section 7.2), the fields that pass, ours, and the framing.
func (ex *exchange) appendHead(b []byte) []byte {
	r := &ex.req
	b = append(b, r.method...)
	b = append(b, ' ')
	b = append(b, ex.target...)
	b = append(b, " HTTP/1.1\r\nhost: "...)
	b = append(b, ex.host...)
	b = append(b, "\r\n"...)
	b = appendFields(b, &r.head)
	b = appendPairs(b, ex.addReq)
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
