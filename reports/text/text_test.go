package text_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"assay/lab"
	"assay/probes"
	"assay/profiles"
	"assay/profiles/review"
	"assay/reports"
	"assay/reports/text"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// write prints a report without colour.
func write(t *testing.T, r *reports.Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, text.Write(&b, r, false))
	return b.String()
}

// unit is one that wants a review and has none, unless somebody said something.
func unit(id string, v verdict.Verdict, said *review.Review) verdict.Unit {
	u := verdict.Unit{ID: id, Asks: "Is it?", Verdict: v, Reason: "review: no review is on record", Review: &verdict.Review{Wants: profiles.Document, Verdict: v, Reason: "no review is on record"}}
	if said != nil {
		u.Review.Said, u.Review.Reason = said, string(said.Answer)+", says "+said.By.Name+": "+said.Statement
		u.Reason = "review: " + u.Review.Reason
	}
	return u
}

// judged is a result with all that a result can have: two standards, checks, reviews, restrictions,
// a register, omissions, a waiver, and what is recalled.
func judged() *reports.Report {
	met := &review.Review{Answer: review.Met, Statement: "Read.", By: review.Person{Name: "Ada Example", Role: "evaluator"}}
	not := &review.Review{Answer: review.NotMet, Statement: "It is hard.", By: review.Person{Name: "Bo Tester", Role: "tester"}}
	rule := profiles.Restriction{ID: "OJ-1", Effect: "No presumption where a password may stay unset.", Consequence: "A notified body is needed.", Certainty: "recalled"}
	bad := verdict.Check{ID: "update/tampered", Verdict: verdict.Fail, Reason: "It ran a changed image.", Observation: "o-001", Remedy: "Verify the signature."}
	good := verdict.Check{ID: "update/genuine", Verdict: verdict.Pass, Reason: "as expected"}
	many := make([]verdict.Check, 9)
	for i := range many {
		many[i] = good
	}
	return &reports.Report{
		Run: "run-1", Device: reports.Device{Manufacturer: "Acme", Model: "Gate 7", Firmware: "2.3.1"}, Unit: lab.Unit{ID: "unit-1", Serial: "S1"}, Outcome: lab.Finished,
		Observations: []probes.Observation{{ID: "o-001", Frames: &probes.Frames{File: "capture.pcapng", First: 3, Last: 9}}},
		Profiles: []verdict.Result{{
			ID: "mix", Version: "1", Conformity: verdict.NonConformant, Reason: "1 mandatory requirement failed: 5.3-2",
			Omitted: profiles.Omitted{Units: 2, Of: 12, Because: "time"},
			Standards: []verdict.Standard{
				{ID: "etsi", Title: "Baseline", Edition: "V3", Tests: "TS 1", Register: []profiles.DatedFact{
					{Kind: profiles.Presumption, Says: "none: it gives none", AsOf: "2026-10-02", Certainty: "verified"}, {Kind: "date", Says: "not told here", AsOf: "2026-10-02"}}},
				{ID: "en", Title: "Radio", Edition: "2024", Restrictions: []profiles.Restriction{{ID: "OJ-0", Effect: "guidance proves nothing", Certainty: "verified"}}},
			},
			Requirements: []verdict.Requirement{
				{ID: "5.1-1", Standard: "etsi", Edition: "V3", Title: "Passwords are unique", Level: "mandatory", Verdict: verdict.Pass, Checks: many,
					Cases: []verdict.Case{{ID: "5.1-1-1", Units: []verdict.Unit{unit("a", verdict.Pass, met)}}}},
				{ID: "5.1-3", Standard: "etsi", Title: "Authentication rests on best-practice cryptography that suits technology, environment, risk and use", Level: "mandatory",
					Verdict: verdict.Inconclusive, Reason: "no review is on record of 5.1-3-1.a, 5.1-3-1.b, 5.1-3-1.c, 5.1-3-1.d, 5.1-3-2.a",
					Cases: []verdict.Case{
						{ID: "5.1-3-1", Units: []verdict.Unit{unit("a", verdict.Inconclusive, nil), unit("b", verdict.Inconclusive, nil), unit("c", verdict.Inconclusive, nil), unit("d", verdict.Inconclusive, nil)}},
						{ID: "5.1-3-2", Units: []verdict.Unit{unit("a", verdict.Inconclusive, nil)}}}},
				{ID: "5.3-2", Standard: "etsi", Title: "Updates are secure", Level: "mandatory", Verdict: verdict.Fail, Reason: "update/tampered: It ran a changed image.",
					Checks: []verdict.Check{bad, good},
					Cases: []verdict.Case{{ID: "5.3-2-1", Units: []verdict.Unit{unit("a", verdict.Inconclusive, nil),
						{ID: "b", Verdict: verdict.Fail, Reason: "update/tampered: It ran a changed image.", Checks: []string{"update/tampered", "update/genuine"}}}}}},
				{ID: "5.3-3", Standard: "etsi", Title: "Updates are simple", Level: "mandatory", Verdict: verdict.Fail, Waived: true, Reason: "5.3-3-1.a: not-met, says Bo Tester: It is hard.",
					Cases: []verdict.Case{{ID: "5.3-3-1", Units: []verdict.Unit{unit("a", verdict.Fail, not)}}}},
				{ID: "5.3-9", Standard: "etsi", Title: "Updates are authentic", Level: "recommended", Verdict: verdict.Fail, Reason: "update/tampered: It ran a changed image.", Checks: []verdict.Check{bad}},
				{ID: "5.4-1", Standard: "etsi", Title: "Storage is secure", Level: "mandatory", Verdict: verdict.Fail, Reason: "the ICS says that the product does not support it: No.", Checks: []verdict.Check{good},
					Cases: []verdict.Case{{ID: "5.4-1-1", Units: []verdict.Unit{unit("a", verdict.Inconclusive, nil)}}}},
				{ID: "5.8-3", Standard: "etsi", Title: "Sensors are documented", Level: "mandatory", Verdict: verdict.NotApplicable, Reason: "the dossier denies sensors: it senses nothing"},
				{ID: "AUM-5", Standard: "en", Edition: "2024", Title: "Defaults are unique", Level: "mandatory", Verdict: verdict.Inconclusive, Reason: "nothing answers AUM-5-1.a yet",
					Certainty: "recalled", Restrictions: []profiles.Restriction{rule},
					Cases: []verdict.Case{{ID: "AUM-5-1", Units: []verdict.Unit{{ID: "a", Verdict: verdict.Inconclusive, Reason: "nothing answers it yet"}}}}},
			},
			Waivers: []verdict.Waiver{{Waiver: profiles.Waiver{Requirement: "etsi/5.3-3", Reason: "an app comes", Risk: "low"}, Counts: true, Reason: "accepted by Cy until 2027-01-01"}},
		}},
	}
}

