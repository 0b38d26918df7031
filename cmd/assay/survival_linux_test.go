package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/profiles/dossier"
)

// What happens to a run that somebody or something ends.

// alive lists the processes, other than this one, whose command line has a text.
func alive(mark string) []string {
	var found []string
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		line := strings.ReplaceAll(slurp(name), "\x00", " ")
		if strings.Contains(line, mark) && filepath.Base(filepath.Dir(name)) != fmt.Sprint(os.Getpid()) {
			found = append(found, filepath.Base(filepath.Dir(name))+": "+line)
		}
	}
	return found
}

// nobodyLeft wants every process of a run gone: they all name its folder.
func nobodyLeft(t *testing.T, out string) {
	t.Helper()
	var left []string
	if !assert.Eventually(t, func() bool { left = alive(out); return len(left) == 0 }, 10*time.Second, 10*time.Millisecond) {
		t.Fatal(strings.Join(left, "\n"))
	}
}

var observed = regexp.MustCompile(`(?m)^\[ ?\d+/\d+\] (saw|err|---) `)

// acknowledged counts the observations that the story told of.
func (r *running) acknowledged() int { return len(observed.FindAllString(r.told(), -1)) }

func TestKilledRunKeepsEveryObservation(t *testing.T) {
	needBench(t)
	const whole = 34 * time.Second // a demo takes about this long
	kills := map[string]func(*running){
		"after the fifth observation": func(r *running) { r.tells("[ 5/") },
		"reduced bench":               func(r *running) { r.tells("[ 3/") },
	}
	for n := range 5 {
		moment := rand.N(whole)
		kills[fmt.Sprintf("%d, at a random moment, %v", n+1, moment.Round(time.Millisecond))] = func(r *running) {
			select {
			case <-time.After(moment):
			case <-r.ended:
			}
		}
	}
	for name, wait := range kills {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "runs")
			args := []string{"demo", "--out", out}
			if name == "reduced bench" {
				args = append(args, "--reduced")
			}
			r := launch(t, nil, args...)
			wait(r)
			require.NoError(t, ignoreFinished(r.cmd.Process.Kill()))
			r.code()
			nobodyLeft(t, out)
			afterTheEnd(t, r, out)
		})
	}
}

func TestKilledBenchIsSaidSo(t *testing.T) {
	needBench(t)
	t.Parallel()
	out := filepath.Join(t.TempDir(), "runs")
	r := launch(t, nil, "demo", "--out", out)
	r.tells("[ 2/")
	assert.GreaterOrEqual(t, len(alive(out)), 3, "the program, its bench and the device")
	require.NoError(t, syscall.Kill(child(t, r.cmd.Process.Pid), syscall.SIGKILL))
	assert.Equal(t, exitBench, r.code())
	assert.Contains(t, r.told(), "assay: the bench's process was ended by signal 9")
	assert.Contains(t, r.told(), "assay: hint: ")
	nobodyLeft(t, out)
	afterTheEnd(t, r, out)
}

// afterTheEnd wants everything that was told of to be readable.
func afterTheEnd(t *testing.T, r *running, out string) {
	t.Helper()
	if found, _ := filepath.Glob(filepath.Join(out, "*")); len(found) == 0 {
		require.Zero(t, r.acknowledged(), "killed before it had a folder")
		return
	}
	dir := onlyRun(t, out)
	if _, err := os.Stat(filepath.Join(dir, "journal.jsonl")); err != nil {
		sealedRun(t, out) // the kill came too late
		return
	}
	f := incompleteRun(t, dir)
	told := r.acknowledged()
	assert.GreaterOrEqual(t, f.Observations, told)
	assert.LessOrEqual(t, f.Observations, told+1, "one may be written and not yet told")
	again := assay(t, exitIncomplete, "report", dir)
	if f.Observations > 0 {
		assert.Contains(t, again.said(), "incomplete")
		assert.Contains(t, again.said(), "inconclusive")
	}
	noSecretsOutside(t, dir)
}

