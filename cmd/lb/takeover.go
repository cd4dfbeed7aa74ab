package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/balancer"
	"github.com/dockerlb/dockerlb/handover"
	"github.com/dockerlb/dockerlb/topology"
)

// adminSocket is the admin port's name in a hand-over; a listener's has
// listenerPrefix before it.
const (
	adminSocket    = "admin"
	listenerPrefix = "listener/"
)

const (
	// settlePoll is how often a successor looks whether it is ready.
	settlePoll = 20 * time.Millisecond
	// settleWithin is how long it waits, once it knows its endpoints, for each
	// one's first probe.
	settleWithin = 10 * time.Second
)

// takeoverPath reads --takeover-socket. The folder must be there: a wrong path
// is to be known now, and not at the first upgrade.
func takeoverPath(c *cli.Context) (string, error) {
	path := c.String("takeover-socket")
	if path == "" {
		path = "/run/lb.sock"
		if os.Geteuid() != 0 {
			dir := os.Getenv("XDG_RUNTIME_DIR")
			if dir == "" {
				return "", errors.New("there is no XDG_RUNTIME_DIR: give a path")
			}
			path = filepath.Join(dir, "lb.sock")
		}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil {
		return "", err
	} else if !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", filepath.Dir(path))
	}
	return path, nil
}

// greet finds out whether there is a process to take over from.
func (d *daemon) greet() error {
	if !d.o.takeover {
		return nil
	}
	s, err := handover.Dial(d.o.takeoverSocket)
	switch {
	case errors.Is(err, handover.ErrNobody):
		d.room("takeover").WithField("socket", d.o.takeoverSocket).Info("nobody to take over from: starting as the first")
		return nil
	case err != nil:
		return fmt.Errorf("takeover: %w", err)
	}
	d.room("takeover").WithField("pid", s.PID()).Info("a running lb is there: taking over when everything is known")
	d.successor = s
	return nil
}

// errGaveUp: a signal came before the take-over.
var errGaveUp = errors.New("ended before the take-over")

// takeOver waits until this process could serve as well as the running one,
// and takes its sockets. After an error the running one goes on undisturbed.
func (d *daemon) takeOver(ctx context.Context, signals <-chan os.Signal, rooms *group) error {
	defer func() {
		if d.admin == nil {
			d.successor.Close()
			d.successor = nil
		}
	}()
	if err := d.settle(ctx, signals, rooms); err != nil {
		return err
	}
	sockets, err := d.successor.Take()
	if errors.Is(err, handover.ErrNobody) {
		d.room("takeover").Warn("the lb that was running has ended: starting as the first")
		sockets, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("takeover: %w", err)
	}
	admin, err := d.inherit(sockets)
	if err != nil {
		return fmt.Errorf("takeover: %w", err)
	}
	if err := d.openAdmin(admin); err != nil {
		if admin != nil {
			admin.Close()
		}
		return err
	}
	if err := d.gate.open(); err != nil {
		d.admin.Close()
		return err
	}
	return nil
}

// inherit hands the sockets to the proxy and returns the admin port's; nil: it
// is to be bound anew.
func (d *daemon) inherit(sockets []handover.Received) (admin *net.TCPListener, err error) {
	for _, s := range sockets {
		l, lerr := net.FileListener(s.File)
		s.File.Close() // l has a copy
		tcp, ok := l.(*net.TCPListener)
		if lerr == nil && !ok {
			l.Close()
			lerr = errors.New("not a TCP socket")
		}
		if lerr != nil {
			err = errors.Join(err, fmt.Errorf("socket %s: %w", s.Name, lerr))
			continue
		}
		switch name, listener := cutName(s.Name); {
		case listener:
			d.proxy.Inherit(name, s.Asked, tcp)
		case s.Name == adminSocket && s.Asked == d.o.admin && admin == nil:
			admin = tcp
		default:
			tcp.Close()
		}
	}
	if err != nil && admin != nil {
		admin.Close()
	}
	return admin, err
}

func cutName(name string) (string, bool) {
	if len(name) > len(listenerPrefix) && name[:len(listenerPrefix)] == listenerPrefix {
		return name[len(listenerPrefix):], true
	}
	return name, false
}

