package proxy

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dockerlb/dockerlb/balancer"
)

// Options is what New needs.
type Options struct {
	Balancer *balancer.Balancer
	Pools    *Pools // that the Balancer's NewSlot came from
	Log      *logrus.Entry
	// AccessLog may be nil.
	AccessLog AccessLog
	// Version is the program's, for the log.
	Version string
	// Forwarded adds RFC 7239's Forwarded besides X-Forwarded-*.
	Forwarded bool
	Limits    Limits
}

// Limits are the flags that hold where a listener or route says nothing. A zero
// field has the default named beside it; a negative duration is none.
type Limits struct {
	HeadBytes   int // 60 KiB (Envoy's max_request_headers_kb)
	HeadFields  int // 100 (max_headers_count)
	TargetBytes int // 8 KiB
	// BodyBytes bounds a request's body (413); 0: no limit.
	BodyBytes int64
	// HeadTimeout is from the first octet of a head to its last; 10 s.
	HeadTimeout time.Duration
	// IdleTimeout is between requests; 1 h, Envoy's.
	IdleTimeout time.Duration
	// StreamIdle is without an octet in either direction within a request;
	// 5 min, Envoy's stream_idle_timeout.
	StreamIdle time.Duration
	// HalfClose is how long a request goes on whose client has sent FIN: it
	// may have half-closed, or left. 1 s; 0 is said by HalfCloseGone, for ever
	// by a negative value.
	HalfClose     time.Duration
	HalfCloseGone bool
	// Connections bounds those of all listeners; 0: none.
	Connections int
	// Linger is how long a connection that is closed with the request's body
	// unread is read from, so that the client sees the response and no reset;
	// 1 s (Envoy's delayed_close_timeout).
	Linger time.Duration
	// ReplayBytes is how much of a request's body is held for a retry; 64 KiB,
	// none if negative.
	ReplayBytes int
	// CloseLinger is how long a listener that is closed still accepts what is
	// in its queue or half-way there; 200 ms.
	CloseLinger time.Duration
	// TunnelIdle closes an upgraded connection without an octet; 1 h.
	TunnelIdle time.Duration
}

func (l *Limits) defaults() {
	def(&l.HeadBytes, 60<<10)
	def(&l.HeadFields, 100)
	def(&l.TargetBytes, 8<<10)
	def(&l.HeadTimeout, 10*time.Second)
	def(&l.IdleTimeout, time.Hour)
	def(&l.StreamIdle, 5*time.Minute)
	def(&l.HalfClose, time.Second)
	def(&l.Linger, time.Second)
	def(&l.ReplayBytes, 64<<10)
	def(&l.TunnelIdle, time.Hour)
	def(&l.CloseLinger, closeLinger)
	if l.HalfCloseGone {
		l.HalfClose = 0
	}
}

func def[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}
