package verdict_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"assay/probes"
	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
	"assay/reports/verdict"

	"github.com/stretchr/testify/require"
)

func embedded(t testing.TB, ids ...string) []*profiles.Set {
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	sets, err := profiles.LoadEach(profiles.Embedded(), ids, schemas)
	require.NoError(t, err)
	return sets
}

// A wholeStory is a random product before a whole standard, with everything that was written down about it.
type wholeStory struct {
	story
	reviews []review.Review
}

// answers makes a person's answer to everything that a set asks of persons. The ICS claims all.
func (w teller) answers(d *dossier.Dossier, trouble int) []review.Review {
	d.Product = dossier.Product{Manufacturer: "m", Model: "x", Firmware: "1"}
	d.ICS = &dossier.ICS{Edition: dossier.Edition, Provisions: map[string]dossier.Claim{}}
	for _, id := range dossier.Provisions() {
		d.ICS.Provisions[id] = dossier.Claim{Support: dossier.Supported}
		if w.r.IntN(200) < trouble {
			d.ICS.Provisions[id] = dossier.Claim{Support: []string{dossier.NotSupported, dossier.NotApplicable}[w.r.IntN(2)], Detail: []string{"", "no need"}[w.r.IntN(2)]}
		}
	}
	var out []review.Review
	for _, ask := range w.set.Wanted() {
		r := says("", review.Met)
		r.Units, r.Rows = []string{ask.Address}, nil
		r.Evidence = []review.Evidence{{Document: "manual"}}
		if len(ask.Case.Tree) > 0 {
			w.walks(&r, ask.Case, trouble)
		}
		if w.r.IntN(100) < trouble {
			r.Answer = review.Answers[w.r.IntN(len(review.Answers))]
		}
		switch odd := w.r.IntN(200 / max(trouble, 1)); {
		case trouble == 0:
		case odd == 0:
			r.Expires = "2026-11-21"
		case odd == 1:
			continue // nobody answered
		}
		out = append(out, r)
	}
	return out
}

// walks adds two items that are walked through a case's tree, to a pass where nothing is odd.
func (w teller) walks(r *review.Review, c profiles.Case, trouble int) {
	for _, name := range []string{"a", "b"} {
		item := review.Item{Name: name, Because: "so it is"}
		var answers []bool
		for {
			yes := w.one(2)
			answers = append(answers, yes)
			item.Path = append(item.Path, map[bool]string{true: "yes", false: "no"}[yes])
			outcome, err := c.Walk(answers)
			if err != nil {
				continue
			}
			if outcome == profiles.OutcomePass || w.r.IntN(24) < trouble {
				break
			}
			answers, item.Path = nil, nil
		}
		r.Items = append(r.Items, item)
	}
}

// wholeStory tells of a device with as much trouble as it is given; with none, everything is in order.
func (w teller) wholeStory(trouble int) wholeStory {
	s := wholeStory{story: w.story()}
	if trouble == 0 {
		s.story = story{d: thermostat()}
		s.steps = planned(w.t, s.d, w.set)
		for _, step := range s.steps {
			s.obs = append(s.obs, w.attempts(step, 0)...)
		}
	}
	s.reviews = w.answers(s.d, trouble)
	return s
}

func (s wholeStory) judge(t *testing.T, set *profiles.Set, obs []probes.Observation, reviews []review.Review) *verdict.Result {
	r, err := verdict.Judge(s.d, set, verdict.Record{Observations: obs, Reviews: reviews}, day)
	require.NoError(t, err)
	return r
}

// Over whole standards, with reviews beside observations: whatever is taken out of the record, nothing
// becomes a pass and no device conformant that was not before; neither order nor repetition matters.
func TestWholeStandards(t *testing.T) {
	cases := 20
	if testing.Short() {
		cases = 6
	}
	for _, set := range embedded(t, "etsi-en-303-645", "en-18031", "csa-high") {
		seen := map[verdict.Conformity]int{}
		for i := range cases {
			w := teller{t, rand.New(rand.NewPCG(103701, uint64(i))), set}
			s := w.wholeStory(i % 3 * 2) // one in three is in order, however few there are
			whole := s.judge(t, set, s.obs, s.reviews)
			seen[whole.Conformity]++
			for range 8 {
				if len(s.obs) > 0 {
					k := w.r.IntN(len(s.obs))
					noBetter(t, "without "+s.obs[k].Step, whole, s.judge(t, set, slices.Delete(slices.Clone(s.obs), k, k+1), s.reviews))
				}
				k := w.r.IntN(len(s.reviews))
				noBetter(t, "without "+s.reviews[k].Units[0], whole, s.judge(t, set, s.obs, slices.Delete(slices.Clone(s.reviews), k, k+1)))
			}
			noBetter(t, "without reviews", whole, s.judge(t, set, s.obs, nil))
			noBetter(t, "without observations", whole, s.judge(t, set, nil, s.reviews))
			mixed := slices.Clone(s.reviews)
			w.r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			one, err := json.Marshal(whole)
			require.NoError(t, err)
			two, err := json.Marshal(s.judge(t, set, s.obs, mixed))
			require.NoError(t, err)
			require.Equal(t, string(one), string(two), "the order of reviews matters")
			if t.Failed() {
				t.Fatalf("%s, case %d", set.Profile.ID, i)
			}
		}
		require.Positive(t, seen[verdict.Conformant], "%s: some story ends well: %v", set.Profile.ID, seen)
		require.Positive(t, seen[verdict.NonConformant]+seen[verdict.Incomplete], "%s: some do not: %v", set.Profile.ID, seen)
	}
}

// Judging one run against every embedded profile: the bar is 100 ms.
func BenchmarkJudgeEverything(b *testing.B) {
	sets := embedded(b, profiles.List(profiles.Embedded())...)
	d := thermostat()
	var obs []probes.Observation
	known := map[string]bool{}
	for _, set := range sets {
		for _, o := range look(b, d, set, nil) {
			if !known[o.Step] {
				known[o.Step] = true
				obs = append(obs, o)
			}
		}
	}
	for b.Loop() {
		for _, set := range sets {
			if _, err := verdict.Judge(d, set, verdict.Record{Observations: obs}, day); err != nil {
				b.Fatal(err)
			}
		}
	}
}
