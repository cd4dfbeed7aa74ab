package proxy

import "time"

// A listening socket's queue holds connections whose clients believe to be
// served and may have sent a request; closing the socket resets them. So a
// listener ends in two steps: the kernel is told to take no new connections
// (stopQueue), those that are queued or half-way there are accepted for
// closeLinger, and only then the socket is closed.

// closeLinger covers the round trip of a handshake that has begun.
const closeLinger = 200 * time.Millisecond

// retire ends a listener as above, without waiting for it.
func (l *listener) retire() {
	linger := l.srv.limits.CloseLinger
	if linger <= 0 {
		l.close()
		return
	}
	stopQueue(l.tcp)
	time.AfterFunc(linger, l.close)
}
