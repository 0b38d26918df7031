package genuine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"assay/probes"
	"assay/probes/probetest"
	"assay/probes/update/genuine"
)

func TestAsk(t *testing.T) {
	https, coap := map[string]any{"via": "https"}, map[string]any{"via": "coap"}
	script := func(u probetest.Updating) probetest.Script { return probetest.Script{Updating: u} }
	probetest.Run(t, genuine.Kind(), []probetest.Case{
		{Name: "good-https", With: https, Want: map[string]any{
			"via": "https", "version_before": "1.0.0", "image_version": "1.1.0", "healthy_before": true, "outcome": "done", "fetched": true,
			"version_after": "1.1.0", "healthy_after": true, "accepted": true, "wait_seconds": 20,
		}, Check: func(t *testing.T, f probes.Facts) {
			assert.Greater(t, f.(genuine.Facts).BytesFetched, int64(2000))
			assert.InDelta(t, 0.8, f.(genuine.Facts).TookSeconds, 0.4)
		}},
		{Name: "good-coap", With: coap, Want: map[string]any{"via": "coap", "accepted": true}},
		{Name: "writes-v", With: https, Script: script(probetest.Updating{Writes: "v%s"}), Want: map[string]any{
			"version_before": "v1.0.0", "image_version": "1.1.0", "version_after": "v1.1.0", "accepted": true}},
		{Name: "writes-a-build", With: https, Script: script(probetest.Updating{Writes: "%s+0"}), Want: map[string]any{
			"version_after": "1.1.0+0", "accepted": true}},
		{Name: "slow", With: https, Script: script(probetest.Updating{Slow: 15 * time.Second}), Want: map[string]any{"accepted": true}},
		{Name: "too-slow", With: https, Script: script(probetest.Updating{Slow: 40 * time.Second}), Want: map[string]any{"accepted": false, "fetched": true}},
		{Name: "takes-nothing", With: https, Script: script(probetest.Updating{RefusesGenuine: true}), Want: map[string]any{
			"fetched": true, "accepted": false, "version_after": "1.0.0", "healthy_after": true, "took_seconds": 0,
		}},
		{Name: "fetches-nothing", With: https, Script: script(probetest.Updating{NeverFetches: true}), Want: map[string]any{
			"fetched": false, "bytes_fetched": 0, "accepted": false,
		}},
		{Name: "says-no", With: https, Script: probetest.Script{Answers: map[string]probes.Outcome{"update-https": probes.Refused}},
			Want: map[string]any{"outcome": "refused", "fetched": false, "accepted": false}},
		{Name: "unhealthy", With: https, Script: probetest.Script{Answers: map[string]probes.Outcome{probes.Health: probes.Unexpected}},
			Want: map[string]any{"healthy_before": false, "accepted": false, "version_after": "1.1.0", "healthy_after": false}},
		{Name: "tells-no-version", With: https, Script: script(probetest.Updating{Mute: true}), Want: map[string]any{"version_before": "", "accepted": false}},
		{Name: "unreachable", With: https, Script: probetest.Script{Answers: map[string]probes.Outcome{
			probes.ReadVersion: probes.Unreachable, probes.Health: probes.Unreachable}},
			Want: map[string]any{"version_before": "", "healthy_before": false, "accepted": false}},
	})
}

func TestAskNeedsAnImageAndParameters(t *testing.T) {
	thermostat, err := probetest.New(probetest.Script{Updating: probetest.Updating{Versions: []string{"0.9.0", "1.0.0"}}})
	assert.NoError(t, err)
	_, err = probetest.Decode(t, genuine.Kind(), map[string]any{"via": "https"}).Ask(t.Context(), thermostat.Bench())
	assert.ErrorIs(t, err, probes.ErrNoImage)
	assert.EqualError(t, err, "update/genuine: nothing is newer than 1.0.0: no such image in the dossier: bench")
	_, err = probetest.Decode(t, genuine.Kind(), nil).Ask(t.Context(), thermostat.Bench())
	assert.ErrorIs(t, err, probes.ErrBench)
}
