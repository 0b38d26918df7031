package verdict_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"assay/probes"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/expr"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var day = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// small is a profile of two probes: c/a and c/b ask one each, c/web applies to products with passwords.
// R1 wants both, R2 (recommended) wants c/a, R3 depends on updatable, R4 asks c/web only, R5 nothing.
func small(t testing.TB, waivers string) *profiles.Set {
	probe := func(name string) profiles.Schema {
		return profiles.Schema{
			Probe: name, Version: "1", Asks: "Well?",
			Parameters: map[string]profiles.Parameter{"by": {Type: expr.String, Default: json.RawMessage(`"x"`)}},
			Facts:      map[string]expr.Type{"fair": expr.Bool, "good": expr.Bool, "there": expr.Bool, "list": expr.List},
		}
	}
	check := func(id, probe, more string) string {
		return fmt.Sprintf("  - {id: %s, probe: %s, given: facts.fair, unfair: the test was bent, expect: facts.good, otherwise: it was bad, remedy: be good%s}\n", id, probe, more)
	}
	fsys := fstest.MapFS{
		"features.yaml": {Data: []byte("assay: features/v1\nfeatures:\n  - {name: passwords, meaning: x}\n  - {name: updatable, meaning: x}\n  - {name: network, meaning: x}\n")},
		"checks/c.yaml": {Data: []byte("assay: checks/v1\nchecks:\n" +
			check("c/a", "p/one", ", row: 7-UpdMech, feature: updatable, contradicts: facts.there") +
			check("c/b", "p/two", "") +
			check("c/web", "p/two", ", with: {by: web}, applies: features.passwords"))},
		"standards/s.yaml": {Data: []byte(`
assay: standard/v2
id: s
title: S
edition: V1
requirements:
  - {id: R1, title: both, level: mandatory, certainty: verified, cases: [{id: R1-1, kind: functional, units: [{id: a, asks: x, checks: [c/a]}, {id: b, asks: x, checks: [c/b]}]}]}
  - {id: R2, title: one, level: recommended, certainty: verified, cases: [{id: R2-1, kind: functional, units: [{id: a, asks: x, checks: [c/a]}]}]}
  - {id: R3, title: updates, level: mandatory, certainty: verified, condition: updatable, applies: features.updatable && features.network, cases: [{id: R3-1, kind: functional, units: [{id: a, asks: x, checks: [c/b]}]}]}
  - {id: R4, title: web, level: mandatory, certainty: verified, cases: [{id: R4-1, kind: functional, units: [{id: a, asks: x, checks: [c/b, c/web]}]}]}
`)},
		"profiles/p.yaml": {Data: []byte("assay: profile/v1\nid: p\nversion: \"2\"\ntitle: P\nstandards: [{standard: s}]\n" + waivers)},
	}
	set, err := profiles.Load(fsys, "p", map[string]profiles.Schema{"p/one": probe("p/one"), "p/two": probe("p/two")})
	require.NoError(t, err)
	return set
}

func product(features map[string]dossier.Feature) *dossier.Dossier {
	return &dossier.Dossier{Units: []dossier.Unit{{ID: "u1"}}, Features: features}
}

const (
	good = `{"fair":true,"good":true,"there":false,"list":[]}`
	bad  = `{"fair":true,"good":false,"there":false,"list":null}`
	bent = `{"fair":false,"good":false,"there":false,"list":["x"]}`
	show = `{"fair":true,"good":true,"there":true,"list":[]}`
)

// saw is an observation of probe p/<probe>, asked about by.
func saw(probe, by string, attempt int, facts string) probes.Observation {
	return probes.Observation{
		ID: fmt.Sprintf("o-%s-%s-%d", probe, by, attempt), Step: fmt.Sprintf("p/%s{by=%s}", probe, by), Attempt: attempt, Probe: "p/" + probe, Version: "1",
		With: json.RawMessage(fmt.Sprintf(`{"by":%q}`, by)), Unit: "u1", Facts: json.RawMessage(facts),
	}
}

func failed(o probes.Observation, why string) probes.Observation {
	o.Facts, o.Error = nil, why
	return o
}

func notAsked(o probes.Observation, why string) probes.Observation {
	o.Facts, o.NotAsked = nil, why
	return o
}

func clean() []probes.Observation {
	return []probes.Observation{saw("one", "x", 1, good), saw("two", "x", 1, good), saw("two", "web", 1, good)}
}

