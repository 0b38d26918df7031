package mender

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// means are all that Tamper can use.
func means(t testing.TB, g goodImage) format.Means {
	older, sister := fullSpec(), fullSpec()
	older.Name, older.Scripts = "release-6", []File{{"ArtifactReboot_Leave_05_old", []byte("#!/bin/sh\n")}}
	sister.Name, sister.DeviceTypes = "kettle-3", []string{"kettle"}
	for _, s := range []*Spec{&older, &sister} {
		if g.name == "version_2" {
			*s = Spec{Version: 2, Name: s.Name, DeviceTypes: s.DeviceTypes, Files: s.Files}
		}
	}
	a, b := format.FromBytes(made(t, older, g.key)), format.FromBytes(made(t, sister, g.key))
	return format.Means{Signer: signer(t, g.key), Older: &a, Sister: &b}
}

// refusal is what our own verifier says of a variant: Verify, or Check where only a device can tell.
func refusal(t testing.TB, v format.Variant, trusted format.Trust) error {
	b := v.Bytes
	if v.Files != nil {
		b = v.Files["second"]
	}
	img, err := OpenUnverified(input(b))
	if err != nil {
		return err
	}
	_, err = img.Verify(trusted)
	if v.Manifest.Device != nil {
		require.NoError(t, err, "it is genuine, but for another device")
		return img.Check(*v.Manifest.Device)
	}
	return err
}

func TestTamper(t *testing.T) {
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			genuine := g.bytes(t)
			before := bytes.Clone(genuine)
			img, trusted, with := opened(t, genuine), trust(t, signer(t, g.key).Public()), means(t, g)
			for _, variant := range variants() {
				v, err := img.Tamper(variant, with)
				require.NoError(t, err, variant)
				require.Equal(t, before, genuine, "the genuine artifact was changed")
				require.NotEqual(t, genuine, v.Bytes)
				m := v.Manifest
				assert.Equal(t, []string{"mender", variant}, []string{m.Format, m.Variant})
				assert.NotEmpty(t, m.Changed, variant)
				assert.NotEmpty(t, m.Layer, variant)
				assert.NotEmpty(t, m.Expected, variant)
				require.Error(t, m.Reason, variant)
				err = refusal(t, v, trusted)
				require.ErrorIs(t, err, m.Reason, variant)
			}
		})
	}
}

func TestTamperWithoutMeans(t *testing.T) {
	img := opened(t, made(t, fullSpec(), "ecdsa"))
	for _, variant := range []string{format.WeakAlgorithm, format.OtherProduct, format.Oversize, format.MixAndMatch} {
		_, err := img.Tamper(variant, format.Means{})
		require.ErrorIs(t, err, format.ErrNotApplicable, variant)
	}
	_, err := img.Tamper("no such", format.Means{})
	require.ErrorIs(t, err, format.ErrUnknownVariant)
	_, err = img.Tamper(format.Older, format.Means{})
	require.ErrorIs(t, err, format.ErrUnknownVariant, "the format cannot tell older from newer")
	v, err := img.Tamper(format.OtherProduct, format.Means{Signer: signer(t, "ecdsa")})
	require.NoError(t, err)
	require.ErrorIs(t, refusal(t, v, trust(t, signer(t, "ecdsa").Public())), format.ErrWrongDevice)

	unsigned, err := Build(fullSpec(), nil)
	require.NoError(t, err)
	_, err = opened(t, unsigned).Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
	_, err = opened(t, made(t, Spec{Name: "x", DeviceTypes: []string{"d"}, Files: []File{{"f", nil}}}, "ecdsa")).Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable, "no byte to change")
}
