package bench

import "syscall"

// deviceAttributes bind the device's life to the bench's, and give it a network and mounts of its own.
func deviceAttributes(private bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if private {
		attr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS
	}
	// A Ctrl-C at the terminal is the bench's business: the device lives until its bench ends it.
	attr.Setpgid = true
	return attr
}