func judge(t testing.TB, d *dossier.Dossier, set *profiles.Set, obs ...probes.Observation) *verdict.Result {
	r, err := verdict.Judge(d, set, verdict.Record{Observations: obs}, day)
	require.NoError(t, err)
	return r
}

func requirement(t testing.TB, r *verdict.Result, id string) verdict.Requirement {
	for _, one := range r.Requirements {
		if one.ID == id {
			return one
		}
	}
	require.Fail(t, "no requirement "+id)
	return verdict.Requirement{}
}

func check(t testing.TB, r *verdict.Result, id string) verdict.Check {
	for _, one := range r.Requirements {
		for _, c := range one.Checks {
			if c.ID == id {
				return c
			}
		}
	}
	require.Fail(t, "no check "+id)
	return verdict.Check{}
}

// What a check comes to, by what is on record about its step.
func TestChecks(t *testing.T) {
	a := func(attempt int, facts string) probes.Observation { return saw("one", "x", attempt, facts) }
	change := func(f func(o *probes.Observation)) probes.Observation { o := a(1, good); f(&o); return o }
	for _, c := range []struct {
		name    string
		obs     []probes.Observation
		verdict verdict.Verdict
		reason  string
	}{
		{"good", []probes.Observation{a(1, good)}, verdict.Pass, "as expected"},
		{"bad", []probes.Observation{a(1, bad)}, verdict.Fail, "it was bad"},
		{"bent", []probes.Observation{a(1, bent)}, verdict.Inconclusive, "not a fair test: the test was bent"},
		{"nothing", nil, verdict.Inconclusive, "not asked: no observation of p/one{by=x} is on record"},
		{"bench error", []probes.Observation{failed(a(1, ""), "cable fell off")}, verdict.Inconclusive, "the bench failed: cable fell off"},
		{"not asked", []probes.Observation{notAsked(a(1, ""), "needs a person")}, verdict.Inconclusive, "not asked: needs a person"},
		{"error, then good", []probes.Observation{failed(a(1, ""), "x"), a(2, good)}, verdict.Pass, "as expected"},
		{"error, then bad", []probes.Observation{failed(a(1, ""), "x"), a(2, bad)}, verdict.Fail, "it was bad"},
		{"not asked, then good", []probes.Observation{notAsked(a(1, ""), "cancelled"), a(2, good)}, verdict.Pass, "as expected"},
		{"good, then error", []probes.Observation{a(1, good), failed(a(2, ""), "x")}, verdict.Inconclusive, "the bench failed: x"},
		{"two errors", []probes.Observation{failed(a(1, ""), "x"), failed(a(2, ""), "y")}, verdict.Inconclusive, "the bench failed: x"},
		{"good, then bad", []probes.Observation{a(1, good), a(2, bad)}, verdict.Fail, "it was bad"},
		{"bad, then good", []probes.Observation{a(1, bad), a(2, good)}, verdict.Fail, "it was bad"},
		{"good, then bent", []probes.Observation{a(1, good), a(2, bent)}, verdict.Inconclusive, "not a fair test: the test was bent"},
		{"bent, then bad", []probes.Observation{a(1, bent), a(2, bad)}, verdict.Fail, "it was bad"},
		{"the same twice", []probes.Observation{a(1, good), a(1, good)}, verdict.Pass, "as expected"},
		{"two answers to one attempt", []probes.Observation{a(1, good), a(1, bad)}, verdict.Fail, "it was bad"},
		{"first attempt missing", []probes.Observation{a(2, good)}, verdict.Inconclusive, "attempt 2 of p/one{by=x} is on record without attempt 1"},
		{"middle attempt missing", []probes.Observation{failed(a(1, ""), "x"), a(3, good)}, verdict.Inconclusive, "attempt 3 of p/one{by=x} is on record without attempt 2"},
		{"first missing, and bad", []probes.Observation{a(2, bad)}, verdict.Fail, "it was bad"},
		{"attempt 0", []probes.Observation{a(0, good)}, verdict.Inconclusive, "observation o-one-x-0 is attempt 0: attempts begin at 1"},
		{"other parameters", []probes.Observation{saw("one", "y", 1, good)}, verdict.Inconclusive, "not asked: no observation of p/one{by=x} is on record"},
		{"facts and error", []probes.Observation{change(func(o *probes.Observation) { o.Error = "x" })}, verdict.Inconclusive, "observation o-one-x-1 has 2 of facts, error and not_asked: want one"},
		{"neither", []probes.Observation{change(func(o *probes.Observation) { o.Facts = nil })}, verdict.Inconclusive, "observation o-one-x-1 has 0 of facts, error and not_asked: want one"},
		{"stranger", []probes.Observation{change(func(o *probes.Observation) { o.Unit = "u9" })}, verdict.Inconclusive, `observation o-one-x-1 is of unit "u9", which the dossier does not list`},
		{"says another step", []probes.Observation{change(func(o *probes.Observation) { o.Step = "p/one{by=y}" })}, verdict.Inconclusive, "observation o-one-x-1 says that it is of p/one{by=y}, but its parameters are those of p/one{by=x}"},
		{"has another's parameters", []probes.Observation{change(func(o *probes.Observation) { o.With = json.RawMessage(`{"by":"y"}`) })}, verdict.Inconclusive, "observation o-one-x-1 says that it is of p/one{by=x}, but its parameters are those of p/one{by=y}"},
		{"default parameters", []probes.Observation{change(func(o *probes.Observation) { o.With = nil })}, verdict.Pass, "as expected"},
		{"broken parameters", []probes.Observation{change(func(o *probes.Observation) { o.With = json.RawMessage(`{"by":3}`) })}, verdict.Inconclusive, "observation o-one-x-1 has unusable parameters: parameter by: not text"},
		{"unknown probe", []probes.Observation{change(func(o *probes.Observation) { o.Probe = "p/new" })}, verdict.Inconclusive, `observation o-one-x-1 is by probe "p/new", which the profile does not know`},
		{"a fact too few", []probes.Observation{a(1, `{"fair":true,"good":true,"list":[]}`)}, verdict.Inconclusive, "the facts do not fit the probe's schema: fact there is missing"},
		{"a fact too many", []probes.Observation{a(1, `{"fair":true,"good":true,"there":false,"list":[],"more":1}`)}, verdict.Inconclusive, `the facts do not fit the probe's schema: p/one 1 has no fact "more"`},
		{"a fact twice", []probes.Observation{a(1, `{"good":false,"fair":true,"good":true,"there":false,"list":[]}`)}, verdict.Inconclusive, `the facts do not fit the probe's schema: "good" stands in it twice`},
		{"a fact of another type", []probes.Observation{a(1, `{"fair":1,"good":true,"there":false,"list":[]}`)}, verdict.Inconclusive, "the facts do not fit the probe's schema: fact fair is not true or false"},
		{"no facts at all", []probes.Observation{a(1, `null`)}, verdict.Inconclusive, "the facts do not fit the probe's schema: not a JSON object"},
		{"another version, enough", []probes.Observation{change(func(o *probes.Observation) {
			o.Version, o.Facts = "0", json.RawMessage(`{"fair":true,"good":true,"there":false,"old":1}`)
		})}, verdict.Pass, "as expected"},
		{"another version, too little", []probes.Observation{change(func(o *probes.Observation) { o.Version, o.Facts = "0", json.RawMessage(`{"fair":true}`) })},
			verdict.Inconclusive, "the facts do not fit the probe's schema: fact good is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			obs := append(c.obs, saw("two", "x", 1, good), saw("two", "web", 1, good))
			got := check(t, judge(t, product(nil), small(t, ""), obs...), "c/a")
			assert.Equal(t, c.verdict, got.Verdict)
			assert.Equal(t, c.reason, got.Reason)
			assert.Equal(t, c.verdict == verdict.Fail, got.Remedy != "", "a remedy where something is to be mended")
		})
	}
}

