// Package proxy is the data plane: listeners, codecs, forwarding and upstream
// connections. It knows neither Docker, DNS nor labels; what it needs to know
// of clusters it asks the balancer.
//
// # Shape
//
// One goroutine per downstream connection reads a request, chooses an endpoint,
// takes a connection from the endpoint's pool, writes the request, reads the
// response and relays it. It needs a second one only while a request's body is
// still coming. Requests that are here to their last octet are served within the
// wait for them (turn.go): on the client's side each costs one read and one
// write. Heads are parsed in place and stay bytes: no map of fields, no string is
// made of them, and a steady request allocates nothing. A connection that waits
// for its next request holds no buffer.
//
// What the exchange does (match, acquire, send, relay, retry, account) is in
// exchange.go and speaks to the client through the interface stream, which
// HTTP/1.1 implements in h1.go.
//
// # What is forwarded
//
// Nothing ambiguous passes: a message that two parsers could read in two ways
// is refused (request.go, response.go, chunk.go name the clauses of RFC 9110 and
// RFC 9112), and what is sent on is framed anew from what was parsed, with
// Content-Length or chunks of our own.
package proxy
