package signature_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"assay/probes"
	"assay/probes/firmware/signature"
	"assay/probes/probetest"
)

func TestAsk(t *testing.T) {
	imaging := func(i probetest.Imaging) probetest.Script { return probetest.Script{Imaging: i} }
	none := []any{}
	probetest.Run(t, signature.Kind(), []probetest.Case{
		{Name: "good", Want: map[string]any{
			"images": 5, "verified": 5, "formats": []any{"mcuboot"}, "algorithms": []any{"ecdsa-p256-sha256"}, "unverified": none, "least_strength": 128,
			"disallowed": none, "legacy": none, "uncovered_in_use": none, "counters": 5, "signed_versions": 5, "falling": none, "variants_accepted": none, "encrypted": 0,
		}, Check: func(t *testing.T, f probes.Facts) {
			facts := f.(signature.Facts)
			assert.GreaterOrEqual(t, facts.Variants, 5*15, "the refusal set of each")
			assert.Equal(t, facts.Variants, facts.VariantsRefused)
			assert.Contains(t, facts.VariantsOmitted, "older", "it needs the maker's key")
			assert.Len(t, facts.Uncovered, 5, "the signatures themselves")
		}},
		{Name: "one-is-a-strangers", Script: imaging(probetest.Imaging{Foreign: []string{"1.1.0"}}), Want: map[string]any{
			"images": 5, "verified": 4, "variants_accepted": none, "counters": 4,
		}, Check: func(t *testing.T, f probes.Facts) {
			assert.Len(t, f.(signature.Facts).Unverified, 1)
			assert.Contains(t, f.(signature.Facts).Unverified[0], "1.1.0.bin: ")
		}},
		{Name: "all-are-a-strangers", Script: imaging(probetest.Imaging{Foreign: []string{"0.9.0", "1.0.0", "1.1.0", "1.2.0", "1.3.0"}}),
			Want: map[string]any{"verified": 0, "variants": 0, "least_strength": 0}},
		{Name: "weak-key", Script: imaging(probetest.Imaging{WeakKey: true}), Want: map[string]any{
			"verified": 5, "least_strength": 128, "variants_accepted": none, "legacy": none,
		}, Check: func(t *testing.T, f probes.Facts) {
			assert.Len(t, f.(signature.Facts).Disallowed, 5)
			assert.Contains(t, f.(signature.Facts).Disallowed[0], "exponent 3")
		}},
		{Name: "no-counter", Script: imaging(probetest.Imaging{Counters: []uint32{0, 0, 0, 0, 0}}), Want: map[string]any{"counters": 0, "signed_versions": 5, "falling": none}},
		{Name: "some-counters", Script: imaging(probetest.Imaging{Counters: []uint32{1, 0, 2, 2, 3}}), Want: map[string]any{"counters": 4, "falling": none}},
		{Name: "counter-falls", Script: imaging(probetest.Imaging{Counters: []uint32{1, 3, 2, 3, 4}}), Want: map[string]any{
			"counters": 5, "falling": []any{"1.1.0 has 2, 1.0.0 has 3"},
		}},
	})
}
