package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"assay/lab/bench/segment"
	"assay/lab/bench/standin"
	"assay/probes"
)

const (
	maxGuestLine = 64 << 10
	maxGuestSaid = 4 << 10
)

// guestProcess is what the process of a guest does.
func guestProcess(ctx context.Context) int {
	if err := standin.Serve(ctx, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A guest is the known-good device: a process of this program in a network namespace of its own, at the end of a cable.
type guest struct {
	cable   *segment.Guest
	name    string // of its interface
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan standin.Answer
	said    bytes.Buffer
	ended   chan struct{} // closed once the process is gone
}

// invite starts a guest and plugs it in.
func invite(plug func(net.HardwareAddr) (*segment.Guest, error), mac net.HardwareAddr) (*guest, error) {
	g, err := launch()
	if err != nil {
		return nil, err
	}
	if g.cable, err = plug(mac); err == nil {
		g.name, err = g.cable.Hand(g.cmd.Process.Pid)
	}
	if err != nil {
		return nil, errors.Join(err, g.leave())
	}
	return g, nil
}

// launch starts the process in a namespace of its own: who has some capabilities only makes one where ordinary users may.
func launch() (*guest, error) {
	attempts := []*syscall.SysProcAttr{deviceAttributes(true)}
	if os.Geteuid() != 0 {
		attr := inUserNamespace()
		attr.Cloneflags, attr.Setpgid = syscall.CLONE_NEWNET|syscall.CLONE_NEWUSER, true
		attempts = append(attempts, attr)
	}
	// The kernel lets nobody but root write the maps of a process that must not be dumped (proc(5)), which a program with
	// capabilities on its file is by default. Nobody can look into it because of this who could not before: whoever
	// traces a process needs its capabilities, too (ptrace(2)).
	if was, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err == nil && was != 1 {
		if unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) == nil {
			defer func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }()
		}
	}
	var last error
	for _, attr := range attempts {
		g := &guest{}
		if last = g.start(attr); last == nil {
			return g, nil
		}
	}
	return nil, forbidden("a network namespace for a known-good device", last)
}

// CanProve tells whether a bench of a mode can test itself with a known-good device here; the error's hint is what would
// allow it. It tries, and leaves nothing behind.
func CanProve(mode string) error {
	if err := noProof(mode); err != nil {
		return err
	}
	if mode == ModeReference {
		return nil // whoever may have that bench may have one device more
	}
	if err := segment.CanVisit(); err != nil {
		return cannotProve(err)
	}
	g, err := launch()
	if err != nil {
		return cannotProve(err)
	}
	return g.leave()
}

func (g *guest) start(attr *syscall.SysProcAttr) error {
	g.cmd = exec.Command("/proc/self/exe") //nolint:gosec // this very program
	g.cmd.Args, g.cmd.SysProcAttr = []string{os.Args[0]}, attr
	g.cmd.Env = append(os.Environ(), marker+"="+markGuest)
	g.cmd.Stderr = &limited{to: &g.said, left: maxGuestSaid}
	g.cmd.WaitDelay = leaveTime
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if g.in, err = g.cmd.StdinPipe(); err != nil {
		return err
	}
	g.answers, g.ended = make(chan standin.Answer, 1), make(chan struct{})
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the kernel kills the guest when the thread that started it is gone
		err := g.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		lines := bufio.NewScanner(out)
		lines.Buffer(make([]byte, 0, 4<<10), maxGuestLine)
		for lines.Scan() {
			var a standin.Answer
			if json.Unmarshal(lines.Bytes(), &a) != nil {
				break
			}
			select {
			case g.answers <- a:
			default: // to a question that nobody waits for any more
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = g.cmd.Wait()
		close(g.ended)
	}()
	return <-started
}

// do has the guest do one thing.
func (g *guest) do(ctx context.Context, r standin.Request) (standin.Answer, error) {
	line, err := json.Marshal(r)
	if err == nil {
		_, err = g.in.Write(append(line, '\n'))
	}
	if err != nil {
		return standin.Answer{}, fmt.Errorf("tell the known-good device to do %s: %w: %w", r.Do, err, probes.ErrBench)
	}
	ctx, cancel := context.WithTimeout(ctx, standin.Patience+time.Second)
	defer cancel()
	select {
	case a := <-g.answers:
		return a, nil
	case <-g.ended:
		return standin.Answer{}, fmt.Errorf("the known-good device's process has ended: %.200s: %w", strings.TrimSpace(g.said.String()), probes.ErrBench)
	case <-ctx.Done():
		return standin.Answer{}, fmt.Errorf("the known-good device does not answer: %w: %w", ctx.Err(), probes.ErrBench)
	}
}

// leave ends the process and pulls the cable out.
func (g *guest) leave() error {
	_ = g.in.Close()
	timer := time.NewTimer(leaveTime)
	defer timer.Stop()
	select {
	case <-g.ended:
	case <-timer.C:
		_ = g.cmd.Process.Kill()
		<-g.ended
	}
	if g.cable == nil {
		return nil
	}
	return g.cable.Close()
}
