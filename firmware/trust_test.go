package firmware_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/suit"
)

func block(t testing.TB, kind string, der []byte, err error) []byte {
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestParseTrust(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public := func(k crypto.PublicKey) []byte {
		der, err := x509.MarshalPKIXPublicKey(k)
		return block(t, "PUBLIC KEY", der, err)
	}

	var all []byte
	for _, k := range []crypto.PublicKey{&p256.PublicKey, &p384.PublicKey, ed, &rsa2048.PublicKey, &p256.PublicKey} {
		all = append(all, public(k)...)
	}
	all = append(all, block(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsa2048.PublicKey), nil)...)
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "maker"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, &p384.PublicKey, p384)
	all = append(all, block(t, "CERTIFICATE", der, err)...)
	trust, err := firmware.ParseTrust(firmware.Anchor{From: "all.pem", Bytes: append([]byte("text before the keys\n"), all...)}, firmware.Anchor{From: "maker.der", Bytes: der})
	require.NoError(t, err)
	require.Len(t, trust.Roots, 2)
	assert.Equal(t, []string{"all.pem", "maker.der"}, []string{trust.Roots[0].From, trust.Roots[1].From})
	keys := trust.Keys
	var kinds []string
	for _, k := range keys.All() {
		kinds = append(kinds, k.Algorithm)
		assert.Len(t, k.Fingerprint, 64)
		assert.Equal(t, "all.pem", k.From)
	}
	require.Equal(t, []string{"ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"}, kinds, "each once, in the order given")

	small := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(p256)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		text []byte
		want string
	}{
		"empty":           {nil, "the file is empty"},
		"spaces":          {[]byte(" \n"), "the file is empty"},
		"no PEM":          {[]byte("key"), "neither PEM nor DER"},
		"cut short":       {append(public(ed), "-----BEGIN PUBLIC KEY-----\nMFkw"...), "PEM block 2 cannot be read"},
		"private key":     {block(t, "PRIVATE KEY", private, nil), "block 1: a private key"},
		"certificate":     {block(t, "CERTIFICATE", []byte{1}, nil), "block 1: x509: malformed certificate"},
		"other block":     {block(t, "DH PARAMETERS", []byte{1}, nil), `unexpected PEM block "DH PARAMETERS"`},
		"garbage":         {block(t, "PUBLIC KEY", []byte{1, 2}, nil), "block 1"},
		"small rsa":       {public(small), "rsa key of 1024 bits"},
		"no signatures":   {public(x25519.PublicKey()), "not for signatures"},
		"withdrawn curve": {public(&p224.PublicKey), "none of P-256"},
	} {
		_, err := firmware.ParseTrust(firmware.Anchor{From: "x.pem", Bytes: tc.text})
		assert.ErrorContains(t, err, "read trust anchor x.pem: ", name)
		assert.ErrorContains(t, err, tc.want, name)
	}
}

func FuzzParseTrust(f *testing.F) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(f, err)
	der, err := x509.MarshalPKIXPublicKey(ed)
	f.Add(block(f, "PUBLIC KEY", der, err))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		trust, err := firmware.ParseTrust(firmware.Anchor{From: "x", Bytes: text})
		require.Equal(t, err == nil, trust.Keys.Len()+len(trust.Roots)+len(trust.CRLs)+len(trust.Own) > 0)
	})
}

// TestParseTrustOfHashes: a key of hash-based signatures is none that the standard library knows; SUIT reads it.
func TestParseTrustOfHashes(t *testing.T) {
	key := append([]byte{0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 4}, make([]byte, 48)...)
	trust, err := firmware.ParseTrust(firmware.Anchor{From: "author.pub", Bytes: key})
	require.NoError(t, err)
	require.Len(t, trust.Own[suit.Name], 1)
	require.Zero(t, trust.Keys.Len())
	_, err = firmware.ParseTrust(firmware.Anchor{From: "author.pub", Bytes: key[1:]})
	require.Error(t, err)
}
