package mcuboot

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestKnownKeysAreFindings(t *testing.T) {
	for _, k := range knownKeys() {
		for i, id := range k.sums {
			b, err := hex.DecodeString(id)
			require.NoError(t, err)
			require.Len(t, b, []int{32, 48, 64}[i])
			img, err := OpenUnverified(rebuilt(t, made(t, fullSpec(), "p256"), func(x []TLV) []TLV { return replace(x, TypeKeyHash, b) }))
			require.NoError(t, err)
			report, err := img.Verify(trust(t, "p256"))
			require.ErrorIs(t, err, format.ErrNoTrustedKey)
			require.Len(t, report.Findings, 1)
			assert.Equal(t, []string{"known-key", k.name}, []string{report.Findings[0].ID, report.Findings[0].What})
			assert.Empty(t, report.Chain)
		}
	}
}

func TestChain(t *testing.T) {
	for _, g := range goodImages() {
		img, err := OpenUnverified(g.bytes(t))
		require.NoError(t, err)
		report, err := img.Verify(trust(t, g.key))
		require.NoError(t, err)
		kinds := []string{}
		for _, l := range report.Chain {
			kinds = append(kinds, l.Kind)
		}
		assert.Equal(t, []string{"key", "signature", "hash"}, kinds, g.name)
		if g.key == "rsa2048" {
			require.Len(t, report.Findings, 1)
			assert.Equal(t, format.Legacy, report.Findings[0].Level)
		} else {
			assert.Empty(t, report.Findings, g.name)
		}
	}
	bad, err := OpenUnverified(made(t, fullSpec(), "p256"))
	require.NoError(t, err)
	v, err := bad.Tamper(format.WrongKeyForged, format.Means{})
	require.NoError(t, err)
	img, err := OpenUnverified(v.Bytes)
	require.NoError(t, err)
	report, err := img.Verify(trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrBadSignature)
	require.Len(t, report.Chain, 1, "as far as it was followed")
}
