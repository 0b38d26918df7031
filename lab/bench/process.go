package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"assay/probes"
)

const (
	maxDeviceLog  = 8 << 20
	maxAnswerLine = 1 << 10
	answerTime    = 5 * time.Second
	leaveTime     = 2 * time.Second
)

// A process is the device's own: this program again, in namespaces of its own where the bench has
// any. It is led by lines on its standard input and answers each with "ok" and the line's words.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   *os.File
	ended chan struct{} // closed once the process is gone

	mu      sync.Mutex // guards the rest
	answers map[string]int
	told    chan struct{} // closed and replaced whenever an answer arrives
}

// startProcess starts the device's process and keeps its log.
func (b *Bench) startProcess(o Options, args []string, private bool) (*process, error) {
	name := "device"
	if o.Beside == nil {
		name += "-" + filepath.Base(o.Unit)
	}
	log := o.file(name, ".log")
	p, err := startProcess(log, args, private)
	if err == nil {
		b.DeviceLog = log
	}
	return p, err
}

// startProcess starts the device's process; it waits for its first line. private gives it a network
// and mounts of its own.
func startProcess(log string, args []string, private bool) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the device: %w: %w", err, probes.ErrBench)
	}
	if runtime.GOOS == "linux" {
		program = "/proc/self/exe" // still there when the file was replaced
	}
	p := &process{ended: make(chan struct{}), answers: map[string]int{}, told: make(chan struct{})}
	if p.log, err = os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("start the device: %w: %w", err, probes.ErrBench)
	}
	p.cmd = exec.Command(program, args...) //nolint:gosec // this very program
	p.cmd.Args[0] = os.Args[0]             // a program that goes by its name stays what it is
	p.cmd.SysProcAttr = deviceAttributes(private)
	// The device's process must not take itself for the bench.
	p.cmd.Env = append(os.Environ(), marker+"=device")
	p.cmd.Stderr = &limited{to: p.log, left: maxDeviceLog}
	p.cmd.WaitDelay = leaveTime
	if err := p.start(); err != nil {
		_ = p.log.Close()
		return nil, fmt.Errorf("start the device: %w: %w", err, probes.ErrBench)
	}
	return p, nil
}

func (p *process) start() error {
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() {
		// The kernel kills the device when the thread that started it is gone: this one stays.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.listen(stdout)
		_ = p.cmd.Wait()
		_ = p.log.Close()
		close(p.ended)
	}()
	return <-started
}

// listen notes the answers until the process closes its standard output.
func (p *process) listen(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(make([]byte, 0, maxAnswerLine), maxAnswerLine)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		p.mu.Lock()
		if _, asked := p.answers[line]; asked {
			p.answers[line]++
			close(p.told)
			p.told = make(chan struct{})
		}
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, stdout)
}

// control writes one line and waits until the device has done what it says.
func (p *process) control(ctx context.Context, line string) error {
	words := strings.Fields(line)
	answer := "ok " + strings.Join(words[:min(2, len(words))], " ")
	p.mu.Lock()
	before := p.answers[answer]
	p.answers[answer] = before
	p.mu.Unlock()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		return fmt.Errorf("tell the device %q: %w: %w", line, err, probes.ErrBench)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for {
		p.mu.Lock()
		done, told := p.answers[answer] > before, p.told
		p.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-told:
		case <-p.ended:
			return fmt.Errorf("tell the device %q: its process has ended, its log is device-*.log in the run's folder: %w", line, probes.ErrBench)
		case <-ctx.Done():
			return fmt.Errorf("tell the device %q: no answer: %w: %w", line, ctx.Err(), probes.ErrBench)
		}
	}
}

// pid is the process's id.
func (p *process) pid() int { return p.cmd.Process.Pid }

// close lets the device end, and ends it where it does not.
func (p *process) close() {
	_ = p.stdin.Close()
	timer := time.NewTimer(leaveTime)
	defer timer.Stop()
	select {
	case <-p.ended:
		return
	case <-timer.C:
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}
