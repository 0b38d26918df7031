// Package facetest is what the tests of every face share: reports that have all that a report can
// have, reports in which nothing was settled, hostile strings, and the schemas of the forms that
// faces are written in. It is for tests only.
package facetest

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab"
	"assay/lab/evidence"
	"assay/probes"
	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
	"assay/reports"
	"assay/reports/verdict"
)

// Write is how every face writes a report.
type Write func(io.Writer, *reports.Report) error

// Render is a face's bytes.
func (w Write) Render(t testing.TB, r *reports.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, w(&b, r))
	return b.Bytes()
}

// Secret is a password of the dossier that Judged carries. No face may print it.
const Secret = "correct-horse-battery-9"

// Through is the digest of the last amendment of what Judged was read from. Every face prints it.
const Through = "7be3a1f09c4d2e58617fab03d94c2e70b1568de2c34f90a7715be8d6230fc9a4"

// Judged is a report with all that a report can have: every verdict, reviews that count and one that does
// not, restrictions, a waiver, what the profile leaves out.
func Judged(t testing.TB) *reports.Report {
	t.Helper()
	start := time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)
	end := start.Add(time.Minute)
	r := &reports.Report{
		Run: "run-1", Device: reports.Device{Manufacturer: "Acme", Model: "Gate 7", Firmware: "2.3.1"}, Unit: lab.Unit{ID: "unit-1", Serial: "S1", MAC: "02:00"}, Outcome: lab.Finished,
		Note: "A note.", Key: "ephemeral", Operator: "Op", Started: start, Ended: &end, Bench: []byte(`{"mode":"reference","versions":{"go":"go1.26"}}`), Sealed: true, Through: &reports.Through{Amendments: 2, SHA256: Through},
		Tool: lab.Tool{Version: "v1.0.0", Go: "go1.26", OS: "linux", Arch: "amd64", SHA256: strings.Repeat("ab", 32)},
		Head: strings.Repeat("0c", 32), Artefacts: []evidence.Artefact{{Name: lab.FileCapture, MediaType: "application/x-pcapng", SHA256: strings.Repeat("1d", 32), Size: 4096}},
		Dossier: declared(t), SelfTests: Proofs(start),
		Observations: []probes.Observation{{ID: "o-001", Step: "update/refusal{variant=tampered}", Attempt: 1, Probe: "update/refusal", Version: "1", With: []byte(`{"via":"https"}`), Unit: "unit-1",
			Start: start, End: end, Facts: []byte(`{"accepted":true}`), Frames: &probes.Frames{File: lab.FileCapture, First: 3, Last: 9}}},
		Profiles: []verdict.Result{{
			ID: "mix", Version: "1", Title: "A mixed profile", Judged: "2026-11-25", Conformity: verdict.NonConformant, Reason: "1 mandatory requirement failed: 5.3-2",
			Omitted: profiles.Omitted{Units: 2, Of: 12, Because: "time", Exclusions: []profiles.Exclusion{{Requirement: "etsi-en-303-645/5.9-3", Because: "no such thing"}}},
			Standards: []verdict.Standard{
				{ID: "etsi-en-303-645", Title: "Baseline", Edition: "V3.1.3", Tests: "TS 103 701", Register: []profiles.DatedFact{
					{ID: "p", Kind: profiles.Presumption, Says: "none: it gives none", AsOf: "2026-10-02", Certainty: "recalled", Source: "a file"}}},
				{ID: "en-18031", Title: "Radio", Edition: "2024", Restrictions: []profiles.Restriction{{ID: "OJ-0", Effect: "guidance proves nothing", Consequence: "rest on requirements", Certainty: "verified"}}},
			},
			Waivers:      []verdict.Waiver{{Waiver: profiles.Waiver{Requirement: "etsi-en-303-645/5.3-2", Reason: "an app comes", Risk: "low"}, Reason: "expired on 2026-01-01"}},
			Requirements: requirements(),
		}},
	}
	return r
}

