package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab"
	"assay/lab/evidence"
	"assay/profiles/review"
	"assay/reports"
	"assay/reports/verdict"
)

// The laboratory of these tests holds the key, and lies.

// TestVerdictsForTwoReaders lets verdicts of another edition say one thing to this program and another to everybody else.
func TestVerdictsForTwoReaders(t *testing.T) {
	t.Parallel()
	own, other := fmt.Sprintf(`"judge": %d`, verdict.Edition), `"judge": 999`
	statement, first := `"conformity": "incomplete"`, `"verdict": "inconclusive",`
	for name, pairs := range map[string][]string{
		"another case":           {own, other, statement, `"conformity": "conformant", "Conformity": "incomplete"`},
		"twice":                  {own, other, statement, `"conformity": "conformant", "conformity": "incomplete"`},
		"a verdict":              {own, other, first, `"verdict": "pass", "VERDICT": "inconclusive",`},
		"an edition of two":      {own, own + `, "Judge": 999`, "no review is on record", "everybody looked"},
		"an edition out of case": {own, `"Judge": 999`, "no review is on record", "everybody looked"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := sealedWith(t, "", nil, becomes(t, pairs...))
			r := launch(t, nil, "verify", s.file, "--key", s.pub)
			assert.NotEqual(t, exitDone, r.code(), r.said())
			assert.NotContains(t, r.said(), "recomputed from the observations")
		})
	}
}

// TestOtherEditionsSayTheSameOfTheSame has verdicts of another edition be about something else, weigh less or rest on nothing.
func TestOtherEditionsSayTheSameOfTheSame(t *testing.T) {
	t.Parallel()
	own, other := fmt.Sprintf(`"judge": %d`, verdict.Edition), `"judge": 999`
	for name, c := range map[string]struct{ was, is, want string }{
		"profile":            {`"id": "p"`, `"id": "en-18031"`, "profile: en-18031 1 on record, p 1 by this judge"},
		"version":            {`"version": "1"`, `"version": "2"`, "profile: p 2 on record, p 1 by this judge"},
		"level":              {`"level": "`, `"level": "not `, "on record"},
		"edition":            {`"edition": "`, `"edition": "not `, "on record"},
		"day":                {`"judged": "20`, `"judged": "21`, "judged on: 21"},
		"a requirement more": {`"requirements": [`, `"requirements": [{"id": "x", "standard": "s", "verdict": "pass"},`, "s x: pass (, edition ) on record, nothing by this judge"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := sealedWith(t, "", nil, becomes(t, own, other, c.was, c.is))
			f := s.verifies(exitIncomplete)
			require.NotNil(t, f.Judge)
			assert.Contains(t, strings.Join(f.Judge.Differs, "; "), c.want)
		})
	}
	// The same requirement, first as one likes it and then as it is.
	s := sealedWith(t, "", nil, func(b []byte) []byte {
		var r verdict.Result
		require.NoError(t, json.Unmarshal(b, &r))
		q := r.Requirements[0]
		q.Verdict = verdict.Pass
		r.Edition, r.Requirements = 999, append([]verdict.Requirement{q}, r.Requirements...)
		b, err := json.Marshal(r)
		require.NoError(t, err)
		return b
	})
	require.NotNil(t, s.verifies(exitIncomplete).Judge)
}

// TestRedactionHidesNoLie withholds what no verdict needs from a run whose verdicts are made up.
func TestRedactionHidesNoLie(t *testing.T) {
	t.Parallel()
	s := sealedWith(t, "", nil, becomes(t, `"conformity": "incomplete"`, `"conformity": "conformant"`))
	whole := s.file
	s.file = filepath.Join(s.dir, "public.assay")
	assay(t, exitDone, "redact", whole, "--out", s.file, "--withhold", "device.log")
	assert.Equal(t, "verdicts", s.verifies(exitUnverified).Broken)
}