func TestStatementAndWhatLimitsIt(t *testing.T) {
	out := write(t, judged())
	for _, want := range []string{
		"profile mix version 1: non-conformant (8 requirements, 1 pass, 4 fail, 2 inconclusive, 1 not-applicable)\n",
		"\n  1 mandatory requirement failed: 5.3-2\n",
		"\n  waiver of etsi/5.3-3: accepted by Cy until 2027-01-01 (an app comes; risk: low)\n",
		"\netsi, edition V3, tested by TS 1: Baseline\n  presumption, as of 2026-10-02: none: it gives none\n",
		"\nen, edition 2024: Radio\n  restriction OJ-0, the whole standard: guidance proves nothing.\n" +
			"  restriction OJ-1, AUM-5: No presumption where a password may stay unset. A notified body is\n  needed.*\n",
		"\n  * recalled: ",
	} {
		assert.Contains(t, out, want)
	}
	assert.Contains(t, strings.Join(strings.Fields(out), " "), judged().Profiles[0].Omitted.String()+"; conformity to a part is not conformity to the whole waiver of")
	assert.NotContains(t, out, "not told here", "other dated facts are left to the page")
	assert.Equal(t, 1, strings.Count(out, "* recalled:"), "one footnote")
}

func TestTableIsScannable(t *testing.T) {
	out := write(t, judged())
	for _, want := range []string{
		"\n  ID     LEVEL  VERDICT         CHECKS  REVIEWS  REQUIREMENT\n",
		"\n  5.1-1  M      pass            9✓      1/1      Passwords are unique\n",
		"\n  5.1-3  M      inconclusive            0/5      Authentication rests on best-practice cryptography…\n",
		"\n  5.3-2  M      fail            ✗✓      0/1      Updates are secure\n",
		"\n  5.3-3  M      fail, waived            1/1      Updates are simple\n",
		"\n  5.3-9  R      fail            ✗                Updates are authentic\n",
		"\n  5.4-1  M      fail            ✓                Storage is secure\n",
		"\n  AUM-5*  M      inconclusive  [OJ-1] Defaults are unique\n", // no check and no review: no column
	} {
		assert.Contains(t, out, want)
	}
	for line := range strings.Lines(out[strings.Index(out, "\netsi, "):strings.Index(out, "\nfail ")]) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 100, line)
	}
}

