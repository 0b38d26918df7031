package installed_test

import (
	"testing"

	"assay/probes"
	"assay/probes/firmware/installed"
	"assay/probes/probetest"
)

func TestAsk(t *testing.T) {
	imaging := func(i probetest.Imaging) probetest.Script { return probetest.Script{Imaging: i} }
	none := []any{}
	probetest.Run(t, installed.Kind(), []probetest.Case{
		{Name: "good", Want: map[string]any{
			"declared": "1.0.0", "outcome": "done", "reported": "1.0.0", "same": true, "image": "1.0.0.bin",
			"flash_read": true, "flash_holds": []any{"1.0.0"}, "holds": true, "holds_newer": false,
		}},
		{Name: "good-with-an-older-image-in-the-other-slot", Script: imaging(probetest.Imaging{Stores: []string{"0.9.0", "1.0.0"}}), Want: map[string]any{
			"flash_holds": []any{"0.9.0", "1.0.0"}, "holds": true, "holds_newer": false,
		}},
		{Name: "declared-otherwise", Script: imaging(probetest.Imaging{Declared: "1.1.0"}), Want: map[string]any{
			"declared": "1.1.0", "reported": "1.0.0", "same": false, "image": "1.1.0.bin", "flash_holds": []any{"1.0.0"}, "holds": false,
		}},
		{Name: "reports-what-it-does-not-hold", Script: imaging(probetest.Imaging{Stores: []string{"1.2.0"}}), Want: map[string]any{
			"same": true, "flash_holds": []any{"1.2.0"}, "holds": false, "holds_newer": true,
		}},
		{Name: "holds-a-newer-one-too", Script: imaging(probetest.Imaging{Stores: []string{"1.0.0", "1.3.0"}}), Want: map[string]any{"holds": true, "holds_newer": true}},
		{Name: "another-spelling", Script: imaging(probetest.Imaging{Declared: "1.0.0+0"}), Want: map[string]any{"same": true, "holds": true}},
		{Name: "writes-v", Script: probetest.Script{Updating: probetest.Updating{Writes: "v%s"}}, Want: map[string]any{"reported": "v1.0.0", "same": true, "holds": true}},
		{Name: "writes-v-and-no-image-of-that-version", Script: probetest.Script{
			Imaging: probetest.Imaging{Declared: "1.0.0"}, Updating: probetest.Updating{Writes: "v%s", Versions: []string{"0.9.0", "1.1.0"}},
		}, Want: map[string]any{"reported": "v1.0.0", "same": true, "image": ""}},
		{Name: "no-image-of-that-version", Script: imaging(probetest.Imaging{Declared: "2.0.0"}), Want: map[string]any{"same": false, "image": "", "holds": false, "holds_newer": false}},
		{Name: "encrypted-storage", Script: probetest.Script{Wiping: probetest.Wiping{Encrypted: true}}, Want: map[string]any{
			"same": true, "flash_read": false, "flash_holds": none, "holds": false,
		}},
		{Name: "without-a-dump", Script: probetest.Script{Without: []probes.Instrument{probes.InstrumentFlash}}, Want: map[string]any{
			"same": true, "flash_read": false, "flash_bytes": 0, "holds": false,
		}},
		{Name: "mute", Script: probetest.Script{Updating: probetest.Updating{Mute: true}}, Want: map[string]any{"reported": "", "same": false, "holds": true}},
		{Name: "silent", Script: probetest.Script{Answers: map[string]probes.Outcome{probes.ReadVersion: probes.Silent}}, Want: map[string]any{"outcome": "silent", "same": false}},
	})
}
