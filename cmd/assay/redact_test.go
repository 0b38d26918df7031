package main

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence"
	"assay/lab/evidence/stamptest"
	"assay/profiles/review"
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

// TestWithheldFailureIsNoReport withholds the one answer that failed: what is left must not be reported as the run's verdicts.
func TestWithheldFailureIsNoReport(t *testing.T) {
	t.Parallel()
	s := newSealed(t, "", review.Review{Units: []string{"s/3-f.a"}, Answer: review.NotMet, Statement: "It let the stranger in, twice.",
		By: review.Person{Name: "R. Eviewer", Role: "assessor"}, Date: "2026-11-01", Expires: "2099-01-01", Product: review.Product{Manufacturer: "Acme", Model: "Gate 7", Firmware: "2.30"}})
	require.Equal(t, string(verdict.NonConformant), s.verifies(exitDone).Conformity)
	whole := s.file
	reviewer, reviewerPub := keyPair(t, "reviewer")
	ev, err := evidence.Open(whole)
	require.NoError(t, err)
	at := slices.IndexFunc(ev.Records, func(r evidence.Record) bool { return r.Kind == evidence.KindReview })
	require.Positive(t, at)
	s.file = filepath.Join(s.dir, "public.assay")
	assay(t, exitDone, "redact", whole, "--out", s.file, "--record", strconv.Itoa(at+1))
	said := assay(t, exitDone, "verify", s.file, "--key", s.pub).said()
	assert.Contains(t, said, "every hash of what is there")
	assert.Contains(t, said, "non-conformant, ATTESTED ONLY")
	for _, args := range [][]string{{"report", s.file}, {"report", s.file, "--format", "html"}, {"report", s.file, "--format", "crosswalk"}, {"judge", s.file, "--profile", "baseline"},
		{"diff", whole, s.file}, {"diff", s.file, whole}, {"show", s.file, "3-f"}} {
		r := assay(t, exitIncomplete, args...)
		assert.Contains(t, r.told(), "withheld", args)
		assert.Contains(t, r.told(), "hint: this redacted copy cannot be judged; `assay verify` tells what its seal says", args)
		assert.Empty(t, r.said(), args)
	}

	// Reviews that came later are told, and no statement is made of what is left.
	amend := []string{"--kind", "review", "--by", "R. Eviewer", "--role", "reviewer", "--key", reviewer, "--statement", "Read.",
		"--reviews", written(t, s.dir, "reviews.yaml", strings.Split(amendReviews, "  - {units: [s/3-f.a]")[0])}
	assert.Contains(t, assay(t, exitUnusable, append([]string{"amend", s.file}, amend...)...).told(), "hint: amend the whole bundle and redact that again")
	assert.Contains(t, assay(t, exitUnusable, "stamp", s.file, "--tsa", stamptest.New(t, time.Now).URL).told(), "hint: stamp the whole bundle and redact that again")
	assay(t, exitDone, append([]string{"amend", whole}, amend...)...)
	s.file = filepath.Join(s.dir, "amended.assay")
	assay(t, exitDone, "redact", whole, "--out", s.file, "--record", strconv.Itoa(at+1))
	f := s.verifies(exitDone, "--key", "reviewer="+reviewerPub)
	assert.Equal(t, string(verdict.NonConformant), f.Conformity)
	assert.True(t, f.Amendments[0].Stands)
	assert.Empty(t, f.Amended)

	// What the verdicts do not need may be missing: the report says so.
	s.file = filepath.Join(s.dir, "log.assay")
	assay(t, exitDone, "redact", whole, "--out", s.file, "--withhold", "device.log")
	r := assay(t, exitNonConformant, "report", s.file)
	assert.Contains(t, r.said(), "This was read from a redacted copy, which withholds device.log. The verdicts need nothing of it.")
}
