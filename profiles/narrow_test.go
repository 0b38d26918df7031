package profiles_test

import (
	"strings"
	"testing"

	"assay/profiles"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// units tells of every selected unit what is asked of it, e.g. "1-2.a c/good+c/best attestation".
func units(set *profiles.Set) []string {
	var out []string
	for _, r := range set.Required() {
		for _, c := range r.Cases {
			for _, u := range c.Units {
				out = append(out, strings.TrimSpace(c.ID+"."+u.ID+" "+strings.TrimSpace(strings.Join(u.Checks, "+")+" "+string(u.Review))))
			}
		}
	}
	return out
}

func TestNarrowing(t *testing.T) {
	const whole = "standards: [{standard: s}]\n"
	for name, c := range map[string]struct {
		profile   string
		addresses []string
		units     []string
		checks    []string
		omitted   profiles.Omitted
	}{
		"nothing left out": {
			whole, []string{"s/3", "s/1", "s/2"},
			[]string{
				"1-1.a c/told document", "1-1.b document", "1-2.a c/good+c/best attestation", "2-1.a c/good", "2-1.b attestation", "2-1.c",
			},
			[]string{"c/best", "c/good", "c/told"}, profiles.Omitted{Of: 6},
		},
		"every class": {
			whole + "evidence: [observation, attestation, document]\nbecause: x\n", []string{"s/3", "s/1", "s/2"},
			[]string{"1-1.a c/told document", "1-1.b document", "1-2.a c/good+c/best attestation", "2-1.a c/good", "2-1.b attestation"},
			[]string{"c/best", "c/good", "c/told"}, profiles.Omitted{Units: 1, Of: 6, Because: "x"},
		},
		"no reviews": {
			whole + "reviews: none\nbecause: x\n", []string{"s/3", "s/1", "s/2"},
			[]string{"1-1.a c/told", "1-2.a c/good+c/best", "2-1.a c/good"},
			[]string{"c/best", "c/good", "c/told"}, profiles.Omitted{Units: 3, Narrowed: 2, Of: 6, Because: "x"},
		},
		"observation": {
			whole + "evidence: [observation]\nbecause: x\n", []string{"s/3", "s/1", "s/2"},
			[]string{"1-2.a c/good+c/best", "2-1.a c/good"},
			[]string{"c/best", "c/good"}, profiles.Omitted{Units: 4, Narrowed: 1, Of: 6, Because: "x"},
		},
		"document": {
			whole + "evidence: [document]\nbecause: x\n", []string{"s/3", "s/1"}, // s/2 has nothing to read, s/3 has nothing at all and stays open
			[]string{"1-1.a c/told document", "1-1.b document"},
			[]string{"c/told"}, profiles.Omitted{Requirements: []string{"s/2"}, Units: 4, Of: 6, Because: "x"},
		},
		"document without reviews": {
			whole + "evidence: [document]\nreviews: none\nbecause: x\n", []string{"s/3", "s/1"},
			[]string{"1-1.a c/told"},
			[]string{"c/told"}, profiles.Omitted{Requirements: []string{"s/2"}, Units: 5, Narrowed: 1, Of: 6, Because: "x"},
		},
		"a part": {
			"standards: [{standard: s, parts: [z]}]\n", []string{"s/3", "s/2"},
			[]string{"2-1.a c/good", "2-1.b attestation", "2-1.c"}, []string{"c/good"}, profiles.Omitted{Of: 3},
		},
		"parts beside a requirement": {
			"standards: [{standard: s, parts: [x], requirements: [\"3\"]}]\n", []string{"s/3", "s/1", "s/2"},
			[]string{
				"1-1.a c/told document", "1-1.b document", "1-2.a c/good+c/best attestation", "2-1.a c/good", "2-1.b attestation", "2-1.c",
			},
			[]string{"c/best", "c/good", "c/told"}, profiles.Omitted{Of: 6},
		},
		"without": {
			whole + "without:\n  - {requirement: s/1, because: no such thing}\n", []string{"s/3", "s/2"},
			[]string{"2-1.a c/good", "2-1.b attestation", "2-1.c"}, []string{"c/good"},
			profiles.Omitted{Exclusions: []profiles.Exclusion{{Requirement: "s/1", Because: "no such thing"}}, Of: 3},
		},
		"without a check": {
			whole + "without:\n  - {check: c/good, because: it breaks our network}\n", []string{"s/3", "s/1", "s/2"},
			[]string{"1-1.a c/told document", "1-1.b document", "1-2.a c/best attestation", "2-1.b attestation", "2-1.c"}, []string{"c/best", "c/told"},
			profiles.Omitted{Exclusions: []profiles.Exclusion{{Check: "c/good", Because: "it breaks our network"}}, Units: 1, Narrowed: 1, Of: 6},
		},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := profiles.Load(with(t, map[string]string{"n": c.profile}), "n", schemas(t))
			require.NoError(t, err)
			assert.Equal(t, c.addresses, addresses(set))
			assert.Equal(t, c.units, units(set))
			var checks []string
			for _, one := range set.Checks() {
				checks = append(checks, one.ID)
			}
			assert.Equal(t, c.checks, checks)
			assert.Equal(t, len(c.addresses), set.Omitted.Taken)
			assert.Equal(t, 3, set.Omitted.Total)
			got := set.Omitted
			got.Taken, got.Total = 0, 0
			assert.Equal(t, c.omitted, got)
			same(t, set)
		})
	}
}

