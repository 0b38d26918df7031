package sigstore

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// TestTamper makes every variant of every kind of signature: our own verifier refuses each for
// the reason that its manifest names.
func TestTamper(t *testing.T) {
	a, err := NewAuthority(noon)
	require.NoError(t, err)
	older, err := Build(Spec{Artifact: []byte("the older program"), Authority: a, Identity: signer, Issuer: issuer})
	require.NoError(t, err)
	source := format.FromBytes(older)
	made := map[string]int{}
	for _, g := range goods(t) {
		img := g.open(t)
		for _, variant := range Format().Variants {
			t.Run(g.name+"/"+variant, func(t *testing.T) {
				v, err := img.Tamper(variant, format.Means{Older: &source})
				if errors.Is(err, format.ErrNotApplicable) {
					t.Log(err)
					return
				}
				require.NoError(t, err)
				made[variant]++
				assert.NotEmpty(t, v.Manifest.Changed)
				assert.NotEmpty(t, v.Manifest.Layer)
				assert.NotEmpty(t, v.Manifest.Expected)
				artifact := v.Files[format.FileArtifact]
				if variant == format.Swapped {
					artifact = v.Files[format.FileSecond]
					require.Equal(t, firmware, v.Files[format.FileFirst])
				}
				changed, err := OpenUnverified(input(v.Files[format.FileSignature], artifact))
				if err == nil {
					_, err = changed.Verify(g.trust)
				}
				t.Log(err)
				require.Error(t, err)
				require.ErrorIs(t, err, v.Manifest.Reason)
			})
		}
	}
	for _, variant := range Format().Variants {
		assert.NotZero(t, made[variant], "%s is made of no kind of signature", variant)
	}
	require.Subset(t, format.Variants(), Format().Variants)
	require.True(t, slices.IsSortedFunc(Format().Variants, func(a, b string) int {
		return slices.Index(format.Variants(), a) - slices.Index(format.Variants(), b)
	}))
}

func TestTamperRefuses(t *testing.T) {
	g := goods(t)[0]
	_, err := g.open(t).Tamper("no-such", format.Means{})
	require.ErrorIs(t, err, format.ErrUnknownVariant)
	alone, err := OpenUnverified(format.Input{Source: format.FromBytes(g.bundle)})
	require.NoError(t, err)
	_, err = alone.Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
	_, err = alone.Verify(g.trust)
	require.ErrorIs(t, err, format.ErrNotBound)
}
