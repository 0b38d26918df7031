//go:build unix

package drive

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

func shell(script string, args ...string) dossier.Step {
	return dossier.Step{Command: &dossier.CommandStep{Run: append([]string{"sh", "-c", script, "sh"}, args...)}, Seconds: 5}
}

func TestCommand(t *testing.T) {
	t.Setenv("BENCH_SECRET", "not for programs")
	args := probes.Args{"value": "a $(id) 'b' \"c\""}
	s := shell(`cat; printf '{"arg":"%s"}' "$1" >&2; env`, "{{serial}} {{value}}")
	s.Command.Stdin = "in: {{value}}\n"
	got := do(t, driver(t, steps(s)), args)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Contains(t, got.Text, "in: "+args["value"], "no shell of ours reads arguments and input")
	assert.Contains(t, got.Text, `{"arg":"`+serial+" "+args["value"])
	assert.NotContains(t, got.Text, "BENCH_SECRET")

	s = shell(`printf '{"version":"1.2.3"}'`)
	s.Success, s.Capture = "reply.exit == 0", map[string]string{"version": "reply.json.version"}
	assert.Equal(t, "1.2.3", try(t, s).Values["version"])

	s = shell("echo went wrong >&2; exit 3")
	got = try(t, s)
	assert.Equal(t, probes.Unexpected, got.Outcome)
	assert.Equal(t, "exit 3: went wrong", got.Detail)
	s.Refused = "reply.exit == 3"
	assert.Equal(t, probes.Refused, try(t, s).Outcome)

	got = try(t, shell("head -c 2000000 /dev/zero"))
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Len(t, got.Text, maxText)

	_, err := driver(t, steps(dossier.Step{Command: &dossier.CommandStep{Run: []string{"./no-such-program"}}})).Do(t.Context(), "it", nil)
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, "operation it: step 1: command: start ./no-such-program: ")
}

// A program beside the dossier is found from there, wherever assay was started.
func TestCommandBesideTheDossier(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\npwd\n"), 0o700))
	got := do(t, driver(t, steps(dossier.Step{Command: &dossier.CommandStep{Run: []string{"./tool"}}}),
		func(o *Options) { o.Dossier.Dir = dir }), nil)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Contains(t, got.Text, filepath.Base(dir))
}

// At the deadline nothing of the program is left, its children included.
func TestCommandEndsWithItsChildren(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	s := shell(`sleep 60 & echo $! > "$1"; wait`, file)
	s.Seconds = 0.5
	got := try(t, s)
	assert.Equal(t, probes.Silent, got.Outcome, got.Detail)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return gone(child) }, 5*time.Second, 10*time.Millisecond)
}

// gone tells whether a process has ended, be it that nobody has asked for its status yet.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}
