package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/reports/verdict"
)

const amendReviews = `assay: reviews/v1
product: {manufacturer: Acme, model: Gate 7, firmware: "2.30"}
reviews:
  - {units: [s/1-c.a], answer: met, statement: The rows say unique passwords., by: {name: R. Eviewer, role: assessor}, date: 2026-11-01, expires: 2099-01-01, rows: [1-AuthMech/AuthMech-1]}
  - {units: [s/1-c.b], answer: not-applicable, statement: The product has no roles at all., by: {name: R. Eviewer, role: assessor}, date: 2026-11-01, expires: 2099-01-01, rows: [1-AuthMech/AuthMech-1]}
  - {units: [s/3-f.a], answer: not-met, statement: "It let the stranger in, twice.", by: {name: R. Eviewer, role: assessor}, date: 2026-11-01, expires: 2099-01-01}
`

// TestAmendVerb takes a run from sealed to approved, and to withdrawn.
func TestAmendVerb(t *testing.T) {
	t.Parallel()
	s := newSealed(t, "approvals: {reviewer: 1, approver: 1}\n")
	reviewer, reviewerPub := keyPair(t, "reviewer")
	approver, approverPub := keyPair(t, "approver")
	keys := []string{"--key", "reviewer=" + reviewerPub, "--key", "approver=" + approverPub}
	reviews := written(t, s.dir, "reviews.yaml", amendReviews)
	amend := func(code int, kind, by, role, key string, more ...string) *running {
		t.Helper()
		return assay(t, code, append([]string{"amend", s.file, "--kind", kind, "--by", by, "--role", role, "--key", key, "--reason", "It was looked at."}, more...)...)
	}

	f := s.verifies(exitDone, keys...)
	assert.Equal(t, string(verdict.Incomplete), f.Conformity)
	require.NotNil(t, f.Approval)
	assert.Equal(t, []string{"reviewer", "approver"}, f.Approval.Missing)

	assert.Contains(t, amend(exitUnusable, "review", "R. Eviewer", "reviewer", reviewer).told(), "go together")
	assert.Contains(t, amend(exitUnusable, "review", "Somebody", "reviewer", reviewer, "--reviews", reviews).told(), "an answer by R. Eviewer")
	assert.Contains(t, amend(exitUnusable, "sign-off", "O. Perator", "operator", s.key).told(), "does not sign it off")
	assert.Contains(t, amend(exitUnusable, "correction", "O. Perator", "operator", s.key, "--of", "record/99").told(), "record 99 of")
	assert.Contains(t, amend(exitUnusable, "correction", " ", "operator", s.key).told(), "amend needs --by")

	amend(exitDone, "review", "R. Eviewer", "reviewer", reviewer, "--reviews", reviews)
	amend(exitDone, "sign-off", "R. Eviewer", "reviewer", reviewer)
	f = s.verifies(exitDone, keys...)
	assert.Equal(t, string(verdict.Incomplete), f.Conformity, "the sealed verdict stays")
	assert.Equal(t, verdict.NonConformant, f.Amended)
	assert.Equal(t, []string{"approver"}, f.Approval.Missing)
	assert.Equal(t, []string{"reviewer R. Eviewer"}, f.Approval.By)

	// The same person or the same key is no second pair of eyes, nor is the operator.
	amend(exitDone, "sign-off", "r.  eviewer", "approver", approver)
	amend(exitDone, "sign-off", "O. Perator", "approver", approver)
	assert.False(t, s.verifies(exitDone, keys...).Approval.Approved)
	amend(exitDone, "sign-off", "A. Body", "approver", approver)
	assert.True(t, s.verifies(exitDone, keys...).Approval.Approved)
	said := assay(t, exitDone, append([]string{"verify", s.file, "--key", s.pub}, keys...)...).said()
	assert.Contains(t, said, "approved: reviewer R. Eviewer, approver A. Body")
	assert.Contains(t, said, "with the reviews since: non-conformant; the sealed verdicts stay what they are")

	// Without their keys nothing of it counts.
	f = s.verifies(exitIncomplete)
	assert.Equal(t, 5, f.Unchecked)
	assert.Empty(t, f.Amended)
	assert.False(t, f.Approval.Approved)
	assert.Contains(t, assay(t, exitIncomplete, "verify", s.file, "--key", s.pub).said(), "NOT CHECKED, counts for nothing: name the key with --key reviewer=FILE")
	f = s.verifies(exitUnverified, "--key", "approver="+reviewerPub, "--key", "reviewer="+approverPub)
	assert.Equal(t, "amendment", f.Broken)
	assert.Contains(t, assay(t, exitUnusable, "verify", s.file, "--key", s.pub, "--key", "approver=gone").told(), "gone")

	// Reports show both.
	r := assay(t, exitIncomplete, "report", s.file, "--format", "json")
	assert.Equal(t, verdict.Incomplete, r.report().Profiles[0].Conformity)
	assert.Regexp(t, "approved: .*NOT CHECKED", r.told())
	for _, format := range []string{"html", "markdown"} {
		assert.Regexp(t, `(?s)Amendment 1\b.*review by R\. Eviewer .*key only`, assay(t, exitIncomplete, "report", s.file, "--format", format).said())
	}
	assert.Equal(t, verdict.NonConformant, assay(t, exitNonConformant, "report", s.file, "--format", "json", "--amended").report().Profiles[0].Conformity)

	// A correction wants new sign-offs; a withdrawal of the review takes its verdicts back.
	amend(exitDone, "correction", "O. Perator", "operator", s.key, "--of", "s/1-c.a")
	assert.False(t, s.verifies(exitDone, keys...).Approval.Approved)
	assert.Contains(t, amend(exitUnusable, "withdrawal", "O. Perator", "operator", s.key, "--of", "amendment/1").told(), "somebody else made")
	amend(exitDone, "withdrawal", "A. Body", "approver", approver, "--of", "amendment/1")
	f = s.verifies(exitDone, keys...)
	assert.Empty(t, f.Amended)
	assert.False(t, f.Amendments[0].Stands)
	amend(exitDone, "withdrawal", "A. Body", "approver", approver)
	assert.True(t, s.verifies(exitDone, keys...).Withdrawn)
	assert.Contains(t, assay(t, exitIncomplete, "report", s.file).told(), "WITHDRAWN")
}

