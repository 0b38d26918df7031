package residue_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"assay/probes"
	"assay/probes/probetest"
	"assay/probes/wipe/residue"
)

func command() map[string]any { return map[string]any{"by": "command"} }

func clean() map[string]any {
	return map[string]any{
		"planted": 2, "planted_seen": 2, "flash_seen_before": true, "broker_seen_before": true, "account_before": true,
		"reset_outcome": "done", "back": true, "label_login_after": true, "account_after": false, "account_outcome": "refused",
		"api_found": false, "api_searched": true, "retained_found": false, "retained_searched": true,
		"flash_found": false, "flash_searched": true, "flash_encodings": "", "account_in_flash": false,
		"traffic_found": false, "traffic_complete": true, "traffic_frames": 1, "traffic_seen_before": false, "traffic_unclear": false, "listen_seconds": 3,
	}
}

func but(changes map[string]any) map[string]any {
	want := clean()
	for k, v := range changes {
		want[k] = v
	}
	return want
}

func TestAsk(t *testing.T) {
	script := func(w probetest.Wiping) probetest.Script { return probetest.Script{Wiping: w} }
	probetest.Run(t, residue.Kind(), []probetest.Case{
		{Name: "good-by-command", With: command(), Want: but(map[string]any{"by": "command"})},
		{Name: "good-by-button", With: map[string]any{"by": "button"}, Want: but(map[string]any{"by": "button"})},
		{Name: "writes-behind", With: command(), Script: script(probetest.Wiping{WritesBehind: true}), Want: clean()},
		{Name: "leaves-api", With: command(), Script: script(probetest.Wiping{KeepsAPI: true}), Want: but(map[string]any{"api_found": true})},
		{Name: "leaves-flash", With: command(), Script: script(probetest.Wiping{KeepsFlash: true}),
			Want: but(map[string]any{"flash_found": true, "flash_encodings": "plain"})},
		{Name: "leaves-backup", With: command(), Script: script(probetest.Wiping{KeepsBackup: true}),
			Want: but(map[string]any{"flash_found": true, "flash_encodings": "base64"})},
		{Name: "leaves-retained", With: command(), Script: script(probetest.Wiping{KeepsRetained: true}), Want: but(map[string]any{"retained_found": true})},
		{Name: "leaks-later", With: command(), Script: script(probetest.Wiping{Leaks: true}),
			Want: but(map[string]any{"traffic_found": true, "traffic_frames": 2})},
		{Name: "leaks-before-the-operation-returns", With: command(), Script: script(probetest.Wiping{Leaks: true, Prompt: true}),
			Want: but(map[string]any{"traffic_found": true, "traffic_frames": 2})},
		{Name: "chatty", With: command(), Script: script(probetest.Wiping{Chatty: true}), Want: but(map[string]any{"traffic_seen_before": true})},
		{Name: "chatty-and-leaks-later", With: command(), Script: script(probetest.Wiping{Chatty: true, Leaks: true}),
			Want: but(map[string]any{"traffic_seen_before": true, "traffic_found": true, "traffic_frames": 2})},
		{Name: "chatty-and-says-goodbye", With: command(), Script: script(probetest.Wiping{Chatty: true, Goodbye: true}),
			Want: but(map[string]any{"traffic_seen_before": true, "traffic_found": false, "traffic_unclear": true})},
		{Name: "chatty-and-never-away", With: command(), Script: script(probetest.Wiping{Chatty: true, Leaks: true, Stays: true}),
			Want: but(map[string]any{"traffic_seen_before": true, "traffic_found": false, "traffic_unclear": true, "traffic_frames": 2})},
		{Name: "chatty-and-never-away-and-silent", With: command(), Script: script(probetest.Wiping{Chatty: true, Stays: true}),
			Want: but(map[string]any{"traffic_seen_before": true})},
		{Name: "chatty-and-says-goodbye-and-leaks-later", With: command(), Script: script(probetest.Wiping{Chatty: true, Goodbye: true, Leaks: true}),
			Want: but(map[string]any{"traffic_seen_before": true, "traffic_found": true, "traffic_frames": 2})},
		{Name: "prompt", With: map[string]any{"by": "button"}, Script: script(probetest.Wiping{Prompt: true}), Want: clean()},
		{Name: "keeps-accounts", With: command(), Script: script(probetest.Wiping{KeepsAccounts: true}),
			Want: but(map[string]any{"account_after": true, "account_outcome": "done", "account_in_flash": true})},
		{Name: "only-restarts", With: map[string]any{"by": "button"}, Script: script(probetest.Wiping{OnlyRestarts: true}),
			Want: but(map[string]any{"api_found": true, "flash_found": true, "flash_encodings": "plain", "retained_found": true, "account_after": true,
				"account_outcome": "done", "account_in_flash": true, "traffic_frames": 0})},
	})
}

