package proxy

import (
	"net/netip"
	"time"
)

// AccessLog is told of each exchange at its end, from the goroutine that served
// it: it must not block for long.
type AccessLog interface {
	Log(*Record)
}

// Record is one exchange, for the access log. It and its slices are valid
// during the call only.
type Record struct {
	Start    time.Time
	Duration time.Duration // until the last octet of the response
	// UpstreamTime is from the request's first octet sent upstream to the
	// response's head; 0: none came.
	UpstreamTime time.Duration

	Listener string
	Route    string // its key; empty: none
	Cluster  string
	Upstream netip.AddrPort // zero: none was reached
	Peer     netip.AddrPort // who connected
	Client   netip.Addr     // the trusted client address

	Method, Target, Authority []byte // of the request, as it came
	Protocol                  string // HTTP/1.1
	Status                    int    // 0: the client left before one was known
	Flags                     Flags
	Details                   string // Envoy's response_code_details
	Attempts                  int
	BytesReceived, BytesSent  int64  // bodies
	RequestID                 []byte // as forwarded

	request, response *head
}

// RequestHeader returns a field of the request, by its lower-case name.
func (r *Record) RequestHeader(lower string) ([]byte, bool) { return recordField(r.request, lower) }

// ResponseHeader returns a field of the upstream's response.
func (r *Record) ResponseHeader(lower string) ([]byte, bool) { return recordField(r.response, lower) }

func recordField(h *head, lower string) ([]byte, bool) {
	if h == nil || h.data == nil {
		return nil, false
	}
	v, n := h.lookup(lower)
	return v, n > 0
}
