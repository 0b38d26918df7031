package refusal_test

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"assay/probes"
	"assay/probes/probetest"
	"assay/probes/update/refusal"
)

func with(variant string) map[string]any { return map[string]any{"variant": variant, "via": "https"} }

func takes(bad ...string) probetest.Script {
	return probetest.Script{Updating: probetest.Updating{Takes: bad}}
}

func but(facts map[string]any, name string, value any) map[string]any {
	other := maps.Clone(facts)
	other[name] = value
	return other
}

func TestAskOfGoodDevices(t *testing.T) {
	good := map[string]any{
		"ours_refuses": true, "genuine_before": true, "genuine_before_tried": true, "version_before": "1.1.0", "fetched": true, "accepted": false,
		"accepted_form": "", "version_after": "1.1.0", "healthy_after": true, "genuine_after": true, "genuine_after_tried": true,
		"restarted_by": "power", "restarted": true,
	}
	var cases []probetest.Case
	for _, variant := range []string{"tampered", "tampered-plain", "unsigned", "wrong-key", "wrong-key-forged-id", "older"} {
		cases = append(cases, probetest.Case{Name: variant, With: with(variant), Want: good})
	}
	few := func(versions ...string) probetest.Script {
		return probetest.Script{Updating: probetest.Updating{Versions: versions}}
	}
	cases = append(cases,
		probetest.Case{Name: "coap", With: map[string]any{"variant": "unsigned", "via": "coap"}, Want: good},
		probetest.Case{Name: "two-images-left", With: with("unsigned"), Script: few("0.9.0", "1.0.0", "1.1.0", "1.2.0"), Want: good},
		probetest.Case{Name: "one-image-left", With: with("unsigned"), Script: few("0.9.0", "1.0.0", "1.1.0"), Want: map[string]any{
			"genuine_before": false, "genuine_before_tried": false, "version_before": "1.0.0", "variant_version": "1.1.0",
			"accepted": false, "genuine_after": true,
		}},
		probetest.Case{Name: "older-with-one-image-left", With: with("older"), Script: few("0.9.0", "1.0.0", "1.1.0"), Want: map[string]any{
			"genuine_before_tried": false, "variant_version": "0.9.0", "accepted": false, "genuine_after": true, "ours_refuses": true,
		}},
		probetest.Case{Name: "stops-at-the-head-of-an-older-image", With: with("older"),
			Script: probetest.Script{Updating: probetest.Updating{HeadOnly: true}}, Want: map[string]any{"fetched": true, "bytes_fetched": 64, "genuine_after": true}},
		probetest.Case{Name: "dizzy-for-a-while", With: with("unsigned"),
			Script: probetest.Script{Updating: probetest.Updating{Dizzy: 6 * time.Second}}, Want: good},
		probetest.Case{Name: "restarts-by-its-own-reboot", With: with("tampered"),
			Script: probetest.Script{Calling: probetest.Calling{Extra: []string{probes.Reboot}}}, Want: but(good, "restarted_by", "reboot")},
		probetest.Case{Name: "has-a-battery", With: with("unsigned"), Script: probetest.Script{Powering: probetest.Powering{Battery: true}},
			Want: but(good, "restarted", false)},
		probetest.Case{Name: "no-way-to-restart", With: with("unsigned"), Script: probetest.Script{Without: []probes.Instrument{probes.InstrumentPower}},
			Want: but(but(good, "restarted", false), "restarted_by", "")},
		probetest.Case{Name: "never-back-after-its-restart", With: with("unsigned"), Script: probetest.Script{Powering: probetest.Powering{DiesDark: true}},
			Want: map[string]any{"accepted": false, "restarted": false, "restarted_by": "power", "healthy_after": true, "genuine_after_tried": false}},
		probetest.Case{Name: "busy-after-an-image", With: with("unsigned"),
			Script: probetest.Script{Updating: probetest.Updating{Busy: 6 * time.Second}}, Want: good},
		probetest.Case{Name: "fetches-lazily", With: with("older"),
			Script: probetest.Script{Updating: probetest.Updating{Lazy: 6 * time.Second}}, Want: good},
		probetest.Case{Name: "writes-a-build", With: with("unsigned"), Script: probetest.Script{Updating: probetest.Updating{Writes: "%s+0"}}, Want: map[string]any{
			"version_before": "1.1.0+0", "version_after": "1.1.0+0", "genuine_before": true, "genuine_after": true, "accepted": false, "healthy_after": true,
		}},
		probetest.Case{Name: "slow", With: with("tampered"), Script: probetest.Script{Updating: probetest.Updating{Slow: 4 * time.Second}}, Want: good},
	)
	probetest.Run(t, refusal.Kind(), cases)
}

