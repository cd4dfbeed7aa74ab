// Package fakeengine is a Docker Engine for tests: it speaks the real API's
// read side over a unix socket, and its containers live by script.
//
//	e := fakeengine.New(t)                       // serves until the test ends
//	id := e.Run(fakeengine.Container{Name: "web-1", Labels: map[string]string{"lb.cluster": "web"}})
//	e.Kill(id, 15)                               // the event alone: it goes on running
//	e.Die(id, 0)                                 // its process ends
//	e.DropEvents(true); e.Remove(id)             // gone, and nobody is told
//	e.CutStreams(true)                           // in the middle of a message
//
// Containers have networks with addresses, lowest free first and reused at once,
// as the real engine's. Events come in the order of Engine 20.10 (die before
// disconnect; facts measured in the project), carry labels, are buffered (256)
// for since, filtered like the engine's, and are dropped for a slow reader.
//
// Served are GET and HEAD of /_ping, /version, /info, /events,
// /containers/json, /containers/{id}/json and /networks, versioned or not, with
// the engine's refusal of API versions out of range. Everything else is
// recorded (Foreign) and refused with 403, as by a read-only socket proxy.
//
// All methods may be called from any goroutine. A container is named by its id,
// a prefix of it, or its name; an unknown one panics: the script is wrong.
package fakeengine
