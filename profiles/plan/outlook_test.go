package plan_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/plan"
	"assay/profiles/review"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outlook is what is to be expected of one provision.
func outlook(t *testing.T, all []plan.Outlook, id string) plan.Outlook {
	i := slices.IndexFunc(all, func(o plan.Outlook) bool { return o.ID == id })
	require.GreaterOrEqual(t, i, 0, id)
	return all[i]
}

func TestOutlooks(t *testing.T) {
	set := embedded(t, "etsi-en-303-645")
	d := claiming(map[string]dossier.Claim{
		"5.1-1":  {Support: dossier.Supported},
		"5.1-2A": {Support: dossier.NotSupported, Detail: "machines use passwords"},
		"5.1-3":  {Support: dossier.NotApplicable, Detail: "nobody logs in"},
		"5.2-1":  {Support: dossier.NotSupported, Detail: "we publish nothing"},
		"5.2-2":  {Support: dossier.NotSupported},
		"5.2-3":  {Support: dossier.NotApplicable},
		"5.3-13": {Support: dossier.NotApplicable, Detail: "there is no shop"},
	})
	d.Features["telemetry"] = dossier.Feature{Because: "it phones nobody"}
	d.Features["consent"] = dossier.Feature{}
	delete(d.Operations, "login-mqtt")
	p, err := plan.Make(d, set, kinds(), every, nil)
	require.NoError(t, err)
	answered := func(answer review.Answer, units ...string) review.Review {
		for i := range units {
			units[i] = "etsi-en-303-645/" + units[i]
		}
		return review.Review{Units: units, Answer: answer}
	}
	all := plan.Outlooks(d, set, p, []review.Review{
		answered(review.Met, "5.3-16-1.a", "5.3-16-2.a", "5.3-16-2.b"), answered(review.NotMet, "5.1-4-1.a"), answered(review.Open, "5.1-4-2.a"),
		answered(review.Met, "5.10-1-1.a"),
	})
	require.Len(t, all, 78)

	for id, want := range map[string]plan.Outlook{
		"5.10-1": {Prospect: plan.Spared, Because: []string{"the dossier denies telemetry (it phones nobody)"}},
		"5.1-2A": {Prospect: plan.Spared, Because: []string{"the ICS does not claim this recommendation: machines use passwords"}},
		"5.1-3":  {Prospect: plan.Spared, Because: []string{"the ICS answers N/A: nobody logs in"}},
		"5.2-1":  {Prospect: plan.Failing, Because: []string{"the ICS says that the product does not support it: we publish nothing"}},
		"5.2-2":  {Prospect: plan.Failing, Because: []string{"the ICS answers N without a reason: write detail, or claim it and have it tested"}},
		"5.2-3":  {Prospect: plan.Failing, Because: []string{"the ICS answers N/A without a reason: write detail, or claim it and have it tested"}},
		"5.3-13": {Prospect: plan.Failing, Because: []string{"the ICS answers N/A, but the provision has no condition: there is no shop"}},
		"5.3-16": {Prospect: plan.Decided},
	} {
		got := outlook(t, all, id)
		assert.Equal(t, want.Prospect, got.Prospect, id)
		assert.Equal(t, want.Because, got.Because, id)
		assert.Equal(t, "etsi-en-303-645", got.Standard, id)
		assert.NotEmpty(t, got.Title, id)
	}
	login := outlook(t, all, "5.1-1")
	assert.Equal(t, plan.OpenEnd, login.Prospect, "a claim is no answer")
	assert.Equal(t, []string{
		"needs operation login-mqtt: the dossier does not tell how to do it",
		"4 of 4 reviews are missing: 5.1-1-1.a, 5.1-1-2.a, 5.1-1-2.b, 5.1-1-2.c",
	}, login.Because)
	assert.Equal(t, profiles.Mandatory, login.Level)
	assert.Equal(t, []int{4, 4, 0}, []int{login.Reviews, login.Unreviewed, login.Unanswered})

	change := outlook(t, all, "5.1-4")
	assert.Equal(t, plan.OpenEnd, change.Prospect)
	assert.Contains(t, change.Because[0], "5.1-4-2.a", "looked at and left open is not answered")
	assert.NotContains(t, change.Because[0], "5.1-4-1.a", "not met is an answer")
	assert.Equal(t, plan.OpenEnd, outlook(t, all, "6-2").Prospect, "a denial without a reason spares nothing")
}

