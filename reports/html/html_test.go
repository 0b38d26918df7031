package html_test

import (
	"bytes"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"assay/lab"
	"assay/probes"
	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
	"assay/reports"
	"assay/reports/facetest"
	"assay/reports/html"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func render(t testing.TB, r *reports.Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, html.Write(&b, r))
	return b.String()
}

// A tag is one element's start or end as a browser reads it.
type tag struct {
	name, attributes string
	end              bool
}

var (
	tagPattern = regexp.MustCompile(`<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9:-]*(?:="[^"]*")?)*)\s*/?>`)
	attribute  = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9:-]*)(?:="([^"]*)")?`)
	alone      = []string{"br", "line"} // these have no end
)

// tags reads a page. Whatever looks like a tag and is not read as one fails the test.
func tags(t *testing.T, page string) []tag {
	t.Helper()
	_, body, _ := strings.Cut(page, "</style>")
	require.Equal(t, strings.Count(body, "<"), len(tagPattern.FindAllString(body, -1)), "every < begins a tag of ours")
	var out []tag
	for _, m := range tagPattern.FindAllStringSubmatch(body, -1) {
		out = append(out, tag{m[2], m[3], m[1] == "/"})
	}
	return out
}

// values lists what an attribute is set to, page-wide.
func values(t *testing.T, page, name string) []string {
	var out []string
	for _, g := range tags(t, page) {
		for _, a := range attribute.FindAllStringSubmatch(g.attributes, -1) {
			if a[1] == name {
				out = append(out, a[2])
			}
		}
	}
	return out
}

// text is what a person reads: the page without its tags.
func text(page string) string {
	_, body, _ := strings.Cut(page, "</style>")
	return strings.Join(strings.Fields(tagPattern.ReplaceAllString(body, " ")), " ")
}

func unit(id string, v verdict.Verdict, said *review.Review) verdict.Unit {
	u := verdict.Unit{ID: id, Asks: "Is it " + id + "?", Verdict: v, Reason: "review: no review is on record", Review: &verdict.Review{Wants: profiles.Document, Verdict: v, Reason: "no review is on record"}}
	if said != nil {
		u.Review.Said, u.Review.Reason = said, string(said.Answer)+", says "+said.By.Name
	}
	return u
}

