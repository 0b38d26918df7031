package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"assay/lab/bench"
	"assay/reports"
	"assay/reports/verdict"
)

// TestMain makes this test binary what the program is: by its name assay itself, by its
// environment the preflight's trial, else the tests.
func TestMain(m *testing.M) {
	if code, yes := bench.Trial(context.Background()); yes {
		os.Exit(code)
	}
	// A run mostly waits for its device, so more of them fit than there are processors.
	_ = flag.Set("test.parallel", "6")
	commands := map[string]func(){"assay": func() { os.Exit(Main()) }}
	for name, f := range moreCommands() {
		commands[name] = f
	}
	testscript.Main(m, commands)
}

// runLimit bounds one run of assay in a test; the longest, a port scan over IPv4 and IPv6 at a gentle rate, a third of it.
const runLimit = 10 * time.Minute

// A running is assay as a process of its own, its words in files: a pipe would be held open by whatever survives it.
type running struct {
	t          *testing.T
	cmd        *exec.Cmd
	out, story string
	ended      chan struct{}
}

// launch starts assay. change may set what else a process has.
func launch(t *testing.T, change func(*exec.Cmd), args ...string) *running {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	r := &running{t: t, out: filepath.Join(dir, "out"), story: filepath.Join(dir, "err"), ended: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	r.cmd = exec.CommandContext(ctx, self, args...)
	r.cmd.Args[0] = "assay"
	r.cmd.Env = append(withoutBench(os.Environ()), "TERM=dumb")
	out, err := os.Create(r.out)
	require.NoError(t, err)
	story, err := os.Create(r.story)
	require.NoError(t, err)
	r.cmd.Stdout, r.cmd.Stderr = out, story
	if change != nil {
		change(r.cmd)
	}
	started := make(chan error, 1)
	go func() {
		// A process that is bound to the life of its thread needs a thread that stays.
		runtime.LockOSThread()
		defer close(r.ended)
		defer cancel()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			_ = r.cmd.Wait()
		}
		_ = out.Close()
		_ = story.Close()
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() {
		cancel()
		<-r.ended
		if t.Failed() {
			t.Logf("assay %s\nexit code %d\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), r.cmd.ProcessState.ExitCode(), r.said(), r.told())
		}
	})
	return r
}

// withoutBench takes away what would make a process believe that it is in a bench's namespaces already.
func withoutBench(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, "ASSAY_") {
			out = append(out, e)
		}
	}
	return out
}

func (r *running) said() string { return slurp(r.out) }
func (r *running) told() string { return slurp(r.story) }

func slurp(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(b)
}

// code waits for the end.
func (r *running) code() int {
	<-r.ended
	return r.cmd.ProcessState.ExitCode()
}

// tells waits until the story holds a text.
func (r *running) tells(text string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		select {
		case <-r.ended:
			return true
		default:
			return strings.Contains(r.told(), text)
		}
	}, runLimit, 5*time.Millisecond)
	require.Contains(r.t, r.told(), text)
}

// assay runs to the end and wants an exit code.
func assay(t *testing.T, code int, args ...string) *running {
	t.Helper()
	r := launch(t, nil, args...)
	require.Equal(t, code, r.code(), "assay %s\n%s%s", strings.Join(args, " "), r.said(), r.told())
	return r
}

// report reads the JSON on stdout.
func (r *running) report() *reports.Report {
	r.t.Helper()
	var v reports.Report
	require.NoError(r.t, json.Unmarshal([]byte(r.said()), &v), r.said())
	require.Len(r.t, v.Profiles, 1)
	return &v
}

// verdicts gives a report's verdicts by requirement and by check.
func verdicts(r *reports.Report) map[string]verdict.Verdict {
	all := map[string]verdict.Verdict{}
	for _, req := range r.Profiles[0].Requirements {
		all[req.ID] = req.Verdict
		for _, c := range req.Checks {
			all[c.ID] = c.Verdict
		}
	}
	return all
}

// onlyRun is the one run's folder below out.
func onlyRun(t *testing.T, out string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(out, "*"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

// sealedRun wants that the run's evidence verifies under its own key, and that the run left
// nothing else that a reader must know about. It returns the folder.
func sealedRun(t *testing.T, out string) string {
	t.Helper()
	dir := onlyRun(t, out)
	assay(t, exitDone, "verify", filepath.Join(dir, filepath.Base(dir)+".assay"), "--key", filepath.Join(dir, "lab.pub"))
	for _, gone := range []string{"device", "files", "journal.jsonl", "resolv.conf", "device-unit-1.json"} {
		require.NoFileExists(t, filepath.Join(dir, gone))
		require.NoDirExists(t, filepath.Join(dir, gone))
	}
	return dir
}

// incompleteRun is what `assay verify` finds in a run that was never sealed.
func incompleteRun(t *testing.T, dir string) finding {
	t.Helper()
	r := assay(t, exitIncomplete, "verify", dir, "--format", "json")
	var f finding
	require.NoError(t, json.Unmarshal([]byte(r.said()), &f))
	require.True(t, f.Verified, "what there is is whole")
	require.False(t, f.Complete)
	return f
}

// written puts a file into a folder and returns its name.
func written(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

func needBench(t *testing.T) {
	t.Helper()
	if err := bench.Preflight(t.Context()); err != nil {
		t.Skip("needs private namespaces: " + err.Error())
	}
}