// A named person answers a tree; where none is asked, there is no tree to walk.
func TestNoReviewsNoTree(t *testing.T) {
	const whole = "standards: [{standard: s}]\n"
	set, err := profiles.Load(with(t, map[string]string{"n": whole}), "n", schemas(t))
	require.NoError(t, err)
	assert.Len(t, set.Required()[1].Cases[0].Tree, 2)
	set, err = profiles.Load(with(t, map[string]string{"n": whole + "reviews: none\nbecause: x\n"}), "n", schemas(t))
	require.NoError(t, err)
	assert.Empty(t, set.Required()[1].Cases[0].Tree)
	assert.Empty(t, set.Required()[1].Cases[0].Verdicts)
}

// What one profile of a row leaves out, none after it takes back, nor may it say so twice.
func TestWithoutInARow(t *testing.T) {
	all := map[string]string{
		"base": "standards: [{standard: s}]\nwithout: [{requirement: s/1, because: x}]\n",
		"top":  "extends: base\nwithout: [{requirement: s/2, because: \"y\"}]\nstandards: [{standard: s, requirements: [\"1\"]}]\n",
	}
	set, err := profiles.Load(with(t, all), "top", schemas(t))
	require.NoError(t, err)
	assert.Equal(t, []string{"s/3"}, addresses(set))
	assert.Equal(t, []profiles.Exclusion{{Requirement: "s/1", Because: "x"}, {Requirement: "s/2", Because: "y"}}, set.Omitted.Exclusions)
	same(t, set)

	all["top"] = "extends: base\nwithout: [{requirement: s/1, because: \"y\"}]\n"
	_, err = profiles.Load(with(t, all), "top", schemas(t))
	assert.EqualError(t, err, `profiles/top.yaml:6:25: without[0].requirement: "s/1" is left out twice: keep one`)
	all["top"] = "extends: base\nwaivers: [{requirement: s/1, approver: a, reason: b, risk: c, expires: 2027-01-31, profile: \"1\"}]\n"
	_, err = profiles.Load(with(t, all), "top", schemas(t))
	assert.EqualError(t, err, `profiles/top.yaml:6:25: waivers[0].requirement: the profile selects no requirement "s/1": write standard/id: did you mean "s/3"?`)
}

// A requirement that is asked for by name, of which the evidence leaves nothing, is a mistake, wherever it is named.
func TestNamedWithNothingLeft(t *testing.T) {
	all := map[string]string{
		"base": "standards: [{standard: s, requirements: [\"1\", \"2\"]}]\n",
		"top":  "extends: base\nevidence: [document]\nbecause: x\n",
	}
	_, err := profiles.Load(with(t, all), "top", schemas(t))
	assert.EqualError(t, err, "profiles/top.yaml:1:1: standards: names s/2, but none of its questions is of the evidence that the profile takes: "+
		"take more, or do not name it")
	all["top"] += "without: [{requirement: s/2, because: \"y\"}]\n"
	set, err := profiles.Load(with(t, all), "top", schemas(t))
	require.NoError(t, err)
	assert.Equal(t, []string{"s/1"}, addresses(set))
}