func TestFindings(t *testing.T) {
	out := write(t, judged())
	for _, want := range []string{
		"\nfail etsi 5.3-2: Updates are secure\n" +
			"  ✗ update/tampered: It ran a changed image.\n      mend: Verify the signature.\n      seen: o-001, frames 3 to 9 of capture.pcapng\n" +
			"  ? no review is on record of 5.3-2-1.a\n",
		"\nfail etsi 5.3-3: Updates are simple\n  ✗ review of 5.3-3-1.a: not-met, says Bo Tester: It is hard.\n",
		"\nfail etsi 5.3-9: Updates are authentic\n  ✗ update/tampered: as told under 5.3-2\n",
		"\nfail etsi 5.4-1: Storage is secure\n    the ICS says that the product does not support it: No.\n\n",
		"\ninconclusive in etsi, because nobody has answered yet:\n  ? 5.1-3  no review is on record of 5.1-3-1.a to d, 5.1-3-2.a\n",
		"\ninconclusive in en, because nobody has answered yet:\n  ? AUM-5  nothing answers AUM-5-1.a yet\n",
		"\nnot-applicable in etsi:\n  – 5.8-3  the dossier denies sensors: it senses nothing\n",
	} {
		assert.Contains(t, out, want)
	}
	assert.Less(t, strings.Index(out, "\nfail etsi 5.4-1"), strings.Index(out, "\ninconclusive in etsi"), "what failed comes first")
}

func TestAResultWithoutReviewsSaysNothingOfThem(t *testing.T) {
	r := judged()
	r.Profiles[0].Requirements = []verdict.Requirement{{ID: "5.6-1", Standard: "etsi", Title: "Ports are closed", Level: "mandatory", Verdict: verdict.Pass, Checks: make([]verdict.Check, 2)}}
	r.Profiles[0].Omitted = profiles.Omitted{}
	out := write(t, r)
	assert.Contains(t, out, "\n  ID     LEVEL  VERDICT  CHECKS  REQUIREMENT\n")
	for _, no := range []string{"REVIEWS", "review", "conformity to a part", "recalled", "\nen, "} {
		assert.NotContains(t, out, no)
	}
}

// TestNoStringSteersTheTerminal: names, reasons and statements come from devices and strangers.
func TestNoStringSteersTheTerminal(t *testing.T) {
	const evil = "\x1b[2J\x1b]0;owned\a\r\nfail etsi 9.9: forged\u202e\u009b31m\xff"
	r := judged()
	r.Note, r.Device.Model, r.Unit.Serial = evil, evil, evil
	p := &r.Profiles[0]
	p.ID, p.Reason, p.Omitted.Because = p.ID+evil, evil, evil
	p.Waivers[0].Reason = evil
	for i := range p.Standards {
		p.Standards[i].Title += evil
	}
	for i := range p.Requirements {
		q := &p.Requirements[i]
		q.ID, q.Title, q.Reason, q.Level = q.ID+evil, q.Title+evil, q.Reason+evil, q.Level+evil
		for j := range q.Checks {
			q.Checks[j].ID, q.Checks[j].Reason, q.Checks[j].Remedy = evil, evil, evil
		}
		for _, c := range q.Cases {
			for k := range c.Units {
				c.Units[k].ID += evil
				c.Units[k].Review = &verdict.Review{Verdict: c.Units[k].Verdict, Reason: evil, Said: &review.Review{}}
			}
		}
	}
	for _, colour := range []bool{false, true} {
		var b bytes.Buffer
		require.NoError(t, text.Write(&b, r, colour))
		out := b.String()
		if colour {
			assert.Contains(t, out, "\x1b[31;1mfail\x1b[0m")
			out = regexp.MustCompile(`\x1b\[(32|33|31;1|2|0)m`).ReplaceAllString(out, "")
		}
		assert.True(t, utf8.ValidString(out))
		assert.NotContains(t, out, "\nfail etsi 9.9", "a line is ours")
		for _, c := range out {
			require.False(t, c != '\n' && unicode.Is(unicode.Other, c), "%q reaches the terminal", c)
		}
	}
}
