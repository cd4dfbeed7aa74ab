// Package storm proves that a proxy loses nothing while Docker moves its
// backends: it sends requests at a constant rate, each with an id of its own,
// while a seeded schedule of real operations runs by real Compose, and holds
// every failure against what the operation allows.
//
// The load is open: request i is due at i times the interval, whatever became
// of those before, and its latency counts from there. A proxy that stalls is not spared the
// requests that it should have answered meanwhile.
//
// Truth is on both ends. The client knows what it was answered. The backends
// append each request to one file before they answer it, so that a POST
// processed twice is found even if the process was killed a microsecond later.
package storm
