package verdict_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/expr"
	"assay/profiles/review"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reviewable is a standard of questions to persons: P1 to a reader, P2 to a check and a person who
// tries, P3 to a tree of type A with what follows from it, P4 to a tree of type B, P5 to nobody yet.
func reviewable(t testing.TB) *profiles.Set {
	fsys := fstest.MapFS{
		"checks/c.yaml": {Data: []byte("assay: checks/v1\nchecks:\n  - {id: c/a, probe: p/one, given: \"true\", expect: facts.good, otherwise: it was bad, remedy: be good}\n" +
			"  - {id: c/ics, given: dossier.ics_given, unfair: no ICS, expect: dossier.ics_unjustified.size() == 0, otherwise: no reason, names: dossier.ics_unjustified, remedy: say why}\n")},
		"standards/s.yaml": {Data: []byte(`
assay: standard/v2
id: s
title: S
edition: V1
restrictions:
  - {id: X1, effect: only with a notified body, certainty: verified}
  - {id: X2, effect: rationale gives no presumption, certainty: recalled}
requirements:
  - {id: P1, title: papers, level: mandatory, certainty: verified, restrictions: [X1], cases: [{id: P1-1, kind: conceptual, units: [{id: a, asks: well, review: document}]}]}
  - {id: P2, title: hands, level: mandatory, certainty: recalled, cases: [{id: P2-1, kind: functional, units: [{id: a, asks: well, checks: [c/a], review: attestation}]}]}
  - id: P3
    title: tree A
    level: mandatory
    certainty: verified
    cases:
      - {id: P3-c, kind: conceptual, verdicts: A, tree: [{id: N1, asks: in scope, "yes": N2, "no": NA}, {id: N2, asks: protected, "yes": PASS, "no": FAIL}], units: [{id: a, asks: well, review: document}]}
      - {id: P3-f, kind: completeness, units: [{id: a, asks: well, checks: [c/a]}]}
      - {id: P3-s, kind: sufficiency, units: [{id: a, asks: well, category: RBAC, review: attestation}, {id: b, asks: well, category: Sign, checks: [c/a], review: attestation}]}
  - id: P4
    title: tree B
    level: mandatory
    certainty: verified
    cases:
      - {id: P4-c, kind: conceptual, verdicts: B, tree: [{id: N1, asks: right, "yes": PASS, "no": FAIL}], units: [{id: a, asks: well, review: document}]}
  - {id: P5, title: nobody, level: recommended, certainty: verified, cases: [{id: P5-1, kind: functional, units: [{id: a, asks: well}]}]}
  - {id: P6, title: dossier, level: mandatory, certainty: verified, cases: [{id: P6-1, kind: conceptual, units: [{id: a, asks: well, checks: [c/ics]}]}]}
`)},
		"register.yaml": {Data: []byte("assay: register/v1\nfacts:\n  - {id: none, kind: presumption, standards: [s], says: \"none: not cited\", as_of: 2026-10-02, certainty: verified}\n" +
			"  - {id: other, kind: date, standards: [t], says: x, as_of: 2026-10-02, certainty: verified}\n")},
		"profiles/p.yaml": {Data: []byte("assay: profile/v1\nid: p\nversion: \"1\"\ntitle: P\nstandards: [{standard: s}]\n")},
	}
	set, err := profiles.Load(fsys, "p", map[string]profiles.Schema{"p/one": {Probe: "p/one", Version: "1", Parameters: map[string]profiles.Parameter{}, Facts: map[string]expr.Type{"good": expr.Bool}}})
	require.NoError(t, err)
	return set
}

func reviewed() *dossier.Dossier {
	d := product(nil)
	d.Product = dossier.Product{Manufacturer: "m", Model: "x", Firmware: "1"}
	d.IXIT.UpdMech = []dossier.UpdMech{{ID: "UpdMech-1"}}
	d.ICS = &dossier.ICS{Edition: dossier.Edition, Provisions: map[string]dossier.Claim{}}
	return d
}

