package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"assay/probes"
)

const (
	maxFlash    = 256 << 20
	commandTime = 10 * time.Minute
	maxComplain = 512
)

// flashFile is storage that can be read as a file.
type flashFile struct{ path string }

// Dump reads the whole file at once, so that later writes do not show in it.
func (f flashFile) Dump(ctx context.Context) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := readBounded(f.path, maxFlash)
	if err != nil {
		return nil, fmt.Errorf("dump the flash: %w: %w", err, probes.ErrBench)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// A command is a program of the lab, run without a shell in the folder of bench.yaml.
type command struct {
	argv []string
	dir  string
}

func (c command) prepare(ctx context.Context, values map[string]string) *exec.Cmd {
	argv := make([]string, len(c.argv))
	for i, a := range c.argv {
		for name, value := range values {
			a = strings.ReplaceAll(a, "{{"+name+"}}", value)
		}
		argv[i] = a
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the lab's own file names it
	cmd.Dir = c.dir
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

func (c command) run(ctx context.Context, what string, values map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := c.prepare(ctx, values)
	var complained bytes.Buffer
	cmd.Stderr = &limited{to: &complained, left: maxComplain}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: run %s: %w: %s: %w", what, c.argv[0], err, strings.TrimSpace(complained.String()), probes.ErrBench)
	}
	return nil
}

// flashCommand is storage that a program dumps to its standard output.
type flashCommand struct{ command }

// Dump starts the program; what it read is whole only if reading ends without an error.
func (f flashCommand) Dump(ctx context.Context) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	cmd := f.prepare(ctx, nil)
	d := &dump{cmd: cmd, cancel: cancel, left: maxFlash}
	cmd.Stderr = &limited{to: &d.complained, left: maxComplain}
	var err error
	if d.from, err = cmd.StdoutPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("dump the flash: run %s: %w: %w", f.argv[0], err, probes.ErrBench)
	}
	return d, nil
}

// dump is a program's output.
type dump struct {
	cmd        *exec.Cmd
	from       io.Reader
	cancel     context.CancelFunc
	left       int64
	complained bytes.Buffer
	ended      error // what the last read said
}

// Read passes the output on and ends with the program's own end.
func (d *dump) Read(p []byte) (int, error) {
	if d.ended != nil {
		return 0, d.ended
	}
	n, err := d.from.Read(p)
	if d.left -= int64(n); d.left < 0 {
		err = errors.New("more than " + strconv.Itoa(maxFlash) + " bytes")
	} else if errors.Is(err, io.EOF) {
		if waited := d.cmd.Wait(); waited != nil {
			err = fmt.Errorf("%w: %s", waited, strings.TrimSpace(d.complained.String()))
		}
	}
	if err != nil {
		d.ended = err
		if !errors.Is(err, io.EOF) {
			d.ended = fmt.Errorf("dump the flash: %w: %w", err, probes.ErrBench)
		}
	}
	return n, d.ended
}

// Close ends the program where it still runs.
func (d *dump) Close() error {
	d.cancel()
	if d.ended == nil {
		d.ended = os.ErrClosed
		_ = d.cmd.Wait()
	}
	return nil
}

// buttonLine presses a reference device's button by a line to its process.
type buttonLine struct{ process *process }

// Press tells the device how long the button is held; nobody has to wait for that.
func (b buttonLine) Press(ctx context.Context, name string, hold time.Duration) error {
	if name == "" || strings.ContainsAny(name, " \t\r\n") {
		return fmt.Errorf("press button %.32q: not a button's name: %w", name, probes.ErrBench)
	}
	return b.process.control(ctx, "button "+name+" "+seconds(hold))
}

// buttonCommand presses a button by a program: {{button}} and {{seconds}} stand for name and time.
type buttonCommand struct{ command }

// Press runs the program until it has let go.
func (b buttonCommand) Press(ctx context.Context, name string, hold time.Duration) error {
	return b.run(ctx, "press button "+strconv.Quote(name), map[string]string{"button": name, "seconds": seconds(hold)})
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
