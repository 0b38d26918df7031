package suit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// openssl knows no SUIT: it is given the Sig_structure and the signature of the first block.
type openssl struct {
	t    *testing.T
	path string
	dir  string
}

func newOpenSSL(t *testing.T) openssl {
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	return openssl{t, path, t.TempDir()}
}

func (o openssl) file(name string, b []byte) string {
	path := filepath.Join(o.dir, name)
	require.NoError(o.t, os.WriteFile(path, b, 0o600))
	return path
}

func (o openssl) run(args ...string) (string, error) {
	out, err := exec.CommandContext(o.t.Context(), o.path, args...).CombinedOutput()
	return string(out), err
}

func (o openssl) publicKey(k crypto.Signer) string {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	require.NoError(o.t, err)
	return o.file("pub.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (o openssl) privateKey(k crypto.Signer) string {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(o.t, err)
	return o.file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// pss is what openssl must be told about RSA.
func pss() []string {
	return []string{"-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"}
}

func hashName(public crypto.PublicKey) string {
	if p, ok := public.(*ecdsa.PublicKey); ok {
		return map[int]string{256: "-sha256", 384: "-sha384", 521: "-sha512"}[p.Curve.Params().BitSize]
	}
	return "-sha256"
}

// verify judges the first block over the digest that the envelope has.
func (o openssl) verify(b []byte, k crypto.Signer) error {
	img, err := OpenUnverified(input(b))
	if err != nil {
		return err
	}
	if len(img.blocks) == 0 || len(img.blocks[0].signers) == 0 {
		return fmt.Errorf("nothing to verify")
	}
	blk := img.blocks[0]
	message, sig := o.file("message", blk.toBeSigned(blk.signers[0], img.digestRaw)), blk.signers[0].value
	pub := o.publicKey(k)
	var out string
	switch p := k.Public().(type) {
	case ed25519.PublicKey:
		out, err = o.run("pkeyutl", "-verify", "-pubin", "-inkey", pub, "-rawin", "-in", message, "-sigfile", o.file("sig", sig))
	case *rsa.PublicKey:
		out, err = o.run(append([]string{"dgst", "-sha256", "-verify", pub, "-signature", o.file("sig", sig)}, append(pss(), message)...)...)
	case *ecdsa.PublicKey:
		n := len(sig) / 2
		der, derErr := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])})
		require.NoError(o.t, derErr)
		out, err = o.run("dgst", hashName(p), "-verify", pub, "-signature", o.file("sig", der), message)
	}
	if err != nil {
		return fmt.Errorf("openssl: %s: %w", strings.TrimSpace(out), err)
	}
	return nil
}

// sign signs the bytes by openssl and returns the signature as COSE writes it.
func (o openssl) sign(message []byte, k crypto.Signer) []byte {
	in, out, private := o.file("message", message), filepath.Join(o.dir, "signature"), o.privateKey(k)
	var err error
	var said string
	switch p := k.Public().(type) {
	case ed25519.PublicKey:
		said, err = o.run("pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", in, "-out", out)
	case *rsa.PublicKey:
		said, err = o.run(append([]string{"dgst", "-sha256", "-sign", private, "-out", out}, append(pss(), in)...)...)
	case *ecdsa.PublicKey:
		said, err = o.run("dgst", hashName(p), "-sign", private, "-out", out, in)
	}
	require.NoError(o.t, err, said)
	sig, err := os.ReadFile(out)
	require.NoError(o.t, err)
	if p, ok := k.Public().(*ecdsa.PublicKey); ok {
		sig, err = flatten(sig, (p.Curve.Params().BitSize+7)/8)
		require.NoError(o.t, err)
	}
	return sig
}

func TestOpenSSL(t *testing.T) {
	o := newOpenSSL(t)
	for _, kind := range []string{"p256", "p384", "p521", "ed25519", "rsa2048"} {
		t.Run(kind, func(t *testing.T) {
			o := openssl{t, o.path, t.TempDir()}
			k := key(t, kind)
			good := made(t, spec(), kind)
			require.NoError(t, o.verify(good, k), "what is built here verifies there")
			require.Error(t, o.verify(good, key(t, "other")))

			d := mustDraft(t, good)
			alg, err := algorithmFor(k.Public(), true)
			require.NoError(t, err)
			blk, err := coseBlock(tagSign1, map[int64]any{labelAlgorithm: alg}, nil,
				func(m []byte) ([]byte, error) { return o.sign(m, k), nil }, d.digest)
			require.NoError(t, err)
			d.blocks = [][]byte{blk}
			_, err = Open(input(d.bytes()), trust(t, kind))
			require.NoError(t, err, "what is signed there verifies here")
		})
	}
}

// TestOpenSSLJudgesTheTamperSet: what the manifest says the signature catches openssl
// refuses, and what it says is genuine openssl takes.
func TestOpenSSLJudgesTheTamperSet(t *testing.T) {
	o := newOpenSSL(t)
	g := goodImages()[1]
	img, err := OpenUnverified(input(g.bytes(t)))
	require.NoError(t, err)
	for _, variant := range variants() {
		v, err := img.Tamper(variant, means(t, g))
		require.NoError(t, err, variant)
		if v.Files != nil {
			continue
		}
		err = o.verify(v.Bytes, key(t, "p256"))
		switch m := v.Manifest; {
		case m.Layer == format.LayerSignature, m.Reason == format.ErrMalformed, m.Reason == format.ErrTrailing,
			variant == format.WrongKey, variant == format.WrongKeyForged, variant == format.AlgorithmConfusion,
			variant == format.AlgorithmNone, variant == format.AttachedPayload:
			assert.Error(t, err, variant)
		default: // another layer must refuse it: the signature is genuine
			assert.NoError(t, err, variant)
		}
	}
}

func TestOpenSSLMakesTheMAC(t *testing.T) {
	o := newOpenSSL(t)
	img, err := OpenUnverified(input(made(t, spec(), "mac")))
	require.NoError(t, err)
	blk := img.blocks[0]
	message := o.file("message", blk.toBeSigned(blk.signers[0], img.digestRaw))
	out, err := o.run("dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString(secret), message)
	require.NoError(t, err, out)
	require.Contains(t, out, hex.EncodeToString(blk.signers[0].value))
}

// TestOpenSSLHashes compares every digest that a manifest may use.
func TestOpenSSLHashes(t *testing.T) {
	o := newOpenSSL(t)
	path := o.file("bytes", spec().Payload)
	for _, k := range digestKinds() {
		args := []string{"dgst", "-" + k.name}
		if strings.HasPrefix(k.name, "shake") {
			args = append(args, "-xoflen", fmt.Sprint(k.size))
		}
		out, err := o.run(append(args, path)...)
		require.NoError(t, err, out)
		d, err := digestOf(k.id, spec().Payload)
		require.NoError(t, err)
		require.Contains(t, out, hex.EncodeToString(d.Value), k.name)
	}
}
