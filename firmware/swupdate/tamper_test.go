package swupdate

import (
	"bytes"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// means are all that Tamper can use.
func means(t testing.TB, g goodImage) format.Means {
	older, sister := fullSpec(), fullSpec()
	older.Version, older.Images[0].Data = "1.0.0", []byte("the old one")
	if g.name == "smallest" {
		older.Images[0].Name = "f"
	}
	sister.Hardware = []string{"kettle"}
	a, b := format.FromBytes(made(t, older, g.key)), format.FromBytes(made(t, sister, g.key))
	id := identity(t, g.key)
	m := format.Means{Signer: id.Key, Chain: id.Chain, Older: &a, Sister: &b}
	if len(id.Chain) > 0 {
		m.Issuer = pki(t, g.key).Issuer().Key
	}
	return m
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
			skipped := map[string]bool{}
			if g.key == "raw" || g.key == "pss" {
				for _, v := range []string{format.WrongKeyForged, format.SelfMadeChain, format.ExpiredCertificate, format.WrongPurpose} {
					skipped[v] = true // no certificates
				}
			}
			if g.name != "rsa_crc" && g.name != "raw_crc" {
				skipped[format.TamperedSum] = true
			}
			genuine := g.bytes(t)
			before := bytes.Clone(genuine)
			img, trusted, with := opened(t, genuine), trust(t, g.key), means(t, g)
			for _, variant := range variants() {
				v, err := img.Tamper(variant, with)
				if skipped[variant] {
					require.ErrorIs(t, err, format.ErrNotApplicable, variant)
					continue
				}
				require.NoError(t, err, variant)
				require.Equal(t, before, genuine, "the genuine archive was changed")
				require.NotEqual(t, genuine, v.Bytes)
				m := v.Manifest
				assert.Equal(t, []string{"swupdate", variant}, []string{m.Format, m.Variant})
				assert.NotEmpty(t, m.Changed, variant)
				assert.NotEmpty(t, m.Layer, variant)
				assert.NotEmpty(t, m.Expected, variant)
				require.Error(t, m.Reason, variant)
				require.ErrorIs(t, refusal(t, v, trusted), m.Reason, variant)
			}
		})
	}
}

func TestTamperWithoutMeans(t *testing.T) {
	img := opened(t, made(t, fullSpec(), "ec"))
	for _, variant := range []string{
		format.WeakAlgorithm, format.Older, format.OtherProduct, format.OtherHardware, format.Oversize, format.UnsignedExtra,
		format.ExpiredCertificate, format.WrongPurpose, format.MixAndMatch,
	} {
		_, err := img.Tamper(variant, format.Means{})
		require.ErrorIs(t, err, format.ErrNotApplicable, variant)
	}
	_, err := img.Tamper("no such", format.Means{})
	require.ErrorIs(t, err, format.ErrUnknownVariant)

	id := identity(t, "ec")
	v, err := img.Tamper(format.Older, format.Means{Signer: id.Key, Chain: id.Chain})
	require.NoError(t, err)
	require.ErrorIs(t, refusal(t, v, trust(t, "ec")), format.ErrRollback)
	_, err = img.Tamper(format.Older, format.Means{Signer: id.Key, Chain: []*x509.Certificate{pki(t, "rsa").Signer.Certificate}})
	require.ErrorIs(t, err, format.ErrNotApplicable, "a certificate of another key")
	_, err = opened(t, made(t, fullSpec(), "raw")).Tamper(format.Older, format.Means{Signer: id.Key})
	require.ErrorIs(t, err, format.ErrNotApplicable, "a raw signature is RSA")

	unsigned, err := Build(fullSpec(), Identity{})
	require.NoError(t, err)
	_, err = opened(t, unsigned).Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
}
