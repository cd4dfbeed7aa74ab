package main

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func untilDone(ctx context.Context) error { <-ctx.Done(); return nil }

func TestGroup(t *testing.T) {
	t.Run("an end that was asked for is no error", func(t *testing.T) {
		g := newGroup(t.Context())
		g.run("a", untilDone)
		g.run("b", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if err := g.end(); err != nil {
			t.Error(err)
		}
	})
	t.Run("the first error ends all and is told with its room", func(t *testing.T) {
		g := newGroup(t.Context())
		cause := errors.New("the socket is a folder")
		g.run("steady", untilDone)
		g.run("docker", func(context.Context) error { return cause })
		<-g.done()
		if err := g.end(); !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "docker: ") {
			t.Error(err)
		}
	})
	t.Run("a room that just ends is an error", func(t *testing.T) {
		g := newGroup(t.Context())
		g.run("control", func(context.Context) error { return nil })
		<-g.done()
		if err := g.end(); err == nil || !strings.HasPrefix(err.Error(), "control ") {
			t.Error(err)
		}
	})
}