// TestAmendmentsReachTheJudge judges by another profile with what amendments brought.
func TestAmendmentsReachTheJudge(t *testing.T) {
	t.Parallel()
	s := newSealed(t, "")
	reviewer, _ := keyPair(t, "reviewer")
	before := assay(t, exitIncomplete, "report", s.file, "--format", "json").report()
	assay(t, exitDone, "amend", s.file, "--kind", "review", "--by", "R. Eviewer", "--role", "reviewer", "--key", reviewer,
		"--statement", "Read.", "--reviews", written(t, s.dir, "reviews.yaml", amendReviews))
	after := assay(t, exitIncomplete, "report", s.file, "--format", "json").report()
	assert.Equal(t, 0, before.Through.Amendments)
	assert.Equal(t, 1, after.Through.Amendments)
	assert.NotEqual(t, before.Through.SHA256, after.Through.SHA256)
	before.Through, after.Through = nil, nil
	want, err := json.Marshal(before)
	require.NoError(t, err)
	b, err := json.Marshal(after)
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(b), "what is sealed is reported as before")
	assert.Contains(t, assay(t, exitIncomplete, "judge", s.file, "--profile", "baseline").told(), "amendment 1: review by R. Eviewer")
	assay(t, exitUnusable, "report", newSealed(t, "").file, "--amended")
}

// TestAmendedThrough keeps a file of which somebody sees more than there is later.
func TestAmendedThrough(t *testing.T) {
	t.Parallel()
	s := newSealed(t, "")
	sealed := s.verifies(exitDone).Through
	require.NotNil(t, sealed)
	assert.Equal(t, 0, sealed.Amendments)
	before, err := os.ReadFile(s.file)
	require.NoError(t, err)
	operator := []string{"amend", s.file, "--kind", "correction", "--by", "O. Perator", "--role", "operator", "--key", s.key, "--reason"}
	assay(t, exitDone, append(operator, "The label says 7B.")...)
	said := assay(t, exitDone, append(operator, "The label says 7C.")...).said()
	f := s.verifies(exitDone)
	assert.Equal(t, 2, f.Through.Amendments)
	words := "amended through: amendment 2, which has SHA-256 " + f.Through.SHA256
	assert.Contains(t, said, words)
	assert.Contains(t, assay(t, exitDone, "verify", s.file, "--key", s.pub).said(), words)
	for _, format := range formats() {
		if format == "pdf" {
			continue // compressed; its own test looks
		}
		assert.Contains(t, assay(t, exitIncomplete, "report", s.file, "--format", format).said(), f.Through.SHA256, format)
	}
	s.verifies(exitDone, "--amended-through", f.Through.SHA256)
	s.verifies(exitDone, "--amended-through", strings.ToUpper(sealed.SHA256))

	require.NoError(t, os.WriteFile(s.file, before, 0o600))
	s.verifies(exitDone)
	s.verifies(exitDone, "--amended-through", sealed.SHA256)
	cut := s.verifies(exitUnverified, "--amended-through", f.Through.SHA256)
	assert.Equal(t, "amendment", cut.Broken)
	assert.Contains(t, cut.Why, "it has no amendment, its seal has "+sealed.SHA256+". Amendments were cut off")
	assert.Contains(t, assay(t, exitUnverified, "verify", s.file, "--key", s.pub, "--amended-through", f.Through.SHA256).said(), "does NOT verify: amendment: ")
	for _, bad := range []string{"2", f.Through.SHA256 + "00", "amendment 2"} {
		assert.Contains(t, assay(t, exitUnusable, "verify", s.file, "--key", s.pub, "--amended-through", bad).told(), "64 hexadecimal digits")
	}
}
