package fakeengine

import (
	"net"
	"sync/atomic"
)

// conn is a client's connection that can be made to lose what is written to it.
type conn struct {
	net.Conn
	engine *Engine
	silent atomic.Bool
}

func (c *conn) Write(p []byte) (int, error) {
	if c.silent.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.engine.mu.Lock()
	delete(c.engine.conns, c)
	c.engine.mu.Unlock()
	return c.Conn.Close()
}

// listener hands out connections that the engine knows.
type listener struct {
	net.Listener
	engine *Engine
}

func (l listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, engine: l.engine}
	l.engine.mu.Lock()
	l.engine.conns[c] = struct{}{}
	l.engine.mu.Unlock()
	return c, nil
}

// Silence makes every connection of now silently dead: requests on it are taken
// and never answered, streams stay open and say nothing. New connections work.
func (e *Engine) Silence() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		c.silent.Store(true)
	}
}
