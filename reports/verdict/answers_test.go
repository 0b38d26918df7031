package verdict_test

import (
	"testing"

	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answer finds what became of one unit.
func answer(t testing.TB, r *verdict.Result, id, unit string) verdict.Unit {
	for _, one := range r.Requirements {
		for _, c := range one.Cases {
			for _, u := range c.Units {
				if c.ID == id && u.ID == unit {
					return u
				}
			}
		}
	}
	require.Fail(t, "no unit", "%s.%s", id, unit)
	return verdict.Unit{}
}

func loaded(t testing.TB) func(id string) *profiles.Set {
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	sets := map[string]*profiles.Set{}
	return func(id string) *profiles.Set {
		if sets[id] == nil {
			set, err := profiles.Load(profiles.Embedded(), id, schemas)
			require.NoError(t, err)
			sets[id] = set
		}
		return sets[id]
	}
}

// What a unit asks of the device on the wire, papers and images do not answer for it: a device that fetches
// nothing over HTTPS or CoAP was seen to take no genuine update there, and to refuse no older one.
func TestImagesDoNotAnswerForTheDevice(t *testing.T) {
	set, d := loaded(t)("eu-cra"), thermostat()
	d.Features["update_https"] = dossier.Feature{Because: "updates come over a cable alone, from the service tool"}
	d.Features["update_coap"] = dossier.Feature{Because: "updates come over a cable alone, from the service tool"}
	delete(d.Operations, "update-https")
	delete(d.Operations, "update-coap")
	r := judge(t, d, set, look(t, d, set, nil)...)
	for _, c := range []struct{ id, unit string }{
		{"I-2c-functional", "a"}, {"II-7-functional", "a"}, {"II-7-functional", "b"}, {"II-7-functional", "c"},
	} {
		got := answer(t, r, c.id, c.unit)
		assert.Equal(t, verdict.Inconclusive, got.Verdict, "%s.%s: %s", c.id, c.unit, got.Reason)
	}
}

// Nor do the reported version and a strong signature tell whether changed software would be detected, nor an image
// without keys how keys are made: a profile that asks no reviewer has nothing that answers, and passes neither.
func TestImagesTellNeitherSecureBootNorHowKeysAreMade(t *testing.T) {
	set, d := loaded(t)("pre-test"), thermostat()
	for _, one := range judge(t, d, set, look(t, d, set, nil)...).Requirements {
		assert.NotContains(t, []string{"5.4-4", "5.7-1"}, one.ID, "%s: %s", one.Verdict, one.Reason)
	}
}

// A finding fails what asks for its absence, and nothing else.
func TestFindingsFailWhatTheyAreAbout(t *testing.T) {
	load := loaded(t)
	const contents, signature = "firmware/contents", "firmware/signature"
	for name, c := range map[string]struct {
		profile, id, unit, probe string
		facts                    change
		want                     verdict.Verdict
	}{
		"a key in the image may be a documented one": {"en-18031", "CCK-1-completeness", "a", contents,
			change{"private_keys": []string{"image!/key"}}, verdict.Inconclusive},
		"but it is hard-coded": {"etsi-en-303-645", "5.4-3-1", "a", contents,
			change{"private_keys": []string{"image!/key"}}, verdict.Fail},
		"the mitigations that the maker names may be others": {"eu-cra", "I-2k-functional", "a", contents,
			change{"unhardened": []string{"image!/bin/x: no full RELRO"}}, verdict.Inconclusive},
		"an SBOM need not lie in the firmware": {"eu-cra", "II-1-functional", "a", contents,
			change{"component_count": 0, "components": []string{}}, verdict.Inconclusive},
		"nor for a laboratory's binary analysis": {"sg-cls", "CLS-L3-functional", "a", contents,
			change{"component_count": 0, "components": []string{}}, verdict.Inconclusive},
		"who refuses older images by version needs no counter": {"eu-cra", "II-7-functional", "c", signature,
			change{"falling": []string{"1.1.0 has 2, 1.0.0 has 3"}}, verdict.Pass},
		"a service may have a deletion of its own": {"eu-cra", "I-2m-functional", "b", "wipe/residue",
			change{"retained_found": true}, verdict.Inconclusive},
		"in every scheme": {"nist-ir-8425", "Data-Protection-2-functional", "b", "wipe/residue",
			change{"retained_found": true}, verdict.Inconclusive},
		"what a reviewer is to say first, fails by itself nothing": {"eu-cra", "I-2k-functional", "b", contents,
			change{"unhardened": []string{"image!/bin/x: no full RELRO"}}, verdict.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			set, d := load(c.profile), thermostat()
			got := answer(t, judge(t, d, set, look(t, d, set, map[string]change{c.probe: c.facts})...), c.id, c.unit)
			assert.Equal(t, c.want, got.Verdict, got.Reason)
		})
	}
}

