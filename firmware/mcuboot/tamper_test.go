package mcuboot

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// means is all that a maker could give.
func means(t testing.TB, g goodImage) format.Means {
	spec := fullSpec()
	g.spec(&spec)
	if spec.SecurityCounter > 0 {
		spec.SecurityCounter--
	}
	spec.Version.Minor, spec.Payload = 0, append([]byte("older "), spec.Payload...)
	older := format.FromBytes(made(t, spec, g.key))
	return format.Means{Signer: signer(t, g.key), Older: &older}
}

// refused is what our own verifier says of a variant, as its manifest announces it.
func refused(t testing.TB, v format.Variant, trust format.Trust) error {
	b := v.Bytes
	if v.Files != nil {
		_, err := Open(v.Files[format.FileFirst], trust)
		require.NoError(t, err, "the first of a pair is genuine")
		b = v.Files[format.FileSecond]
	}
	img, err := Open(b, trust)
	if v.Manifest.Device == nil || err != nil {
		require.Nil(t, v.Manifest.Device, "genuine, but not for this device: %v", err)
		return err
	}
	return img.Check(*v.Manifest.Device)
}

func TestTamper(t *testing.T) {
	for _, g := range goodImages() {
		genuine := g.bytes(t)
		before := bytes.Clone(genuine)
		img, err := OpenUnverified(genuine)
		require.NoError(t, err)
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
				m := v.Manifest
				require.Equal(t, before, genuine, "the genuine image was changed")
				require.NotEqual(t, genuine, v.Bytes)
				assert.Equal(t, []string{"mcuboot", variant}, []string{m.Format, m.Variant})
				assert.NotEmpty(t, m.Changed)
				assert.NotEmpty(t, m.Layer)
				assert.NotEmpty(t, m.Expected)
				require.NotNil(t, m.Reason)
				require.ErrorIs(t, refused(t, v, trust(t, g.key)), m.Reason)
				if g.name == "p256_filling_a_slot" && !slices.Contains(otherSizes(), variant) {
					assert.Len(t, append(v.Bytes, v.Files[format.FileSecond]...), len(genuine))
				}
			})
		}
	}
}

func otherSizes() []string {
	return []string{format.TruncatedHeader, format.TruncatedPayload, format.TruncatedSignature, format.Empty, format.Oversize}
}

// notFor lists what cannot be made of which good image, with all means given.
func notFor(g goodImage, variant string) bool {
	smallest := g.name == "p256_smallest"
	switch variant {
	case format.SaltLength:
		return !strings.HasPrefix(g.key, "rsa")
	case format.Older:
		return smallest // there is no version before 0.0.0
	case format.OtherProduct, format.OtherHardware:
		return smallest // it has no UUIDs
	}
	return false
}

func TestTamperWithoutMeans(t *testing.T) {
	img, err := OpenUnverified(made(t, fullSpec(), "rsa2048"))
	require.NoError(t, err)
	var missing []string
	for _, variant := range variants() {
		v, err := img.Tamper(variant, format.Means{})
		if err != nil {
			require.ErrorIs(t, err, format.ErrNotApplicable)
			missing = append(missing, variant)
			continue
		}
		require.ErrorIs(t, refused(t, v, trust(t, "rsa2048")), v.Manifest.Reason, variant)
	}
	assert.Equal(t, []string{format.SaltLength, format.Older, format.OtherProduct, format.OtherHardware, format.MixAndMatch}, missing)
	for _, variant := range []string{format.SaltLength, format.AlgorithmConfusion, format.Older, format.OtherProduct} {
		_, err = img.Tamper(variant, format.Means{Signer: signer(t, "p256")})
		require.ErrorIs(t, err, format.ErrNotApplicable, "the key of another maker")
	}
}