func TestAskOfBadDevices(t *testing.T) {
	slow := takes("unsigned")
	slow.Slow = 4 * time.Second
	later := takes("unsigned")
	later.Versions, later.Dawdles, later.Slow = []string{"1.0.0", "1.1.0"}, 3*time.Second, 11*time.Second
	dawdles := takes("unsigned")
	dawdles.Dawdles = 5 * time.Second
	writesV := takes("older")
	writesV.Writes = "v%s"
	lazy := takes("older")
	lazy.Lazy = 6 * time.Second
	lone := takes("tampered")
	lone.Versions = []string{"1.0.0", "1.1.0"}
	probetest.Run(t, refusal.Kind(), []probetest.Case{
		{Name: "checks-a-sum", With: with("tampered"), Script: takes("tampered"), Want: map[string]any{
			"accepted": true, "accepted_form": "tampered", "variant_version": "1.2.0", "version_after": "1.2.0", "forms_offered": 1,
		}},
		{Name: "checks-no-sum", With: with("tampered"), Script: takes("tampered-plain"), Want: map[string]any{
			"accepted": true, "accepted_form": "tampered-plain", "forms_offered": 2, "forms_fetched": 2, "fetched": true,
		}},
		{Name: "takes-unsigned", With: with("unsigned"), Script: takes("unsigned"), Want: map[string]any{"accepted": true, "genuine_after": true}},
		{Name: "takes-any-key", With: with("wrong-key"), Script: takes("wrong-key"), Want: map[string]any{"accepted": true}},
		{Name: "takes-older", With: with("older"), Script: takes("older"), Want: map[string]any{
			"accepted": true, "version_after": "1.0.0", "variant_version": "1.0.0", "version_before": "1.1.0",
		}},
		{Name: "lingers", With: with("unsigned"), Script: probetest.Script{Updating: probetest.Updating{Lingers: true}}, Want: map[string]any{
			"accepted": true, "version_after": "1.2.0", "genuine_before": true, "restarted": true,
		}},
		{Name: "lingers-in-its-second-form", With: with("tampered"), Script: probetest.Script{
			Updating: probetest.Updating{Lingers: true}, Calling: probetest.Calling{Extra: []string{probes.Reboot}}}, Want: map[string]any{
			"accepted": true, "accepted_form": "tampered-plain", "version_after": "1.2.0", "restarted_by": "reboot",
		}},
		{Name: "older-lingers", With: with("older"), Script: probetest.Script{Updating: probetest.Updating{Lingers: true}}, Want: map[string]any{
			"accepted": true, "version_after": "1.0.0",
		}},
		{Name: "takes-older-lazily", With: with("older"), Script: lazy, Want: map[string]any{
			"accepted": true, "version_after": "1.0.0", "variant_version": "1.0.0", "genuine_before": true,
		}},
		{Name: "takes-older-and-writes-v", With: with("older"), Script: writesV, Want: map[string]any{
			"accepted": true, "version_after": "v1.0.0", "variant_version": "1.0.0", "version_before": "v1.1.0",
		}},
		{Name: "takes-it-late", With: with("unsigned"), Script: slow, Want: map[string]any{"accepted": true, "version_after": "1.2.0"}},
		{Name: "takes-it-later-than-anybody-waits", With: with("unsigned"), Script: later, Want: map[string]any{
			"accepted": true, "accepted_form": "unsigned", "version_after": "1.0.0", "genuine_after": false,
		}},
		{Name: "dawdles", With: with("unsigned"), Script: dawdles, Want: map[string]any{"fetched": true, "accepted": true}},
		{Name: "takes-tampered-and-no-image-is-left", With: with("tampered"), Script: lone, Want: map[string]any{
			"accepted": true, "genuine_after": false, "genuine_after_tried": false,
		}},
		{Name: "jams", With: with("tampered"), Script: probetest.Script{Updating: probetest.Updating{Jams: true}}, Want: map[string]any{
			"genuine_before": true, "fetched": true, "accepted": false, "healthy_after": true, "genuine_after": false, "genuine_after_tried": true,
		}},
		{Name: "crashes", With: with("older"), Script: probetest.Script{Updating: probetest.Updating{Crashes: true}}, Want: map[string]any{
			"fetched": true, "accepted": false, "healthy_after": false, "genuine_after": false, "genuine_after_tried": false,
		}},
		{Name: "bricks", With: with("unsigned"), Script: probetest.Script{Updating: probetest.Updating{Bricks: true}}, Want: map[string]any{
			"fetched": true, "version_after": "", "healthy_after": false, "genuine_after": false,
		}},
	})
}

