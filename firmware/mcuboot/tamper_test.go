package mcuboot

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestTamper(t *testing.T) {
	want := map[string]error{
		format.Tampered:       format.ErrBadSignature,
		format.TamperedPlain:  format.ErrBadHash,
		format.Unsigned:       format.ErrUnsigned,
		format.WrongKey:       format.ErrNoTrustedKey,
		format.WrongKeyForged: format.ErrBadSignature,
	}
	require.Len(t, want, len(variants()))
	for _, g := range goodImages() {
		genuine := g.bytes(t)
		before := bytes.Clone(genuine)
		img, err := OpenUnverified(genuine)
		require.NoError(t, err)
		for _, variant := range variants() {
			t.Run(g.name+"/"+variant, func(t *testing.T) {
				v, err := img.Tamper(variant, format.Means{})
				require.NoError(t, err)
				b, m := v.Bytes, v.Manifest
				require.Equal(t, before, genuine, "the genuine image was changed")
				require.NotEqual(t, genuine, b)
				assert.NotEmpty(t, m.Changed)
				assert.NotEmpty(t, m.Layer)
				assert.Equal(t, variant == format.TamperedPlain, len(m.Repaired) == 0)

				changed, err := OpenUnverified(b)
				require.NoError(t, err, "a variant is well-formed")
				_, err = changed.Verify(trust(t, g.key))
				require.ErrorIs(t, err, want[variant])
				require.ErrorIs(t, err, m.Reason)
				assert.Equal(t, img.Version(), changed.Version())
				if g.name == "p256_filling_a_slot" {
					assert.Len(t, b, len(genuine))
				}
			})
		}
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