// Proofs are tests of the bench with a known-good device of every kind: four sound ones, one that went bad and takes
// an observation back, and one that could not be done.
func Proofs(start time.Time) []lab.Proof {
	answers := func(ok bool, got string) []lab.SelfAnswer {
		return []lab.SelfAnswer{{Asked: "time", Want: "50 answers", Got: "50 answers", OK: true}, {Asked: "broker", Want: "CONNACK 20020000", Got: got, OK: ok}, {Asked: "image over coap", NotDone: "it has no CoAP"}}
	}
	var out []lab.Proof
	for i, when := range []string{"before", "o-010", "o-020", "o-030", "o-040", "after"} {
		p := lab.Proof{Record: uint64(10 * (i + 1)), Time: start.Add(time.Duration(i) * 10 * time.Second), SelfTest: lab.SelfTest{When: when, Sound: i < 4, Device: "a process of its own", MAC: "02:a5:5a:5e:1f:01", Address: "192.0.2.102/24",
			Milliseconds: 178, Frames: &probes.Frames{File: lab.FileCapture, First: 1, Last: 2}, Answers: answers(true, "CONNACK 20020000")}}
		switch i {
		case 4:
			p.Answers, p.Mend, p.Voids = answers(false, "connection refused"), "`assay doctor` looks at the machine", []string{"o-031", "o-040"}
		case 5:
			p.SelfTest = lab.SelfTest{When: when, NotDone: "the segment is not the lab's", Mend: "use mode gateway"}
		}
		out = append(out, p)
	}
	return out
}

// declared is a dossier with every provision and every table, and a secret.
func declared(t testing.TB) *dossier.Dossier {
	t.Helper()
	b, err := dossier.Template()
	require.NoError(t, err)
	d, err := dossier.Parse("dossier.yaml", b, t.TempDir())
	require.NoError(t, err)
	d.Product = dossier.Product{Manufacturer: "Acme", Model: "Gate 7", Firmware: "2.3.1", Description: "A gate.", Address: "Main Street 1", ContactPerson: "C. Person", Contact: "c@acme.example"}
	d.Units = []dossier.Unit{{ID: "unit-1", Serial: "S1", State: "commissioned", Logins: map[string]dossier.Login{"http": {Username: "owner", Password: dossier.NewSecret(Secret)}}}}
	d.ICS.Provisions["5.1-1"] = dossier.Claim{Support: dossier.Supported}
	d.ICS.Provisions["5.8-3"] = dossier.Claim{Support: dossier.NotApplicable, Detail: "it senses nothing"}
	d.IXIT.SoftComp = []dossier.SoftComp{{ID: "SoftComp-1", Description: "TLS, whose test login is " + Secret, Name: "mbedtls", Version: "3.6.2", PURL: "pkg:generic/mbedtls@3.6.2"}}
	return d
}

func unit(id string, v verdict.Verdict, said *review.Review) verdict.Unit {
	u := verdict.Unit{ID: id, Asks: "Is it " + id + "?", Verdict: v, Reason: "review: no review is on record", Review: &verdict.Review{Wants: profiles.Document, Verdict: v, Reason: "no review is on record"}}
	if said != nil {
		u.Review.Said, u.Review.Reason = said, string(said.Answer)+", says "+said.By.Name
	}
	return u
}

