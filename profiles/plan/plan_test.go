package plan_test

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/fstest"

	"assay/probes"
	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var every = []probes.Instrument{
	probes.InstrumentDevice, probes.InstrumentUpdates, probes.InstrumentImages, probes.InstrumentBroker,
	probes.InstrumentSniffer, probes.InstrumentScanner, probes.InstrumentFlash, probes.InstrumentClock, probes.InstrumentPower, probes.InstrumentButton,
}

func baseline(t *testing.T) *profiles.Set { return embedded(t, "baseline") }

func embedded(t *testing.T, id string) *profiles.Set {
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	set, err := profiles.Load(profiles.Embedded(), id, schemas)
	require.NoError(t, err)
	return set
}

// whole is a dossier with every operation that the baseline's probes name.
func whole() *dossier.Dossier {
	d := &dossier.Dossier{Operations: map[string]dossier.Operation{}, Features: map[string]dossier.Feature{}}
	for _, name := range []string{
		"login-http", "login-mqtt", "login-coap", "login-ssh", "login-telnet", "update-https", "update-coap", "read-version", "health",
		"factory-reset-command", "factory-reset-button", "store-name", "read-name", "add-account",
	} {
		d.Operations[name] = dossier.Operation{}
	}
	return d
}

func made(t *testing.T, d *dossier.Dossier, has []probes.Instrument, missing map[probes.Instrument]string) *plan.Plan {
	p, err := plan.Make(d, baseline(t), catalog.All(), has, missing)
	require.NoError(t, err)
	return p
}

func find(t *testing.T, p *plan.Plan, check string) plan.Step {
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return slices.Contains(s.Checks, check) })
	require.GreaterOrEqual(t, i, 0, check)
	return p.Steps[i]
}

func TestWholeBaseline(t *testing.T) {
	p := made(t, whole(), every, nil)
	assert.Len(t, p.Steps, 23, "the signatures of the images, five logins, four of them guessed at, the services, two ways of five updates, two resets")
	checks, typical := 0, 0
	last := 0
	for _, s := range p.Steps {
		assert.Empty(t, s.NotAsked, s.ID)
		checks += len(s.Checks)
		typical += s.Typical
		at := slices.Index(probes.Touches, s.Touch)
		assert.GreaterOrEqual(t, at, last, "gentle steps come first")
		last = at
	}
	assert.Equal(t, len(baseline(t).Checks()), checks, "every check is served once")
	assert.Equal(t, typical, p.Typical)
	assert.Equal(t, "update/refusal{settle_seconds=1,variant=unsigned,via=coap,wait_seconds=20}", find(t, p, "update/unsigned-coap").ID)
	assert.Equal(t, []string{"credentials/http-default", "credentials/http-derived", "credentials/http-open"}, find(t, p, "credentials/http-open").Checks)
	assert.Equal(t, p, made(t, whole(), every, nil))

	b, err := json.Marshal(p)
	require.NoError(t, err)
	var back plan.Plan
	require.NoError(t, json.Unmarshal(b, &back))
	assert.Equal(t, *p, back)
}

// A probe takes its parameters from a step as they are.
func TestParametersFitTheProbes(t *testing.T) {
	for _, s := range made(t, whole(), every, nil).Steps {
		i := slices.IndexFunc(catalog.All(), func(k probes.Kind) bool { return k.Name == s.Probe })
		probe := catalog.All()[i].New()
		require.NoError(t, json.Unmarshal(s.With, probe), s.ID)
		b, err := json.Marshal(probe)
		require.NoError(t, err)
		assert.JSONEq(t, string(s.With), string(b), s.ID)
	}
}

func TestUnmetNeeds(t *testing.T) {
	d := whole()
	delete(d.Operations, "login-mqtt")
	has := slices.DeleteFunc(slices.Clone(every), func(i probes.Instrument) bool { return i == probes.InstrumentImages || i == probes.InstrumentUpdates })
	p := made(t, d, has, map[probes.Instrument]string{probes.InstrumentUpdates: "the bench has no server of its own: run it in gateway mode"})
	mqtt := find(t, p, "credentials/mqtt-open")
	assert.Equal(t, "needs operation login-mqtt: the dossier does not tell how to do it", mqtt.NotAsked)
	assert.False(t, mqtt.Inapplicable)
	assert.Equal(t, "needs instrument updates: the bench has no server of its own: run it in gateway mode; instrument images: this bench has none",
		find(t, p, "update/genuine-coap").NotAsked)
	assert.Empty(t, find(t, p, "credentials/http-open").NotAsked)
	sum := 0
	for _, s := range p.Steps {
		if s.NotAsked == "" {
			sum += s.Typical
		}
	}
	assert.Equal(t, sum, p.Typical, "what is not asked takes no time")
}

