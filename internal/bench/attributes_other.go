//go:build unix && !linux

package bench

import "syscall"

// Run refuses before it comes to these.

func attributes() *syscall.SysProcAttr { return nil }
func asInImage() *syscall.SysProcAttr  { return nil }
