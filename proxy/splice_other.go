//go:build !linux

package proxy

import "errors"

// pipe is Linux's: there is none.
type pipe struct{ n int }

func newPipe() *pipe { return nil }

func (p *pipe) close() {}

func (p *pipe) fill(*sock, int64) (int64, error) { return 0, errors.ErrUnsupported }

func (p *pipe) drain(*sock) error { return errors.ErrUnsupported }