func TestAskOfDevicesThatTellLess(t *testing.T) {
	script := func(w probetest.Wiping) probetest.Script { return probetest.Script{Wiping: w} }
	answer := func(op string, o probes.Outcome) probetest.Script {
		return probetest.Script{Answers: map[string]probes.Outcome{op: o}}
	}
	probetest.Run(t, residue.Kind(), []probetest.Case{
		{Name: "never-back", With: command(), Script: script(probetest.Wiping{NeverBack: true}), Want: but(map[string]any{
			"back": false, "label_login_after": false, "account_outcome": "unreachable", "api_searched": false})},
		{Name: "forgets-label", With: command(), Script: script(probetest.Wiping{ForgetsLabel: true}),
			Want: but(map[string]any{"label_login_after": false})},
		{Name: "stores-nothing", With: command(), Script: script(probetest.Wiping{Forgets: true}), Want: but(map[string]any{
			"planted": 2, "planted_seen": 0, "flash_seen_before": false, "broker_seen_before": false})},
		{Name: "refuses-to-store", With: command(), Script: answer("store-name", probes.Refused), Want: but(map[string]any{
			"planted": 1, "planted_seen": 1, "broker_seen_before": false})},
		{Name: "refuses-to-reset", With: command(), Script: answer("factory-reset-command", probes.Refused), Want: but(map[string]any{
			"reset_outcome": "refused", "back": true, "api_found": true, "account_after": true, "account_outcome": "done",
			"flash_found": true, "flash_encodings": "plain", "retained_found": true, "account_in_flash": true, "traffic_frames": 0})},
		{Name: "hides-one-mark-in-its-storage", With: command(), Script: script(probetest.Wiping{Hides: true}), Want: but(map[string]any{
			"flash_seen": 1, "flash_seen_before": false, "flash_searched": true})},
		{Name: "storage-read-by-half-after-the-reset", With: command(), Script: script(probetest.Wiping{ShortDump: true, KeepsBackup: true}),
			Want: but(map[string]any{"flash_searched": false, "flash_found": false})},
		{Name: "encrypted-storage", With: command(), Script: script(probetest.Wiping{Encrypted: true}), Want: but(map[string]any{
			"flash_seen_before": false, "flash_searched": false})},
		{Name: "torn-capture", With: command(), Script: script(probetest.Wiping{Torn: true}), Want: but(map[string]any{"traffic_complete": false})},
		{Name: "reduced-bench", With: command(), Script: probetest.Script{Without: []probes.Instrument{
			probes.InstrumentBroker, probes.InstrumentFlash, probes.InstrumentSniffer, probes.InstrumentUpdates, probes.InstrumentImages}},
			Want: but(map[string]any{"flash_seen_before": false, "flash_searched": false, "broker_seen_before": false, "retained_searched": false,
				"traffic_complete": false, "traffic_frames": 0})},
		{Name: "nothing-to-store-and-no-accounts", With: command(),
			Script: probetest.Script{Lacks: []string{"store-name", "read-wifi", "add-account"}}, Want: but(map[string]any{
				"planted": 0, "planted_seen": 0, "flash_seen_before": false, "broker_seen_before": false, "account_before": false, "account_outcome": ""})},
		{Name: "no-such-login", With: map[string]any{"by": "command", "interface": "ssh"}, Want: but(map[string]any{
			"account_before": false, "account_outcome": "", "label_login_after": false})},
	})
}

func TestAskRefusesUselessParameters(t *testing.T) {
	thermostat, err := probetest.New(probetest.Script{})
	assert.NoError(t, err)
	for _, with := range []map[string]any{{}, {"by": "command", "interface": ""}, {"by": "command", "wait_seconds": 0}, {"by": "command", "settle_seconds": -1}} {
		_, err := probetest.Decode(t, residue.Kind(), with).Ask(t.Context(), thermostat.Bench())
		assert.ErrorIs(t, err, probes.ErrBench, "%v", with)
	}
}
