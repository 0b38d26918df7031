package profiles_test

import (
	"sync"
	"testing"

	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the embedded standards hold, counted in the sources that they were written from. A number changes only with an edition.
var counts = map[string]struct {
	requirements, mandatory, recommended, cases, units int
	parts                                              map[string]int
}{
	"etsi-en-303-645": {78, 36, 42, 131, 258, map[string]int{
		"5.0": 1, "5.1": 6, "5.2": 3, "5.3": 19, "5.4": 4, "5.5": 8, "5.6": 10, "5.7": 2, "5.8": 3, "5.9": 3, "5.10": 1, "5.11": 4, "5.12": 3, "5.13": 2, "6": 9,
	}},
	"etsi-en-303-645-v2.1.1": {68, 33, 35, 109, 226, map[string]int{
		"4": 1, "5.1": 5, "5.2": 3, "5.3": 16, "5.4": 4, "5.5": 8, "5.6": 9, "5.7": 2, "5.8": 3, "5.9": 3, "5.10": 1, "5.11": 4, "5.12": 3, "5.13": 1, "6": 5,
	}},
	"en-18031":     {48, 48, 0, 117, 164, map[string]int{"1": 33, "2": 43, "3": 37}},
	"eu-cra":       {44, 44, 0, 61, 128, map[string]int{"annex-i-1": 14, "annex-i-2": 8, "annex-ii": 9, "annex-vii": 8, "duties": 5}},
	"eu-csa":       {6, 6, 0, 8, 10, map[string]int{"basic": 1, "substantial": 2, "high": 3, "statement": 3}},
	"jc-star":      {16, 16, 0, 32, 41, map[string]int{"star-1": 16}},
	"nist-ir-8425": {55, 19, 36, 90, 127, map[string]int{"8259a": 22, "8259b": 14, "8425": 19}},
	"sg-cls":       {4, 4, 0, 8, 23, map[string]int{"l1": 1, "l2": 2, "l3": 3, "l4": 4}},
	"uk-psti":      {9, 9, 0, 18, 25, map[string]int{"paragraph-1": 2, "paragraph-2": 2, "paragraph-3": 5}},
	"iec-62443-4-2": {77, 77, 0, 150, 242, map[string]int{ // 43 CR, 30 of one type of component, 4 constraints common to all
		"sl-1": 54, "sl-2": 76, "sl-3": 77, "sl-4": 77, "common-sl-1": 36, "common-sl-2": 46, "common-sl-3": 47, "common-sl-4": 47,
		"ndr-sl-1": 8, "ndr-sl-2": 12, "ndr-sl-3": 12, "ndr-sl-4": 12, "sar-sl-1": 2, "sar-sl-2": 2, "sar-sl-3": 2, "sar-sl-4": 2,
		"edr-sl-1": 4, "edr-sl-2": 8, "edr-sl-3": 8, "edr-sl-4": 8, "hdr-sl-1": 4, "hdr-sl-2": 8, "hdr-sl-3": 8, "hdr-sl-4": 8,
	}},
	"owasp-isvs": {169, 169, 0, 12, 12, map[string]int{"l1": 79, "l2": 143, "l3": 168}},
	"owasp-istg": {101, 0, 101, 7, 7, map[string]int{
		"proc": 4, "mem": 7, "fw": 10, "fw-inst": 4, "fw-updt": 6, "des": 12, "int": 12, "int-i2c": 5, "int-uart": 5, "phy": 12, "wrls": 12, "ui": 12,
	}},
}

func TestCounts(t *testing.T) {
	all, err := everything()
	require.NoError(t, err)
	require.Len(t, all.Standards, len(counts))
	for _, std := range all.Standards {
		want, ok := counts[std.ID]
		require.True(t, ok, std.ID)
		c := std.Coverage()
		assert.Equal(t, want.requirements, c.Requirements, "%s: requirements", std.ID)
		assert.Equal(t, want.mandatory, c.Mandatory, "%s: mandatory", std.ID)
		assert.Equal(t, want.recommended, c.Recommended, "%s: recommended", std.ID)
		assert.Equal(t, want.cases, c.Cases, "%s: cases", std.ID)
		assert.Equal(t, want.units, c.Units, "%s: units", std.ID)
		assert.Equal(t, want.parts, std.ByPart(), "%s: parts", std.ID)
		assert.Equal(t, c.Units, c.Checked+c.Both+c.Document+c.Attestation+c.Nothing, "%s: each unit is counted once", std.ID)
		assert.Equal(t, std.ID == "owasp-isvs" || std.ID == "owasp-istg", std.Reference, std.ID)
		assert.Equal(t, std.ID == "etsi-en-303-645", std.ICS, "%s: the ICS of a dossier is about V3.1.3", std.ID)
		if !std.Reference {
			assert.Zero(t, c.Uncased, "%s: what can be run has cases", std.ID)
		}
	}
}

// The dossier's list of provisions and the standard are one list.
func TestProvisionsAreTheStandards(t *testing.T) {
	set := embedded(t)["etsi-en-303-645"]
	require.NotNil(t, set)
	assert.Equal(t, dossier.Edition, set.Standards[0].Edition)
	var ids []string
	for _, r := range set.Required() {
		ids = append(ids, r.ID)
	}
	assert.Equal(t, dossier.Provisions(), ids)
}

// Every IXIT table that a case or a check compares is one of the dossier's.
func TestTablesAreTheDossiers(t *testing.T) {
	for _, set := range embedded(t) {
		for _, r := range set.Required() {
			for _, c := range r.Cases {
				if r.Standard.Edition == dossier.Edition {
					assert.Subset(t, dossier.Tables(), c.IXIT, c.ID)
				}
			}
		}
		for _, c := range set.Checks() {
			if c.Row != "" {
				assert.Contains(t, dossier.Tables(), c.Row, c.ID)
			}
		}
	}
}

// What each embedded profile selects, and what it leaves out of that.
func TestEmbeddedProfiles(t *testing.T) {
	sets := embedded(t)
	for id, want := range map[string]struct{ requirements, mandatory int }{
		"baseline": {10, 8}, "pre-test": {22, 14}, "etsi-en-303-645": {78, 36}, "etsi-en-303-645-v2.1.1": {68, 33},
		"en-18031": {48, 48}, "en-18031-1": {33, 33}, "en-18031-2": {43, 43}, "en-18031-3": {37, 37},
		"csa-basic": {78, 37}, "csa-substantial": {80, 38}, "csa-high": {81, 39},
		"eu-cra": {44, 44}, "iec-62443-4-2": {55, 55}, "jc-star": {16, 16}, "nist-ir-8425": {55, 19}, "sg-cls": {4, 4}, "uk-psti": {9, 9},
	} {
		set, ok := sets[id]
		require.True(t, ok, id)
		delete(sets, id)
		mandatory := 0
		for _, r := range set.Required() {
			if r.Level == profiles.Mandatory {
				mandatory++
			}
		}
		assert.Equal(t, want.requirements, len(set.Required()), id)
		assert.Equal(t, want.mandatory, mandatory, id)
		assert.NotEmpty(t, set.Register, "%s: there is a word on presumption", id)
		narrow := set.Profile.Reviews != "" || set.Profile.Evidence != nil || set.Omitted.Taken < set.Omitted.Total
		assert.Equal(t, !narrow, set.Omitted.None(), "%s: %s", id, set.Omitted)
		same(t, set)
	}
	assert.Empty(t, sets, "profiles that this test does not know")
}

// everything is read once for all tests: sets do not change.
var everything = sync.OnceValues(func() (*profiles.Everything, error) {
	schemas, err := profiles.Schemas(catalog.All())
	if err != nil {
		return nil, err
	}
	return profiles.LoadAll(profiles.Embedded(), schemas)
})

func embedded(t testing.TB) map[string]*profiles.Set {
	t.Helper()
	all, err := everything()
	require.NoError(t, err)
	out := map[string]*profiles.Set{}
	for _, set := range all.Sets {
		out[set.Profile.ID] = set
	}
	return out
}

// The baseline is what a program can find out: its test cases ask nobody.
func TestBaselineAsksNobody(t *testing.T) {
	set := embedded(t)["baseline"]
	require.NotNil(t, set)
	assert.Empty(t, set.Wanted())
	for _, r := range set.Required() {
		for _, c := range r.Cases {
			for _, u := range c.Units {
				assert.NotEmpty(t, u.Checks, "%s.%s", c.ID, u.ID)
				assert.Empty(t, u.Review, "%s.%s", c.ID, u.ID)
			}
		}
	}
	assert.False(t, set.Omitted.None(), "and says so")
	assert.NotEmpty(t, set.Omitted.String())
	assert.Empty(t, set.Omitted.Requirements)
}

func TestEmbeddedCrosswalk(t *testing.T) {
	all, err := everything()
	require.NoError(t, err)
	require.NotNil(t, all.Crosswalk)
	var from []string
	for _, row := range all.Crosswalk.Rows {
		from = append(from, row.From)
	}
	var want []string
	for _, id := range dossier.Provisions() {
		want = append(want, "etsi-en-303-645/"+id)
	}
	assert.Equal(t, want, from, "one row for each provision, in order")
}
