package esp32

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
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
			report, err := verify(t, b, trust(t, g.key))
			require.NoError(t, err)
			fingerprint := ""
			if g.key != "p192" {
				fingerprint = trust(t, g.key).Keys.All()[0].Fingerprint
				assert.Empty(t, report.Findings)
			} else {
				require.Len(t, report.Findings, 1)
				assert.Equal(t, "ecdsa-p192", report.Findings[0].What)
			}
			assert.Contains(t, report.Key.Fingerprint, fingerprint)
			assert.Equal(t, g.key+".pem", report.Chain[0].From)
			assert.Len(t, report.Chain, 3)
			assert.NotEmpty(t, report.Signature)
			assert.Regexp(t, `^sha(256:[0-9a-f]{64}|384:[0-9a-f]{96})$`, report.Digest)

			// The set of all keys is one trust; nobody is none, and a stranger is another.
			_, err = verify(t, b, trust(t, "rsa", "p192", "p256", "p384"))
			require.NoError(t, err)
			_, err = verify(t, b, format.Trust{})
			require.ErrorIs(t, err, format.ErrNoTrustedKey)
			if g.keys == nil {
				_, err = verify(t, b, trust(t, "other"))
				require.ErrorIs(t, err, format.ErrNotVerified)
			}
		})
	}
}

func TestEfuseDigestIsATrustAnchor(t *testing.T) {
	for _, g := range goodImages() {
		key, err := efuseKey(signer(t, g.key).Public())
		require.NoError(t, err)
		digest := sha256.Sum256(key)
		require.True(t, isAnchor(digest[:]))
		own := format.Trust{Own: map[string][]format.Anchor{name: {{From: "key.digest.bin", Bytes: digest[:]}}}}
		report, err := verify(t, g.bytes(t), own)
		if g.name == "v1" {
			require.ErrorIs(t, err, format.ErrAlgorithm, "an eFuse digest is one of secure boot v2")
			continue
		}
		require.NoError(t, err, g.name)
		assert.Equal(t, "key.digest.bin", report.Key.From)
		assert.Contains(t, report.Chain[0].Name, "eFuse digest")
		assert.NotZero(t, report.Chain[0].Strength)

		digest[0] ^= 1
		own.Own[name][0].Bytes = digest[:]
		_, err = verify(t, g.bytes(t), own)
		require.ErrorIs(t, err, format.ErrNoTrustedKey, g.name)
	}
}

func TestAnchors(t *testing.T) {
	point, err := signer(t, "p256").Public().(interface{ Bytes() ([]byte, error) }).Bytes()
	require.NoError(t, err)
	raw := point[1:]
	require.True(t, isAnchor(raw), "the point that espsecure writes for secure boot v1")
	report, err := verify(t, made(t, v1, "p256"), format.Trust{Own: map[string][]format.Anchor{name: {{From: "v1.bin", Bytes: raw}}}})
	require.NoError(t, err)
	assert.Equal(t, "v1.bin", report.Key.From)
	assert.True(t, isAnchor(p192PEM(t)))
	assert.True(t, isAnchor(append(p192PEM(t), p192PEM(t)...)))

	for what, bad := range map[string][]byte{
		"empty": nil, "blank eFuses": make([]byte, 32), "written eFuses": bytes.Repeat([]byte{0xff}, 32), "31 bytes": make([]byte, 31),
		"a point off the curve": bytes.Repeat([]byte{1}, 64), "text": []byte("key"), "text behind PEM": append(p192PEM(t), "x"...),
		"another PEM": []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
	} {
		assert.False(t, isAnchor(bad), what)
	}
	_, err = verify(t, made(t, v1, "p256"), format.Trust{Own: map[string][]format.Anchor{name: {{From: "bad", Bytes: []byte("x")}}}})
	assert.ErrorContains(t, err, "trust anchor bad")
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	keys, err := format.NewKeys(&small.PublicKey)
	require.NoError(t, err)
	_, err = verify(t, made(t, v1, "p256"), format.Trust{Keys: keys})
	require.ErrorIs(t, err, format.ErrAlgorithm, "a key that no secure boot takes")
}

// edited changes a good image and makes the CRC of the blocks fit again.
func edited(t *testing.T, b []byte, edit func(b, sector []byte)) []byte {
	b = bytes.Clone(b)
	img := opened(t, b)
	edit(b, b[img.covered:])
	for i := range img.blocks {
		sealed(b[img.covered:][i*blockSize : (i+1)*blockSize])
	}
	return b
}