// says is a whole review of one unit.
func says(unit string, answer review.Answer, change ...func(*review.Review)) review.Review {
	r := review.Review{
		Units: []string{"s/" + unit}, Answer: answer, Statement: "I looked", By: review.Person{Name: "R. Eader", Role: "assessor"},
		Date: "2026-11-20", Expires: "2027-11-20", Rows: []string{"7-UpdMech/UpdMech-1"}, Product: review.Product{Manufacturer: "m", Model: "x", Firmware: "1"},
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

// walk adds an item that takes a path through the tree.
func walk(name string, path ...string) func(*review.Review) {
	return func(r *review.Review) {
		r.Items = append(r.Items, review.Item{Name: name, Path: path, Because: "so it is"})
	}
}

func judgeReviewed(t testing.TB, d *dossier.Dossier, set *profiles.Set, facts string, reviews ...review.Review) *verdict.Result {
	rec := verdict.Record{Reviews: reviews}
	if facts != "" {
		o := saw("one", "", 1, facts)
		o.Step, o.With = "p/one", nil
		rec.Observations = append(rec.Observations, o)
	}
	r, err := verdict.Judge(d, set, rec, day)
	require.NoError(t, err)
	return r
}

const (
	isGood = `{"good":true}`
	isBad  = `{"good":false}`
)

// What one answer comes to.
func TestReviews(t *testing.T) {
	set, d := reviewable(t), reviewed()
	const by = "R. Eader (assessor, 2026-11-20)"
	no := func(why string) string { return "P1-1.a: the review by " + by + " does not count: " + why }
	for _, c := range []struct {
		name    string
		review  review.Review
		verdict verdict.Verdict
		reason  string
	}{
		{"met", says("P1-1.a", review.Met), verdict.Pass, "1 review says met"},
		{"not met", says("P1-1.a", review.NotMet), verdict.Fail, "P1-1.a: not met, says " + by + ": I looked"},
		{"open", says("P1-1.a", review.Open), verdict.Inconclusive, "P1-1.a: left open by " + by + ": I looked"},
		{"does not apply", says("P1-1.a", review.NotApplicable), verdict.Inconclusive, no("not-applicable is no answer to this unit: deny its condition in the dossier, with a reason")},
		{"of another unit", says("P1-1.b", review.Met), verdict.Inconclusive, "no review is on record of P1-1.a"},
		{"of another standard", says("", review.Met, func(r *review.Review) { r.Units = []string{"t/P1-1.a"} }), verdict.Inconclusive, "no review is on record of P1-1.a"},
		{"expired", says("P1-1.a", review.Met, func(r *review.Review) { r.Expires = "2026-11-22" }), verdict.Inconclusive, no("it expired on 2026-11-22")},
		{"on its last day", says("P1-1.a", review.Met, func(r *review.Review) { r.Expires = "2026-11-23" }), verdict.Pass, "1 review says met"},
		{"of other firmware", says("P1-1.a", review.Met, func(r *review.Review) { r.Product.Firmware = "2" }), verdict.Inconclusive, no("it is about m x, firmware 2")},
		{"cites nothing", says("P1-1.a", review.Met, func(r *review.Review) { r.Rows = nil }), verdict.Inconclusive, no("it cites neither a row of the dossier nor a document")},
		{"cites a document", says("P1-1.a", review.Met, func(r *review.Review) { r.Rows, r.Evidence = nil, []review.Evidence{{Document: "manual"}} }), verdict.Pass, "1 review says met"},
		{"cites what is not there", says("P1-1.a", review.Met, func(r *review.Review) { r.Rows = []string{"7-UpdMech/UpdMech-9"} }), verdict.Inconclusive,
			no("it cites row 7-UpdMech/UpdMech-9, which the dossier does not have")},
		{"without a name", says("P1-1.a", review.Met, func(r *review.Review) { r.By.Name = " " }), verdict.Inconclusive,
			"P1-1.a: the review by   (assessor, 2026-11-20) does not count: it has no statement or no name"},
		{"without a date", says("P1-1.a", review.Met, func(r *review.Review) { r.Expires = "soon" }), verdict.Inconclusive, no("its expiry cannot be read")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := requirement(t, judgeReviewed(t, d, set, "", c.review), "P1")
			assert.Equal(t, c.verdict, r.Verdict)
			assert.Equal(t, c.reason, r.Reason)
		})
	}
	t.Run("two who disagree", func(t *testing.T) {
		for _, order := range [][]review.Answer{{review.Met, review.NotMet}, {review.NotMet, review.Met}} {
			r := requirement(t, judgeReviewed(t, d, set, "", says("P1-1.a", order[0]), says("P1-1.a", order[1])), "P1")
			assert.Equal(t, verdict.Fail, r.Verdict)
		}
	})
	t.Run("no automatic pass", func(t *testing.T) {
		r := judgeReviewed(t, d, set, isGood)
		assert.Equal(t, verdict.Incomplete, r.Conformity)
		assert.Equal(t, "no review is on record of P1-1.a", requirement(t, r, "P1").Reason)
	})
}

// A check and a person answer one unit: both must be content.
func TestCheckAndReview(t *testing.T) {
	set, d := reviewable(t), reviewed()
	for _, c := range []struct {
		facts   string
		answer  review.Answer
		verdict verdict.Verdict
		reason  string
	}{
		{isGood, review.Met, verdict.Pass, "1 of 1 check passed, 1 review says met"},
		{isBad, review.Met, verdict.Fail, "c/a: it was bad"},
		{isGood, review.NotMet, verdict.Fail, "P2-1.a: not met, says R. Eader (assessor, 2026-11-20): I looked"},
		{"", review.Met, verdict.Inconclusive, "c/a: not asked: no observation of p/one is on record"},
		{isGood, review.Open, verdict.Inconclusive, "P2-1.a: left open by R. Eader (assessor, 2026-11-20): I looked"},
	} {
		r := requirement(t, judgeReviewed(t, d, set, c.facts, says("P2-1.a", c.answer, func(r *review.Review) { r.Rows = nil })), "P2")
		assert.Equal(t, c.verdict, r.Verdict, "%+v", c)
		assert.Equal(t, c.reason, r.Reason)
		require.Len(t, r.Cases, 1)
		unit := r.Cases[0].Units[0]
		assert.Equal(t, c.verdict, unit.Verdict)
		assert.Equal(t, []string{"c/a"}, unit.Checks)
		assert.Equal(t, profiles.Attestation, unit.Review.Wants)
		assert.Equal(t, "R. Eader", unit.Review.Said.By.Name)
	}
}

// Decision trees, and what follows from them (EN 18031's assignment of verdicts).
func TestTrees(t *testing.T) {
	set, d := reviewable(t), reviewed()
	applied := []review.Review{says("P3-s.a", review.Met), says("P3-s.b", review.NotApplicable)}
	for _, c := range []struct {
		name    string
		tree    review.Review
		rest    []review.Review
		facts   string
		verdict verdict.Verdict
		reason  string
	}{
		{"one in scope", says("P3-c.a", review.Met, walk("a", "yes", "yes"), walk("b", "no")), applied, isGood, verdict.Pass, "1 of 1 check passed, 2 reviews say met, 1 question not applicable"},
		{"one fails", says("P3-c.a", review.Met, walk("a", "yes", "yes"), walk("b", "yes", "no")), applied, isGood, verdict.Fail,
			"P3-c.a: the decision tree fails for b, says R. Eader (assessor, 2026-11-20)"},
		{"none in scope", says("P3-c.a", review.NotApplicable, walk("a", "no")), nil, isGood, verdict.NotApplicable,
			"the decision tree leaves every item out of scope (a), says R. Eader (assessor, 2026-11-20)"},
		{"none at all", says("P3-c.a", review.NotApplicable), nil, isGood, verdict.NotApplicable, "no item is in scope, says R. Eader (assessor, 2026-11-20): I looked"},
		{"none in scope, but something was found", says("P3-c.a", review.NotApplicable), nil, isBad, verdict.Fail, "c/a: it was bad"},
		{"none in scope, and nobody looked", says("P3-c.a", review.NotApplicable), nil, "", verdict.Inconclusive, "c/a: not asked: no observation of p/one is on record"},
		{"no walk", says("P3-c.a", review.Met), applied, isGood, verdict.Inconclusive,
			"P3-c.a: the review by R. Eader (assessor, 2026-11-20) does not count: it walks through the decision tree for no item"},
		{"walk cut short", says("P3-c.a", review.Met, walk("a", "yes")), applied, isGood, verdict.Inconclusive,
			"P3-c.a: the review by R. Eader (assessor, 2026-11-20) does not count: item a: N2 is not answered"},
		{"walk beyond the end", says("P3-c.a", review.Met, walk("a", "no", "yes")), applied, isGood, verdict.Inconclusive,
			"P3-c.a: the review by R. Eader (assessor, 2026-11-20) does not count: item a: P3-c is decided (NA) after 1 answers, but there are 2"},
		{"says no although the tree passes", says("P3-c.a", review.NotMet, walk("a", "yes", "yes")), applied, isGood, verdict.Fail,
			"P3-c.a: not met, says R. Eader (assessor, 2026-11-20): I looked"},
		{"says outside although the tree passes", says("P3-c.a", review.NotApplicable, walk("a", "yes", "yes")), applied, isGood, verdict.Inconclusive,
			"P3-c.a: the review by R. Eader (assessor, 2026-11-20) does not count: it says not-applicable, but the decision tree passes for an item"},
		{"without a justification", says("P3-c.a", review.Met, func(r *review.Review) { r.Items = []review.Item{{Name: "a", Path: []string{"yes", "yes"}}} }), applied, isGood, verdict.Inconclusive,
			"P3-c.a: the review by R. Eader (assessor, 2026-11-20) does not count: the path of item a has no justification"},
		{"the product is of the other category", says("P3-c.a", review.Met, walk("a", "yes", "yes")),
			[]review.Review{says("P3-s.a", review.NotApplicable), says("P3-s.b", review.Met)}, isGood, verdict.Pass, "1 of 1 check passed, 2 reviews say met, 1 question not applicable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := requirement(t, judgeReviewed(t, d, set, c.facts, append(c.rest, c.tree)...), "P3")
			assert.Equal(t, c.verdict, r.Verdict)
			assert.Equal(t, c.reason, r.Reason)
		})
	}
	for _, c := range []struct {
		tree    review.Review
		verdict verdict.Verdict
	}{
		{says("P4-c.a", review.Met, walk("a", "yes"), walk("b", "yes")), verdict.Pass},
		{says("P4-c.a", review.Met, walk("a", "yes"), walk("b", "no")), verdict.Fail},
		{says("P4-c.a", review.Met), verdict.Inconclusive},
		{says("P4-c.a", review.NotApplicable), verdict.NotApplicable},
	} {
		assert.Equal(t, c.verdict, requirement(t, judgeReviewed(t, d, set, "", c.tree), "P4").Verdict, fmt.Sprint(c.tree.Items))
	}
}

