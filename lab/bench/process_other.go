//go:build !linux

package bench

import "syscall"

// deviceAttributes has nothing to add: the device ends when the bench closes its standard input.
func deviceAttributes(bool) *syscall.SysProcAttr { return nil }
