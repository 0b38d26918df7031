package fit

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// means are all that Tamper may use: the maker's key and two other images of the maker.
func (g goodImage) means(t testing.TB) format.Means {
	spec := fullSpec()
	g.spec(&spec)
	spec.Made = made.AddDate(-1, 0, 0)
	for i := range spec.Parts {
		spec.Parts[i].Data = append([]byte("older "), spec.Parts[i].Data...)
	}
	older := format.FromBytes(build1(t, spec, g.key))
	return format.Means{Signer: signer(t, g.key), Older: &older}
}

func TestTamper(t *testing.T) {
	applied := map[string]int{}
	for _, g := range goodImages() {
		genuine := g.bytes(t)
		before := bytes.Clone(genuine)
		img, err := OpenUnverified(format.FromBytes(genuine))
		require.NoError(t, err)
		for _, variant := range variants() {
			t.Run(g.name+"/"+variant, func(t *testing.T) {
				v, err := img.Tamper(variant, g.means(t))
				require.Equal(t, before, genuine, "the genuine image was changed")
				if errors.Is(err, format.ErrNotApplicable) {
					t.Log(err)
					return
				}
				require.NoError(t, err)
				applied[variant]++
				assert.NotEmpty(t, v.Manifest.Changed)
				assert.NotEmpty(t, v.Manifest.Layer)
				assert.NotEmpty(t, v.Manifest.Expected)
				assert.Equal(t, variant, v.Manifest.Variant)
				refused(t, g, v)
			})
		}
	}
	for _, variant := range variants() {
		assert.Positive(t, applied[variant], variant)
	}
}

// refused wants our own verifier to answer with the manifest's reason.
func refused(t *testing.T, g goodImage, v format.Variant) {
	b := v.Bytes
	if v.Files != nil {
		_, err := Open(format.FromBytes(v.Files[format.FileFirst]), g.trust(t))
		require.NoError(t, err)
		b = v.Files[format.FileSecond]
	}
	trusts := []format.Trust{g.trust(t)}
	if g.by == "conf" {
		trusts = append(trusts, bare(t, g.key))
	}
	for _, trust := range trusts {
		img, err := Open(format.FromBytes(b), trust)
		if v.Manifest.Device != nil {
			require.NoError(t, err, "it is genuine")
			require.NoError(t, img.Check(format.Device{}))
			err = img.Check(*v.Manifest.Device)
		}
		require.ErrorIs(t, err, v.Manifest.Reason)
	}
}

func TestTamperRefuses(t *testing.T) {
	img, err := OpenUnverified(format.FromBytes(build1(t, fullSpec(), "p256")))
	require.NoError(t, err)
	_, err = img.Tamper("no such", format.Means{})
	require.ErrorIs(t, err, format.ErrUnknownVariant)
	for _, variant := range []string{format.Older, format.OtherProduct, format.WeakAlgorithm, format.MixAndMatch} {
		_, err = img.Tamper(variant, format.Means{})
		require.ErrorIs(t, err, format.ErrNotApplicable, variant)
		_, err = img.Tamper(variant, format.Means{Signer: signer(t, "rsa2048")})
		require.ErrorIs(t, err, format.ErrNotApplicable, "%s with a key of another kind", variant)
	}
	v, err := img.Tamper(format.Unsigned, format.Means{})
	require.NoError(t, err)
	unsigned, err := OpenUnverified(format.FromBytes(v.Bytes))
	require.NoError(t, err)
	_, err = unsigned.Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)

	same := format.FromBytes(build1(t, fullSpec(), "p256"))
	for _, variant := range []string{format.Older, format.OtherProduct, format.MixAndMatch} {
		_, err = img.Tamper(variant, format.Means{Older: &same, Sister: &same})
		require.ErrorIs(t, err, format.ErrNotApplicable, "%s of the same image", variant)
	}
}

func TestSister(t *testing.T) {
	g := goodImages()[3]
	img, err := OpenUnverified(format.FromBytes(g.bytes(t)))
	require.NoError(t, err)
	spec := fullSpec()
	spec.Default = "conf-2"
	sister := format.FromBytes(build1(t, spec, g.key))
	v, err := img.Tamper(format.OtherProduct, format.Means{Sister: &sister})
	require.NoError(t, err)
	refused(t, g, v)
}