// judged is a report with all that a report can have.
func judged() *reports.Report {
	met := &review.Review{Answer: review.Met, Statement: "The generator was read.", By: review.Person{Name: "Ada Example", Role: "evaluator", Organisation: "Example Lab"},
		Date: "2026-11-20", Expires: "2027-11-20", Rows: []string{"1-AuthMech/AuthMech-1"}, Evidence: []review.Evidence{{File: "g.pdf", Title: "Generator", SHA256: "73cb38"}}}
	walked := &review.Review{Answer: review.Met, Statement: "Walked.", By: review.Person{Name: "Bo Tester", Role: "tester"}, Date: "2026-11-21", Expires: "2027-11-21",
		Items: []review.Item{{Name: "settings", Path: []string{"no", "yes"}, Because: "a login is asked for"}}}
	old := &review.Review{Answer: review.Met, Statement: "Long ago.", By: review.Person{Name: "Old Hand", Role: "tester"}, Date: "2020-01-01", Expires: "2021-01-01"}
	rule := profiles.Restriction{ID: "OJ-1", Effect: "No presumption where a password may stay unset.", Certainty: "recalled"}
	bad := verdict.Check{ID: "update/tampered", Verdict: verdict.Fail, Reason: "It ran a changed image.", Observation: "o-001", Step: "update/refusal", Given: "g", Expect: "e", Remedy: "Verify the signature.", Rows: []string{"7-UpdMech/UpdMech-1"}}
	good := verdict.Check{ID: "update/genuine", Verdict: verdict.Pass, Reason: "as expected", Step: "s"}
	expired := unit("b", verdict.Inconclusive, old)
	expired.Review.Reason = "the review by Old Hand does not count: it expired on 2021-01-01"
	start := time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)
	end := start.Add(time.Minute)
	r := &reports.Report{
		Run: "run-1", Device: reports.Device{Manufacturer: "Acme", Model: "Gate 7", Firmware: "2.3.1"}, Unit: lab.Unit{ID: "unit-1", Serial: "S1", MAC: "02:00"}, Outcome: lab.Finished,
		Note: "A note.", Key: "ephemeral", Operator: "Op", Started: start, Ended: &end, Bench: []byte(`{"mode":"reference"}`), SelfTests: facetest.Proofs(start),
		Observations: []probes.Observation{{ID: "o-001", Probe: "update/refusal", With: []byte(`{"via":"https"}`), Start: start, End: end, Facts: []byte(`{"accepted":true}`), Frames: &probes.Frames{File: "capture.pcapng", First: 3, Last: 9}}},
		Profiles: []verdict.Result{{
			ID: "mix", Version: "1", Title: "A mixed profile", Judged: "2026-11-25", Conformity: verdict.NonConformant, Reason: "1 mandatory requirement failed: 5.3-2",
			Omitted: profiles.Omitted{Units: 2, Of: 12, Because: "time", Exclusions: []profiles.Exclusion{{Requirement: "etsi/5.9-9", Because: "no such thing"}}, Requirements: []string{"etsi/6-1"}},
			Standards: []verdict.Standard{
				{ID: "etsi", Title: "Baseline", Edition: "V3", Tests: "TS 1", Register: []profiles.DatedFact{
					{Kind: "date", Says: "it applies", AsOf: "2026-10-01", Certainty: "verified"},
					{Kind: profiles.Presumption, Says: "none: it gives none", AsOf: "2026-10-02", Certainty: "recalled", Source: "a file"}}},
				{ID: "en", Title: "Radio", Edition: "2024", Restrictions: []profiles.Restriction{{ID: "OJ-0", Effect: "guidance proves nothing", Consequence: "rest on requirements", Certainty: "verified"}}},
			},
			Waivers: []verdict.Waiver{{Waiver: profiles.Waiver{Requirement: "etsi/5.3-2", Reason: "an app comes", Risk: "low"}, Reason: "expired on 2026-01-01"}},
		}},
	}
	r.Profiles[0].Requirements = []verdict.Requirement{
		{ID: "5.1-1", Standard: "etsi", Title: "Passwords are unique", Level: "mandatory", Status: "M F (a)", Condition: "passwords are used", Verdict: verdict.Pass, Reason: "2 reviews say met",
			Cases: []verdict.Case{{ID: "5.1-1-1", Kind: "conceptual", Needs: "a second unit", Units: []verdict.Unit{unit("a", verdict.Pass, met), unit("b", verdict.Pass, met)}}}},
		{ID: "5.1-3", Standard: "etsi", Title: "Cryptography is good", Level: "mandatory", Verdict: verdict.Inconclusive, Reason: "no review is on record of 5.1-3-1.a",
			Cases: []verdict.Case{{ID: "5.1-3-1", Kind: "conceptual", Units: []verdict.Unit{unit("a", verdict.Inconclusive, nil), expired}}}},
		{ID: "5.3-2", Standard: "etsi", Title: "Updates are secure", Level: "mandatory", Verdict: verdict.Fail, Reason: "update/tampered: It ran a changed image.", Checks: []verdict.Check{good, bad},
			Cases: []verdict.Case{{ID: "5.3-2-1", Kind: "functional", Units: []verdict.Unit{{ID: "a", Asks: "Q?", Category: "signature", Verdict: verdict.Fail, Reason: "update/tampered: It ran a changed image.", Checks: []string{"update/genuine", "update/tampered"}}}}}},
		{ID: "5.3-9", Standard: "etsi", Title: "Updates are authentic", Level: "recommended", Verdict: verdict.Fail, Reason: "update/tampered: It ran a changed image.", Checks: []verdict.Check{bad}},
		{ID: "5.4-1", Standard: "etsi", Title: "Storage is secure", Level: "mandatory", Verdict: verdict.Fail, Reason: "the ICS says that the product does not support it: No.",
			Cases: []verdict.Case{{ID: "5.4-1-1", Kind: "conceptual", Units: []verdict.Unit{unit("a", verdict.Inconclusive, nil)}}}},
		{ID: "5.8-3", Standard: "etsi", Title: "Sensors are documented", Level: "mandatory", Verdict: verdict.NotApplicable, Reason: "it senses nothing",
			Cases: []verdict.Case{{ID: "5.8-3-1", Units: []verdict.Unit{unit("a", verdict.NotApplicable, nil)}}}},
		{ID: "AUM-5", Standard: "en", Title: "Defaults are unique", Level: "mandatory", Verdict: verdict.Pass, Reason: "1 review says met", Certainty: "recalled", Restrictions: []profiles.Restriction{rule},
			Cases: []verdict.Case{{ID: "AUM-5-conceptual", Units: []verdict.Unit{unit("a", verdict.Pass, walked), {ID: "b", Asks: "And?", Verdict: verdict.Inconclusive, Reason: "nothing answers it yet"}}}}},
	}
	return r
}