func TestGenuineOtherImages(t *testing.T) {
	img, err := OpenUnverified(made(t, fullSpec(), "p256"))
	require.NoError(t, err)
	source := func(key string, edit func(*Spec)) *format.Source {
		spec := fullSpec()
		edit(&spec)
		return new(format.FromBytes(made(t, spec, key)))
	}
	for _, tc := range []struct {
		name, variant string
		means         format.Means
		want          error
	}{
		{"lower counter", format.Older, format.Means{Older: source("p256", func(s *Spec) { s.SecurityCounter = 6 })}, format.ErrRollback},
		{"no counter", format.Older, format.Means{Older: source("p256", func(s *Spec) { s.SecurityCounter = 0 })}, format.ErrRollback},
		{"older version", format.Older, format.Means{Older: source("p256", func(s *Spec) { s.Version.Major = 0 })}, format.ErrRollback},
		{"same", format.Older, format.Means{Older: source("p256", func(*Spec) {})}, nil},
		{"another maker's", format.Older, format.Means{Older: source("ed25519", func(s *Spec) { s.SecurityCounter = 6 })}, nil},
		{"no image", format.Older, format.Means{Older: new(format.FromBytes([]byte("x")))}, nil},
		{"no image, but the key", format.Older, format.Means{Older: new(format.FromBytes([]byte("x"))), Signer: signer(t, "p256")}, format.ErrRollback},
		{"other class", format.OtherProduct, format.Means{Sister: source("p256", func(s *Spec) { s.ClassID = make([]byte, 16) })}, format.ErrWrongDevice},
		{"no class", format.OtherProduct, format.Means{Sister: source("p256", func(s *Spec) { s.ClassID = nil })}, format.ErrWrongDevice},
		{"same class", format.OtherProduct, format.Means{Sister: source("p256", func(*Spec) {})}, nil},
		{"same class, but the key", format.OtherProduct, format.Means{Sister: source("p256", func(*Spec) {}), Signer: signer(t, "p256")}, format.ErrWrongDevice},
		{"other vendor", format.OtherHardware, format.Means{Sister: source("p256", func(s *Spec) { s.VendorID = make([]byte, 16) })}, format.ErrWrongDevice},
		{"same image", format.MixAndMatch, format.Means{Older: source("p256", func(*Spec) {})}, nil},
	} {
		v, err := img.Tamper(tc.variant, tc.means)
		if tc.want == nil {
			assert.ErrorIs(t, err, format.ErrNotApplicable, tc.name)
			continue
		}
		require.NoError(t, err, tc.name)
		assert.ErrorIs(t, refused(t, v, trust(t, "p256")), tc.want, tc.name)
	}
	// Without a counter the version is what is lowered.
	spec := fullSpec()
	spec.SecurityCounter = 0
	for _, version := range []Version{{1, 2, 3, 4}, {1, 2, 3, 0}, {1, 2, 0, 0}, {1, 0, 0, 0}} {
		spec.Version = version
		img, err := OpenUnverified(made(t, spec, "p256"))
		require.NoError(t, err)
		v, err := img.Tamper(format.Older, format.Means{Signer: signer(t, "p256")})
		require.NoError(t, err)
		assert.ErrorIs(t, refused(t, v, trust(t, "p256")), format.ErrRollback)
	}
}

func TestWrongKeyIsConsistentInItself(t *testing.T) {
	for _, g := range goodImages() {
		if g.key == "rsa3072" {
			continue // a key of that size takes seconds to make, and rsa2048 tells the same
		}
		t.Run(g.name, func(t *testing.T) {
			img, err := OpenUnverified(g.bytes(t))
			require.NoError(t, err)
			v, err := img.Tamper(format.WrongKey, format.Means{})
			require.NoError(t, err)
			forged, err := OpenUnverified(v.Bytes)
			require.NoError(t, err)
			// A device that believes the key that the image brings along takes it.
			key, err := forged.EmbeddedKey()
			require.NoError(t, err)
			keys, err := format.NewKeys(key)
			require.NoError(t, err)
			_, err = forged.Verify(format.Trust{Keys: keys})
			require.NoError(t, err)
		})
	}
}

func TestTamperRefuses(t *testing.T) {
	img, err := OpenUnverified(made(t, fullSpec(), "p256"))
	require.NoError(t, err)
	_, err = img.Tamper("no such", format.Means{})
	require.ErrorIs(t, err, format.ErrUnknownVariant)

	v, err := img.Tamper(format.Unsigned, format.Means{})
	require.NoError(t, err)
	unsigned, err := OpenUnverified(v.Bytes)
	require.NoError(t, err)
	_, err = unsigned.Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
	_, err = unsigned.EmbeddedKey()
	require.ErrorIs(t, err, format.ErrNoTrustedKey)

	empty, err := OpenUnverified(made(t, Spec{}, "p256"))
	require.NoError(t, err)
	_, err = empty.Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
}

func TestHarmless(t *testing.T) {
	for _, tc := range []struct {
		name    string
		payload string
		want    int
	}{
		{"no filling", "0123456789", 5},
		{"filling at the end", "code\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9},
		{"the longer filling", "\x00\x00\x00\x00\x00\x00\x00\x00code\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 17},
		{"a run of letters is no filling", "aaaaaaaaaaaaaaaaaaaab", 10},
		{"one byte", "x", 0},
	} {
		assert.Equal(t, tc.want, harmless([]byte(tc.payload)), tc.name)
	}
}
