package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab"
	"assay/lab/evidence"
	"assay/reports"
	"assay/reports/verdict"
)

// short is a profile that asks a device about its logins, its updates and its reset, but scans nothing.
func shortProfile(t *testing.T, requirements string) string {
	t.Helper()
	return written(t, t.TempDir(), "short.yaml", `assay: profile/v1
id: short
version: "1"
title: What a run that is killed is asked
reviews: none
because: a program asks
standards: [{standard: etsi-en-303-645, requirements: [`+requirements+`]}]
`+noScan(requirements))
}

// moments is how many random moments of a run are tried; CI sets more.
func moments(t *testing.T) int {
	t.Helper()
	n := 8
	if more := os.Getenv("ASSAY_TEST_MOMENTS"); more != "" {
		var err error
		n, err = strconv.Atoi(more)
		require.NoError(t, err)
	}
	return n
}

// TestKilledRunGoesOn kills runs of a flawed device at random moments, some of them again while they go on, and wants
// the verdicts of a run that nobody killed.
func TestKilledRunGoesOn(t *testing.T) {
	needBench(t)
	for name, requirements := range map[string]string{"logins and updates": "5.5-5, 5.3-10", "logins and reset": "5.5-5, 5.11-1"} {
		t.Run(name, func(t *testing.T) { killed(t, requirements, moments(t)/2) })
	}
}

func killed(t *testing.T, requirements string, kills int) {
	args := []string{"demo", "--profile", shortProfile(t, requirements), "--flaws", "accepts-tampered-update,wipe-leaves-flash", "--format", "json"}
	began := time.Now()
	undisturbed := assay(t, exitNonConformant, append(args, "--out", filepath.Join(t.TempDir(), "runs"))...)
	whole := time.Since(began)
	want := verdicts(undisturbed.report())
	require.Contains(t, want, strings.TrimPrefix(requirements, "5.5-5, "))

	var mu sync.Mutex
	ends := map[string]int{}
	t.Run("at random moments", func(t *testing.T) {
		for n := range kills {
			moment, again := rand.N(whole), rand.IntN(3) == 0
			t.Run(fmt.Sprintf("%d, after %v", n+1, moment.Round(time.Millisecond)), func(t *testing.T) {
				t.Parallel()
				out := filepath.Join(t.TempDir(), "runs")
				r := launch(t, nil, append(args, "--out", out)...)
				r.killAfter(moment)
				nobodyLeft(t, out)
				end := goneOn(t, r, out, want, again, whole)
				mu.Lock()
				defer mu.Unlock()
				ends[end]++
			})
		}
	})
	t.Logf("a whole run takes %v; of %d kills: %v", whole.Round(time.Millisecond), kills, ends)
}

// killAfter kills a run at a moment, if it still lives then.
func (r *running) killAfter(moment time.Duration) {
	r.t.Helper()
	select {
	case <-time.After(moment):
	case <-r.ended:
	}
	require.NoError(r.t, ignoreFinished(r.cmd.Process.Kill()))
	r.code()
}