// Bundles of public roots keep some that have expired: that is told, and no weakness of what the product uses.
func TestExpiredRootIsNoWeakCryptography(t *testing.T) {
	set, d := loaded(t)("en-18031"), thermostat()
	says := func(fact string) verdict.Verdict {
		seen := map[string]change{"firmware/contents": {fact: []string{"image!/etc/ssl/certs: the certificate of CN=Root"}}}
		return check(t, judge(t, d, set, look(t, d, set, seen)...), "firmware/certificates").Verdict
	}
	assert.Equal(t, verdict.Pass, says("out_of_time"))
	assert.Equal(t, verdict.Fail, says("certificates"))
}

// denying is a dossier that denies features, each with a reason.
func denying(features ...string) *dossier.Dossier {
	d := thermostat()
	for _, f := range features {
		d.Features[f] = dossier.Feature{Because: "there is none of it"}
	}
	return d
}

// A mandatory requirement is not spared by denying what a run shows: who got in with the label's login, and not with
// a random one, has authenticated with a password; what took an update has a mechanism for it.
func TestDenialsFallWhereTheRunShowsOtherwise(t *testing.T) {
	load := loaded(t)
	for _, c := range []struct{ profile, requirement, feature string }{
		{"etsi-en-303-645", "5.1-1", "passwords"},
		{"etsi-en-303-645", "5.1-3", "authentication"},
		{"etsi-en-303-645", "5.1-4", "user_authentication"},
		{"etsi-en-303-645", "5.3-1", "changeable_software"},
		{"etsi-en-303-645", "5.3-8", "update_mechanism"},
		{"etsi-en-303-645", "5.5-8", "critical_security_parameters"},
		{"etsi-en-303-645-v2.1.1", "5.3-7", "update_mechanism"},
		{"uk-psti", "Sch1-1(2)", "passwords"},
	} {
		set, d := load(c.profile), denying(c.feature)
		got := required(t, judge(t, d, set, look(t, d, set, nil)...), c.requirement)
		assert.Equal(t, verdict.Fail, got.Verdict, "%s: %s", c.requirement, got.Reason)
		assert.Contains(t, got.Reason, "the dossier denies "+c.feature+", but observation ", c.requirement)
	}
}

// And it is spared where the product has no way in at all: nothing was there to ask.
func TestDenialsHoldWithoutAnyLogin(t *testing.T) {
	load := loaded(t)
	d := denying("passwords", "authentication", "http_login", "mqtt_login", "coap_login")
	for _, name := range []string{"login-http", "login-mqtt", "login-coap"} {
		delete(d.Operations, name)
	}
	for profile, ids := range map[string][]string{"etsi-en-303-645": {"5.1-1", "5.1-3"}, "uk-psti": {"Sch1-1(2)"}} {
		r := judge(t, d, load(profile), look(t, d, load(profile), nil)...)
		for _, id := range ids {
			got := required(t, r, id)
			assert.Equal(t, verdict.NotApplicable, got.Verdict, "%s: %s", id, got.Reason)
		}
	}
}

func required(t testing.TB, r *verdict.Result, id string) verdict.Requirement {
	for _, one := range r.Requirements {
		if one.ID == id {
			return one
		}
	}
	require.Fail(t, "no requirement "+id)
	return verdict.Requirement{}
}
