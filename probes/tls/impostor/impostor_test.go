package impostor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/probes/probetest"
	"assay/probes/tls/impostor"
)

func TestAsk(t *testing.T) {
	script := func(c probetest.Calling) probetest.Script { return probetest.Script{Calling: c} }
	with := func(s probes.Scenario, via string, more ...any) map[string]any {
		m := map[string]any{"scenario": string(s), "via": via}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	fair := func(more map[string]any) map[string]any {
		for _, control := range []string{"called", "genuine_before", "genuine_after"} {
			if _, told := more[control]; !told {
				more[control] = true
			}
		}
		return more
	}
	expired := with(probes.Expired, probes.ViaMQTTS)
	probetest.Run(t, impostor.Kind(), []probetest.Case{
		{Name: "refuses", With: expired, Want: fair(map[string]any{
			"scenario": "expired", "via": "mqtts", "calls": 2, "handshake_finished": false, "data_received": false, "data_protocol": "",
			"alert": "bad certificate", "version": "", "sni": "cloud.thermostat.example", "genuine_version": "TLS 1.3", "made_to_call": "",
		})},
		{Name: "believes", With: expired, Script: script(probetest.Calling{Believes: []probes.Scenario{probes.Expired}}), Want: fair(map[string]any{
			"calls": 1, "handshake_finished": true, "data_received": true, "data_bytes": 128, "data_protocol": "mqtt", "version": "TLS 1.3", "alert": "",
		})},
		{Name: "believes-another", With: expired, Script: script(probetest.Calling{Believes: []probes.Scenario{probes.WrongHost}}),
			Want: fair(map[string]any{"data_received": false})},
		{Name: "looks-after-the-handshake", With: expired, Script: script(probetest.Calling{Shakes: []probes.Scenario{probes.Expired}}),
			Want: fair(map[string]any{"handshake_finished": true, "data_received": false})},
		{Name: "gives-in", With: expired, Script: script(probetest.Calling{GivesIn: 1}), Want: fair(map[string]any{"calls": 2, "data_received": true})},
		{Name: "gives-in-later", With: with(probes.Expired, probes.ViaMQTTS, "tries", 4), Script: script(probetest.Calling{GivesIn: 3}),
			Want: fair(map[string]any{"calls": 4, "data_received": true})},
		{Name: "goes-on-with-a-session", With: expired, Script: script(probetest.Calling{KeepsSession: true}),
			Want: fair(map[string]any{"resumed": true, "data_received": true})},
		{Name: "over-https", With: with(probes.UnknownCA, probes.ViaHTTPS), Want: fair(map[string]any{
			"calls": 2, "data_received": false, "made_to_call": "update-https",
		})},
		{Name: "believes-over-https", With: with(probes.UnknownCA, probes.ViaHTTPS),
			Script: script(probetest.Calling{Believes: []probes.Scenario{probes.UnknownCA}}),
			Want:   fair(map[string]any{"data_received": true, "data_protocol": "http", "made_to_call": "update-https"})},
		{Name: "over-coaps", With: with(probes.SelfSigned, probes.ViaCoAPS), Want: fair(map[string]any{"calls": 2, "data_received": false})},
		{Name: "called-by-operation", With: expired, Script: script(probetest.Calling{Needs: "connect-mqtts", Extra: []string{"connect-mqtts"}}),
			Want: fair(map[string]any{"made_to_call": "connect-mqtts", "data_received": false})},
		{Name: "called-by-restart", With: expired, Script: script(probetest.Calling{Needs: "reboot", Extra: []string{"reboot"}}),
			Want: fair(map[string]any{"made_to_call": "reboot", "data_received": false})},
		{Name: "tries-once", With: expired, Script: script(probetest.Calling{Sulks: true, Extra: []string{"reboot"}}),
			Want: fair(map[string]any{"calls": 1, "data_received": false, "made_to_call": "reboot"})},
		{Name: "unfair-deaf", With: expired, Script: script(probetest.Calling{Deaf: true}),
			Want: map[string]any{"called": false, "genuine_before": false, "genuine_after": false}},
		{Name: "unfair-mute", With: expired, Script: script(probetest.Calling{Wordless: true}),
			Want: map[string]any{"genuine_before": false, "called": false}},
		{Name: "unfair-sulks", With: expired, Script: script(probetest.Calling{Sulks: true}),
			Want: map[string]any{"called": true, "genuine_before": true, "genuine_after": false}},
		{Name: "unfair-cross", With: expired, Script: script(probetest.Calling{Cross: true}),
			Want: map[string]any{"called": true, "genuine_before": true, "genuine_after": false}},
		{Name: "slow", With: expired, Script: script(probetest.Calling{Backoff: 20 * time.Second}), Want: map[string]any{"calls": 1, "called": true}},
	})
}

func TestAskRefusesUselessParameters(t *testing.T) {
	thermostat, err := probetest.New(probetest.Script{})
	require.NoError(t, err)
	for _, with := range []map[string]any{
		{"scenario": "expired"}, {"via": "mqtts"}, {"scenario": "no-such", "via": "mqtts"}, {"scenario": "expired", "via": "ftp"},
		{"scenario": "expired", "via": "mqtts", "wait_seconds": 0}, {"scenario": "expired", "via": "mqtts", "tries": 0},
		{"scenario": "expired", "via": "mqtts", "again_seconds": -1}, {"scenario": "expired", "via": "mqtts", "data_seconds": 0},
	} {
		_, err := probetest.Decode(t, impostor.Kind(), with).Ask(t.Context(), thermostat.Bench())
		assert.ErrorIs(t, err, probes.ErrBench, "%v", with)
	}
}