// A check about one implementation category fails a product only once somebody said that it is of it.
func TestCategoryIsForAPersonToSay(t *testing.T) {
	set, d := reviewable(t), reviewed()
	tree := says("P3-c.a", review.Met, walk("a", "yes", "yes"))
	unit := func(r *verdict.Result) verdict.Unit { return requirement(t, r, "P3").Cases[2].Units[1] }
	got := unit(judgeReviewed(t, d, set, isBad, tree))
	assert.Equal(t, verdict.Inconclusive, got.Verdict)
	assert.Contains(t, got.Reason, "whether the product is of the category Sign is for a reviewer to say; if so, c/a: it was bad")
	assert.Equal(t, verdict.Fail, unit(judgeReviewed(t, d, set, isBad, tree, says("P3-s.b", review.Met))).Verdict)
	assert.Equal(t, verdict.NotApplicable, unit(judgeReviewed(t, d, set, isBad, tree, says("P3-s.b", review.NotApplicable))).Verdict)
}

// What a reader must know of a standard stands beside the verdicts.
func TestBesideTheVerdict(t *testing.T) {
	r := judgeReviewed(t, reviewed(), reviewable(t), isGood)
	require.Len(t, r.Standards, 1)
	assert.Equal(t, "none: not cited", r.Standards[0].Register[0].Says)
	assert.Len(t, r.Standards[0].Register, 1, "facts of other standards are not ours")
	require.Len(t, r.Standards[0].Restrictions, 1, "the one that no requirement names touches the whole standard")
	assert.Equal(t, "X2", r.Standards[0].Restrictions[0].ID)
	assert.Equal(t, "only with a notified body", requirement(t, r, "P1").Restrictions[0].Effect)
	assert.Equal(t, "recalled", requirement(t, r, "P2").Certainty)
	assert.Equal(t, "nothing answers P5-1.a yet", requirement(t, r, "P5").Reason)
}

