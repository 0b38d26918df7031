package evidence

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// limitSpace lets this process run out of space soon: by a limit on its files, or on
// a small file system of its own, which its own namespaces allow it to mount.
func limitSpace(dir, mode string) error {
	switch mode {
	case "limit":
		signal.Ignore(syscall.SIGXFSZ)
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 20000, Max: 20000})
	case "tmpfs":
		return syscall.Mount("assay", dir, "tmpfs", 0, "size=64k")
	}
	return nil
}

func prepareWriter(cmd *exec.Cmd, mode string) {
	if mode != "tmpfs" {
		return
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}
