package mcuboot

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestGoodImagesVerify(t *testing.T) {
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			b := g.bytes(t)
			img, err := OpenUnverified(b)
			require.NoError(t, err)
			// A set of several keys is one trust anchor: the image picks none of it but its own.
			report, err := img.Verify(trust(t, "p256", "p384", "ed25519", "rsa2048", "rsa3072"))
			require.NoError(t, err)
			assert.True(t, report.Verified)
			assert.Equal(t, trust(t, g.key).Keys.All()[0].Fingerprint, report.Key.Fingerprint)
			assert.NotEmpty(t, report.Signature)
			assert.NotEmpty(t, report.Digest)

			_, err = img.Verify(format.Trust{})
			require.ErrorIs(t, err, format.ErrNoTrustedKey)
		})
	}
}

func TestWhatAnImageSays(t *testing.T) {
	img, err := Open(made(t, fullSpec(), "p256"), trust(t, "p256"))
	require.NoError(t, err)
	assert.Equal(t, fullSpec().Payload, img.Payload())
	assert.Equal(t, Version{1, 2, 3, 4}, img.Version())
	n, ok := img.SecurityCounter()
	assert.True(t, ok)
	assert.EqualValues(t, 7, n)

	f := img.Describe()
	assert.Equal(t, "1.2.3+4", f.Version)
	assert.EqualValues(t, 7, *f.SecurityCounter)
	assert.Equal(t, "ecdsa-p256-sha256", f.Signature)
	assert.Empty(t, f.Notes)
	assert.Contains(t, f.Fields, format.Field{Name: "DEPENDENCY", Value: "image 2 from version 0.5.0", Protected: true})
	var next int64
	for _, r := range slices.Concat(f.Covered, f.Uncovered) {
		assert.Equal(t, next, r.Offset, r.Name)
		next += r.Size
	}
	assert.Equal(t, f.Size, next, "every byte is either covered or not")
}

// rebuilt signs again after the unprotected area was edited.
func rebuilt(t *testing.T, b []byte, edit func([]TLV) []TLV) []byte {
	img, err := OpenUnverified(b)
	require.NoError(t, err)
	out, err := appendArea(bytes.Clone(img.raw[:img.covered]), unprotectedMagic, edit(img.Unprotected()))
	require.NoError(t, err)
	return out
}

func replace(tlvs []TLV, t Type, value []byte) []TLV {
	for i := range tlvs {
		if tlvs[i].Type == t {
			tlvs[i].Value = value
		}
	}
	return tlvs
}

func drop(tlvs []TLV, types ...Type) []TLV {
	return slices.DeleteFunc(tlvs, func(x TLV) bool { return slices.Contains(types, x.Type) })
}

func embedded(t *testing.T, kind string) []byte {
	der, err := encodeKey(trust(t, kind).Keys.All()[0])
	require.NoError(t, err)
	return der
}

func TestVerifyRefuses(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	good := func(kind string) []byte { return made(t, fullSpec(), kind) }
	edit := func(kind string, f func([]TLV) []TLV) []byte { return rebuilt(t, good(kind), f) }
	digestOf := func(b []byte) []byte {
		img, err := OpenUnverified(b)
		require.NoError(t, err)
		return img.digest(crypto.SHA256)
	}
	for _, tc := range []struct {
		name  string
		image []byte
		trust string
		want  error
	}{
		{"another key of the kind", func() []byte { b, _ := Build(fullSpec(), stranger); return b }(), "p256", format.ErrNoTrustedKey},
		{"a key of another kind", good("rsa2048"), "p256", format.ErrNoTrustedKey},
		{"an embedded stranger's key", func() []byte {
			s := fullSpec()
			s.EmbedKey = true
			b, _ := Build(s, stranger)
			return b
		}(), "p256", format.ErrNoTrustedKey},
		{"the right key hash, another embedded key", edit("p256", func(x []TLV) []TLV {
			return append(x, TLV{TypePublicKey, embedded(t, "p384")})
		}), "p256", format.ErrNoTrustedKey},
		{"no key named", edit("p256", func(x []TLV) []TLV { return drop(x, TypeKeyHash) }), "p256", format.ErrNoTrustedKey},
		{"no signature", edit("p256", func(x []TLV) []TLV { return drop(x, TypeECDSA) }), "p256", format.ErrUnsigned},
		{"an empty signature", edit("p256", func(x []TLV) []TLV { return replace(x, TypeECDSA, nil) }), "p256", format.ErrUnsigned},
		{"no hash", edit("p256", func(x []TLV) []TLV { return drop(x, TypeSHA256) }), "p256", format.ErrBadHash},
		{"nothing unprotected", edit("p256", func([]TLV) []TLV { return nil }), "p256", format.ErrUnsigned},
		{"another signature type under the key", edit("p256", func(x []TLV) []TLV {
			return append(drop(x, TypeECDSA), TLV{TypeEd25519, make([]byte, 64)})
		}), "p256", format.ErrAlgorithm},
		{"the withdrawn signature type", edit("p256", func(x []TLV) []TLV {
			return append(drop(x, TypeECDSA), TLV{TypeECDSA224, []byte{1}})
		}), "p256", format.ErrAlgorithm},
		{"a pure mark added", edit("ed25519", func(x []TLV) []TLV { return append(x, TLV{TypePure, []byte{1}}) }), "ed25519", format.ErrBadSignature},
		{"a pure mark on ecdsa", edit("p256", func(x []TLV) []TLV { return append(x, TLV{TypePure, []byte{1}}) }), "p256", format.ErrAlgorithm},
		{"a longer padding than ever needed", edit("p256", func(x []TLV) []TLV {
			return replace(x, TypeECDSA, append(bytes.Clone(find(x, TypeECDSA)), make([]byte, 16)...))
		}), "p256", format.ErrBadSignature},
		{"garbage behind the signature", edit("p256", func(x []TLV) []TLV {
			return replace(x, TypeECDSA, append(bytes.Clone(find(x, TypeECDSA)), 1))
		}), "p256", format.ErrBadSignature},
		{"pss with another salt length", edit("rsa2048", func(x []TLV) []TLV {
			sig, err := rsa.SignPSS(rand.Reader, signer(t, "rsa2048").(*rsa.PrivateKey), crypto.SHA256, digestOf(good("rsa2048")),
				&rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256})
			require.NoError(t, err)
			return replace(x, TypeRSA2048, sig)
		}), "rsa2048", format.ErrBadSignature},
		{"pkcs1 v1.5 in the pss field", edit("rsa2048", func(x []TLV) []TLV {
			sig, err := rsa.SignPKCS1v15(nil, signer(t, "rsa2048").(*rsa.PrivateKey), crypto.SHA256, digestOf(good("rsa2048")))
			require.NoError(t, err)
			return replace(x, TypeRSA2048, sig)
		}), "rsa2048", format.ErrBadSignature},
		{"a hash that does not go with the key", withSHA512(t), "p256", format.ErrAlgorithm},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.NotEmpty(t, tc.image)
			img, err := OpenUnverified(tc.image)
			require.NoError(t, err)
			report, err := img.Verify(trust(t, tc.trust))
			require.ErrorIs(t, err, tc.want)
			require.ErrorIs(t, err, format.ErrNotVerified)
			assert.False(t, report.Verified)
			assert.Empty(t, report.Signature)
		})
	}
}

