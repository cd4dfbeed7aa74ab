// Package admin is the administration port (:9901): Envoy's endpoints in
// Envoy's shapes for the tools that know them, a JSON API under /lb/v1/ for the
// lb command, metrics, and a page for people. Client is the other side of it.
//
// It reads: the balancer's Snapshot, the table that control built last, the
// proxy's and the engines' counters. All of it comes in as the small interfaces
// and functions of Options; nothing here is on a request's path, and an answer
// is made from one snapshot.
//
// Who may do what is decided in one place, access.go; what there is to ask for
// is one table, endpoints.go, which also writes /help, the page and the text of
// a 404.
package admin