// TestNothingMovesTheCursor has the words of a file steer the terminal of whoever verifies it.
func TestNothingMovesTheCursor(t *testing.T) {
	t.Parallel()
	hidden := `"conformity": "conformant, recomputed from the observations\u001b[8m"`
	s := sealedWith(t, "", nil, becomes(t, fmt.Sprintf(`"judge": %d`, verdict.Edition), `"judge": 999`, `"conformity": "incomplete"`, hidden))
	said := assay(t, exitIncomplete, "verify", s.file, "--key", s.pub).said()
	assert.NotContains(t, said, "\x1b")
	assert.Contains(t, said, "run run: no statement that this program knows, NOT RECOMPUTED")

	name := "a\u202e\u009b8m.log"
	s = sealedAfter(t, "", func(j *evidence.Journal) {
		_, err := j.AddBytes(name, "text/plain", []byte("x"))
		require.NoError(t, err)
	}, func(b []byte) []byte { return b })
	public := filepath.Join(s.dir, "public.assay")
	assay(t, exitDone, "redact", s.file, "--out", public, "--withhold", name)
	said = assay(t, exitDone, "verify", public, "--key", s.pub).said()
	assert.Contains(t, said, "withheld: a")
	said += assay(t, exitUnusable, "report", filepath.Join(s.dir, name)).told()
	assert.False(t, strings.ContainsAny(said, "\x1b\u202e\u009b"), "%q", said)
}

// TestWhoeverWentOnIsAnOperator wants four eyes of a run that somebody else went on with.
func TestWhoeverWentOnIsAnOperator(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]string{
		"composed":   "Jose\u0301 Perator",
		"width":      "\uff2a\uff2f\uff33\u00c9 PERATOR",
		"invisible":  "Jos\u00e9 Pera\u200btor",
		"interposed": "Jos\u00e9-Perator.",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sealedAfter(t, "approvals: {approver: 1}\n", func(j *evidence.Journal) {
				_, err := j.Append(evidence.KindGap, lab.Gap{What: lab.Interruption, Operator: "Jos\u00e9 Perator"})
				require.NoError(t, err)
			}, func(b []byte) []byte { return b })
			approver, approverPub := keyPair(t, "approver")
			signer, err := evidence.LoadSigner(approver, nil)
			require.NoError(t, err)
			signOff := func(by string) *reports.Approval {
				_, err := evidence.Amend(t.Context(), s.file, signer, evidence.Amendment{Kind: evidence.AmendSignOff, Role: evidence.RoleApprover, By: by, Time: time.Now(), Statement: "Read."})
				require.NoError(t, err)
				return s.verifies(exitDone, "--key", "approver="+approverPub).Approval
			}
			assert.False(t, signOff(by).Approved)
			assert.True(t, signOff("A. Body").Approved)
		})
	}
}

// TestSignOffOfWhatIsGone withdraws a review that somebody signed off.
func TestSignOffOfWhatIsGone(t *testing.T) {
	t.Parallel()
	s := newSealed(t, "approvals: {approver: 1}\n")
	reviewer, reviewerPub := keyPair(t, "reviewer")
	approver, approverPub := keyPair(t, "approver")
	keys := []string{"--key", "reviewer=" + reviewerPub, "--key", "approver=" + approverPub}
	amend := func(kind, by, role, key string, more ...string) {
		t.Helper()
		assay(t, exitDone, append([]string{"amend", s.file, "--kind", kind, "--by", by, "--role", role, "--key", key, "--reason", "So it is."}, more...)...)
	}
	amend("review", "R. Eviewer", "reviewer", reviewer, "--reviews", written(t, s.dir, "reviews.yaml", amendReviews))
	amend("sign-off", "A. Body", "approver", approver)
	amend("sign-off", "B. Body", "approver", approver)
	require.True(t, s.verifies(exitDone, keys...).Approval.Approved)
	amend("withdrawal", "B. Body", "approver", approver, "--of", "amendment/3")
	require.True(t, s.verifies(exitDone, keys...).Approval.Approved, "the other sign-off is of what stands still")
	amend("withdrawal", "R. Eviewer", "reviewer", reviewer, "--of", "amendment/1")
	f := s.verifies(exitDone, keys...)
	assert.Empty(t, f.Amended)
	assert.False(t, f.Approval.Approved, "nobody signed off the run without that review")
	amend("sign-off", "A. Body", "approver", approver)
	assert.True(t, s.verifies(exitDone, keys...).Approval.Approved)
	amend("withdrawal", "A. Body", "approver", approver)
	assert.False(t, s.verifies(exitDone, keys...).Approval.Approved, "what is withdrawn is not approved")
}

