package main

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/dockerlb/dockerlb/internal/realengine"
	"github.com/dockerlb/dockerlb/internal/storm"
)

// second starts a second engine beside this one, with the tests' own means.
func second(engine *realengine.Engine) (*storm.Second, error) {
	h := &harness{}
	var s *realengine.Second
	if err := h.try(func() { s = engine.StartSecond(h) }); err != nil {
		return nil, errors.Join(err, h.close())
	}
	enter, ip := s.Inside()
	return &storm.Second{
		Socket: s.Socket, Enter: enter, IP: ip,
		Stop:  func() error { return h.try(s.Stop) },
		Start: func() error { return h.try(s.Start) },
		Close: h.close,
	}, nil
}

// harness is what helpers that are made for tests see of a program that is
// none. What ends a test becomes an error of try.
type harness struct {
	testing.TB // nil: only what is below may be called

	cleanups []func()
	errs     []error
}

// ended is the panic of Fatal and Skip.
type ended struct{}

// try calls f and returns what it complained of.
func (h *harness) try(f func()) error {
	func() {
		defer func() {
			if r := recover(); r != nil && r != (ended{}) {
				panic(r)
			}
		}()
		f()
	}()
	err := errors.Join(h.errs...)
	h.errs = nil
	return err
}

// close calls the cleanups, the last first.
func (h *harness) close() error {
	var errs []error
	for len(h.cleanups) > 0 {
		last := h.cleanups[len(h.cleanups)-1]
		h.cleanups = h.cleanups[:len(h.cleanups)-1]
		errs = append(errs, h.try(last))
	}
	return errors.Join(errs...)
}

func (h *harness) Helper()                         {}
func (h *harness) Cleanup(f func())                { h.cleanups = append(h.cleanups, f) }
func (h *harness) Failed() bool                    { return len(h.errs) > 0 }
func (h *harness) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (h *harness) Error(args ...any)               { h.errs = append(h.errs, errors.New(fmt.Sprint(args...))) }
func (h *harness) Errorf(format string, args ...any) {
	h.errs = append(h.errs, fmt.Errorf(format, args...))
}
func (h *harness) Fatal(args ...any)                 { h.Error(args...); panic(ended{}) }
func (h *harness) Fatalf(format string, args ...any) { h.Errorf(format, args...); panic(ended{}) }
func (h *harness) Skip(args ...any)                  { h.Fatal(args...) }
func (h *harness) Skipf(format string, args ...any)  { h.Fatalf(format, args...) }