// goneOn takes a killed run to its end and holds it against the verdicts of an undisturbed one. It tells where the
// kill had met it.
func goneOn(t *testing.T, r *running, out string, want map[string]verdict.Verdict, again bool, whole time.Duration, more ...string) string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(out, "*"))
	require.NoError(t, err)
	if len(dirs) == 0 {
		require.Zero(t, r.acknowledged())
		return "before there was a folder"
	}
	dir := onlyRun(t, out)
	if again {
		r := launch(t, nil, append([]string{"resume", dir}, more...)...)
		r.killAfter(rand.N(whole))
		nobodyLeft(t, dir)
	}
	ev, err := evidence.Verify(t.Context(), dir, nil)
	on := launch(t, nil, append([]string{"resume", dir, "--format", "json"}, more...)...)
	code := on.code()
	nobodyLeft(t, dir)
	if code == exitUnusable && strings.Contains(on.told(), "sealed already") {
		sealedRun(t, out)
		return "when it was sealed"
	}
	require.NoError(t, err)
	if !begun(ev) {
		require.Equal(t, exitUnusable, code)
		require.Zero(t, r.acknowledged())
		require.Contains(t, on.told(), "there is nothing to go on with")
		return "before the first question"
	}
	require.Equal(t, exitNonConformant, code)
	v := on.report()
	require.Equal(t, want, verdicts(v), on.told())
	sealedRun(t, out)
	if len(more) == 0 { // a bench on somebody else's network always lacks something
		require.Empty(t, v.Missing())
	}
	if ev.Ended {
		return "after the last record"
	}
	attemptsKept(t, ev, v)
	assert.Contains(t, slurp(filepath.Join(dir, "report.html")), "This run was interrupted: nothing is on record between")
	assert.Contains(t, strings.Join(strings.Fields(assay(t, exitNonConformant, "report", dir+"/"+v.Run+".assay").said()), " "), "This run was interrupted: nothing is on record between")
	return "under way"
}

// attemptsKept wants every observation of the killed run in the resumed one, and the steps that were under way twice.
func attemptsKept(t *testing.T, before *evidence.Evidence, v *reports.Report) {
	t.Helper()
	require.NotEmpty(t, v.Gaps)
	seen, err := before.Observations()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(v.Observations), len(seen))
	for i, o := range seen {
		assert.Equal(t, o.ID, v.Observations[i].ID)
		assert.JSONEq(t, string(o.With), string(v.Observations[i].With))
		assert.Equal(t, len(o.Facts) > 0, len(v.Observations[i].Facts) > 0)
	}
	attempts := map[string]int{}
	for _, o := range v.Observations {
		attempts[o.Step]++
		assert.Equal(t, attempts[o.Step], o.Attempt, "no attempt is missing, none is asked twice")
		if o.Frames != nil && o.Start.After(v.Gaps[len(v.Gaps)-1].To) {
			assert.Regexp(t, `^capture-\d\.pcapng$`, o.Frames.File)
		}
	}
	for _, g := range v.Gaps {
		for _, u := range g.UnderWay {
			assert.Greater(t, attempts[u.Step], u.Attempt, u.Step)
		}
	}
}

