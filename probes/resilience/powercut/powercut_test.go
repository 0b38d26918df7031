package powercut_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"assay/probes"
	"assay/probes/probetest"
	"assay/probes/resilience/powercut"
)

func TestAsk(t *testing.T) {
	script := func(p probetest.Powering) probetest.Script { return probetest.Script{Powering: p} }
	probetest.Run(t, powercut.Kind(), []probetest.Case{
		{Name: "comes-back", Want: map[string]any{
			"healthy_before": true, "silent_off": true, "stored": 2, "stored_seen": 2, "kept": 2, "lost": []any{}, "healthy_after": true,
			"version_before": "1.0.0", "version_after": "1.0.0",
		}, Check: func(t *testing.T, f probes.Facts) {
			assert.InDelta(t, 0.8, f.(powercut.Facts).HealthySeconds, 0.3)
		}},
		{Name: "starts-slowly", Script: script(probetest.Powering{Boots: 90 * time.Second}), Want: map[string]any{"healthy_after": true, "kept": 2}},
		{Name: "forgets-settings", Script: script(probetest.Powering{Forgetful: true}), Want: map[string]any{
			"silent_off": true, "stored_seen": 2, "kept": 0, "lost": []any{"name", "wifi"}, "healthy_after": true,
		}},
		{Name: "stays-dark", Script: script(probetest.Powering{DiesDark: true}), Want: map[string]any{
			"silent_off": true, "healthy_after": false, "healthy_seconds": 0, "kept": 0, "lost": []any{}, "version_after": "",
		}},
		{Name: "too-late", With: map[string]any{"wait_seconds": 10}, Script: script(probetest.Powering{Boots: 30 * time.Second}), Want: map[string]any{"healthy_after": false}},
		{Name: "restarts-for-ever", Script: script(probetest.Powering{Loops: true}), Want: map[string]any{"silent_off": true, "healthy_after": false}},
		{Name: "another-version", Script: script(probetest.Powering{Reverts: true}), Want: map[string]any{"version_before": "1.0.0", "version_after": "0.9.0"}},
		{Name: "unfair-battery", Script: script(probetest.Powering{Battery: true}), Want: map[string]any{"silent_off": false, "healthy_after": true}},
		{Name: "unfair-battery-and-a-lost-answer", With: map[string]any{"off_seconds": 0.05}, Script: script(probetest.Powering{Battery: true, Loses: 2}),
			Want: map[string]any{"silent_off": false, "healthy_after": true}},
		{Name: "unfair-mute-afterwards", Script: script(probetest.Powering{Reads: true}), Want: map[string]any{"stored_seen": 2, "kept": 0, "lost": []any{}, "healthy_after": true}},
		{Name: "unfair-ill", Script: probetest.Script{Answers: map[string]probes.Outcome{probes.Health: probes.Unreachable}},
			Want: map[string]any{"healthy_before": false, "silent_off": false, "stored": 0}},
		{Name: "stores-nothing", Script: probetest.Script{Answers: map[string]probes.Outcome{"store-name": probes.Refused, "store-wifi": probes.Refused}},
			Want: map[string]any{"stored": 0, "kept": 0, "healthy_after": true}},
		{Name: "no-operations-for-it", Script: probetest.Script{Lacks: []string{"store-name", "read-wifi", probes.ReadVersion}},
			Want: map[string]any{"stored": 0, "version_before": "", "version_after": "", "healthy_after": true}},
		{Name: "writes-behind", Script: probetest.Script{Wiping: probetest.Wiping{WritesBehind: true}}, Want: map[string]any{"kept": 2}},
	})
}

func TestAskRefusesUselessParameters(t *testing.T) {
	thermostat, err := probetest.New(probetest.Script{})
	assert.NoError(t, err)
	for _, with := range []map[string]any{{"off_seconds": 0}, {"settle_seconds": -1}, {"wait_seconds": 0}} {
		_, err := probetest.Decode(t, powercut.Kind(), with).Ask(t.Context(), thermostat.Bench())
		assert.ErrorIs(t, err, probes.ErrBench, "%v", with)
	}
	thermostat, err = probetest.New(probetest.Script{Without: []probes.Instrument{probes.InstrumentPower}})
	assert.NoError(t, err)
	_, err = powercut.Kind().New().Ask(t.Context(), thermostat.Bench())
	assert.ErrorIs(t, err, probes.ErrBench)
}
