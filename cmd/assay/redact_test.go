package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/reports/verdict"
)

// TestRedactedVerdicts withholds what the judge does not need, what it needs, and the verdicts.
func TestRedactedVerdicts(t *testing.T) {
	t.Parallel()
	s := newSealed(t, "")
	whole := s.file
	public := func(name string, withhold ...string) {
		t.Helper()
		s.file = filepath.Join(s.dir, name)
		assay(t, exitDone, append([]string{"redact", whole, "--out", s.file}, withhold...)...)
	}
	public("log.assay", "--withhold", "device.log")
	f := s.verifies(exitDone)
	assert.True(t, f.Redacted)
	assert.False(t, f.Attested)
	assert.Equal(t, []string{"device.log"}, f.Withheld)
	assert.Equal(t, string(verdict.Incomplete), f.Conformity)
	assert.Contains(t, assay(t, exitDone, "verify", s.file, "--key", s.pub).said(), "withheld: device.log")
	assay(t, exitIncomplete, "report", s.file)

	public("dossier.assay", "--withhold", "dossier.yaml")
	f = s.verifies(exitDone)
	assert.True(t, f.Attested)
	assert.Equal(t, "run", f.Run)
	assert.Equal(t, string(verdict.Incomplete), f.Conformity)
	assert.Contains(t, assay(t, exitDone, "verify", s.file, "--key", s.pub).said(), "ATTESTED ONLY")
	assert.Contains(t, assay(t, exitIncomplete, "report", s.file).told(), "withheld")

	public("verdicts.assay", "--withhold", "verdicts.json")
	f = s.verifies(exitDone)
	assert.True(t, f.Attested)
	assert.Empty(t, f.Conformity)

	for _, c := range [][]string{{"--out", filepath.Join(s.dir, "x")}, {"--withhold", "device.log"}, {"--out", whole, "--withhold", "device.log"}, {"--out", "y", "--withhold", "gone"}, {"--out", "y", "--record", "1"}} {
		assert.Contains(t, assay(t, exitUnusable, append([]string{"redact", whole}, c...)...).told(), "hint: ")
	}
	require.NoFileExists(t, filepath.Join(s.dir, "x"))
	assay(t, exitUnusable, "stamp", s.file)
}