func requirements() []verdict.Requirement {
	const etsi, en = "etsi-en-303-645", "en-18031"
	met := &review.Review{Answer: review.Met, Statement: "The generator was read.", By: review.Person{Name: "Ada Example", Role: "evaluator", Organisation: "Example Lab"},
		Date: "2026-11-20", Expires: "2027-11-20", Rows: []string{"1-AuthMech/AuthMech-1"}, Evidence: []review.Evidence{{File: "g.pdf", Title: "Generator", SHA256: strings.Repeat("73", 32)}}}
	tried := &review.Review{Answer: review.Met, Statement: "Walked.", By: review.Person{Name: "Bo Tester", Role: "tester"}, Date: "2026-11-21", Expires: "2027-11-21",
		Items: []review.Item{{Name: "settings", Path: []string{"no", "yes"}, Because: "a login is asked for"}}}
	old := &review.Review{Answer: review.Met, Statement: "Long ago.", By: review.Person{Name: "Old Hand", Role: "tester"}, Date: "2020-01-01", Expires: "2021-01-01"}
	bad := verdict.Check{ID: "update/tampered", Evidence: profiles.Observation, Verdict: verdict.Fail, Reason: "It ran a changed image.", Observation: "o-001", Step: "update/refusal{variant=tampered}", Given: "g", Expect: "!facts.accepted",
		Facts: []byte(`{"accepted":true}`), Remedy: "Verify the signature.", Rows: []string{"7-UpdMech/UpdMech-1"}}
	good := verdict.Check{ID: "update/genuine", Evidence: profiles.Observation, Verdict: verdict.Pass, Reason: "as expected", Step: "s", Observation: "o-001"}
	open := verdict.Check{ID: "update/rollback", Evidence: profiles.Observation, Verdict: verdict.Inconclusive, Reason: "not asked: needs updates", Step: "s2"}
	expired := unit("b", verdict.Inconclusive, old)
	expired.Review.Reason = "the review by Old Hand does not count: it expired on 2021-01-01"
	walked := unit("a", verdict.Pass, tried)
	walked.Review.Wants = profiles.Attestation
	return []verdict.Requirement{
		{ID: "5.1-1", Standard: etsi, Edition: "V3.1.3", Title: "Passwords are unique", Level: "mandatory", Status: "M F (a)", Condition: "passwords are used", Verdict: verdict.Pass, Reason: "2 reviews say met",
			Cases: []verdict.Case{{ID: "5.1-1-1", Kind: "conceptual", Needs: "a second unit", Units: []verdict.Unit{unit("a", verdict.Pass, met), unit("b", verdict.Pass, met)}}}},
		{ID: "5.1-3", Standard: etsi, Edition: "V3.1.3", Title: "Cryptography is good", Level: "mandatory", Verdict: verdict.Inconclusive, Reason: "no review is on record of 5.1-3-1.a",
			Cases: []verdict.Case{{ID: "5.1-3-1", Kind: "conceptual", Units: []verdict.Unit{unit("a", verdict.Inconclusive, nil), expired}}}},
		{ID: "5.3-2", Standard: etsi, Edition: "V3.1.3", Title: "Updates are secure", Level: "mandatory", Verdict: verdict.Fail, Reason: "update/tampered: It ran a changed image.", Checks: []verdict.Check{good, bad, open},
			Cases: []verdict.Case{{ID: "5.3-2-1", Kind: "functional", Units: []verdict.Unit{{ID: "a", Asks: "Q?", Category: "signature", Verdict: verdict.Fail, Reason: "update/tampered: It ran a changed image.", Checks: []string{"update/genuine", "update/tampered", "update/rollback"}}}}}},
		{ID: "5.3-9", Standard: etsi, Edition: "V3.1.3", Title: "Updates are authentic", Level: "recommended", Verdict: verdict.Fail, Reason: "update/tampered: It ran a changed image.", Checks: []verdict.Check{bad}},
		{ID: "5.3-10", Standard: etsi, Edition: "V3.1.3", Title: "Updates are checked", Level: "mandatory", Verdict: verdict.Inconclusive, Reason: "update/rollback: not asked: needs updates", Checks: []verdict.Check{open}},
		{ID: "5.8-3", Standard: etsi, Edition: "V3.1.3", Title: "Sensors are documented", Level: "mandatory", Verdict: verdict.NotApplicable, Reason: "it senses nothing",
			Cases: []verdict.Case{{ID: "5.8-3-1", Units: []verdict.Unit{unit("a", verdict.NotApplicable, nil)}}}},
		{ID: "AUM-5", Standard: en, Edition: "2024", Title: "Defaults are unique", Level: "mandatory", Verdict: verdict.Pass, Reason: "1 review says met", Certainty: "recalled",
			Restrictions: []profiles.Restriction{{ID: "OJ-1", Effect: "No presumption where a password may stay unset.", Certainty: "recalled"}},
			Cases:        []verdict.Case{{ID: "AUM-5-conceptual", Units: []verdict.Unit{walked}}}},
	}
}

