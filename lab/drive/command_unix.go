//go:build unix

package drive

import (
	"os/exec"
	"syscall"
)

// ownGroup puts a program in a process group of its own and ends the whole group at the
// deadline: its children would otherwise go on talking to the device.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
