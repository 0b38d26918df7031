package suit

import (
	"bytes"
	"crypto/x509"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// means has everything that Tamper can use with a good image.
func means(t testing.TB, g goodImage) format.Means {
	older, sister := g.spec(t), g.spec(t)
	older.Sequence, older.Payload = 11, []byte("the release before")
	sister.VendorID = bytes.Repeat([]byte{0xcc}, 16)
	m := format.Means{}
	if g.key != "mac" {
		m.Signer = key(t, g.key)
	}
	o, s := format.FromBytes(made(t, older, g.key)), format.FromBytes(made(t, sister, g.key))
	m.Older, m.Sister = &o, &s
	return m
}

func TestTamper(t *testing.T) {
	made := map[string]bool{}
	for _, g := range goodImages() {
		genuine := g.bytes(t)
		before := bytes.Clone(genuine)
		img, err := OpenUnverified(g.input(t, genuine))
		require.NoError(t, err)
		for _, variant := range variants() {
			t.Run(g.name+"/"+variant, func(t *testing.T) {
				v, err := img.Tamper(variant, means(t, g))
				require.Equal(t, before, genuine, "the genuine image was changed")
				if slices.Contains(inapplicable(g.name), variant) {
					require.ErrorIs(t, err, format.ErrNotApplicable)
					return
				}
				require.NoError(t, err)
				made[variant] = true
				checkVariant(t, g, genuine, v)
			})
		}
	}
	for _, v := range variants() {
		assert.True(t, made[v], "%s was made of no image", v)
	}
}

// inapplicable lists what an image has not got, or what a secret would be needed for.
func inapplicable(image string) []string {
	switch image {
	case "severable":
		return nil
	case "elsewhere":
		return []string{
			format.Tampered, format.TamperedPlain, format.TruncatedPayload, format.Oversize, format.MixAndMatch,
			format.SeveredReplaced, format.SeveredMissing, format.Swapped,
		}
	case "beside":
		return []string{format.MixAndMatch, format.SeveredReplaced, format.SeveredMissing, format.Swapped}
	case "mac":
		return []string{
			format.AlgorithmConfusion, format.WeakAlgorithm, format.OtherHardware, format.Oversize, format.AlgorithmUnprotected,
			format.UnknownCritical, format.SeveredReplaced, format.UnknownVersion,
		}
	}
	return []string{format.SeveredReplaced}
}

func checkVariant(t *testing.T, g goodImage, genuine []byte, v format.Variant) {
	m := v.Manifest
	assert.Equal(t, "suit", m.Format)
	assert.NotEmpty(t, m.Changed)
	assert.NotEmpty(t, m.Layer)
	assert.NotEmpty(t, m.Expected)
	b := v.Bytes
	in := g.input(t, b)
	if artifact, ok := v.Files[format.FileArtifact]; ok {
		payload := format.FromBytes(artifact)
		in = format.Input{Source: format.FromBytes(v.Files[format.FileSignature]), Artifact: &payload}
	} else if v.Files != nil {
		_, err := Open(input(v.Files[format.FileFirst]), trust(t, g.key))
		require.NoError(t, err)
		in = input(v.Files[format.FileSecond])
	}
	require.NotEqual(t, genuine, b)
	changed, err := Open(in, trust(t, g.key))
	if m.Device != nil {
		require.NoError(t, err, "genuine")
		err = changed.Check(*m.Device)
		good, openErr := Open(g.input(t, genuine), trust(t, g.key))
		require.NoError(t, openErr)
		require.NoError(t, good.Check(*m.Device))
	}
	require.ErrorIs(t, err, m.Reason)
}

// TestWrongKeyIsConsistentInItself: a device that believes the certificate that the image
// brings along takes it.
func TestWrongKeyIsConsistentInItself(t *testing.T) {
	img, err := OpenUnverified(input(goodImages()[0].bytes(t)))
	require.NoError(t, err)
	v, err := img.Tamper(format.WrongKey, format.Means{})
	require.NoError(t, err)
	forged, err := OpenUnverified(input(v.Bytes))
	require.NoError(t, err)
	der, err := asBytes(forged.blocks[0].body.open[labelX5Chain])
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	keys, err := format.NewKeys(cert.PublicKey)
	require.NoError(t, err)
	_, err = forged.Verify(format.Trust{Keys: keys})
	require.NoError(t, err)
}

func TestTamperRefuses(t *testing.T) {
	img, err := OpenUnverified(input(goodImages()[0].bytes(t)))
	require.NoError(t, err)
	_, err = img.Tamper("no such", format.Means{})
	require.ErrorIs(t, err, format.ErrUnknownVariant)
	for _, variant := range []string{format.Older, format.OtherProduct, format.WeakAlgorithm, format.UnknownVersion, format.MixAndMatch} {
		_, err = img.Tamper(variant, format.Means{})
		require.ErrorIs(t, err, format.ErrNotApplicable, variant)
	}
	v, err := img.Tamper(format.Unsigned, format.Means{})
	require.NoError(t, err)
	unsigned, err := OpenUnverified(input(v.Bytes))
	require.NoError(t, err)
	_, err = unsigned.Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
}
