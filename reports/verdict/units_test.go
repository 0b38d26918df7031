package verdict_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"assay/probes"
	"assay/profiles/dossier"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var pair = []string{"u1", "u2"}

func two(features map[string]dossier.Feature) *dossier.Dossier {
	d := product(features)
	d.Units = append(d.Units, dossier.Unit{ID: "u2"})
	return d
}

// of makes observations those of a unit.
func of(unit string, obs ...probes.Observation) []probes.Observation {
	out := slices.Clone(obs)
	for i := range out {
		out[i].Unit, out[i].ID = unit, out[i].ID+"-"+unit
	}
	return out
}

// unitsJudge judges by one set, which takes a while to compile.
func unitsJudge(t testing.TB) func(units []string, obs ...probes.Observation) *verdict.Result {
	set := small(t, "")
	return func(units []string, obs ...probes.Observation) *verdict.Result {
		r, err := verdict.Judge(two(nil), set, verdict.Record{Observations: obs, Units: units}, day)
		require.NoError(t, err)
		return r
	}
}

// The worst of all units counts, and one that is not there settles nothing.
func TestUnits(t *testing.T) {
	judgeUnits := unitsJudge(t)
	one := func(unit string, attempt int, facts string) probes.Observation {
		return of(unit, saw("one", "x", attempt, facts))[0]
	}
	for name, c := range map[string]struct {
		obs    []probes.Observation
		want   verdict.Verdict
		reason string
	}{
		"both good":               {[]probes.Observation{one("u1", 1, good), one("u2", 1, good)}, verdict.Pass, "as expected"},
		"the second is bad":       {[]probes.Observation{one("u1", 1, good), one("u2", 1, bad)}, verdict.Fail, "u2: it was bad"},
		"the first is bad":        {[]probes.Observation{one("u1", 1, bad), one("u2", 1, good)}, verdict.Fail, "u1: it was bad"},
		"the second is not there": {[]probes.Observation{one("u1", 1, good)}, verdict.Inconclusive, "nothing about p/one{by=x} is on record for u2"},
		"bad, and one not there":  {[]probes.Observation{one("u1", 1, bad)}, verdict.Fail, "u1: it was bad"},
		"the bench failed for one": {[]probes.Observation{one("u1", 1, good), failed(one("u2", 1, ""), "a cable")}, verdict.Inconclusive,
			"u2: the bench failed: a cable"},
		"another unit's answer mends nothing": {[]probes.Observation{one("u1", 1, good), one("u1", 2, good), failed(one("u2", 1, ""), "a cable")}, verdict.Inconclusive,
			"u2: the bench failed: a cable"},
		"its own does":                   {[]probes.Observation{one("u1", 1, good), failed(one("u2", 1, ""), "a cable"), one("u2", 2, good)}, verdict.Pass, "as expected"},
		"another unit's attempt is none": {[]probes.Observation{one("u1", 1, good), one("u2", 2, good)}, verdict.Inconclusive, "attempt 2 of p/one{by=x} is on record without attempt 1"},
		"a unit that nobody lists":       {[]probes.Observation{one("u1", 1, good), one("u2", 1, good), one("u3", 1, good)}, verdict.Inconclusive, `u3: observation o-one-x-1-u3 is of unit "u3", which the dossier does not list`},
	} {
		t.Run(name, func(t *testing.T) {
			slices.Reverse(c.obs)
			got := check(t, judgeUnits(pair, c.obs...), "c/a")
			assert.Equal(t, c.want, got.Verdict)
			if c.want == verdict.Pass {
				assert.Contains(t, got.Reason, c.reason)
			} else {
				assert.Equal(t, c.reason, got.Reason)
			}
		})
	}
}

// Leaving one unit's observations out, or any others, never makes anything pass; adding one unit's never lets
// a failure of another's go.
func TestLeavingAUnitOutNeverHelps(t *testing.T) {
	judgeUnits := unitsJudge(t)
	r := rand.New(rand.NewPCG(4, 7))
	answers := []string{good, good, good, good, good, bad, bent, show}
	passed := 0
	for i := range 500 {
		var all []probes.Observation
		for _, unit := range pair {
			for _, o := range clean() {
				o.Facts = []byte(answers[r.IntN(len(answers))])
				if r.IntN(3) == 0 {
					o.Facts = []byte(good)
				}
				if r.IntN(8) == 0 {
					o = failed(o, "a cable")
				}
				all = append(all, of(unit, o)...)
			}
		}
		whole := judgeUnits(pair, all...)
		if whole.Conformity == verdict.Conformant {
			passed++
		}
		for _, unit := range pair {
			rest := slices.DeleteFunc(slices.Clone(all), func(o probes.Observation) bool { return o.Unit == unit })
			less := judgeUnits(pair, rest...)
			noBetter(t, "without "+unit, whole, less)
			for _, one := range less.Requirements {
				assert.NotEqual(t, verdict.Pass, one.Verdict, "%s passes without %s", one.ID, unit)
			}
			// One unit alone is never judged worse than the two: the worst of both counts.
			alone := judgeUnits([]string{pair[0]}, slices.DeleteFunc(slices.Clone(all), func(o probes.Observation) bool { return o.Unit != pair[0] })...)
			for k, one := range whole.Requirements {
				assert.LessOrEqual(t, rank(one.Verdict), rank(alone.Requirements[k].Verdict), one.ID)
			}
		}
		few := slices.DeleteFunc(slices.Clone(all), func(probes.Observation) bool { return r.IntN(4) == 0 })
		noBetter(t, "without some", whole, judgeUnits(pair, few...))
		if t.Failed() {
			t.Fatalf("case %d", i)
		}
	}
	require.Greater(t, passed, 10)
}
