package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence/fulciotest"
	"assay/lab/evidence/stamptest"
)

// TestKeylessOutsideTheBench runs a device in namespaces from which nobody can be reached: who entered them seals.
func TestKeylessOutsideTheBench(t *testing.T) {
	needBench(t)
	t.Parallel()
	f, a := fulciotest.New(t, time.Now), stamptest.New(t, time.Now)
	out := t.TempDir()
	profile := written(t, t.TempDir(), "short.yaml", shortText)
	args := []string{"--fulcio", f.URL, "--tsa", a.URL}
	demo := append([]string{"demo", "--profile", profile, "--out", out}, args...)
	r := launch(t, withToken(f.Mail(t, sealer)), append(demo, "--format", "json")...)
	code := r.code()
	dir := onlyRun(t, out)
	require.Equal(t, codeOf(r.report()), code)
	require.NotEqual(t, exitBench, code)
	assay(t, exitDone, append([]string{"verify", bundleOf(dir)}, vouched(f, a)...)...)
	assert.NoDirExists(t, filepath.Join(dir, deviceFolder))

	killed := filepath.Join(t.TempDir(), "runs")
	demo[4] = killed
	live := launch(t, withToken(f.Mail(t, sealer)), demo...)
	live.tells("[ 1/")
	require.NoError(t, ignoreFinished(live.cmd.Process.Kill()))
	live.code()
	dir = onlyRun(t, killed)
	on := launch(t, withToken(f.Mail(t, sealer)), append([]string{"resume", dir, "--format", "json"}, args...)...)
	require.Equal(t, code, on.code())
	assay(t, exitDone, append([]string{"verify", bundleOf(dir)}, vouched(f, a)...)...)
}

const shortText = `assay: profile/v1
id: short
version: "1"
title: Short
reviews: none
because: no reviewer at hand
standards: [{standard: etsi-en-303-645, requirements: [5.3-10]}]
`
