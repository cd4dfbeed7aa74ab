package storm

import (
	"io"
	"net"
	"os"
	"sync"
)

// relay is the unix socket at which the proxy finds the engine. It can cut what
// goes through it, or fall silent, as an engine or a network does.
type relay struct {
	listener net.Listener
	engine   string

	mu    sync.Mutex
	pipes map[*pipe]bool
	all   sync.WaitGroup
}

// pipe is one connection through the relay.
type pipe struct {
	client, engine net.Conn

	mu     sync.Mutex
	silent bool
}

// startRelay listens at path, for everybody: the proxy runs as nobody.
func startRelay(path, engine string) (*relay, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, err
	}
	r := &relay{listener: l, engine: engine, pipes: map[*pipe]bool{}}
	r.all.Go(r.accept)
	return r, nil
}

// close ends all, and returns when nothing is left.
func (r *relay) close() {
	r.listener.Close()
	r.cut()
	r.all.Wait()
}

// cut ends every connection of now; new ones work.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.pipes {
		p.close()
	}
}

// silence passes nothing more on the connections of now, and leaves them open:
// a stream that is dead without an end. New ones work.
func (r *relay) silence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.pipes {
		p.mu.Lock()
		p.silent = true
		p.mu.Unlock()
	}
}

// silent says how many silent connections are left: those that nobody has
// given up on.
func (r *relay) silent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for p := range r.pipes {
		p.mu.Lock()
		if p.silent {
			n++
		}
		p.mu.Unlock()
	}
	return n
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		engine, err := net.Dial("unix", r.engine)
		if err != nil {
			client.Close()
			continue
		}
		p := &pipe{client: client, engine: engine}
		r.mu.Lock()
		r.pipes[p] = true
		r.mu.Unlock()
		r.all.Go(func() {
			var both sync.WaitGroup
			both.Go(func() { p.copy(engine, client) })
			both.Go(func() { p.copy(client, engine) })
			both.Wait()
			p.close()
			r.mu.Lock()
			delete(r.pipes, p)
			r.mu.Unlock()
		})
	}
}

func (p *pipe) close() {
	p.client.Close()
	p.engine.Close()
}

// copy passes one direction on, its end too.
func (p *pipe) copy(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		silent := p.silent
		p.mu.Unlock()
		if silent {
			if err != nil && from == p.client {
				p.close() // who listens to the silence has given up
				return
			}
			if err != nil {
				return // the engine's end is not passed on either
			}
			continue
		}
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				p.close()
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				p.close()
			} else if c, ok := to.(*net.UnixConn); ok {
				c.CloseWrite()
			}
			return
		}
	}
}