// settle waits until the sources have spoken and every endpoint that is to be
// probed has been: its first verdict would otherwise be waited for by requests.
func (d *daemon) settle(ctx context.Context, signals <-chan os.Signal, rooms *group) error {
	poll := time.NewTicker(settlePoll)
	defer poll.Stop()
	limit := time.Now().Add(d.o.takeoverTimeout)
	var known time.Time
	for {
		ready, why := d.control.Ready()
		now := time.Now()
		if ready {
			if known.IsZero() {
				known = now
			}
			waiting := unproven(d.balancer.Snapshot())
			if waiting == "" {
				return nil
			}
			if now.Sub(known) >= settleWithin {
				d.room("takeover").WithField("endpoint", waiting).Warnf("not every endpoint was probed within %s: taking over all the same", settleWithin)
				return nil
			}
		} else if now.After(limit) {
			return fmt.Errorf("takeover: not ready after %s (--takeover-timeout): %s; the running lb goes on", d.o.takeoverTimeout, why)
		}
		select {
		case <-poll.C:
		case <-signals:
			return errGaveUp
		case <-ctx.Done():
			return errGaveUp
		case <-rooms.done():
			return errGaveUp // and the room's own error is the one that counts
		}
	}
}

// unproven is an endpoint that waits for its first probe; empty: there is none.
// Those that wait for Docker's first check do so in the running process too.
func unproven(s balancer.Snapshot) string {
	for i := range s.Clusters {
		for j := range s.Clusters[i].Endpoints {
			if e := &s.Clusters[i].Endpoints[j]; e.State == balancer.StateWaiting && e.DockerHealth != topology.HealthStarting {
				return e.ID
			}
		}
	}
	return ""
}

// confirmTaken tells the process that was running to end. Its own trouble with
// that is none of ours: we serve.
func (d *daemon) confirmTaken() {
	if d.successor == nil {
		return
	}
	log := d.room("takeover").WithField("pid", d.successor.PID())
	if err := d.successor.Taken(); err != nil {
		log.WithError(err).Warn("the lb that was running has not said that it ends")
	} else {
		log.Info("taken over")
	}
	d.successor.Close()
	d.successor = nil
}

// offer lets another process take over, from when the listeners are open.
func (d *daemon) offer(ctx context.Context) error {
	select {
	case <-d.gate.ready:
	case <-ctx.Done():
		return nil
	}
	log := d.room("takeover")
	o, err := handover.Listen(d.o.takeoverSocket)
	if err == nil {
		log.WithField("socket", o.Path()).Info("another lb can take over")
		err = o.Serve(ctx, handover.Source{
			Sockets: d.sockets,
			Taken:   func(pid int) { d.taken <- pid },
			Failed:  func(err error) { log.WithError(err).Warn("a take-over came to nothing; going on") },
		})
	}
	if err != nil {
		// Requests matter more than the next upgrade.
		log.WithError(err).Error("nobody can take over from this process")
	}
	<-ctx.Done()
	return nil
}

// sockets are all that a successor needs.
func (d *daemon) sockets() []handover.Socket {
	all := []handover.Socket{{Name: adminSocket, Asked: d.o.admin, Conn: d.admin.Socket()}}
	for _, s := range d.proxy.Sockets() {
		all = append(all, handover.Socket{Name: listenerPrefix + s.Name, Asked: s.Asked, Conn: s.Conn})
	}
	return all
}

// handOver ends a process whose sockets another one serves by now. The first
// signal closes kept connections that wait, the second one all.
func (d *daemon) handOver(ctx context.Context, signals <-chan os.Signal) {
	d.gate.shut()
	ctx = context.WithoutCancel(ctx)
	patience, cut := context.WithCancel(ctx)
	defer cut()
	go func() {
		for _, next := range [...]func(){d.proxy.LastCall, cut} {
			select {
			case <-signals:
				next()
			case <-patience.Done():
				return
			}
		}
	}()
	limit, end := context.WithTimeout(patience, d.o.shutdown)
	defer end()
	d.tellEnd(d.proxy.HandOver(limit), patience)
}

// drainListeners is /drain_listeners.
func (d *daemon) drainListeners(graceful, skipExit bool) {
	if !graceful {
		d.proxy.StopListening()
		return
	}
	d.proxy.Drain()
	if !skipExit {
		time.AfterFunc(d.o.drainDelay, d.proxy.StopListening)
	}
}

// adminAddr is where the admin port is, for the log.
func (d *daemon) adminAddr() string {
	if d.admin == nil {
		return d.o.admin.String()
	}
	return d.admin.Addr().String()
}
