package profiles_test

import (
	"slices"
	"testing"

	"assay/profiles"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A check with a probe compares facts; one without asks the declaration alone.
func TestChecks(t *testing.T) {
	set, err := profiles.Load(with(t, map[string]string{"n": "standards: [{standard: s}]\n"}), "n", schemas(t))
	require.NoError(t, err)

	best, _ := set.Check("c/best")
	assert.Equal(t, profiles.Observation, best.Evidence, "which is what a probe gives")
	holds := func(ok bool, err error) bool { require.NoError(t, err); return ok }
	fast := map[string]any{"asked": true, "accepted": true, "rate": 3.0}
	assert.True(t, holds(best.Fair(fast, profiles.Declared{})))
	assert.False(t, holds(best.Good(fast, profiles.Declared{})))
	assert.True(t, holds(best.Shows("updatable", fast, profiles.Declared{})))
	assert.False(t, holds(best.Fair(map[string]any{"asked": false, "accepted": false, "rate": 0.0}, profiles.Declared{})))

	told, _ := set.Check("c/told")
	assert.Equal(t, profiles.Document, told.Evidence)
	assert.Empty(t, told.Step, "there is nothing to ask")
	assert.Empty(t, told.Params)
	assert.Empty(t, told.Asks())
	assert.Empty(t, told.Needs())
	assert.False(t, holds(told.Fair(nil, profiles.Declared{})))
	assert.True(t, holds(told.Fair(nil, profiles.Declared{ICSGiven: true})))
	assert.True(t, holds(told.Good(nil, profiles.Declared{ICSGiven: true})))
	assert.False(t, holds(told.Good(nil, profiles.Declared{ICSGiven: true, ICSMissing: []string{"5.1-1"}})))
	assert.False(t, holds(told.Shows("updatable", nil, profiles.Declared{})), "it shows nothing of the product")
	about, err := told.About(nil, profiles.Declared{})
	require.NoError(t, err)
	assert.Empty(t, about)
	assert.NotContains(t, set.Schemas, "", "no probe has no schema")
}

// The embedded check of the ICS names the provisions that it is about.
func TestICSJustified(t *testing.T) {
	c, ok := embedded(t)["etsi-en-303-645"].Check("declaration/ics-justified")
	require.True(t, ok)
	d := profiles.Declared{ICSGiven: true, ICSMissing: []string{"5.1-1"}, ICSUnjustified: []string{"6-8"}}
	good, err := c.Good(nil, d)
	require.NoError(t, err)
	assert.False(t, good)
	about, err := c.About(nil, d)
	require.NoError(t, err)
	assert.Equal(t, []string{"5.1-1", "6-8"}, about)
	good, err = c.Good(nil, profiles.Declared{ICSGiven: true})
	require.NoError(t, err)
	assert.True(t, good)
}

func TestConditions(t *testing.T) {
	set, err := profiles.Load(valid(t, "", ""), "p", schemas(t))
	require.NoError(t, err)
	lacks := func(names ...string) func(string) bool {
		return func(f string) bool { return slices.Contains(names, f) }
	}
	when := set.Required()[1].When
	assert.True(t, when.Holds(lacks()), "what nobody denies is there")
	assert.True(t, when.Holds(lacks("updatable")))
	assert.False(t, when.Holds(lacks("passwords", "updatable")))
	var always profiles.Condition
	assert.True(t, always.Holds(lacks("passwords")))
	assert.Empty(t, always.Features())
}