func TestResumeRefuses(t *testing.T) {
	needBench(t)
	t.Parallel()
	profile := shortProfile(t, "5.5-5, 5.3-10")
	out := filepath.Join(t.TempDir(), "runs")
	live := launch(t, nil, "demo", "--profile", profile, "--out", out)
	live.tells("[ 1/")
	dir := onlyRun(t, out)
	busy := assay(t, exitUnusable, "resume", dir)
	assert.Contains(t, busy.told(), "another process is writing this run")
	require.NoError(t, ignoreFinished(live.cmd.Process.Kill()))
	live.code()
	nobodyLeft(t, out)

	elsewhere := func(t *testing.T) string {
		to := filepath.Join(t.TempDir(), filepath.Base(dir))
		require.NoError(t, os.CopyFS(to, os.DirFS(dir)))
		return to
	}
	journal := func(dir string) string { return filepath.Join(dir, "journal.jsonl") }
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string) (args []string)
		code  int
		says  string
	}{
		"a bit flipped": {func(t *testing.T, dir string) []string {
			b := []byte(slurp(journal(dir)))
			b[len(b)/2] ^= 1
			require.NoError(t, os.WriteFile(journal(dir), b, 0o600))
			return nil
		}, exitUnverified, "evidence does not verify: chain: journal line"},
		"an artefact changed": {func(t *testing.T, dir string) []string {
			files, err := filepath.Glob(filepath.Join(dir, "files", "*"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(files[0], []byte("another"), 0o600))
			return nil
		}, exitUnverified, "evidence does not verify: artefact:"},
		"the device is gone": {func(t *testing.T, dir string) []string {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, deviceFolder)))
			return nil
		}, exitUnusable, "the reference device of this run is gone"},
		"another dossier": {func(t *testing.T, dir string) []string {
			path := filepath.Join(dir, deviceFolder, "dossier.yaml")
			changed := regexp.MustCompile(`model: .*`).ReplaceAllString(slurp(path), "model: T-200")
			require.NoError(t, os.WriteFile(path, []byte(changed), 0o600))
			return nil
		}, exitUnusable, "is not the dossier that this run began with: it differs at product.model"},
		"the capture is gone": {func(t *testing.T, dir string) []string {
			require.NoError(t, os.Remove(filepath.Join(dir, "capture.pcapng")))
			return nil
		}, exitUnverified, "evidence does not verify: completeness: capture.pcapng: observation o-001 cites it, but it is not in the run's folder"},
		"the capture lost frames": {func(t *testing.T, dir string) []string {
			require.NoError(t, os.Truncate(filepath.Join(dir, "capture.pcapng"), 400))
			return nil
		}, exitUnverified, "evidence does not verify: completeness: capture.pcapng: it holds"},
		"no journal": {func(t *testing.T, dir string) []string {
			require.NoError(t, os.Remove(journal(dir)))
			return nil
		}, exitUnusable, "has no journal"},
		"killed before its plan": {func(t *testing.T, dir string) []string {
			before, _, found := strings.Cut(slurp(journal(dir)), `"kind":"plan"`)
			require.True(t, found)
			require.NoError(t, os.WriteFile(journal(dir), []byte(before), 0o600))
			return nil
		}, exitUnusable, "ends before its first question"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spoilt := elsewhere(t)
			args := append([]string{"resume", spoilt}, c.spoil(t, spoilt)...)
			r := assay(t, c.code, args...)
			assert.Contains(t, r.told(), c.says)
			assert.Contains(t, r.told(), "assay: hint: ")
		})
	}
	t.Run("sealed", func(t *testing.T) {
		t.Parallel()
		out := filepath.Join(t.TempDir(), "runs")
		require.NoError(t, os.CopyFS(filepath.Join(out, filepath.Base(dir)), os.DirFS(dir)))
		dir := onlyRun(t, out)
		tear(t, dir)
		r := assay(t, exitDone, "resume", dir, "--format", "json")
		told := strings.Join(r.report().Interruptions(), "\n")
		assert.Contains(t, told, "The record's last line before an interruption, 13 bytes, was never finished and does not count.")
		sealedRun(t, out)
		for _, what := range []string{dir, filepath.Join(dir, filepath.Base(dir)+".assay")} {
			assert.Contains(t, assay(t, exitUnusable, "resume", what).told(), "this run is sealed already")
		}
	})
}

// tear leaves the beginning of a line at a journal's end, as a kill within a write does.
func tear(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "journal.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"seq":900,"t`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestResumeTellsWhatChanged goes on with a run that another version of assay by another operator has begun.
func TestResumeTellsWhatChanged(t *testing.T) {
	var g lab.Gap
	require.NoError(t, json.Unmarshal([]byte(`{"what":"the run was interrupted","from":"2026-11-25T21:11:39Z","to":"2026-11-25T21:12:45Z",
		"under_way":[{"observation":"o-006","step":"x","attempt":1}],"capture":"capture-2.pcapng","changed":["assay was 1, and is 2 from here on"]}`), &g))
	r := reports.Report{Gaps: []lab.Gap{g}}
	assert.Equal(t, []string{"This run was interrupted: nothing is on record between 2026-11-25 21:11:39 and 2026-11-25 21:12:45 UTC (1m6s)." +
		" Under way then, and asked again: o-006. Frames from then on are in capture-2.pcapng. Changed meanwhile: assay was 1, and is 2 from here on."}, r.Interruptions())
}
