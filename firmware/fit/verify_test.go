package fit

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestVerifyGood(t *testing.T) {
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			img, err := OpenUnverified(format.FromBytes(g.bytes(t)))
			require.NoError(t, err)
			report, err := img.Verify(g.trust(t))
			require.NoError(t, err)
			assert.True(t, report.Verified)
			assert.NotEmpty(t, report.Signature)
			assert.Contains(t, report.Digest, ":")
			assert.Equal(t, "control.dtb", report.Key.From)
			assert.Equal(t, "key", report.Chain[0].Kind)
			assert.Equal(t, "signature", report.Chain[1].Kind)
			assert.Equal(t, "hash", report.Chain[len(report.Chain)-1].Kind)

			_, err = img.Verify(bare(t, g.key))
			if g.by == "conf" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, format.ErrUnsigned)
			}
			_, err = img.Verify(bare(t, "stranger"))
			require.ErrorIs(t, err, format.ErrNotVerified)
			_, err = img.Verify(format.Trust{})
			require.ErrorIs(t, err, format.ErrNoTrustedKey)
		})
	}
}
