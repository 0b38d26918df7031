package dossier_test

import (
	"testing"
	"testing/fstest"

	"assay/profiles"
	"assay/profiles/dossier"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// required are requirements of every kind, by their addresses: m has an ICS about it, old is another edition of it, else has none.
func required(t *testing.T) map[string]profiles.Required {
	const list = `
requirements:
  - {id: 5.0-1, title: must, level: mandatory, certainty: recalled}
  - {id: 5.1-1, title: must if, level: mandatory, condition: with passwords, applies: features.passwords, certainty: recalled}
  - {id: 5.1-5, title: must if both, level: mandatory, condition: x, applies: features.telemetry && features.consent, certainty: recalled}
  - {id: 5.2-2, title: should, level: recommended, certainty: recalled}
  - {id: 5.3-1, title: should if, level: recommended, condition: x, applies: features.updatable, certainty: recalled}
`
	fsys := fstest.MapFS{"profiles/p.yaml": {Data: []byte("assay: profile/v1\nid: p\nversion: \"1\"\ntitle: t\n" +
		"standards: [{standard: m}, {standard: old}, {standard: else}]\n")}}
	for id, head := range map[string]string{"m": "edition: V3.1.3\nics: true", "old": "edition: V2.1.1\nics: true", "else": "edition: V3.1.3"} {
		fsys["standards/"+id+".yaml"] = &fstest.MapFile{Data: []byte("assay: standard/v2\nid: " + id + "\ntitle: t\n" + head + list)}
	}
	set, err := profiles.Load(fsys, "p", nil)
	require.NoError(t, err)
	out := map[string]profiles.Required{}
	for _, r := range set.Required() {
		out[r.Address()] = r
	}
	require.Len(t, out, 15)
	return out
}

// claims is a dossier with one claim for every provision above.
func claims(support, detail string) *dossier.Dossier {
	d := &dossier.Dossier{ICS: &dossier.ICS{Edition: dossier.Edition, Provisions: map[string]dossier.Claim{}}, Features: map[string]dossier.Feature{}}
	for _, id := range []string{"5.0-1", "5.1-1", "5.1-5", "5.2-2", "5.3-1"} {
		d.ICS.Provisions[id] = dossier.Claim{Support: support, Detail: detail}
	}
	return d
}

func TestClaims(t *testing.T) {
	all := required(t)
	d := claims(dossier.NotSupported, "no need")
	c, ok := d.Claims(all["m/5.0-1"])
	assert.True(t, ok)
	assert.Equal(t, dossier.Claim{Support: dossier.NotSupported, Detail: "no need"}, c)
	for name, one := range map[string]struct {
		d  *dossier.Dossier
		of string
	}{
		"another edition":     {d, "old/5.0-1"},
		"a standard without":  {d, "else/5.0-1"},
		"no ICS":              {&dossier.Dossier{}, "m/5.0-1"},
		"an older ICS":        {&dossier.Dossier{ICS: &dossier.ICS{Edition: "V2.1.1", Provisions: d.ICS.Provisions}}, "m/5.0-1"},
		"nothing about it":    {&dossier.Dossier{ICS: &dossier.ICS{Edition: dossier.Edition}}, "m/5.0-1"},
		"still to be decided": {claims(dossier.Placeholder, ""), "m/5.0-1"},
	} {
		_, ok := one.d.Claims(all[one.of])
		assert.False(t, ok, name)
		_, spared := one.d.Spares(all[one.of])
		assert.False(t, spared, name)
		_, condemned := one.d.Condemns(all[one.of])
		assert.False(t, condemned, name)
	}
}

// What an ICS does to a requirement: it spares it, it condemns it, or it leaves it to be asked.
func TestICSOfARequirement(t *testing.T) {
	const (
		asked      = ""
		unclaimed  = "spared: the ICS does not claim this recommendation: no need"
		inapt      = "spared: the ICS answers N/A: no need"
		unreasoned = " without a reason: write detail, or claim it and have it tested"
	)
	all := required(t)
	for name, c := range map[string]struct {
		d    *dossier.Dossier
		want map[string]string
	}{
		"supported": {claims(dossier.Supported, ""), map[string]string{}},
		"not supported": {claims(dossier.NotSupported, " no need "), map[string]string{
			"5.0-1": "condemned: the ICS says that the product does not support it: no need",
			"5.1-1": "condemned: the ICS says that the product does not support it: no need",
			"5.1-5": "condemned: the ICS says that the product does not support it: no need",
			"5.2-2": unclaimed, "5.3-1": unclaimed,
		}},
		"not applicable": {claims(dossier.NotApplicable, " no need "), map[string]string{
			"5.0-1": "condemned: the ICS answers N/A, but the provision has no condition: no need",
			"5.1-1": inapt, "5.1-5": inapt, "5.2-2": inapt, "5.3-1": inapt,
		}},
		"not supported, who knows why": {claims(dossier.NotSupported, " "), map[string]string{
			"5.0-1": "condemned: the ICS answers N" + unreasoned, "5.1-1": "condemned: the ICS answers N" + unreasoned,
			"5.1-5": "condemned: the ICS answers N" + unreasoned, "5.2-2": "condemned: the ICS answers N" + unreasoned,
			"5.3-1": "condemned: the ICS answers N" + unreasoned,
		}},
		"not applicable, as the template says": {claims(dossier.NotApplicable, dossier.Placeholder), map[string]string{
			"5.0-1": "condemned: the ICS answers N/A" + unreasoned, "5.1-1": "condemned: the ICS answers N/A" + unreasoned,
			"5.1-5": "condemned: the ICS answers N/A" + unreasoned, "5.2-2": "condemned: the ICS answers N/A" + unreasoned,
			"5.3-1": "condemned: the ICS answers N/A" + unreasoned,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, id := range []string{"5.0-1", "5.1-1", "5.1-5", "5.2-2", "5.3-1"} {
				assert.Equal(t, c.want[id], said(c.d, all["m/"+id]), id)
				assert.Equal(t, asked, said(c.d, all["old/"+id]), "%s of another edition", id)
			}
		})
	}
}

// said is what the dossier itself says of a requirement.
func said(d *dossier.Dossier, r profiles.Required) string {
	out := ""
	if because, spared := d.Spares(r); spared {
		out += "spared: " + because
	}
	if why, condemned := d.Condemns(r); condemned {
		out += "condemned: " + why
	}
	return out
}

// A denied feature spares whatever the ICS says, in every standard; a denial without a reason spares nothing.
func TestSparedByAFeature(t *testing.T) {
	all := required(t)
	for name, c := range map[string]struct {
		features map[string]dossier.Feature
		id, want string
	}{
		"present":          {map[string]dossier.Feature{"passwords": {Present: true, Because: "x"}}, "5.1-1", ""},
		"denied":           {map[string]dossier.Feature{"passwords": {Because: " there is no login "}}, "5.1-1", "spared: the dossier denies passwords (there is no login)"},
		"without a reason": {map[string]dossier.Feature{"passwords": {}}, "5.1-1", ""},
		"still to fill in": {map[string]dossier.Feature{"passwords": {Because: dossier.Placeholder}}, "5.1-1", ""},
		"another feature":  {map[string]dossier.Feature{"updatable": {Because: "x"}}, "5.1-1", ""},
		"one of two":       {map[string]dossier.Feature{"consent": {Because: "no data"}}, "5.1-5", "spared: the dossier denies consent (no data)"},
		"both of two": {
			map[string]dossier.Feature{"consent": {Because: "no data"}, "telemetry": {Because: "no cloud"}},
			"5.1-5", "spared: the dossier denies consent (no data), telemetry (no cloud)",
		},
		"the other has no reason": {map[string]dossier.Feature{"consent": {Because: "no data"}, "telemetry": {}}, "5.1-5", "spared: the dossier denies consent (no data)"},
		"no condition":            {map[string]dossier.Feature{"passwords": {Because: "x"}}, "5.0-1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := &dossier.Dossier{Features: c.features}
			for _, standard := range []string{"m/", "old/", "else/"} {
				assert.Equal(t, c.want, said(d, all[standard+c.id]), standard)
			}
			d.ICS = claims(dossier.Supported, "").ICS
			assert.Equal(t, c.want, said(d, all["m/"+c.id]), "although the ICS claims it")
			d.ICS = claims(dossier.NotSupported, "").ICS
			if c.want != "" {
				assert.Equal(t, c.want, said(d, all["m/"+c.id]), "although the ICS gives no reason of its own")
			}
		})
	}
}

func TestReasoned(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, " \t\n": false, dossier.Placeholder: false, " " + dossier.Placeholder + " ": false, "x": true, dossier.Placeholder + " later": true,
	} {
		assert.Equal(t, want, dossier.Reasoned(text), "%q", text)
	}
	for _, c := range []struct {
		claim dossier.Claim
		want  bool
	}{
		{dossier.Claim{Support: dossier.Supported}, true},
		{dossier.Claim{Support: dossier.NotSupported}, false},
		{dossier.Claim{Support: dossier.NotSupported, Detail: "x"}, true},
		{dossier.Claim{Support: dossier.NotApplicable, Detail: dossier.Placeholder}, false},
		{dossier.Claim{Support: dossier.NotApplicable, Detail: "x"}, true},
	} {
		assert.Equal(t, c.want, c.claim.Justified(), c.claim)
	}
}
