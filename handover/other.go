//go:build !linux

package handover

import "context"

// Offer cannot be made here.
type Offer struct{}

// Source is what is offered.
type Source struct {
	Sockets func() []Socket
	Taken   func(pid int)
	Failed  func(error)
}

// Successor cannot be made here.
type Successor struct{}

func Listen(string) (*Offer, error)                { return nil, ErrUnsupported }
func Dial(string) (*Successor, error)              { return nil, ErrUnsupported }
func (*Offer) Path() string                        { return "" }
func (*Offer) Serve(context.Context, Source) error { return ErrUnsupported }
func (*Successor) PID() int                        { return 0 }
func (*Successor) Take() ([]Received, error)       { return nil, ErrUnsupported }
func (*Successor) Taken() error                    { return ErrUnsupported }
func (*Successor) Close()                          {}
