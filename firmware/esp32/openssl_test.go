package esp32

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// openssl is the independent judge of the signatures: the format's own tool is in no
// distribution. It knows nothing of sectors and blocks, so a test hands it what they hold.
func openssl(t testing.TB, stdin []byte, args ...string) ([]byte, error) {
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Logf("openssl %s: %s", args[0], complaint.String())
	}
	return out, err
}

func file(t testing.TB, dir, name string, b []byte) string {
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

func digestArgs(kind string) []string {
	switch kind {
	case "rsa":
		return []string{"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32", "-sigopt", "rsa_mgf1_md:sha256"}
	case "p384":
		return []string{"-sha384"}
	}
	return []string{"-sha256"}
}

// publicPEM writes any of the public keys.
func publicPEM(t testing.TB, public crypto.PublicKey) []byte {
	if p, ok := public.(*P192PublicKey); ok {
		der, err := p.DER()
		require.NoError(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// opensslTakes asks whether any signature of the image that stands beside the key is one of it.
func opensslTakes(t testing.TB, b []byte, kind string) bool {
	img := opened(t, b)
	dir := t.TempDir()
	image := file(t, dir, "image", b[:img.covered])
	key := file(t, dir, "key.pem", publicPEM(t, signer(t, kind).Public()))
	for _, sig := range opensslSignatures(t, img) {
		args := slices.Concat([]string{"dgst"}, digestArgs(kind), []string{"-verify", key, "-signature", file(t, dir, "sig", sig), image})
		out, err := openssl(t, nil, args...)
		if err == nil {
			require.Contains(t, string(out), "Verified OK")
			return true
		}
	}
	return false
}

// opensslSignatures are the signatures of an image as openssl wants them.
func opensslSignatures(t testing.TB, img *Image) (all [][]byte) {
	der := func(r, s []byte) {
		sig, err := asn1.Marshal(ecdsaSignature{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
		require.NoError(t, err)
		all = append(all, sig)
	}
	if img.v1 != nil {
		der(img.v1[4:36], img.v1[36:])
	}
	for _, b := range img.blocks {
		switch {
		case b.err != nil:
		case b.raw[1] == blockRSA:
			all = append(all, b.sig)
		default:
			der(bigEndian(b.sig[:len(b.sig)/2]), bigEndian(b.sig[len(b.sig)/2:]))
		}
	}
	return all
}

func TestOpensslJudgesAlike(t *testing.T) {
	for _, g := range goodImages() {
		good := g.bytes(t)
		require.True(t, opensslTakes(t, good, g.key), g.name)
		if g.name != "rsa" && g.name != "p192" && g.name != "p256" && g.name != "p384" && g.name != "v1" {
			continue
		}
		for _, variant := range variants() {
			t.Run(g.name+"/"+variant, func(t *testing.T) {
				v, err := opened(t, good).Tamper(variant, means(t, g))
				if err != nil {
					require.ErrorIs(t, err, format.ErrNotApplicable)
					return
				}
				b := v.Bytes
				if v.Files != nil {
					b = v.Files[format.FileSecond]
				}
				if _, err := OpenUnverified(format.FromBytes(b)); err != nil {
					require.ErrorIs(t, err, v.Manifest.Reason, "no signature to ask openssl about")
					return
				}
				// What is genuine but for another device has a good signature; the digest and the
				// precomputed R stand beside the signature, openssl does not see them.
				beside := variant == format.TrailerFlip && g.name != "v1"
				assert.Equal(t, v.Manifest.Device != nil || beside, opensslTakes(t, b, g.key), v.Manifest.Expected)
			})
		}
	}
}

// TestOpensslSigns verifies images whose signature openssl made, with keys that it made.
func TestOpensslSigns(t *testing.T) {
	for kind, generate := range map[string][]string{
		"rsa":  {"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"},
		"p192": {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime192v1"},
		"p256": {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"p384": {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
	} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			private, err := openssl(t, nil, generate...)
			require.NoError(t, err)
			key := file(t, dir, "key.pem", private)
			text, err := openssl(t, nil, "pkey", "-in", key, "-pubout")
			require.NoError(t, err)
			remote := opensslSigner{t: t, kind: kind, key: key, dir: dir}
			own := format.Trust{}
			block, _ := pem.Decode(text)
			if kind == "p192" {
				require.True(t, isAnchor(text))
				own.Own = map[string][]format.Anchor{name: {{From: "openssl", Bytes: text}}}
				remote.public, err = parseP192(block.Bytes)
				require.NoError(t, err)
			} else {
				remote.public, err = x509.ParsePKIXPublicKey(block.Bytes)
				require.NoError(t, err)
				require.NoError(t, own.Keys.Add(remote.public, "openssl"))
			}
			b, err := Build(fullSpec(), remote)
			require.NoError(t, err)
			report, err := verify(t, b, own)
			require.NoError(t, err)
			assert.Equal(t, "openssl", report.Chain[0].From)
			b[opened(t, b).end] ^= 1
			_, err = verify(t, b, own)
			require.ErrorIs(t, err, format.ErrBadHash)
		})
	}
}

// opensslSigner is a key that only openssl has.
type opensslSigner struct {
	t              *testing.T
	kind, key, dir string
	public         crypto.PublicKey
}

func (s opensslSigner) Public() crypto.PublicKey { return s.public }

func (s opensslSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	args := []string{"pkeyutl", "-sign", "-inkey", s.key, "-in", file(s.t, s.dir, "digest", digest),
		"-pkeyopt", "digest:" + strings.ToLower(strings.ReplaceAll(opts.HashFunc().String(), "-", ""))}
	if s.kind == "rsa" {
		args = append(args, "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:32", "-pkeyopt", "rsa_mgf1_md:sha256")
	}
	return openssl(s.t, nil, args...)
}

var _ crypto.Signer = opensslSigner{}