func TestVerifyRefuses(t *testing.T) {
	block := func(kind string, edit func(b, sector []byte)) []byte {
		return edited(t, made(t, func(*Spec) {}, kind), edit)
	}
	put := func(at int, v ...byte) func(b, s []byte) { return func(_, s []byte) { copy(s[at:], v) } }
	swapKey := func(_, s []byte) {
		key, err := efuseKey(signer(t, "p256").Public())
		require.NoError(t, err)
		copy(s[36:], key)
	}
	n := elliptic.P256().Params().N.Bytes()
	slices.Reverse(n)
	for _, tc := range []struct {
		name  string
		image []byte
		trust string
		want  error
	}{
		{"another key", made(t, func(*Spec) {}, "other"), "p256", format.ErrNoTrustedKey},
		{"another key under secure boot v1", made(t, v1, "other"), "p256", format.ErrBadSignature},
		{"secure boot v1 for a chip without", made(t, func(s *Spec) { s.V1 = true }, "p256"), "p256", format.ErrAlgorithm},
		{"secure boot v1 under a key of v2", made(t, v1, "p256"), "p384", format.ErrAlgorithm},
		{"not signed", unsigned(t), "p256", format.ErrUnsigned},
		{"sector erased", block("p256", func(_, s []byte) { copy(s, fill([]byte{0xff}, sectorSize)) }), "p256", format.ErrUnsigned},
		{"block magic", block("p256", put(0, 0xe6)), "p256", format.ErrUnsigned},
		{"block version", block("p256", put(1, 4)), "p256", format.ErrAlgorithm},
		{"ecdsa block as rsa", block("p256", put(1, blockRSA)), "p256", format.ErrMalformed},
		{"rsa block as ecdsa", block("rsa", put(1, blockECDSA, 1)), "rsa", format.ErrNotVerified},
		{"hash of another curve", block("p256", put(2, 1)), "p256", format.ErrAlgorithm},
		{"unknown hash", block("p256", put(2, 2)), "p256", format.ErrAlgorithm},
		{"curve of another hash", block("p256", put(36, 3)), "p256", format.ErrAlgorithm},
		{"curve id of another key", block("p256", put(36, 1)), "p256", format.ErrMalformed},
		{"point off the curve", block("p256", put(40, 1, 2, 3)), "p256", format.ErrMalformed},
		{"bytes behind a short point", block("p192", put(100, 1)), "p192", format.ErrMalformed},
		{"rsa exponent 1", block("rsa", put(rsaKeyAt+rsaSize, 1, 0, 0, 0)), "rsa", format.ErrMalformed},
		{"short modulus", block("rsa", put(rsaSigAt-rsaKey+rsaSize-1, 0)), "rsa", format.ErrMalformed},
		{"precomputed R", block("rsa", put(rsaKeyAt+rsaSize+4, 1, 2, 3)), "rsa", format.ErrNoTrustedKey},
		{"precomputed M'", block("rsa", put(rsaSigAt-4, 1, 2, 3)), "rsa", format.ErrNoTrustedKey},
		{"image digest", block("rsa", put(digestAt, 1, 2, 3)), "rsa", format.ErrBadHash},
		{"r and s zero", block("p256", func(_, s []byte) { clear(s[101:165]) }), "p256", format.ErrBadSignature},
		{"s zero", block("p256", func(_, s []byte) { clear(s[133:165]) }), "p256", format.ErrBadSignature},
		{"r is n", block("p256", put(101, n...)), "p256", format.ErrBadSignature},
		{"r and s zero on P-192", block("p192", func(_, s []byte) { clear(s[101:165]) }), "p192", format.ErrBadSignature},
		{"r and s of P-384 zero", block("p384", func(_, s []byte) { clear(s[149:245]) }), "p384", format.ErrBadSignature},
		{"trusted key over a stranger's signature", edited(t, made(t, func(*Spec) {}, "other"), swapKey), "p256", format.ErrBadSignature},
		{"trusted key's block is of another image", edited(t, made(t, func(*Spec) {}, "other", "p256"), func(_, s []byte) {
			copy(s[blockSize:], made(t, func(s *Spec) { s.Version = "1.3.0" }, "p256")[opened(t, made(t, func(*Spec) {}, "p256")).covered:][:blockSize])
		}), "p256", format.ErrBadHash},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := verify(t, tc.image, trust(t, tc.trust))
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func unsigned(t *testing.T) []byte {
	b, err := Build(fullSpec())
	require.NoError(t, err)
	return b
}

func TestChecksums(t *testing.T) {
	good := made(t, func(*Spec) {}, "p256")
	img := opened(t, good)
	for what, at := range map[string]int64{"header": 9, "segment": img.segments[1].at, "checksum": img.sumAt, "appended sha-256": img.end - 1, "padding": img.end} {
		b := bytes.Clone(good)
		b[at] ^= 1
		_, err := verify(t, b, trust(t, "p256"))
		require.ErrorIs(t, err, format.ErrBadHash, what)
	}
	// A maker who signs what no device loads has not made a good image.
	b := bytes.Clone(good)
	b[img.sumAt] ^= 1
	signed, err := signV2(b[:img.covered], signer(t, "p256"))
	require.NoError(t, err)
	_, err = verify(t, signed, trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrBadHash)
}

func TestOneGoodBlockIsEnough(t *testing.T) {
	good := made(t, func(*Spec) {}, "other", "p384", "p256")
	for what, edit := range map[string]func(_, s []byte){
		"first block broken":           func(_, s []byte) { s[0] = 0 },
		"first block of another image": func(_, s []byte) { s[digestAt] ^= 1 },
		"second block erased":          func(_, s []byte) { copy(s[blockSize:], bytes.Repeat([]byte{0xff}, blockSize)) },
	} {
		b := bytes.Clone(good)
		edit(nil, b[opened(t, b).covered:])
		report, err := verify(t, b, trust(t, "p256"))
		require.NoError(t, err, what)
		assert.Equal(t, "signature block 2", report.Chain[1].Name)
	}
}

func TestWhatAnImageSays(t *testing.T) {
	img := opened(t, made(t, func(s *Spec) { s.Chip = ChipH2 }, "p256", "other"))
	f := img.Describe()
	assert.Equal(t, "1.4.0", f.Version)
	assert.EqualValues(t, 3, *f.SecurityCounter)
	assert.Equal(t, []string{"chip=ESP32-H2", "chip-revision>=v0.1", "chip-revision<=v0.99", "project=thermostat"}, f.Targets)
	assert.Equal(t, "ecdsa-p256-sha256", f.Signature)
	notes := strings.Join(f.Notes, "\n")
	for _, want := range []string{"secure version is the only field", "another project", "AR2026-006", "2 signature blocks"} {
		assert.Contains(t, notes, want)
	}
	for _, g := range goodImages() {
		f := opened(t, g.bytes(t)).Describe()
		var next int64
		for _, r := range slices.Concat(f.Covered, f.Uncovered) {
			assert.Equal(t, next, r.Offset, "%s: %s", g.name, r.Name)
			next += r.Size
		}
		assert.Equal(t, f.Size, next, "every byte is either covered or not")
		assert.NotEmpty(t, f.Notes)
	}
	f = opened(t, unsigned(t)).Describe()
	assert.Empty(t, f.Covered)
	assert.Empty(t, f.Signature)
	assert.NotEmpty(t, f.Uncovered)
}

func TestNotes(t *testing.T) {
	for want, image := range map[string][]byte{
		"does not count":       edited(t, made(t, func(*Spec) {}, "other", "p256"), func(_, s []byte) { s[0] = 0xe6 }),
		"reserved bytes":       edited(t, made(t, func(*Spec) {}, "p256"), func(_, s []byte) { s[crcAt+8] = 1 }),
		"behind the last slot": edited(t, made(t, func(*Spec) {}, "p256"), func(_, s []byte) { s[sectorSize-1] = 1 }),
		"knows RSA only":       made(t, func(s *Spec) { s.Chip = ChipC3 }, "p256"),
		"secure version 0":     made(t, func(s *Spec) { s.SecureVersion = 0 }, "p256"),
		"no app description":   made(t, func(s *Spec) { s.NoDescription = true }, "p256"),
		"no appended sha-256":  made(t, func(s *Spec) { s.NoHash = true }, "p256"),
		"unknown chip id 77":   made(t, func(s *Spec) { s.Chip = 77 }, "p256"),
		"names no key":         made(t, v1, "p256"),
	} {
		report, err := verify(t, image, trust(t, "p256"))
		require.NoError(t, err, want)
		assert.Contains(t, strings.Join(report.Image.Notes, "\n"), want)
	}
}
