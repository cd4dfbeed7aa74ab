package main

import (
	"sync"

	"github.com/dockerlb/dockerlb/topology"
)

// gate stands between control and the proxy's listeners. While another process
// still serves, control is told that its listeners are open; they are when the
// gate is opened. At the end it is shut, and control is left in peace.
type gate struct {
	proxy interface {
		Listen([]topology.Listener) error
	}

	mu    sync.Mutex
	state gateState
	want  []topology.Listener // what control last asked for
	asked bool
	ready chan struct{} // closed when listeners are open
}

type gateState uint8

const (
	gateWaiting gateState = iota
	gateOpen
	gateShut
)

func newGate(proxy interface {
	Listen([]topology.Listener) error
}, open bool) *gate {
	g := &gate{proxy: proxy, ready: make(chan struct{})}
	if open {
		g.state = gateOpen
	}
	return g
}

// Listen is control's.
func (g *gate) Listen(want []topology.Listener) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.want, g.asked = want, true
	if g.state != gateOpen {
		return nil
	}
	return g.listen()
}

// listen passes on what is wanted; mu is held.
func (g *gate) listen() error {
	err := g.proxy.Listen(g.want)
	if err == nil {
		select {
		case <-g.ready:
		default:
			close(g.ready)
		}
	}
	return err
}

// open opens the listeners that control has asked for meanwhile, and from now
// on as it asks.
func (g *gate) open() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = gateOpen
	if !g.asked {
		return nil
	}
	return g.listen()
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = gateShut
}