// noSecretsOutside wants what the labels say nowhere but in the device's own folder.
func noSecretsOutside(t *testing.T, dir string) {
	t.Helper()
	d, err := dossier.Read(filepath.Join(dir, "device", "dossier.yaml"))
	if err != nil {
		return // killed while the device was made, or it is gone already
	}
	var secrets []string
	for _, u := range d.Units {
		for _, l := range u.Logins {
			secrets = append(secrets, l.Password.Reveal())
		}
	}
	require.Len(t, secrets, 6)
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if e != nil && e.Name() == "device" {
				return filepath.SkipDir
			}
			return err
		}
		b, err := os.ReadFile(path)
		for _, s := range secrets {
			// Compared here: a failing assertion would print the whole file.
			if strings.Contains(string(b), s) {
				t.Errorf("%s holds a secret of a label", path)
			}
		}
		return err
	}))
}

func ignoreFinished(err error) error {
	if err == os.ErrProcessDone {
		return nil
	}
	return err
}

// child is the only child of a process.
func child(t *testing.T, pid int) int {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, name := range names {
		// pid (comm) state ppid: comm may hold anything, so count from its end.
		stat := slurp(name)
		var state string
		var parent int
		if at := strings.LastIndex(stat, ")"); at > 0 {
			if _, err := fmt.Sscan(stat[at+1:], &state, &parent); err == nil && parent == pid {
				var own int
				_, err = fmt.Sscan(stat, &own)
				require.NoError(t, err)
				return own
			}
		}
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}

func TestInterruptedRunSealsWhatThereIs(t *testing.T) {
	needBench(t)
	for name, interrupt := range map[string]func(*exec.Cmd) error{
		"ctrl-c at a terminal": func(c *exec.Cmd) error { return syscall.Kill(-c.Process.Pid, syscall.SIGINT) },
		"SIGINT":               func(c *exec.Cmd) error { return c.Process.Signal(syscall.SIGINT) },
		"SIGTERM":              func(c *exec.Cmd) error { return c.Process.Signal(syscall.SIGTERM) },
		"terminal closed":      func(c *exec.Cmd) error { return syscall.Kill(-c.Process.Pid, syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "runs")
			// A terminal sends its signals to a group of processes.
			r := launch(t, func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }, "demo", "--format", "json", "--out", out)
			r.tells("[ 3/")
			require.NoError(t, interrupt(r.cmd))
			began := time.Now()
			assert.Equal(t, exitIncomplete, r.code())
			assert.Less(t, time.Since(began), time.Minute)
			nobodyLeft(t, out)
			v := r.report()
			assert.EqualValues(t, "incomplete", v.Profiles[0].Conformity)
			assert.EqualValues(t, "cancelled", v.Outcome)
			require.Greater(t, len(v.Observations), 15, "one for each step")
			assert.NotEmpty(t, v.Observations[0].Facts)
			assert.Equal(t, "the run was cancelled before this step", v.Observations[len(v.Observations)-2].NotAsked)
			got := verdicts(v)
			assert.EqualValues(t, "inconclusive", got["5.11-1"])
			assert.EqualValues(t, "pass", got["credentials/http-bruteforce"], "what was seen before counts")
			sealedRun(t, out)
		})
	}
	t.Run("before the bench is up", func(t *testing.T) {
		t.Parallel()
		out := filepath.Join(t.TempDir(), "runs")
		r := launch(t, nil, "demo", "--out", out)
		require.Eventually(t, func() bool { found, _ := filepath.Glob(filepath.Join(out, "*", "device")); return len(found) > 0 }, 20*time.Second, time.Millisecond)
		require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
		assert.Equal(t, exitIncomplete, r.code())
		nobodyLeft(t, out)
		left, err := filepath.Glob(filepath.Join(out, "*"))
		require.NoError(t, err)
		if len(left) > 0 { // it was quicker
			sealedRun(t, out)
			return
		}
		assert.Contains(t, r.told(), "nothing was observed")
	})
}