// A check without a probe asks the dossier alone.
func TestDocumentCheck(t *testing.T) {
	set, d := reviewable(t), reviewed()
	assert.Equal(t, verdict.Pass, requirement(t, judgeReviewed(t, d, set, ""), "P6").Verdict)
	d.ICS.Provisions["5.1-2"] = dossier.Claim{Support: dossier.NotApplicable}
	r := requirement(t, judgeReviewed(t, d, set, ""), "P6")
	assert.Equal(t, verdict.Fail, r.Verdict)
	assert.Equal(t, "c/ics: no reason: 5.1-2", r.Reason)
	assert.Equal(t, profiles.Document, r.Checks[0].Evidence)
	d.ICS = nil
	assert.Equal(t, verdict.Inconclusive, requirement(t, judgeReviewed(t, d, set, ""), "P6").Verdict)
}

// Reasons of several questions make one sentence, which ends once.
func TestReasonsAreOneSentence(t *testing.T) {
	sentence := func(r *review.Review) { r.Statement = "I looked. It was open." }
	r, err := verdict.Judge(reviewed(), reviewable(t), verdict.Record{Reviews: []review.Review{says("P3-s.a", review.NotMet, sentence), says("P3-s.b", review.NotMet, sentence)}}, day)
	require.NoError(t, err)
	who := ": not met, says R. Eader (assessor, 2026-11-20): I looked. It was open"
	assert.Equal(t, "P3-s.a"+who+"; P3-s.b"+who+".", requirement(t, r, "P3").Reason)
}
