package esp32

import (
	"bytes"
	"crypto"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// means is all that a maker could give.
func means(t testing.TB, g goodImage) format.Means {
	older := func(s *Spec) { g.spec(s); s.SecureVersion--; s.Version = "1.3.9" }
	source := format.FromBytes(goodImage{key: g.key, keys: g.keys, spec: older}.bytes(t))
	return format.Means{Signer: signer(t, g.key), Older: &source}
}

// refused is what our own verifier says of a variant, as its manifest announces it.
func refused(t testing.TB, v format.Variant, trust format.Trust) error {
	b := v.Bytes
	if v.Files != nil {
		_, err := verify(t, v.Files[format.FileFirst], trust)
		require.NoError(t, err, "the first of a pair is genuine")
		b = v.Files[format.FileSecond]
	}
	_, err := verify(t, b, trust)
	if v.Manifest.Device == nil {
		return err
	}
	require.NoError(t, err, "genuine, but not for this device")
	return opened(t, b).Check(*v.Manifest.Device)
}

func TestTamper(t *testing.T) {
	for _, g := range goodImages() {
		good := g.bytes(t)
		before := bytes.Clone(good)
		img := opened(t, good)
		lent := means(t, g)
		for _, variant := range variants() {
			t.Run(g.name+"/"+variant, func(t *testing.T) {
				v, err := img.Tamper(variant, lent)
				if err != nil {
					require.ErrorIs(t, err, format.ErrNotApplicable)
					require.True(t, notFor(g, variant), "%v", err)
					return
				}
				require.False(t, notFor(g, variant))
				require.Equal(t, before, good, "the genuine image was changed")
				require.NotEqual(t, good, v.Bytes)
				m := v.Manifest
				assert.Equal(t, []string{"esp32", variant}, []string{m.Format, m.Variant})
				assert.NotEmpty(t, m.Changed)
				assert.NotEmpty(t, m.Layer)
				assert.NotEmpty(t, m.Expected)
				require.NotNil(t, m.Reason)
				require.ErrorIs(t, refused(t, v, trust(t, g.key)), m.Reason)
			})
		}
	}
}

// notFor lists what cannot be made of which good image, with all means given.
func notFor(g goodImage, variant string) bool {
	spec := fullSpec()
	g.spec(&spec)
	switch variant {
	case format.DuplicateSignature:
		return len(g.keys) == maxBlocks
	case format.WrongKeyForged, format.FormatDowngrade:
		return spec.V1
	case format.ZeroSignature:
		return g.key == "rsa"
	case format.SaltLength:
		return g.key != "rsa"
	case format.Older:
		return spec.NoDescription
	case format.OtherProduct:
		return spec.NoDescription
	case format.OtherHardware:
		return spec.V1
	case format.MixAndMatch:
		return spec.NoDescription // the older one is the same image
	}
	return false
}

func TestTamperWithoutMeans(t *testing.T) {
	img := opened(t, made(t, func(*Spec) {}, "rsa"))
	var missing []string
	for _, variant := range variants() {
		if _, err := img.Tamper(variant, format.Means{}); err != nil {
			require.ErrorIs(t, err, format.ErrNotApplicable)
			missing = append(missing, variant)
		}
	}
	assert.Equal(t, []string{format.ZeroSignature, format.SaltLength, format.Older, format.OtherProduct, format.OtherHardware, format.MixAndMatch}, missing)

	for _, signer := range []crypto.Signer{signer(t, "p256"), signer(t, "p192")} {
		_, err := img.Tamper(format.Older, format.Means{Signer: signer})
		require.ErrorIs(t, err, format.ErrNotApplicable, "the key of another maker")
	}
	old := opened(t, made(t, v1, "p256"))
	for _, kind := range []string{"other", "p384", "p192"} {
		_, err := old.Tamper(format.Older, format.Means{Signer: signer(t, kind)})
		require.ErrorIs(t, err, format.ErrNotApplicable, "the key of another maker")
	}
	_, err := img.Tamper(format.PathEscape, format.Means{})
	require.ErrorIs(t, err, format.ErrUnknownVariant)
	_, err = opened(t, unsigned(t)).Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
}

func TestGenuineOtherImages(t *testing.T) {
	good := made(t, func(*Spec) {}, "p256")
	source := func(edit func(*Spec), key string) *format.Source {
		return new(format.FromBytes(made(t, edit, key)))
	}
	for _, tc := range []struct {
		name, variant string
		means         format.Means
		want          error
	}{
		{"older secure version", format.Older, format.Means{Older: source(func(s *Spec) { s.SecureVersion = 1 }, "p256")}, format.ErrRollback},
		{"older version", format.Older, format.Means{Older: source(func(s *Spec) { s.Version = "1.3" }, "p256")}, format.ErrRollback},
		{"newer version", format.Older, format.Means{Older: source(func(s *Spec) { s.Version = "1.5" }, "p256")}, nil},
		{"another maker's", format.Older, format.Means{Older: source(func(s *Spec) { s.SecureVersion = 1 }, "other")}, nil},
		{"no image", format.Older, format.Means{Older: new(format.FromBytes([]byte("x")))}, nil},
		{"no image, but the key", format.Older, format.Means{Older: new(format.FromBytes([]byte("x"))), Signer: signer(t, "p256")}, format.ErrRollback},
		{"other project", format.OtherProduct, format.Means{Sister: source(func(s *Spec) { s.Project = "kettle" }, "p256")}, format.ErrWrongDevice},
		{"same project", format.OtherProduct, format.Means{Sister: source(func(*Spec) {}, "p256")}, nil},
		{"same project, but the key", format.OtherProduct, format.Means{Sister: source(func(*Spec) {}, "p256"), Signer: signer(t, "p256")}, format.ErrWrongDevice},
		{"other chip", format.OtherHardware, format.Means{Sister: source(func(s *Spec) { s.Chip = ChipH2 }, "p256")}, format.ErrWrongDevice},
		{"same chip", format.OtherHardware, format.Means{Sister: source(func(*Spec) {}, "p256")}, nil},
		{"same chip, but the key", format.OtherHardware, format.Means{Sister: source(func(*Spec) {}, "p256"), Signer: signer(t, "p256")}, format.ErrWrongDevice},
		{"same image", format.MixAndMatch, format.Means{Older: source(func(*Spec) {}, "p256")}, nil},
	} {
		v, err := opened(t, good).Tamper(tc.variant, tc.means)
		if tc.want == nil {
			assert.ErrorIs(t, err, format.ErrNotApplicable, tc.name)
			continue
		}
		require.NoError(t, err, tc.name)
		assert.ErrorIs(t, refused(t, v, trust(t, "p256")), tc.want, tc.name)
	}
}

func TestVariantsAreInOrder(t *testing.T) {
	var last int
	for _, v := range variants() {
		i := slices.Index(format.Variants(), v)
		require.GreaterOrEqual(t, i, last)
		last = i
	}
	assert.Len(t, variants(), len(recipes()))
}
