package verdict_test

import (
	"testing"
	"testing/fstest"

	"assay/probes"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/expr"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// claimed is a standard with an ICS: 5.1-1 is mandatory, 5.1-2 conditional, 5.2-2 recommended.
func claimed(t testing.TB) *profiles.Set {
	one := func(id string) string {
		return ", certainty: verified, cases: [{id: " + id + "-1, kind: functional, units: [{id: a, asks: x, checks: [c/a]}]}]}\n"
	}
	fsys := fstest.MapFS{
		"checks/c.yaml": {Data: []byte("assay: checks/v1\nchecks:\n  - {id: c/a, probe: p/one, given: facts.fair, expect: facts.good, otherwise: it was bad, remedy: be good, " +
			"feature: updatable, contradicts: facts.there}\n")},
		"features.yaml": {Data: []byte("assay: features/v1\nfeatures:\n  - {name: updatable, meaning: x}\n")},
		"standards/s.yaml": {Data: []byte("assay: standard/v2\nid: s\ntitle: S\nedition: " + dossier.Edition + "\nics: true\nrequirements:\n" +
			"  - {id: 5.1-1, title: a, level: mandatory" + one("5.1-1") +
			"  - {id: 5.1-2, title: b, level: mandatory, condition: updatable, applies: features.updatable" + one("5.1-2") +
			"  - {id: 5.2-2, title: c, level: recommended" + one("5.2-2"))},
		"profiles/p.yaml": {Data: []byte("assay: profile/v1\nid: p\nversion: \"1\"\ntitle: P\nstandards: [{standard: s}]\n")},
	}
	set, err := profiles.Load(fsys, "p", map[string]profiles.Schema{"p/one": {Probe: "p/one", Version: "1", Parameters: map[string]profiles.Parameter{},
		Facts: map[string]expr.Type{"fair": expr.Bool, "good": expr.Bool, "there": expr.Bool, "list": expr.List}}})
	require.NoError(t, err)
	return set
}

// What the ICS claims decides whether a provision is judged at all (TS 103 701, clause 4).
func TestClaims(t *testing.T) {
	set := claimed(t)
	const edition = dossier.Edition
	for _, c := range []struct {
		name, edition, id, support, detail, facts string
		verdict                                   verdict.Verdict
		reason                                    string
	}{
		{"claimed", edition, "5.1-1", "Y", "", good, verdict.Pass, "1 of 1 check passed"},
		{"claimed, and bad", edition, "5.1-1", "Y", "", bad, verdict.Fail, "c/a: it was bad"},
		{"mandatory and not met", edition, "5.1-1", "N", "next year", good, verdict.Fail, "the ICS says that the product does not support it: next year"},
		{"mandatory and not applicable", edition, "5.1-1", "N/A", "no need", good, verdict.Fail, "the ICS answers N/A, but the provision has no condition: no need"},
		{"without a reason", edition, "5.1-1", "N", " ", good, verdict.Fail, "the ICS answers N without a reason: write detail, or claim it and have it tested"},
		{"recommended and not claimed", edition, "5.2-2", "N", "too dear", bad, verdict.NotApplicable, "the ICS does not claim this recommendation: too dear"},
		{"recommended and not applicable", edition, "5.2-2", "N/A", "no need", bad, verdict.NotApplicable, "the ICS answers N/A to this recommendation: no need"},
		{"recommended, without a reason", edition, "5.2-2", "N", "", good, verdict.Fail, "the ICS answers N without a reason: write detail, or claim it and have it tested"},
		{"the condition does not hold", edition, "5.1-2", "N/A", "mask ROM", good, verdict.NotApplicable, "the dossier denies updatable: the ICS answers N/A: mask ROM"},
		{"the condition is seen to hold", edition, "5.1-2", "N/A", "mask ROM", show, verdict.Fail, "the dossier denies updatable, but observation o-one--1 shows it (check c/a)"},
		{"nobody looked whether it holds", edition, "5.1-2", "N/A", "mask ROM", "", verdict.Inconclusive,
			"the dossier denies updatable (the ICS answers N/A: mask ROM), and whether the product has it all the same is not settled: nothing about p/one is on record"},
		{"not mentioned", edition, "5.2-2", "", "", bad, verdict.Fail, "c/a: it was bad"},
		{"another edition claims nothing here", "V2.1.1", "5.1-1", "N", "", good, verdict.Pass, "1 of 1 check passed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := product(nil)
			d.ICS = &dossier.ICS{Edition: c.edition, Provisions: map[string]dossier.Claim{}}
			if c.support != "" {
				d.ICS.Provisions[c.id] = dossier.Claim{Support: c.support, Detail: c.detail}
			}
			var rec verdict.Record
			if c.facts != "" {
				o := saw("one", "", 1, c.facts)
				o.Step, o.With = "p/one", nil
				rec.Observations = []probes.Observation{o}
			}
			all, err := verdict.Judge(d, set, rec, day)
			require.NoError(t, err)
			r := requirement(t, all, c.id)
			assert.Equal(t, c.verdict, r.Verdict)
			assert.Equal(t, c.reason, r.Reason)
		})
	}
}
