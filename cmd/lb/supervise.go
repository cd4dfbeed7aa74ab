package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// group runs what must all run: the first that ends, ends the others.
type group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
}

func newGroup(ctx context.Context) *group {
	ctx, cancel := context.WithCancelCause(ctx)
	return &group{ctx: ctx, cancel: cancel}
}

// errEnded is the cause of an end that was asked for.
var errEnded = errors.New("ended")

// run starts f, which ends when the group's context does. If it ends before,
// with an error or without, the group ends and Wait tells why.
func (g *group) run(name string, f func(context.Context) error) {
	g.wg.Go(func() {
		err := f(g.ctx)
		switch {
		case err != nil && g.ctx.Err() == nil:
			g.cancel(fmt.Errorf("%s: %w", name, err))
		case g.ctx.Err() == nil:
			g.cancel(fmt.Errorf("%s ended for no reason that it gave", name))
		}
	})
}

// done is closed when something has ended.
func (g *group) done() <-chan struct{} { return g.ctx.Done() }

// end asks everybody to end, waits, and returns why the group ended first.
func (g *group) end() error {
	g.cancel(errEnded)
	g.wg.Wait()
	if err := context.Cause(g.ctx); !errors.Is(err, errEnded) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
