package topology

import (
	"net/netip"
	"time"
)

// Query is one name that dnswatch is asked to keep resolved.
type Query struct {
	// Name is what is asked, without a trailing dot. Queries are equal when
	// all fields are.
	Name string
	// Kind says which rules hold: a label member's short id (slow refresh,
	// engine leads), a name of lb.address, or a file cluster's.
	Kind QueryKind
	// Cluster owns the schedule of a file cluster's names (one back-off state
	// per cluster, shared by its names: Envoy); empty for members.
	Cluster string
	Family  LookupFamily
	Refresh RefreshPolicy
	// Incarnation, of a member, is the engine's EndpointID that the question
	// is about: after a restart or a reconnect it is another question, so that
	// an old answer is never taken for a word on the new address.
	Incarnation string
}

type QueryKind uint8

const (
	QueryMember QueryKind = iota // <short id>[.<network>]: ask only while the engine says it runs
	QueryName                    // any other name
)

// LookupFamily is Envoy's Cluster.dns_lookup_family.
type LookupFamily uint8

const (
	LookupAuto LookupFamily = iota // AAAA first, A only if that gave nothing
	LookupV4Only
	LookupV6Only
	LookupV4Preferred
	LookupAll
)

// RefreshPolicy is when a name is asked again. Envoy's Cluster fields.
type RefreshPolicy struct {
	Rate        time.Duration // dns_refresh_rate, from the end of an answer
	Jitter      time.Duration // dns_jitter, after a success only
	RespectTTL  bool          // respect_dns_ttl; MinTTL below
	FirstTTL    bool          // LOGICAL_DNS: the first record's TTL, not the minimum
	FailureBase time.Duration // dns_failure_refresh_rate.base_interval; 0: Rate
	FailureMax  time.Duration // max_interval; 0: 10 × base
}

// Answers is all that DNS has said, the full set, immutable.
type Answers struct {
	Generation uint64
	Names      map[Query]Answer
}

// Answer is the last word on one name.
type Answer struct {
	Outcome Outcome // of the last query
	// Addresses are sorted: the last good answer, which a failed query leaves
	// in force. First is the first address of that answer, for LOGICAL_DNS.
	Addresses []netip.Addr
	First     netip.Addr
	TTL       time.Duration
	At        time.Time // of the last good answer
	Error     string    // of the last query, where it failed
	FailedAt  time.Time
}

// Outcome sorts what a query ended in: "empty" is an answer, "failed" is none.
// Envoy takes NXDOMAIN as empty.
type Outcome uint8

const (
	OutcomePending Outcome = iota // no answer yet
	OutcomeFound
	OutcomeEmpty
	OutcomeFailed
)
