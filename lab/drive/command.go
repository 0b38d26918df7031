package drive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"assay/probes"
)

// lingers is how long output is awaited from children that a program left behind.
const lingers = time.Second

// command runs a program on the bench. No shell reads its arguments.
func (r *run) command(ctx context.Context, s step, x *scope) (answer, error) {
	args := make([]string, len(s.Command.Run))
	for i, template := range s.Command.Run {
		var err error
		if args[i], err = x.text(fmt.Sprintf("run %d", i), template); err != nil {
			return answer{}, err
		}
	}
	stdin, err := x.text("stdin", s.Command.Stdin)
	if err != nil {
		return answer{}, err
	}
	cmd := exec.CommandContext(ctx, r.program(args[0]), args[1:]...)
	stdout, stderr := &bounded{most: maxText}, &bounded{most: maxText / 4}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), stdout, stderr
	cmd.Env, cmd.Dir, cmd.WaitDelay = environment(), r.options.Dossier.Dir, lingers
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return answer{}, x.fault(fmt.Errorf("start %s: %w", args[0], plainStart(err)))
	}
	err = cmd.Wait()
	text := slices.Concat(stdout.kept, stderr.kept)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return answer{outcome: probes.Silent, detail: "the program did not end in time", text: text}, nil
	case err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay):
		return answer{}, fmt.Errorf("run %s: %w", args[0], err)
	}
	code := cmd.ProcessState.ExitCode()
	a := answer{
		reply:   map[string]any{"exit": int64(code), "stdout": valid(string(stdout.kept)), "json": jsonOf(stdout.kept)},
		outcome: probes.Unexpected, detail: fmt.Sprintf("exit %d", code), words: string(text), text: text,
	}
	if code == 0 {
		a.outcome = probes.Done
	}
	return a, nil
}

// program resolves a program that stands beside the dossier.
func (r *run) program(name string) string {
	if strings.ContainsRune(filepath.ToSlash(name), '/') && !filepath.IsAbs(name) {
		if path, err := filepath.Abs(filepath.Join(r.options.Dossier.Dir, name)); err == nil {
			return path
		}
	}
	return name
}

// environment is what programs get of the bench's own: where programs are, and nothing
// that might hold a secret or change their language.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, name := range []string{"PATH", "SystemRoot", "PATHEXT"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func plainStart(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	kept []byte
	most int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p[:min(len(p), b.most-len(b.kept))]...)
	return len(p), nil
}