func TestThePageIsWhole(t *testing.T) {
	page := render(t, judged())
	open := []string{"html", "head"} // before the style
	for _, g := range tags(t, page) {
		switch {
		case slices.Contains(alone, g.name):
		case !g.end:
			open = append(open, g.name)
		default:
			require.NotEmpty(t, open)
			require.Equal(t, open[len(open)-1], g.name, "elements end in order")
			open = open[:len(open)-1]
		}
	}
	assert.Empty(t, open)
}

func TestLinksLeadSomewhere(t *testing.T) {
	page := render(t, judged())
	ids := values(t, page, "id")
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(ids))), len(ids), "ids are unique")
	links := values(t, page, "href")
	require.NotEmpty(t, links)
	for _, l := range links {
		require.True(t, strings.HasPrefix(l, "#"), "%s: the page loads nothing", l)
		assert.Contains(t, ids, l[1:])
	}
	assert.Contains(t, page, `content="default-src 'none'; style-src 'unsafe-inline'"`)
	assert.NotContains(t, page, "<script")
	assert.Empty(t, values(t, page, "src"))
}

func TestHeadTellsWhatWasLeftOutAndTheCounts(t *testing.T) {
	page := render(t, judged())
	head, _, ok := strings.Cut(page, "</header>")
	require.True(t, ok)
	said := text(head)
	for _, want := range []string{
		"non-conformant to profile mix version 1 — A mixed profile 1 mandatory requirement failed: 5.3-2.",
		"Conformity to a part is not conformity to the whole.",
		"etsi/5.9-9 no such thing etsi/6-1 none of its questions is asked",
		"does not count waiver of etsi/5.3-2 : expired on 2026-01-01.",
		"etsi V3, 6 requirements ✗ 3 fail, ? 1 inconclusive, ✓ 1 pass, – 1 not-applicable, 2 of 4 reviews on record",
		"en 2024, 1 requirement ✓ 1 pass, 1 of 1 reviews on record",
	} {
		assert.Contains(t, said, want)
	}
	assert.Contains(t, head, `<span class="fail" style="flex-grow:3"`)
}

func TestEachStandardHasItsMatrixAndLimits(t *testing.T) {
	said := text(render(t, judged()))
	for _, want := range []string{
		"Verdicts by etsi, edition V3, tested by TS 1 Baseline Presumption of conformity none : it gives none recalled as of 2026-10-02 , recalled: a file 1 more dated fact about this standard date it applies",
		"Verdicts by en, edition 2024 Radio Restrictions OJ-0 (the whole standard) guidance proves nothing; rest on requirements. OJ-1 (AUM-5) recalled No presumption where a password may stay unset.",
		"5.3-2 Updates are secure mandatory fail ✓ update/genuine: pass ✗ update/tampered: fail",
		"AUM-5 recalled Defaults are unique mandatory pass OJ-1 1/1 reviews on record",
		"recalled is written down from memory",
	} {
		assert.Contains(t, said, want)
	}
	assert.NotContains(t, said, "Every requirement", "a small standard needs no map")
}

func TestTheBenchIsShownProvenOrNot(t *testing.T) {
	page := render(t, judged())
	_, section, _ := strings.Cut(page, `aria-labelledby="bench"`)
	section, _, _ = strings.Cut(section, "</section>")
	said := text("</style>" + section)
	for _, want := range []string{
		"sound before the run each of 2 answers is the known one; 1 could not be asked for on this bench When 2026-11-25T20:00:00Z, record 10 of the journal",
		"not sound after o-040 broker: want CONNACK 20020000, got connection refused",
		"What was observed since the last sound test, 2026-11-25 20:00:30 UTC, counts for nothing: 2 observations, o-031 to o-040.",
		"`assay doctor` looks at the machine",
		"broker CONNACK 20020000 connection refused no image over coap it has no CoAP not asked",
		"not done after the run the segment is not the lab&#39;s. To mend it: use mode gateway",
	} {
		assert.Contains(t, said, want)
	}
	assert.NotContains(t, section, `verdict pass`, "a sound bench is no verdict")
	assert.Equal(t, 1, strings.Count(section, `open>`))
	head, _, _ := strings.Cut(page, "</header>")
	assert.Contains(t, text(head), "The bench failed its test with a known-good device after o-040, 2026-11-25 20:00:40 UTC: broker:")
	r := judged()
	r.SelfTests = nil
	assert.Contains(t, text(render(t, r)), "There is none on record: nothing shows")
}