func TestAskOfDevicesThatTellNothing(t *testing.T) {
	updating := func(u probetest.Updating) probetest.Script { return probetest.Script{Updating: u} }
	probetest.Run(t, refusal.Kind(), []probetest.Case{
		{Name: "fetches-nothing", With: with("unsigned"), Script: updating(probetest.Updating{NeverFetches: true}), Want: map[string]any{
			"genuine_before": false, "genuine_before_tried": true, "fetched": false, "accepted": false, "genuine_after_tried": false,
		}},
		{Name: "takes-nothing", With: with("older"), Script: updating(probetest.Updating{RefusesGenuine: true}), Want: map[string]any{
			"genuine_before": false, "fetched": true, "accepted": false, "genuine_after": false,
		}},
		{Name: "tells-no-version", With: with("older"), Script: updating(probetest.Updating{Mute: true}), Want: map[string]any{
			"version_before": "", "fetched": false, "accepted": false, "ours_refuses": false,
		}},
		{Name: "silent", With: with("tampered"), Script: probetest.Script{Answers: map[string]probes.Outcome{"update-https": probes.Silent}},
			Want: map[string]any{"outcome": "silent", "genuine_before": false, "fetched": false, "accepted": false}},
	})
}

func TestAskRefusesUselessParameters(t *testing.T) {
	thermostat, err := probetest.New(probetest.Script{})
	assert.NoError(t, err)
	for _, w := range []map[string]any{
		{"variant": "tampered"}, {"via": "https"}, {"variant": "scratched", "via": "https"},
		{"variant": "older", "via": "https", "wait_seconds": 0}, {"variant": "older", "via": "https", "settle_seconds": 0},
	} {
		_, err := probetest.Decode(t, refusal.Kind(), w).Ask(t.Context(), thermostat.Bench())
		assert.ErrorIs(t, err, probes.ErrBench, "%v", w)
	}
	none, err := probetest.New(probetest.Script{Updating: probetest.Updating{Versions: []string{"1.0.0"}}})
	assert.NoError(t, err)
	for _, variant := range []string{"older", "unsigned"} {
		_, err := probetest.Decode(t, refusal.Kind(), with(variant)).Ask(t.Context(), none.Bench())
		assert.ErrorIs(t, err, probes.ErrNoImage, variant)
	}
}