// What nothing answers stays open, and is told apart from what somebody has not answered yet.
func TestOutlookOfWhatNothingAnswers(t *testing.T) {
	q := profiles.Requirement{ID: "1", Level: profiles.Mandatory, Cases: []profiles.Case{{ID: "1-1"}}}
	for i := range 8 {
		q.Cases[0].Units = append(q.Cases[0].Units, profiles.Unit{ID: string(rune('a' + i))})
	}
	uncased := profiles.Requirement{ID: "2", Level: profiles.Mandatory}
	set := setOf(t, q, uncased)
	all := plan.Outlooks(&dossier.Dossier{}, set, &plan.Plan{}, nil)
	assert.Equal(t, []plan.Outlook{
		{
			Standard: "s", ID: "1", Title: "t", Level: profiles.Mandatory, Prospect: plan.OpenEnd, Unanswered: 8,
			Because: []string{"nothing answers 1-1.a, 1-1.b, 1-1.c, 1-1.d, 1-1.e, 1-1.f and 2 more yet"},
		},
		{Standard: "s", ID: "2", Title: "t", Level: profiles.Mandatory, Prospect: plan.OpenEnd, Because: []string{"nothing answers it yet"}},
	}, all)
}

// Who comes with nothing learns of every mandatory provision why it cannot be decided.
func TestEmptyHanded(t *testing.T) {
	set := embedded(t, "etsi-en-303-645")
	d := &dossier.Dossier{}
	p, err := plan.Make(d, set, kinds(), nil, nil)
	require.NoError(t, err)
	for _, s := range p.Steps {
		assert.True(t, strings.HasPrefix(s.NotAsked, profiles.NotAskedNeeds), "%s: %s", s.ID, s.NotAsked)
		assert.False(t, s.Inapplicable, s.ID)
	}
	assert.Zero(t, p.Typical)
	mandatory := map[string]bool{}
	for _, o := range plan.Outlooks(d, set, p, nil) {
		assert.Equal(t, plan.OpenEnd, o.Prospect, o.ID)
		assert.NotEmpty(t, o.Because, o.ID)
		if o.Level == profiles.Mandatory {
			mandatory[o.ID] = true
		}
	}
	assert.Len(t, mandatory, 36)

	b, err := json.Marshal(plan.Outlooks(d, set, p, nil)[0])
	require.NoError(t, err)
	assert.JSONEq(t, `{"standard": "etsi-en-303-645", "id": "5.0-1", "title": "It is recorded why a recommendation is not applicable or not met",
		"level": "mandatory", "prospect": "open", "because": ["1 of 1 reviews are missing: 5.0-1-1.a"], "checks": 1, "reviews": 1, "unreviewed": 1}`, string(b))
}

// The baseline asks no person: whoever has every instrument and operation leaves nothing open.
func TestOutlookOfTheBaseline(t *testing.T) {
	for _, o := range plan.Outlooks(whole(), baseline(t), made(t, whole(), every, nil), nil) {
		assert.Equal(t, plan.Decided, o.Prospect, o.ID)
		assert.Empty(t, o.Because, o.ID)
		assert.Zero(t, o.Reviews, o.ID)
		assert.NotZero(t, o.Checks, o.ID)
	}
}

// A denial that takes away every check of a unit leaves the unit open, and the judge says so: the plan does, too.
func TestOutlookWithoutAnyCheck(t *testing.T) {
	d := whole()
	d.Features["update_https"], d.Features["update_coap"] = dossier.Feature{Because: "no updates"}, dossier.Feature{Because: "no updates"}
	all := plan.Outlooks(d, baseline(t), made(t, d, every, nil), nil)
	got := outlook(t, all, "5.3-2")
	assert.Equal(t, plan.OpenEnd, got.Prospect)
	assert.Equal(t, []string{"by what the dossier denies, no check of 5.3-2-2.b applies to this product: nothing will show that it is met"}, got.Because)
	assert.Equal(t, plan.Decided, outlook(t, all, "5.1-1").Prospect)

	d.Features["update_coap"] = dossier.Feature{Present: true}
	assert.Equal(t, plan.Decided, outlook(t, plan.Outlooks(d, baseline(t), made(t, d, every, nil), nil), "5.3-2").Prospect, "one way is enough to ask")
}