func TestRequirements(t *testing.T) {
	for _, c := range []struct {
		name       string
		a, b, web  string
		r1, r2     verdict.Verdict
		conformity verdict.Conformity
		reason     string
	}{
		{"clean", good, good, good, verdict.Pass, verdict.Pass, verdict.Conformant, "every mandatory requirement passed or does not apply"},
		{"one bad", bad, good, good, verdict.Fail, verdict.Fail, verdict.NonConformant, "1 mandatory requirement failed: R1"},
		{"bad beats bent", bent, bad, good, verdict.Fail, verdict.Inconclusive, verdict.NonConformant, "3 mandatory requirements failed: R1, R3, R4"},
		{"bent", bent, good, good, verdict.Inconclusive, verdict.Inconclusive, verdict.Incomplete, "1 mandatory requirement inconclusive: R1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judge(t, product(nil), small(t, ""), saw("one", "x", 1, c.a), saw("two", "x", 1, c.b), saw("two", "web", 1, c.web))
			assert.Equal(t, c.r1, requirement(t, r, "R1").Verdict)
			assert.Equal(t, c.r2, requirement(t, r, "R2").Verdict)
			assert.Equal(t, c.conformity, r.Conformity)
			assert.Equal(t, c.reason, r.Reason)
		})
	}
	t.Run("recommended changes nothing", func(t *testing.T) {
		set := small(t, "")
		r := judge(t, product(nil), set, clean()...)
		assert.Equal(t, "2 of 2 checks passed", requirement(t, r, "R1").Reason)
		r = judge(t, product(nil), set, saw("one", "x", 1, bad), saw("two", "x", 1, good), saw("two", "web", 1, good))
		assert.Equal(t, "c/a: it was bad", requirement(t, r, "R2").Reason)
		assert.NotContains(t, r.Reason, "R2")
	})
}

