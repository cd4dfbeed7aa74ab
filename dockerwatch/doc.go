// Package dockerwatch turns one Docker Engine into a topology.Membership. It is
// the only room that knows Docker.
//
// The engine's events are hints, its list and inspect are the truth. The loop
// subscribes first, lists second and only then applies, so that nothing falls
// between; an event makes it look again at that one container, except for a
// stop signal, which marks the container Stopping at once (inspect cannot tell).
// A full list every Resync besides finds what the engine dropped in silence: a
// reader that is slow for 100 ms loses events without a word.
//
// Stale beats partial: a failed list or a lost engine produces no new
// Membership. The last one stays in force, and Status tells its age.
//
// Who does what: Run owns all mutable state (members) on its own goroutine.
// Readers of the event stream, lists, inspects and pings are goroutines of one
// session, which is one connection to the engine; they only send to Run and are
// gone when their session ends. What leaves the package is immutable.
//
// Only GET and HEAD are ever sent, to /_ping, /version, /info,
// /events, /containers/json and /containers/{id}/json: a socket proxy that
// allows just these will do (without /info we only take it that the host can
// reach its containers). The bodies of inspect hold the environment of a container;
// they are decoded into the few fields below, never kept and never logged.
package dockerwatch