func TestRequirementsTellWhoAnswered(t *testing.T) {
	page := render(t, judged())
	_, page, _ = strings.Cut(page, "What the verdicts rest on")
	said := text("</style>" + page)
	for _, want := range []string{
		"In the standard: M F (a). Applies where: passwords are used.",
		"5.1-1-1 conceptual, with a second unit a Is it a? pass ✓ met , says Ada Example , evaluator, Example Lab, 2026-11-20 holds until 2027-11-20 The generator was read. read: 1-AuthMech/AuthMech-1 rests on Generator SHA-256 73cb38",
		"b Is it b? pass ✓ met , says Ada Example , evaluator, Example Lab, 2026-11-20 holds until 2027-11-20 The same answer as to 5.1-1-1.a .",
		"no review is on record (wants somebody who reads documents)",
		"the review by Old Hand does not count: it expired on 2021-01-01 Long ago.",
		"settings : no → yes. a login is asked for",
		"nothing answers it yet",
		"a Q? (category signature) fail ✓ update/genuine pass ✗ update/tampered fail",
		"fail update/tampered It ran a changed image. How to mend it Verify the signature.",
		"fail update/tampered It ran a changed image. told under 5.3-2",
		"The ICS says that the product does not support it: No. What it would be asked",
		"It senses nothing.",
	} {
		assert.Contains(t, said, want)
	}
	assert.Equal(t, 1, strings.Count(said, "The generator was read."), "one answer is quoted once")
	assert.Equal(t, 3, strings.Count(page, `<details class="requirement fail" open>`))
	for _, c := range []string{"pass", "inconclusive", "na"} {
		assert.Contains(t, page, `<details class="requirement `+c+`">`)
	}
}

// TestEveryStringIsEscaped puts markup into every string of a report: devices, dossiers, reviewers and
// profiles write them. The page must not get one element or attribute by it.
func TestEveryStringIsEscaped(t *testing.T) {
	shape := func(page string) []string {
		var out []string
		for _, g := range tags(t, page) {
			for _, a := range attribute.FindAllStringSubmatch(g.attributes, -1) {
				out = append(out, g.name+" "+a[1])
				if a[1] == "href" {
					require.True(t, strings.HasPrefix(a[2], "#"), a[2])
				}
			}
			out = append(out, g.name)
		}
		return slices.Compact(slices.Sorted(slices.Values(out)))
	}
	ours := render(t, judged())
	clean := shape(ours)
	for _, evil := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</style><b>`, `</title></svg><iframe>`,
		`javascript:alert(1)`, `{{.Run}}`, `--><!--`, `<![CDATA[`, "\x00<svg/onload=alert(1)>", `;}body{display:none`, `&lt;&#x3c;`,
	} {
		r := judged()
		infect(reflect.ValueOf(r), evil)
		r.Observations[0].Facts = []byte(`{"` + strings.ReplaceAll(evil, `"`, `\"`) + `":"` + strings.ReplaceAll(evil, `"`, `\"`) + `"}`)
		page := render(t, r)
		assert.Subset(t, clean, shape(page), evil)
		for _, end := range []string{"</style>", "</title>", "<!--"} {
			assert.Equal(t, strings.Count(ours, end), strings.Count(page, end), end)
		}
		assert.NotContains(t, strings.Join(values(t, page, "style"), " "), "display")
	}
}

// infect appends to every string below a value, except to the closed vocabularies.
func infect(v reflect.Value, evil string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			infect(v.Elem(), evil)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				infect(v.Field(i), evil)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			infect(v.Index(i), evil)
		}
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() && !strings.HasSuffix(v.String(), evil) { // one review stands in two units
			v.SetString(v.String() + evil)
		}
	}
}

// largest is the embedded profile with most questions, judged over nothing.
func largest(t testing.TB) *reports.Report {
	t.Helper()
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	set, err := profiles.Load(profiles.Embedded(), "csa-high", schemas)
	require.NoError(t, err)
	result, err := verdict.Judge(&dossier.Dossier{}, set, verdict.Record{}, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	return &reports.Report{Run: "run-1", Profiles: []verdict.Result{*result}}
}

func TestTheLargestProfile(t *testing.T) {
	r := largest(t)
	page := render(t, r)
	assert.Less(t, len(page), 1<<20)
	assert.Contains(t, page, `aria-label="Every requirement, by its verdict"`)
	for _, one := range r.Profiles[0].Requirements {
		require.Contains(t, page, ">"+one.ID+"</a>")
	}
	assert.Contains(t, page, "<title> : incomplete (run-1)</title>")
}

func BenchmarkTheLargestProfile(b *testing.B) {
	r := largest(b)
	for b.Loop() {
		if err := html.Write(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
	if each := b.Elapsed() / time.Duration(b.N); each > time.Second {
		b.Fatalf("%s a page: nobody waits that long", each)
	}
}