func TestConditions(t *testing.T) {
	no := func(because string) dossier.Feature { return dossier.Feature{Because: because} }
	all := clean()
	type features = map[string]dossier.Feature
	for _, c := range []struct {
		name     string
		features features
		obs      []probes.Observation
		verdict  verdict.Verdict // of R3
		reason   string
	}{
		{"not mentioned", nil, all, verdict.Pass, "1 of 1 check passed"},
		{"present", features{"updatable": {Present: true}}, all, verdict.Pass, "1 of 1 check passed"},
		{"denied with a reason", features{"updatable": no("mask ROM")}, all, verdict.NotApplicable, "the dossier denies updatable: mask ROM"},
		{"denied without", features{"updatable": no(" ")}, all, verdict.Fail, "the dossier denies updatable without a reason: write because, or test it"},
		{"one denial with a reason is enough", features{"updatable": no(""), "network": no("no radio")}, all, verdict.NotApplicable, "the dossier denies network: no radio"},
		{"contradicted", features{"updatable": no("mask ROM")}, []probes.Observation{saw("one", "x", 1, show), all[1], all[2]},
			verdict.Fail, "the dossier denies updatable, but observation o-one-x-1 shows it (check c/a)"},
		{"contradicted by an earlier attempt", features{"updatable": no("mask ROM")},
			[]probes.Observation{saw("one", "x", 1, show), saw("one", "x", 2, good), all[1], all[2]},
			verdict.Fail, "the dossier denies updatable, but observation o-one-x-1 shows it (check c/a)"},
		{"a contradiction leaves another denial alone", features{"updatable": no("mask ROM"), "network": no("no radio")},
			[]probes.Observation{saw("one", "x", 1, show), all[1], all[2]}, verdict.NotApplicable, "the dossier denies network: no radio"},
		{"nobody looked", features{"updatable": no("mask ROM")}, all[1:],
			verdict.Inconclusive, "the dossier denies updatable (mask ROM), and whether the product has it all the same is not settled: nothing about p/one{by=x} is on record"},
		{"nobody could look", features{"updatable": no("mask ROM")}, []probes.Observation{notAsked(saw("one", "x", 1, ""), profiles.NotAskedNeeds+"operation update: none"), all[1], all[2]},
			verdict.NotApplicable, "the dossier denies updatable: mask ROM"},
		{"nobody needed to look", features{"updatable": no("mask ROM")}, []probes.Observation{notAsked(saw("one", "x", 1, ""), profiles.NotAskedDenied+"updatable"), all[1], all[2]},
			verdict.NotApplicable, "the dossier denies updatable: mask ROM"},
		{"cancelled before the look", features{"updatable": no("mask ROM")}, []probes.Observation{notAsked(saw("one", "x", 1, ""), "the run was cancelled"), all[1], all[2]},
			verdict.Inconclusive, "the dossier denies updatable (mask ROM), and whether the product has it all the same is not settled: not asked: the run was cancelled"},
		{"the look failed", features{"updatable": no("mask ROM")}, []probes.Observation{failed(saw("one", "x", 1, ""), "no cable"), all[1], all[2]},
			verdict.Inconclusive, "the dossier denies updatable (mask ROM), and whether the product has it all the same is not settled: the bench failed: no cable"},
		{"the look found a flaw", features{"updatable": no("mask ROM")}, []probes.Observation{saw("one", "x", 1, bad), all[1], all[2]},
			verdict.Inconclusive, "the dossier denies updatable (mask ROM), and whether the product has it all the same is not settled: check c/a found a flaw in it"},
		{"the look does not fit", features{"updatable": no("mask ROM")}, []probes.Observation{saw("one", "x", 1, `{}`), all[1], all[2]},
			verdict.Inconclusive, "the dossier denies updatable (mask ROM), and whether the product has it all the same is not settled: the facts do not fit the probe's schema: fact fair is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := requirement(t, judge(t, product(c.features), small(t, ""), c.obs...), "R3")
			assert.Equal(t, c.verdict, r.Verdict)
			assert.Equal(t, c.reason, r.Reason)
		})
	}
}

