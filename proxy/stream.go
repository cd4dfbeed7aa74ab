package proxy

import "time"

// stream is the client's side of one exchange, whatever protocol it speaks.
// The exchange's goroutine calls it, but for readBody, which the goroutine that
// uploads a long body calls; it never runs beside itself.
type stream interface {
	// readBody returns the next piece of the request's body, a view valid
	// until the next call, and io.EOF after the last one. Without wait it
	// returns errWouldBlock where nothing is there. A *fault is the client's.
	readBody(wait bool) ([]byte, error)
	// pending: a readBody without wait is worth its while.
	pending() bool
	// requestTrailers are whole field lines, after readBody's io.EOF.
	requestTrailers() []byte
	// failed is what readBody has ended in but for io.EOF; late: because the
	// whole request's time was up.
	failed() (err error, late bool)
	// stays reports whether a piece of body lies where it stays until the
	// exchange ends.
	stays(piece []byte) bool
	// received and sent are octets of body.
	received() int64
	sent() int64
	// beginUpload and endUpload enclose the time in which another goroutine
	// reads the body; interruptBody makes its waiting readBody return.
	beginUpload()
	endUpload()
	interruptBody()
	// readPipe moves octets of the request's body into p; 0 and nil: that
	// cannot be done, or not any more.
	readPipe(p *pipe) (int64, error)
	// closeAfter ends the client's connection with this exchange.
	closeAfter()
	// resume lets a response be written after a time limit has struck.
	resume()
	// idle is how long the client may be silent within a request.
	idle() time.Duration
	// sendContinue answers Expect: 100-continue, once.
	sendContinue() error
	// sendInterim sends a 1xx response at once.
	sendInterim(r *response) error
	// sendHead begins the response. add are fields besides those of r that are
	// not dropped. body says what follows; close asks to end the connection.
	sendHead(r *response, add []pair, body bodyKind, length int64, close bool) error
	// sendBody sends or keeps a piece of the body until flush.
	sendBody(p []byte) error
	flush() error
	// sendPipe sends the octets in p, after a flush, where canSplice says that
	// it can.
	sendPipe(p *pipe) error
	canSplice() bool
	// endBody ends the response, with trailers as whole field lines.
	endBody(trailers []byte) error
	// attach makes up the connection that is cut off when the client goes away,
	// nil none; canceled tells whether that has happened.
	attach(up *upConn)
	canceled() bool
	// hold gives a channel that is closed when the client goes away.
	hold() <-chan struct{}
	// hijack ends the protocol after a 101: the connection is the exchange's.
	// early has been read from it already.
	hijack() (c *conn, early []byte)
	// spare gives all buffers back, the request's head with them.
	spare()
}

// pair is a field to add. The value is a view that lives as long as the
// exchange.
type pair struct {
	name  string
	value []byte
}
