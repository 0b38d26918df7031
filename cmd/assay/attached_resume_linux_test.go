package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence"
	"assay/reports/verdict"
)

// insideAttachedResumes kills runs of a device that the lab does not own, before and within each question and at
// random moments, and wants the verdicts of a run that nobody killed.
func insideAttachedResumes(t *testing.T) {
	device := mosquitto(t, 1, map[string]string{"owner": unique}, "")
	m := mqttLogin(device, "owner", unique)
	m.more = noteKeeper
	m.features = "  reset_by_command: {present: true}\n  reset_by_button: {present: false, because: it has no button}\n"
	args, _ := attach(t, device, m, "5.1-1, 5.1-2, 5.1-5, 5.5-5, 5.11-1")
	key, public := keyPair(t, "lab")
	args = append(args, "--key", key)
	again := []string{"--dossier", args[1], "--bench", args[3], "--key", key}
	at := func(out string) []string {
		own := append([]string{}, args...)
		own[7] = out
		return own
	}
	began := time.Now()
	undisturbed := assay(t, exitNonConformant, at(filepath.Join(t.TempDir(), "runs"))...)
	whole := time.Since(began)
	want := verdicts(undisturbed.report())
	require.Equal(t, verdict.Fail, want["5.1-5"])
	require.Equal(t, verdict.Pass, want["5.1-1"])
	steps := strings.Count(undisturbed.told(), "saw ")
	require.Greater(t, steps, 2)

	ends := map[string]int{}
	end := func(t *testing.T, kill func(r *running), twice bool) {
		out := filepath.Join(t.TempDir(), "runs")
		r := launch(t, nil, at(out)...)
		kill(r)
		require.NoError(t, ignoreFinished(r.cmd.Process.Kill()))
		r.code()
		nobodyLeft(t, out)
		ends[goneOn(t, r, out, want, twice, whole, again...)]++
		if dirs, _ := filepath.Glob(filepath.Join(out, "*", "*.assay")); len(dirs) == 1 {
			assay(t, exitDone, "verify", dirs[0], "--key", public)
		}
	}
	for n := range steps {
		t.Run(fmt.Sprintf("as question %d is asked", n+1), func(t *testing.T) {
			end(t, func(r *running) { r.tells(fmt.Sprintf("[%2d/", n+1)) }, false)
		})
	}
	for n := range max(1, moments(t)/8) {
		moment := rand.N(whole)
		t.Run(fmt.Sprintf("%d, after %v", n+1, moment.Round(time.Millisecond)), func(t *testing.T) {
			end(t, func(r *running) { r.killAfter(moment) }, true)
		})
	}
	t.Logf("a whole run takes %v; kills: %v", whole.Round(time.Millisecond), ends)
	t.Run("refusals", func(t *testing.T) { attachedResumeRefuses(t, device, at, again) })
}

// attachedResumeRefuses wants the dossier and the bench of the run, and the device where it was.
func attachedResumeRefuses(t *testing.T, device *cable, at func(string) []string, again []string) {
	out := filepath.Join(t.TempDir(), "runs")
	r := launch(t, nil, at(out)...)
	r.tells("[ 2/")
	require.NoError(t, ignoreFinished(r.cmd.Process.Kill()))
	r.code()
	dir := onlyRun(t, out)
	before := slurp(filepath.Join(dir, "journal.jsonl"))
	other := func(file, old, with string) string {
		text := slurp(file)
		require.Contains(t, text, old)
		return written(t, t.TempDir(), filepath.Base(file), strings.ReplaceAll(text, old, with))
	}
	dossier, file, key := again[1], again[3], again[5]
	for name, c := range map[string]struct {
		code int
		args []string
		want string
	}{
		"no key":          {exitUnusable, []string{"--dossier", dossier, "--bench", file}, "which it must be sealed with"},
		"no dossier":      {exitUnusable, []string{"--bench", file, "--key", key}, "name the maker's dossier with --dossier"},
		"no bench":        {exitUnusable, []string{"--dossier", dossier, "--key", key}, "needs the bench file"},
		"another dossier": {exitUnusable, []string{"--dossier", other(dossier, "S-0001", "S-0009"), "--bench", file, "--key", key}, "it differs at units[0].serial"},
		"another network": {exitBench, []string{"--dossier", dossier, "--bench", other(file, device.near, "lab99"), "--key", key}, "interface lab99 does not exist"},
	} {
		r := assay(t, c.code, append([]string{"resume", dir}, c.args...)...)
		assert.Contains(t, r.told(), c.want, name)
		assert.Contains(t, r.told(), "assay: hint: ", name)
	}
	require.True(t, strings.HasPrefix(slurp(filepath.Join(dir, "journal.jsonl")), before), "the record is as it was")

	on := launch(t, nil, append([]string{"resume", dir}, again...)...)
	require.Equal(t, exitNonConformant, on.code())
	_, err := os.Stat(filepath.Join(dir, "journal.jsonl"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = evidence.Open(bundleOf(dir))
	require.NoError(t, err)
}