func TestCheckConditions(t *testing.T) {
	set := small(t, "")
	denied := product(map[string]dossier.Feature{"passwords": {Because: "no web page"}})
	skipped := notAsked(saw("two", "web", 1, ""), profiles.NotAskedDenied+"passwords")

	r := judge(t, denied, set, saw("one", "x", 1, good), saw("two", "x", 1, good), skipped)
	assert.Equal(t, verdict.NotApplicable, check(t, r, "c/web").Verdict)
	assert.Equal(t, "the dossier denies passwords: no web page", check(t, r, "c/web").Reason)
	assert.Equal(t, verdict.Pass, requirement(t, r, "R4").Verdict)
	assert.Equal(t, "1 of 2 checks passed, 1 not applicable", requirement(t, r, "R4").Reason)
	assert.Equal(t, verdict.Conformant, r.Conformity)

	r = judge(t, denied, set, clean()[:2]...)
	assert.Equal(t, verdict.Inconclusive, requirement(t, r, "R4").Verdict, "not even a reason for not asking is on record")

	r = judge(t, denied, set, saw("one", "x", 1, good), saw("two", "x", 1, good), saw("two", "web", 1, bad))
	assert.Equal(t, verdict.Fail, check(t, r, "c/web").Verdict, "a flaw seen where there is said to be nothing")
	assert.Contains(t, check(t, r, "c/web").Reason, "the dossier denies passwords: no web page, but observation o-two-web-1 shows it: it was bad")

	r = judge(t, product(map[string]dossier.Feature{"passwords": {}}), set, clean()...)
	assert.Equal(t, verdict.Fail, requirement(t, r, "R4").Verdict, "a denial without a reason")
}

// Where nothing applies nothing is shown.
func TestNothingLeftIsNoPass(t *testing.T) {
	fsys := fstest.MapFS{
		"checks/c.yaml": {Data: []byte("assay: checks/v1\nchecks:\n  - {id: c/a, probe: p/one, given: \"true\", expect: facts.good, otherwise: x, remedy: x, applies: features.passwords}\n")},
		"standards/s.yaml": {Data: []byte("assay: standard/v2\nid: s\ntitle: S\nedition: V1\nrequirements:\n" +
			"  - {id: R1, title: a, level: mandatory, certainty: verified, cases: [{id: R1-1, kind: functional, units: [{id: a, asks: x, checks: [c/a]}]}]}\n" +
			"  - {id: R2, title: b, level: mandatory, certainty: verified, cases: [{id: R2-1, kind: functional, units: [{id: a, asks: x}]}]}\n" +
			"  - {id: R3, title: c, level: mandatory, certainty: verified}\n")},
		"profiles/p.yaml": {Data: []byte("assay: profile/v1\nid: p\nversion: \"2\"\ntitle: P\nstandards: [{standard: s}]\n")},
	}
	set, err := profiles.Load(fsys, "p", map[string]profiles.Schema{"p/one": {Probe: "p/one", Version: "1", Facts: map[string]expr.Type{"good": expr.Bool}}})
	require.NoError(t, err)
	r := judge(t, product(map[string]dossier.Feature{"passwords": {Because: "none"}}), set,
		probes.Observation{ID: "o", Step: "p/one", Probe: "p/one", Attempt: 1, NotAsked: profiles.NotAskedDenied + "passwords"})
	assert.Equal(t, "R1-1.a: none of its checks applies to this product, so nothing shows that it is met", requirement(t, r, "R1").Reason)
	assert.Equal(t, verdict.Inconclusive, requirement(t, r, "R1").Verdict)
	assert.Equal(t, "nothing answers R2-1.a yet", requirement(t, r, "R2").Reason)
	assert.Equal(t, "nothing answers it yet", requirement(t, r, "R3").Reason)
	assert.Equal(t, verdict.Incomplete, r.Conformity)
}

