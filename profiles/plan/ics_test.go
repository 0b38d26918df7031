package plan_test

import (
	"testing"

	"assay/probes"
	"assay/profiles/dossier"

	"github.com/stretchr/testify/assert"
)

// claiming is the whole dossier with an ICS.
func claiming(provisions map[string]dossier.Claim) *dossier.Dossier {
	d := whole()
	d.ICS = &dossier.ICS{Edition: dossier.Edition, Provisions: provisions}
	return d
}

func TestICSSparesSteps(t *testing.T) {
	na := func(why string) dossier.Claim { return dossier.Claim{Support: dossier.NotApplicable, Detail: why} }
	for name, c := range map[string]struct {
		claims   map[string]dossier.Claim
		check    string
		notAsked string
	}{
		"N/A of what has a condition": {
			map[string]dossier.Claim{"5.1-5": na("guessing takes years")}, "credentials/http-bruteforce",
			"the dossier denies, with its reason: the ICS answers N/A: guessing takes years",
		},
		"N/A of all that want it": {
			map[string]dossier.Claim{"5.3-2": na("mask ROM"), "5.3-9": na("mask ROM"), "5.3-10": na("no network")}, "update/wrong-key-https",
			"the dossier denies, with its reason: the ICS answers N/A: mask ROM; the ICS answers N/A: no network",
		},
		"N/A of two of three that want it": {
			map[string]dossier.Claim{"5.3-2": na("mask ROM"), "5.3-9": na("mask ROM")}, "update/wrong-key-https", "",
		},
		"N of a recommendation beside N/A of what is mandatory": {
			map[string]dossier.Claim{"5.3-2": na("mask ROM"), "5.3-9": {Support: dossier.NotSupported, Detail: "no need"}, "5.3-10": na("mask ROM")},
			"update/wrong-key-https",
			"the dossier denies, with its reason: the ICS answers N/A: mask ROM; the ICS does not claim this recommendation: no need",
		},
		"N of what is mandatory": {
			map[string]dossier.Claim{"5.1-5": {Support: dossier.NotSupported, Detail: "too dear"}}, "credentials/http-bruteforce", "",
		},
		"N/A of what is mandatory without a condition": {
			map[string]dossier.Claim{"5.11-1": na("nobody asks")}, "wipe/api-button", "",
		},
		"N/A without a reason": {
			map[string]dossier.Claim{"5.1-5": na(dossier.Placeholder)}, "credentials/http-bruteforce", "",
		},
		"Y": {map[string]dossier.Claim{"5.1-5": {Support: dossier.Supported}}, "credentials/http-bruteforce", ""},
	} {
		t.Run(name, func(t *testing.T) {
			step := find(t, made(t, claiming(c.claims), every, nil), c.check)
			assert.Equal(t, c.notAsked, step.NotAsked)
			assert.Equal(t, c.notAsked != "", step.Inapplicable)
		})
	}
}

// N/A of a provision says that a feature is not there. Where a look could show it, somebody looks.
func TestDoubtedFeaturesAreLookedAt(t *testing.T) {
	// update/unsigned-https can show that the software is updatable, update/wrong-key-https shows nothing about it.
	all := map[string]dossier.Claim{}
	for _, id := range []string{"5.3-2", "5.3-9", "5.3-10"} {
		all[id] = dossier.Claim{Support: dossier.NotApplicable, Detail: "mask ROM"}
	}
	p := made(t, claiming(all), every, nil)
	assert.Empty(t, find(t, p, "update/unsigned-https").NotAsked)
	assert.True(t, find(t, p, "update/wrong-key-https").Inapplicable)

	without := every[:1:1] // the device alone: the question cannot be put
	blind := find(t, made(t, claiming(all), without, map[probes.Instrument]string{}), "update/unsigned-https")
	assert.True(t, blind.Inapplicable, "what cannot be looked at is the dossier's word, not the bench's lack")

	// What is not claimed is no statement about a feature: there is nothing to look for.
	all["5.3-9"] = dossier.Claim{Support: dossier.NotSupported, Detail: "no need"}
	assert.True(t, find(t, made(t, claiming(all), every, nil), "update/unsigned-https").Inapplicable)

	// Nor is one that the dossier denies itself forgotten.
	d := whole()
	for _, f := range []string{"updatable", "updates_possible", "network_updates"} {
		d.Features[f] = dossier.Feature{Because: "mask ROM"}
	}
	assert.Empty(t, find(t, made(t, d, every, nil), "update/unsigned-https").NotAsked)
}
