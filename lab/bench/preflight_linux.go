package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"assay/lab/bench/segment"
)

const (
	preflightTime = 10 * time.Second
	maxVerdict    = 4 << 10
)

// Preflight tries the real thing: a child process in namespaces of its own makes a bridge and a cable,
// sets them up and opens a packet socket. Asking the kernel for its settings would not do: some
// systems allow the namespace and then nothing in it. The error is a *Forbidden.
func Preflight(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	dir, err := os.MkdirTemp("", "assay-preflight-")
	if err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var said, complained bytes.Buffer
	cmd, err := startInside([]string{marker + "=" + markTrial, trialDir + "=" + dir}, func(c *exec.Cmd) {
		c.Args = []string{os.Args[0]}
		c.Stdout, c.Stderr = &limited{to: &said, left: maxVerdict}, &limited{to: &complained, left: maxVerdict}
		c.WaitDelay = time.Second
	})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	waited := cmd.Wait()
	var step segment.StepError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("preflight: no answer from the trial: %w", ctx.Err())
	case json.Unmarshal(said.Bytes(), &step) != nil:
		return fmt.Errorf("preflight: the trial broke: %w: %.200s", errors.Join(waited, errNoTrial), complained.String())
	case step.Step != "":
		return &Forbidden{What: step.Step, Err: errors.New(step.Text), Remedy: remedy(step.Step, &step)}
	}
	return nil
}

const trialDir = "ASSAY_BENCH_DIR"

var errNoTrial = errors.New("the program did not answer as a trial")

// Trial is for the very beginning of main: where this process is the preflight's child it does the
// trial, prints its outcome and returns the exit code with true. Where it is the known-good device of a bench's test of
// itself it does what that is told.
func Trial(ctx context.Context) (int, bool) {
	switch os.Getenv(marker) {
	case markTrial:
	case markGuest:
		return guestProcess(ctx), true
	default:
		return 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	var step segment.StepError
	if err := segment.Try(ctx, os.Getenv(trialDir)); err != nil {
		var refused *segment.StepError
		if errors.As(err, &refused) {
			step = *refused
		} else {
			step = segment.StepError{Step: "trial", Text: err.Error()}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(step); err != nil || step.Step != "" {
		return 1, true
	}
	return 0, true
}

// remedy names the command for what the system answered.
func remedy(what string, err error) string {
	const apparmor = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
	switch {
	case what == "add veth" && errors.Is(err, syscall.EOPNOTSUPP):
		return "sudo modprobe veth"
	case what == "add bridge" && errors.Is(err, syscall.EOPNOTSUPP):
		return "sudo modprobe bridge"
	case what == "packet socket" && errors.Is(err, syscall.EAFNOSUPPORT):
		return "sudo modprobe af_packet"
	case errors.Is(err, syscall.ENOSPC):
		return "sudo sysctl user.max_user_namespaces=15000 user.max_net_namespaces=15000"
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOSYS):
		return "a kernel with CONFIG_USER_NS and CONFIG_NET_NS"
	case setting(apparmor) == "1":
		return "run it with sudo, give its path an AppArmor profile that allows `userns,`, or: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
	case setting("/proc/sys/kernel/unprivileged_userns_clone") == "0":
		return "run it with sudo, or: sudo sysctl kernel.unprivileged_userns_clone=1"
	case contained():
		return "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or with --cap-add SYS_ADMIN --cap-add NET_ADMIN"
	}
	return "run it with sudo, or allow user namespaces to ordinary users"
}

func setting(name string) string {
	b, err := os.ReadFile(name) //nolint:gosec // fixed names
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func contained() bool {
	for _, sign := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(sign); err == nil {
			return true
		}
	}
	return os.Getenv("container") != ""
}