// Open are reports in which nothing was settled, whatever the word for it: no face may show any of them, or
// anything in them, as a success.
func Open(t testing.TB) map[string]*reports.Report {
	out := map[string]*reports.Report{}
	for _, v := range []verdict.Verdict{verdict.Inconclusive, "", "PASS", "unheard of"} {
		r := Judged(t)
		for i := range r.Profiles {
			p := &r.Profiles[i]
			p.Conformity, p.Reason = verdict.Incomplete, "nothing was settled"
			if v == "" {
				p.Conformity = ""
			}
			for j := range p.Requirements {
				settle(&p.Requirements[j], v)
			}
		}
		out[fmt.Sprintf("every verdict %q", v)] = r
	}
	none := Judged(t)
	none.Profiles = nil
	out["no profile"] = none
	empty := Judged(t)
	empty.Profiles[0].Requirements, empty.Profiles[0].Conformity = nil, ""
	out["no requirement"] = empty
	return out
}

func settle(q *verdict.Requirement, v verdict.Verdict) {
	q.Verdict, q.Reason = v, "nothing was settled"
	for i := range q.Checks {
		q.Checks[i].Verdict, q.Checks[i].Reason = v, "nothing was settled"
	}
	for i := range q.Cases {
		q.Cases[i].Verdict = v
		for j := range q.Cases[i].Units {
			u := &q.Cases[i].Units[j]
			u.Verdict, u.Reason = v, "nothing was settled"
			if u.Review != nil {
				u.Review = &verdict.Review{Wants: u.Review.Wants, Verdict: v, Reason: "no review is on record"}
			}
		}
	}
}

var largest = sync.OnceValues(func() (*verdict.Result, error) {
	schemas, err := profiles.Schemas(catalog.All())
	if err != nil {
		return nil, err
	}
	set, err := profiles.Load(profiles.Embedded(), "csa-high", schemas)
	if err != nil {
		return nil, err
	}
	return verdict.Judge(&dossier.Dossier{}, set, verdict.Record{}, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
})

// Largest is the embedded profile with most questions, judged over a dossier that claims nothing.
func Largest(t testing.TB) *reports.Report {
	t.Helper()
	result, err := largest()
	require.NoError(t, err)
	r := Judged(t)
	r.Profiles = []verdict.Result{*result}
	return r
}

// Evil are strings that a device, a maker or a label could carry.
var Evil = []string{
	`<script>alert(1)</script>`, "\U0001F600 emoji", `"><img src=x onerror=alert(1)>`, "\n::error::owned", "\x1b[2J\x1b]0;owned\x07", `]]><failure/>`, "| a | b |\n|---|---|", "](javascript:alert(1))",
	"`rm -rf /`", "# heading", "=HYPERLINK(\"http://evil.example\")", "\u202Egnp.exe", "\x00\x01", "\xff\xfe", "{nb}", "%PDF-1.7 endobj (unbalanced \\", "{{.Run}}", "&lt;&#x3c;", "../../etc/passwd", "\r\nheader: x",
}

// Infect appends to every string of a report that evidence or a profile could have filled, except to the
// closed vocabularies.
func Infect(r *reports.Report, evil string) { infect(reflect.ValueOf(r), evil) }

func infect(v reflect.Value, evil string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*dossier.Dossier]() {
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

// Manners holds what every face owes: the same report gives the same bytes, secrets stay where they are,
// hostile strings do not stop it, a report of nothing is still one, and the largest profile is quick.
func Manners(t *testing.T, w Write, within time.Duration, now func() time.Time) {
	t.Helper()
	assert.Equal(t, w.Render(t, Judged(t)), w.Render(t, Judged(t)), "the same report gives the same bytes")
	assert.NotContains(t, string(w.Render(t, Judged(t))), Secret)
	for _, evil := range Evil {
		r := Judged(t)
		Infect(r, evil)
		w.Render(t, r)
	}
	w.Render(t, &reports.Report{})
	r := Largest(t)
	start := now()
	w.Render(t, r)
	assert.Less(t, now().Sub(start), within, "the largest profile")
}

// Bench is the benchmark of a face over the largest profile.
func Bench(b *testing.B, w Write, within time.Duration) {
	r := Largest(b)
	for b.Loop() {
		if err := w(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
	if each := b.Elapsed() / time.Duration(b.N); each > within {
		b.Fatalf("%s a report: nobody waits that long", each)
	}
}
