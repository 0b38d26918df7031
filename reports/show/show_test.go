package show

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/review"
	"assay/reports"
	"assay/reports/verdict"
)

// report is a run with a step that was asked twice, a check that it decides and a unit that a person answered.
func report() *reports.Report {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	alive := true
	check := verdict.Check{ID: "update/tampered", Verdict: verdict.Fail, Reason: "It ran a changed image.", Observation: "o-001-2", Step: "s", Rows: []string{"7-UpdMech/UpdMech-1"}}
	person := &review.Review{Answer: "met", Statement: "Read it.", By: review.Person{Name: "A. Reader", Role: "reviewer"}, Date: "2026-11-20",
		Evidence: []review.Evidence{{Document: "manual", SHA256: strings.Repeat("ab", 32)}}}
	return &reports.Report{
		Run: "r",
		Profiles: []verdict.Result{{Requirements: []verdict.Requirement{
			{ID: "5.3-2", Standard: "one", Title: "Updates", Level: "mandatory", Verdict: verdict.Fail, Reason: "update/tampered: It ran a changed image.",
				Cases: []verdict.Case{{ID: "5.3-2-1", Units: []verdict.Unit{
					{ID: "a", Asks: "Verified?", Verdict: verdict.Fail, Reason: "It ran a changed image.", Checks: []string{"update/tampered"}},
					{ID: "b", Asks: "Told?", Verdict: verdict.Pass, Reason: "met", Review: &verdict.Review{Verdict: verdict.Pass, Said: person}},
					{ID: "c", Asks: "Explained?", Verdict: verdict.Inconclusive, Reason: "nobody", Review: &verdict.Review{Verdict: verdict.Inconclusive}},
				}}}, Checks: []verdict.Check{check, {ID: "update/none", Verdict: verdict.Inconclusive, Step: "t"}, {ID: "update/paper", Verdict: verdict.Pass}}},
			{ID: "5.3-2", Standard: "two", Title: "The same", Verdict: verdict.Fail, Checks: []verdict.Check{check}},
		}}},
		Observations: []probes.Observation{
			{ID: "o-001", Step: "s", Attempt: 1, Probe: "p", Version: "1", With: []byte(`{"via":"https"}`), Start: at, End: at, Error: "the run was interrupted"},
			{ID: "o-001-2", Step: "s", Attempt: 2, Probe: "p", Version: "1", With: []byte(`{"via":"https"}`), Start: at, End: at.Add(1500 * time.Millisecond),
				Facts: []byte(`{"accepted":true,"text":"\u001b[31mred"}`), Alive: &alive, Frames: &probes.Frames{File: "capture-2.pcapng", First: 3, Last: 9}},
		},
	}
}

func text(t *testing.T, a *Answer) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, a.Text(&b))
	require.NotContains(t, b.String(), "%!")
	require.NotContains(t, b.String(), "\x1b")
	_, err := json.Marshal(a)
	require.NoError(t, err)
	return b.String()
}

func TestFind(t *testing.T) {
	for id, c := range map[string]struct {
		requirements int
		says, hides  []string
	}{
		"o-001-2": {0, []string{
			"attempt 1 o-001  2026-11-20 10:00:00.000Z  error: the run was interrupted", "attempt 2 o-001-2", "via = \"https\"", "accepted = true", "1.500 s",
			"✗ update/tampered: fail: It ran a changed image.", "serves one/5.3-2, two/5.3-2", "compares 7-UpdMech/UpdMech-1", "frames 3 to 9 of capture-2.pcapng",
			"they cannot be shown: this report was not built from a record",
		}, nil},
		"o-001": {0, []string{"the bench failed: the run was interrupted", "checks that it decided: 0", "no frame of a capture belongs to it"}, []string{"\n\nfacts\n"}},
		"5.3-2": {2, []string{"one/5.3-2  Updates", "two/5.3-2  The same", "rests on observation o-001-2, frames 3 to 9 of capture-2.pcapng",
			"review: met on 2026-11-20, A. Reader (reviewer): Read it.; cites manual (sha256 abababababababab)", "wants a named person: nobody has answered",
			"rests on nothing was observed", "rests on the dossier; the device is not asked"}, nil},
		"one/5.3-2":       {1, []string{"units: 3", "checks: 3"}, []string{"two/5.3-2  The same"}},
		"5.3-2-1.a":       {1, []string{"units: 1", "checks: 1", "Verified?"}, []string{"Told?"}},
		"one/5.3-2-1.b":   {1, []string{"units: 1", "checks: 0", "A. Reader"}, []string{"Verified?"}},
		"update/tampered": {2, []string{"units: 1", "checks: 1", "units: 0"}, []string{"update/none"}},
	} {
		t.Run(id, func(t *testing.T) {
			a, err := Find(report(), id, 5)
			require.NoError(t, err)
			assert.Len(t, a.Requirements, c.requirements)
			said := text(t, a)
			for _, s := range c.says {
				assert.Contains(t, said, s)
			}
			for _, s := range c.hides {
				assert.NotContains(t, said, s)
			}
		})
	}
	for id, says := range map[string]string{
		"o-01": `the run has no observation, requirement, unit or check "o-01": did you mean "o-001"?`,
		"5.3":  `the run has no observation, requirement, unit or check "5.3"`,
	} {
		_, err := Find(report(), id, 5)
		require.ErrorContains(t, err, says)
	}
}

func TestHex(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, Hex(&b, []byte("0123456789abcdef\x00!")))
	assert.Equal(t, "0000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n"+
		"0010  00 21"+strings.Repeat("   ", 14)+"  .!\n", b.String())
}
