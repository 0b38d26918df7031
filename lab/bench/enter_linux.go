package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// enterGrace is how long a cancelled run inside the namespaces may take to seal what it has.
	enterGrace = 30 * time.Second
	namespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC
)

// Enter runs this program again with other arguments inside namespaces of its own (user, network,
// mount, host name, IPC), with the same standard streams, and returns its exit code. SIGINT, SIGTERM and SIGHUP
// are passed on; one typed at a terminal reaches the child by itself too, so the child must not
// count signals. The child dies with the thread that called Enter.
func Enter(ctx context.Context, args, env []string) (int, error) {
	// Pdeathsig is tied to the thread that forks (prctl(2), PR_SET_PDEATHSIG).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd, err := startInside(append([]string{marker + "=" + markInside}, env...), func(c *exec.Cmd) {
		c.Args = append([]string{os.Args[0]}, args...)
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	})
	if err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	go forward(ctx, cmd.Process, ended)
	err = cmd.Wait()
	close(ended)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 0, fmt.Errorf("run inside namespaces: %w", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// forward passes signals on until the child has ended.
func forward(ctx context.Context, child *os.Process, ended <-chan struct{}) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup wants it ignored
		signal.Notify(signals, syscall.SIGHUP)
	}
	defer signal.Stop(signals)
	cancelled := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case <-ended:
			return
		case s := <-signals:
			_ = child.Signal(s)
		case <-cancelled:
			cancelled = nil
			_ = child.Signal(syscall.SIGTERM)
			timer := time.NewTimer(enterGrace)
			defer timer.Stop()
			late = timer.C
		case <-late:
			_ = child.Kill()
		}
	}
}

// startInside starts this program in new namespaces: with a user namespace wherever one may be
// made, and without one where only root is allowed to do anything of the kind.
func startInside(env []string, set func(*exec.Cmd)) (*exec.Cmd, error) {
	attempts := []*syscall.SysProcAttr{inUserNamespace()}
	if os.Geteuid() == 0 {
		attempts = append(attempts, &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL})
	}
	var first error
	for _, attr := range attempts {
		cmd := exec.Command("/proc/self/exe") //nolint:gosec // this very program
		cmd.Env = append(os.Environ(), env...)
		cmd.SysProcAttr = attr
		set(cmd)
		err := cmd.Start()
		if err == nil {
			return cmd, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, forbidden("namespaces", first)
}

// inUserNamespace maps an ordinary user to root alone: the kernel allows no more to the unprivileged
// (user_namespaces(7): one line of size 1, setgroups denied). Root maps every id to itself, or files of
// other users would become read-only to it.
func inUserNamespace() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: namespaces | syscall.CLONE_NEWUSER, Pdeathsig: syscall.SIGKILL}
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	if os.Geteuid() == 0 {
		if uids, gids := ownIDs("uid"), ownIDs("gid"); len(uids) > 0 && len(gids) > 0 {
			attr.UidMappings, attr.GidMappings, attr.GidMappingsEnableSetgroups = uids, gids, true
		}
	}
	return attr
}

// ownIDs maps each id of our own namespace to itself.
func ownIDs(kind string) []syscall.SysProcIDMap {
	f, err := os.Open("/proc/self/" + kind + "_map")
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	var ids []syscall.SysProcIDMap
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var inside, outside, count int
		if _, err := fmt.Sscan(strings.TrimSpace(lines.Text()), &inside, &outside, &count); err == nil {
			ids = append(ids, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: count})
		}
	}
	return ids
}