// TestNeedsBelowAnInstrument: what an instrument can do for one product is asked for by name, and of what lacks altogether only the
// root is told.
func TestNeedsBelowAnInstrument(t *testing.T) {
	kinds := catalog.All()
	for i := range kinds {
		if kinds[i].Name == "update/genuine" {
			kinds[i].Needs = []probes.Need{
				{Instrument: probes.InstrumentInterceptor}, {Instrument: probes.InstrumentInterceptor + "/{via}"},
				{Instrument: probes.InstrumentInterceptor + "/{via}/expired"},
			}
		}
	}
	for _, c := range []struct {
		has  []probes.Instrument
		want string
	}{
		{nil, "needs instrument interceptor: no cloud"},
		{[]probes.Instrument{"interceptor"}, "needs instrument interceptor/coap: undeclared"},
		{[]probes.Instrument{"interceptor", "interceptor/coap"}, "needs instrument interceptor/coap/expired: no key"},
		{[]probes.Instrument{"interceptor", "interceptor/coap", "interceptor/coap/expired"}, ""},
	} {
		p, err := plan.Make(whole(), baseline(t), kinds, append(slices.Clone(every), c.has...), map[probes.Instrument]string{
			"interceptor": "no cloud", "interceptor/coap": "undeclared", "interceptor/coap/expired": "no key",
		})
		require.NoError(t, err)
		assert.Equal(t, c.want, find(t, p, "update/genuine-coap").NotAsked)
	}
}

func TestDenials(t *testing.T) {
	d := whole()
	d.Features["http_login"] = dossier.Feature{Because: "there is no web page"}
	d.Features["reset_by_button"] = dossier.Feature{} // without a reason
	d.Features["update_coap"] = dossier.Feature{Because: "HTTPS only"}
	delete(d.Operations, "login-http")
	delete(d.Operations, "update-coap")
	p := made(t, d, every, nil)

	http := find(t, p, "credentials/http-open")
	assert.True(t, http.Inapplicable)
	assert.Equal(t, "the dossier denies, with its reason: http_login (there is no web page)", http.NotAsked)
	assert.True(t, find(t, p, "update/tampered-coap").Inapplicable)
	assert.Empty(t, find(t, p, "wipe/api-button").NotAsked, "a denial without a reason spares nothing")
	assert.Empty(t, find(t, p, "credentials/mqtt-open").NotAsked)
}

// Who denies a feature and tells how to use it is asked: the look may contradict the words.
func TestDenialThatCanBeContradictedIsAsked(t *testing.T) {
	d := whole()
	d.Features["http_login"] = dossier.Feature{Because: "there is no web page"}
	p := made(t, d, every, nil)
	assert.Empty(t, find(t, p, "credentials/http-default").NotAsked)
	assert.True(t, find(t, p, "credentials/http-bruteforce").Inapplicable, "it shows nothing about the feature")
}

// A step that several requirements want is spared only if none applies.
func TestSharedStep(t *testing.T) {
	d := whole()
	d.Features["network_updates"] = dossier.Feature{Because: "updates come on a stick"}
	assert.Empty(t, find(t, made(t, d, every, nil), "update/wrong-key-https").NotAsked, "5.3-2 and 5.3-9 still want it")
	d.Features["updatable"] = dossier.Feature{Because: "mask ROM"}
	assert.Empty(t, find(t, made(t, d, every, nil), "update/wrong-key-https").NotAsked, "5.3-2 still wants it")
	d.Features["updates_possible"] = dossier.Feature{Because: "mask ROM"}
	spared := find(t, made(t, d, every, nil), "update/wrong-key-https")
	assert.True(t, spared.Inapplicable)
	assert.Equal(t, "the dossier denies, with its reason: network_updates (updates come on a stick); updatable (mask ROM); updates_possible (mask ROM)", spared.NotAsked,
		"each reason once")
}

func TestMisfits(t *testing.T) {
	_, err := plan.Make(whole(), &profiles.Set{}, catalog.All(), every, nil)
	assert.EqualError(t, err, "plan profile : it selects nothing")
	_, err = plan.Make(whole(), baseline(t), nil, every, nil)
	assert.ErrorContains(t, err, `there is no probe "credentials/bruteforce"`)
	kinds := catalog.All()
	for i := range kinds {
		kinds[i].Needs = []probes.Need{{Operation: "update-{way}"}}
	}
	_, err = plan.Make(whole(), baseline(t), kinds, every, nil)
	assert.ErrorContains(t, err, `need "update-{way}": there is no parameter "way"`)
	for i := range kinds {
		kinds[i].Needs = []probes.Need{{Instrument: "interceptor/{way}"}}
	}
	_, err = plan.Make(whole(), baseline(t), kinds, every, nil)
	assert.ErrorContains(t, err, `need "interceptor/{way}": there is no parameter "way"`)
}

func kinds() []probes.Kind { return catalog.All() }

// setOf is a set of one standard with given requirements, which need neither probes nor checks.
func setOf(t *testing.T, requirements ...profiles.Requirement) *profiles.Set {
	std := profiles.Standard{Assay: "standard/v2", ID: "s", Title: "t", Edition: "1"}
	for _, r := range requirements {
		r.Title, r.Certainty = "t", "recalled"
		for i := range r.Cases {
			r.Cases[i].Kind = profiles.Functional
			for j := range r.Cases[i].Units {
				r.Cases[i].Units[j].Asks = "Is it so?"
			}
		}
		std.Requirements = append(std.Requirements, r)
	}
	b, err := json.Marshal(std) // JSON is YAML
	require.NoError(t, err)
	set, err := profiles.Load(fstest.MapFS{
		"standards/s.yaml": {Data: b},
		"profiles/p.yaml":  {Data: []byte("assay: profile/v1\nid: p\nversion: \"1\"\ntitle: t\nstandards: [{standard: s}]\n")},
	}, "p", nil)
	require.NoError(t, err)
	return set
}
