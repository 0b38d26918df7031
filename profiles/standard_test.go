package profiles_test

import (
	"testing"

	"assay/profiles"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCoverage(t *testing.T) {
	all, err := profiles.Standards(valid(t, "", ""), schemas(t))
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Equal(t, profiles.Coverage{
		Requirements: 3, Mandatory: 2, Recommended: 1, Cases: 3, Units: 6,
		Checked: 1, Both: 2, Document: 1, Attestation: 1, Nothing: 1, Uncased: 1,
	}, all[0].Coverage())
	assert.Equal(t, map[string]int{"x": 2, "z": 2}, all[0].ByPart())
	assert.Equal(t, []string{"c/told", "c/good", "c/best"}, all[0].Requirements[1].Checks(), "each once, in their order")

	set, err := profiles.Load(with(t, map[string]string{"n": "standards: [{standard: s}]\nevidence: [document]\nbecause: x\n"}), "n", schemas(t))
	require.NoError(t, err)
	assert.Equal(t, profiles.Coverage{Requirements: 2, Mandatory: 2, Cases: 1, Units: 2, Both: 1, Document: 1, Uncased: 1}, set.Standards[0].Coverage(),
		"of the part that a set has selected")
	assert.Equal(t, map[string]int{"x": 1, "z": 1}, set.Standards[0].ByPart())
}

func TestWanted(t *testing.T) {
	set, err := profiles.Load(valid(t, "", ""), "p", schemas(t))
	require.NoError(t, err)
	var got []string
	for _, w := range set.Wanted() {
		got = append(got, w.Address+" "+w.Requirement.Address()+" "+w.Case.Kind+" "+string(w.Unit.Review))
	}
	assert.Equal(t, []string{
		"s/1-1.a s/1 conceptual document", "s/1-1.b s/1 conceptual document", "s/1-2.a s/1 functional attestation", "s/2-1.b s/2 functional attestation",
	}, got)
}

func TestOmittedInWords(t *testing.T) {
	out := []profiles.Exclusion{{Requirement: "s/1"}}
	for want, o := range map[string]profiles.Omitted{
		"": {Of: 9, Because: "nothing is left out"},
		"not the whole standard: 5 of 9 questions are left out":                         {Units: 5, Of: 9},
		"not the whole standard: 1 of 9 questions is left out, 1 more is asked in part": {Units: 1, Narrowed: 1, Of: 9},
		"not the whole standard: 2 of 9 questions are asked in part (x)":                {Narrowed: 2, Of: 9, Because: "x"},
		"not the whole standard: 5 of 9 questions are left out, 2 more are asked in part, with them 1 requirement": {
			Units: 5, Narrowed: 2, Requirements: []string{"s/2"}, Of: 9,
		},
		"not the whole standard: 5 of 9 questions are left out, with them 2 requirements; 1 requirement is left out by name (x)": {
			Units: 5, Requirements: []string{"s/2", "s/3"}, Exclusions: out, Of: 9, Because: "x",
		},
		"not the whole standard: 10 of 78 requirements are asked, 5 of 9 questions are left out": {Taken: 10, Total: 78, Units: 5, Of: 9},
		"not the whole standard: 1 of 2 requirements is asked":                                   {Taken: 1, Total: 2},
		"not the whole standard: 1 check is left out by name":                                    {Exclusions: []profiles.Exclusion{{Check: "c/good"}}},
		"not the whole standard: 1 requirement is left out by name; 2 checks are left out by name": {
			Exclusions: append(out, profiles.Exclusion{Check: "c/good"}, profiles.Exclusion{Check: "c/best"}),
		},
		"not the whole standard: 1 requirement is left out by name":   {Exclusions: out, Of: 9},
		"not the whole standard: 2 requirements are left out by name": {Exclusions: append(out, out...), Of: 9},
	} {
		assert.Equal(t, want, o.String())
		assert.Equal(t, want == "", o.None())
	}
}

func TestWalk(t *testing.T) {
	// Three questions: the first may end it or skip one.
	c := profiles.Case{ID: "X", Tree: []profiles.Node{
		{ID: "N1", Yes: "N3", No: "N2"}, {ID: "N2", Yes: "N3", No: "NA"}, {ID: "N3", Yes: "PASS", No: "FAIL"},
	}}
	for _, one := range []struct {
		answers string
		outcome string
		err     string
	}{
		{"yy", profiles.OutcomePass, ""},
		{"yn", profiles.OutcomeFail, ""},
		{"nn", profiles.OutcomeNotApplicable, ""},
		{"nyy", profiles.OutcomePass, ""},
		{"nyn", profiles.OutcomeFail, ""},
		{"", "", "N1 is not answered"},
		{"y", "", "N3 is not answered"},
		{"n", "", "N2 is not answered"},
		{"ny", "", "N3 is not answered"},
		{"yyy", "", "X is decided (PASS) after 2 answers, but there are 3"},
		{"nnyy", "", "X is decided (NA) after 2 answers, but there are 4"},
	} {
		t.Run(one.answers, func(t *testing.T) {
			var answers []bool
			for _, a := range one.answers {
				answers = append(answers, a == 'y')
			}
			outcome, err := c.Walk(answers)
			assert.Equal(t, one.outcome, outcome)
			if one.err == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, one.err)
		})
	}
	_, err := (profiles.Case{ID: "X"}).Walk([]bool{true})
	assert.EqualError(t, err, "X has no decision tree")
	_, err = (profiles.Case{ID: "X", Tree: []profiles.Node{{ID: "N1", Yes: "N9"}}}).Walk([]bool{true})
	assert.EqualError(t, err, `X leads to "N9", which is not there`)
}

// Every path of every embedded tree ends, and ends in an outcome that its summary knows.
func TestEmbeddedTrees(t *testing.T) {
	all, err := everything()
	require.NoError(t, err)
	trees := 0
	for _, std := range all.Standards {
		for _, r := range std.Requirements {
			for _, c := range r.Cases {
				if len(c.Tree) == 0 {
					continue
				}
				trees++
				ends := map[string]int{}
				paths(t, c, nil, ends)
				assert.NotZero(t, ends[profiles.OutcomePass], c.ID)
				assert.NotZero(t, ends[profiles.OutcomeFail]+ends[profiles.OutcomeNotApplicable], c.ID)
				if c.Verdicts == "B" {
					assert.Zero(t, ends[profiles.OutcomeNotApplicable], "%s: type B knows pass and fail only", c.ID)
				}
				assert.Equal(t, profiles.Document, c.Units[0].Review, "%s: a person walks the tree", c.ID)
			}
		}
	}
	assert.Equal(t, 48, trees, "one for each requirement of EN 18031")
}

// paths walks every path from some first answers on.
func paths(t *testing.T, c profiles.Case, answers []bool, ends map[string]int) {
	require.LessOrEqual(t, len(answers), len(c.Tree), c.ID)
	outcome, err := c.Walk(answers)
	if err == nil {
		ends[outcome]++
		return
	}
	require.ErrorContains(t, err, "is not answered")
	paths(t, c, append(answers[:len(answers):len(answers)], true), ends)
	paths(t, c, append(answers[:len(answers):len(answers)], false), ends)
}