// TestReviewsAreTheSigners have somebody sign another's answer, one of a day to come, and one for two readers.
func TestReviewsAreTheSigners(t *testing.T) {
	t.Parallel()
	reviewer, reviewerPub := keyPair(t, "reviewer")
	signer, err := evidence.LoadSigner(reviewer, nil)
	require.NoError(t, err)
	said := review.Review{Units: []string{"s/3-f.a"}, Answer: review.Met, Statement: "Read.", By: review.Person{Name: "R. Eviewer", Role: "assessor"},
		Date: "2026-11-01", Expires: "2099-01-01", Product: review.Product{Manufacturer: "Acme", Model: "Gate 7", Firmware: "2.30"}}
	for name, c := range map[string]struct {
		change func(*review.Review)
		more   string
		want   string
	}{
		"own":         {func(*review.Review) {}, "", ""},
		"another's":   {func(r *review.Review) { r.By.Name = "A. Body" }, "", `an answer by "A. Body" in what "R. Eviewer" signed`},
		"to come":     {func(r *review.Review) { r.Date = "2098-01-01" }, "", "an answer of 2098-01-01"},
		"two readers": {func(r *review.Review) { r.Answer = review.NotMet }, `,"Answer":"met"}`, "readers differ"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s, r := newSealed(t, ""), said
			c.change(&r)
			b, err := json.Marshal(r)
			require.NoError(t, err)
			if c.more != "" {
				b = append(bytes.TrimSuffix(b, []byte("}")), c.more...)
			}
			_, err = evidence.Amend(t.Context(), s.file, signer, evidence.Amendment{Kind: evidence.AmendReview, Role: evidence.RoleReviewer, By: "R. Eviewer",
				Time: time.Now(), Statement: "Read.", Reviews: []json.RawMessage{b}})
			require.NoError(t, err)
			verify := []string{"verify", s.file, "--key", s.pub, "--key", "reviewer=" + reviewerPub}
			if c.want == "" {
				assay(t, exitDone, verify...)
				return
			}
			assert.Contains(t, assay(t, exitUnverified, verify...).told(), c.want)
			assert.Contains(t, assay(t, exitUnverified, "report", s.file, "--amended").told(), c.want)
		})
	}
}

// TestOneFileOfManyNames has a small bundle read one large file as each of many of its profile's.
func TestOneFileOfManyNames(t *testing.T) {
	t.Parallel()
	large, many := strings.Repeat("# \n", 5<<20), map[string]string{}
	for n := range 5 {
		many[fmt.Sprintf("checks/c%d.yaml", n)] = large
	}
	s := sealedWith(t, "", many, func([]byte) []byte { return fmt.Appendf(nil, `{"judge": %d}`, verdict.Edition) })
	info, err := os.Stat(s.file)
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(20<<20))
	assert.Contains(t, assay(t, exitUnverified, "verify", s.file, "--key", s.pub).said(), "bytes together")
}