func TestWaivers(t *testing.T) {
	waiver := func(requirement, expires, profile string) string {
		return fmt.Sprintf("waivers:\n  - {requirement: %s, approver: A. Body, reason: mended soon, risk: low, expires: %s, profile: %q}\n", requirement, expires, profile)
	}
	flawed := []probes.Observation{saw("one", "x", 1, bad), saw("two", "x", 1, good), saw("two", "web", 1, good)}
	worse := []probes.Observation{saw("one", "x", 1, bad), saw("two", "x", 1, good), saw("two", "web", 1, bad)}
	open := []probes.Observation{saw("one", "x", 1, bad), saw("two", "x", 1, good)}
	for _, c := range []struct {
		name, waiver string
		obs          []probes.Observation
		conformity   verdict.Conformity
		reason       string
	}{
		{"counts", waiver("s/R1", "2027-01-31", "2"), flawed, verdict.ConformantWithWaivers, "accepted by A. Body until 2027-01-31"},
		{"last day", waiver("s/R1", "2026-11-23", "2"), flawed, verdict.ConformantWithWaivers, "accepted by A. Body until 2026-11-23"},
		{"expired", waiver("s/R1", "2026-11-22", "2"), flawed, verdict.NonConformant, "expired on 2026-11-22"},
		{"other version", waiver("s/R1", "2027-01-31", "1"), flawed, verdict.NonConformant, "written for version 1 of the profile, this is 2"},
		{"not the only fail", waiver("s/R1", "2027-01-31", "2"), worse, verdict.NonConformant, "accepted by A. Body until 2027-01-31"},
		{"does not hide what is open", waiver("s/R1", "2027-01-31", "2"), open, verdict.Incomplete, "accepted by A. Body until 2027-01-31"},
		{"nothing failed", waiver("s/R1", "2027-01-31", "2"), clean(), verdict.Conformant, "the requirement did not fail"},
		{"recommended", waiver("s/R2", "2027-01-31", "2"), flawed, verdict.NonConformant, "the requirement is recommended: nothing to waive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judge(t, product(nil), small(t, c.waiver), c.obs...)
			assert.Equal(t, c.conformity, r.Conformity)
			require.Len(t, r.Waivers, 1)
			assert.Equal(t, c.reason, r.Waivers[0].Reason)
			assert.Equal(t, strings.HasPrefix(c.reason, "accepted"), r.Waivers[0].Counts)
			plain := judge(t, product(nil), small(t, ""), c.obs...)
			for i := range plain.Requirements {
				assert.Equal(t, plain.Requirements[i].Verdict, r.Requirements[i].Verdict, "a waiver never changes a verdict")
			}
		})
	}
}

func TestResult(t *testing.T) {
	d := product(nil)
	d.IXIT.UpdMech = []dossier.UpdMech{{ID: "UpdMech-1", Via: []string{"https"}}}
	r := judge(t, d, small(t, ""), saw("one", "x", 1, bad), saw("two", "x", 1, good))
	b, err := json.Marshal(r)
	require.NoError(t, err)
	var out struct {
		ID, Version, Conformity string
		Requirements            []struct {
			ID, Standard, Title, Level, Verdict, Reason string
			Checks                                      []struct {
				ID, Verdict, Reason, Observation, Remedy string
				Facts                                    map[string]any
				Rows                                     []string
			}
		}
	}
	require.NoError(t, json.Unmarshal(b, &out))
	assert.Equal(t, "p", out.ID)
	assert.Equal(t, "2", out.Version)
	assert.Equal(t, "non-conformant", out.Conformity)
	require.Len(t, out.Requirements, 4)
	one := out.Requirements[0]
	assert.Equal(t, []string{"R1", "s", "both", "mandatory", "fail", "c/a: it was bad"}, []string{one.ID, one.Standard, one.Title, one.Level, one.Verdict, one.Reason})
	assert.Equal(t, "o-one-x-1", one.Checks[0].Observation)
	assert.Equal(t, "be good", one.Checks[0].Remedy)
	assert.Equal(t, map[string]any{"fair": true, "good": false}, one.Checks[0].Facts, "those that given and expect ask about")
	assert.Equal(t, []string{"7-UpdMech"}, one.Checks[0].Rows, "the table, where no row speaks of it")
}

func TestNothingToJudge(t *testing.T) {
	_, err := verdict.Judge(nil, small(t, ""), verdict.Record{}, day)
	assert.EqualError(t, err, "judge: dossier and profile are both needed")
	_, err = verdict.Judge(product(nil), &profiles.Set{}, verdict.Record{}, day)
	assert.EqualError(t, err, "judge profile : it selects nothing")
}