// withSHA512 is signed by P-256 over SHA-512, which no bootloader is built for.
func withSHA512(t *testing.T) []byte {
	return rebuilt(t, made(t, fullSpec(), "p256"), func(x []TLV) []TLV {
		covered, err := fullSpec().covered()
		require.NoError(t, err)
		digest := sum(crypto.SHA512, covered)
		sig, err := signer(t, "p256").Sign(rand.Reader, digest, crypto.SHA512)
		require.NoError(t, err)
		return []TLV{{TypeSHA512, digest}, {TypeKeyHash, sum(crypto.SHA512, embedded(t, "p256"))}, {TypeECDSA, sig}}
	})
}

func TestVerifyAccepts(t *testing.T) {
	for _, tc := range []struct {
		name, note string
		edit       func([]TLV) []TLV
	}{
		{"zeros behind the signature", "padded with", func(x []TLV) []TLV {
			sig := find(x, TypeECDSA)
			return replace(x, TypeECDSA, append(bytes.Clone(sig), make([]byte, 72-len(sig))...))
		}},
		{"the maker's key added", "carries a public key", func(x []TLV) []TLV {
			return append(x, TLV{TypePublicKey, embedded(t, "p256")})
		}},
		// Every second genuine signature has s above n/2, so that form tells nothing.
		{"the other form of the signature", "", func(x []TLV) []TLV {
			return replace(x, TypeECDSA, otherForm(t, find(x, TypeECDSA)))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			img, err := OpenUnverified(rebuilt(t, paddable(t), tc.edit))
			require.NoError(t, err)
			report, err := img.Verify(trust(t, "p256"))
			require.NoError(t, err)
			assert.Contains(t, strings.Join(report.Image.Notes, "\n"), tc.note)
		})
	}
}

// paddable is an image whose signature is not of the greatest length.
func paddable(t *testing.T) []byte {
	for range 1000 {
		b := made(t, fullSpec(), "p256")
		img, err := OpenUnverified(b)
		require.NoError(t, err)
		if len(find(img.unprotected, TypeECDSA)) < 72 {
			return b
		}
	}
	t.Fatal("only signatures of 72 bytes")
	return nil
}

func otherForm(t *testing.T, der []byte) []byte {
	var v struct{ R, S *big.Int }
	_, err := asn1.Unmarshal(der, &v)
	require.NoError(t, err)
	v.S.Sub(elliptic.P256().Params().N, v.S)
	out, err := asn1.Marshal(v)
	require.NoError(t, err)
	return out
}

func TestEncryptedImages(t *testing.T) {
	// The writer does not encrypt; the verifier sees the flag and a hash that may or may not fit.
	covered, err := fullSpec().covered()
	require.NoError(t, err)
	covered[16] |= FlagAES128
	tlvs, err := sign(covered, signer(t, "p256"), false, false)
	require.NoError(t, err)
	tlvs = append(tlvs, TLV{TypeEncEC256, make([]byte, 113)})

	clear, err := appendArea(bytes.Clone(covered), unprotectedMagic, tlvs)
	require.NoError(t, err)
	_, err = Open(clear, trust(t, "p256"))
	require.NoError(t, err, "flagged, but in clear")

	covered[100] ^= 0x55
	ciphertext, err := appendArea(covered, unprotectedMagic, tlvs)
	require.NoError(t, err)
	_, err = Open(ciphertext, trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrEncrypted)
	img, err := OpenUnverified(ciphertext)
	require.NoError(t, err)
	assert.Equal(t, "aes-128-ctr", img.Describe().Encrypted)

	_, err = Open(ciphertext, trust(t, "p384"))
	require.ErrorIs(t, err, format.ErrNoTrustedKey, "what can be checked without decrypting comes first")
	_, err = img.Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
}

func BenchmarkVerify(b *testing.B) {
	for _, kind := range []string{"p256", "ed25519", "rsa2048"} {
		b.Run(kind, func(b *testing.B) {
			spec := Spec{Version: Version{Major: 1}, Payload: make([]byte, 8<<20)}
			image, keys := made(b, spec, kind), trust(b, kind)
			b.SetBytes(int64(len(image)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Open(image, keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