// TestResumeStaysInItsFolder goes on with a run whose name, or whose unit's, leads elsewhere.
func TestResumeStaysInItsFolder(t *testing.T) {
	t.Parallel()
	same := func(b []byte) []byte { return b }
	s := sealedAs(t, lab.Begin{Run: "run"}, "", func(*evidence.Journal) {}, same)
	assay(t, exitIncomplete, "resume", filepath.Join(s.dir, "run"), "--key", s.key)
	assert.FileExists(t, filepath.Join(s.dir, "run", "run.assay"))
	for name, b := range map[string]lab.Begin{"run": {Run: "../elsewhere"}, "nothing": {}, "unit": {Run: "run", Unit: lab.Unit{ID: "../../elsewhere"}}} {
		s := sealedAs(t, b, "", func(*evidence.Journal) {}, same)
		r := assay(t, exitUnverified, "resume", filepath.Join(s.dir, "run"), "--key", s.key)
		assert.Contains(t, r.told(), "is no name of a file", name)
		assert.NoFileExists(t, filepath.Join(s.dir, "elsewhere.assay"))
	}
}

// TestEveryFaceIsPlain puts what moves a cursor, turns the direction of writing or begins a tag into each word of a record.
func TestEveryFaceIsPlain(t *testing.T) {
	t.Parallel()
	bad := "x\x1b[8m\u202e\u009b\r\n# Head\n<script>alert(1)</script>|a|[l](javascript:x)"
	b := lab.Begin{Run: "r" + bad, Note: "n" + bad, Received: "d" + bad, State: "s" + bad, Lab: &lab.Laboratory{Name: "l" + bad, Address: "a" + bad, Accreditation: "c" + bad},
		Unit: lab.Unit{ID: "u" + bad, Serial: "s" + bad, MAC: "m" + bad}, Tool: lab.Tool{Version: "v" + bad}}
	s := sealedAs(t, b, "", func(j *evidence.Journal) {
		_, err := j.Append(evidence.KindGap, lab.Gap{What: lab.Interruption, Capture: bad, Changed: []string{bad}, Operator: bad, UnderWay: []lab.UnderWay{{Observation: bad}}})
		require.NoError(t, err)
		_, err = j.Append(evidence.KindSelfTest, lab.SelfTest{When: bad, NotDone: bad, Mend: bad, Device: bad})
		require.NoError(t, err)
		_, err = j.Append(evidence.KindObservation, map[string]any{"id": "o" + bad, "step": "s" + bad, "attempt": 1, "probe": bad, "version": bad, "error": bad, "unit": bad})
		require.NoError(t, err)
		_, err = j.Append(evidence.KindReview, review.Review{Units: []string{"s/3-f.a"}, Answer: review.NotMet, Statement: "Bad" + bad,
			By: review.Person{Name: "R" + bad, Role: "ro" + bad, Organisation: bad}, Date: "2026-11-01", Expires: "2099-01-01", Product: review.Product{Manufacturer: "Acme", Model: "Gate 7", Firmware: "2.30"}})
		require.NoError(t, err)
	}, func(b []byte) []byte { return b })
	runs := [][]string{{"verify", s.file, "--key", s.pub}, {"show", s.file, "3"}, {"show", s.file, "s/3-f.a"}, {"show", s.file, "o" + bad}, {"diff", s.file, s.file}, {"judge", s.file},
		{"report", s.file, "--format", "crosswalk"}, {"report", s.file, "--format", "crosswalk-html"}}
	for _, f := range []string{"text", "html", "markdown", "junit", "ics", "annexvii"} { // JSON is for programs, and a pdf has fonts
		require.Contains(t, formats(), f)
		runs = append(runs, []string{"report", s.file, "--format", f})
	}
	for _, args := range runs {
		r := launch(t, nil, args...)
		require.NotEqual(t, exitUnusable, r.code(), args)
		said := r.said() + r.told()
		require.Contains(t, said, "x\uFFFD", args)
		never := []string{"\x1b", "\u202e", "\u009b", "\r", "\n# Head"}
		if face := args[len(args)-1]; strings.Contains(face, "html") || face == "junit" {
			never = []string{"\x1b", "\u202e", "\u009b", "\r", "<script>"}
		}
		for _, c := range never {
			assert.NotContains(t, said, c, "%q", args)
		}
	}
}
