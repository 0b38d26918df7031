package format

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func block(t testing.TB, kind string, der []byte, err error) []byte {
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestParseKeys(t *testing.T) {
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
	keys, err := ParseKeys(all)
	require.NoError(t, err)
	var kinds []string
	for _, k := range keys.All() {
		kinds = append(kinds, k.Algorithm)
		assert.Len(t, k.Fingerprint, 64)
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
		"empty":           {nil, "empty"},
		"spaces":          {[]byte(" \n"), "empty"},
		"no PEM":          {[]byte("key"), "no PEM block"},
		"text behind":     {append(public(ed), "more"...), "no PEM block in the text behind block 1"},
		"private key":     {block(t, "PRIVATE KEY", private, nil), "block 1: a private key"},
		"certificate":     {block(t, "CERTIFICATE", []byte{1}, nil), `unexpected PEM block "CERTIFICATE"`},
		"garbage":         {block(t, "PUBLIC KEY", []byte{1, 2}, nil), "block 1"},
		"small rsa":       {public(small), "rsa key of 1024 bits"},
		"no signatures":   {public(x25519.PublicKey()), "not for signatures"},
		"withdrawn curve": {public(&p224.PublicKey), "none of P-256"},
	} {
		_, err := ParseKeys(tc.text)
		assert.ErrorContains(t, err, tc.want, name)
	}
	_, err = NewKeys(ed25519.PublicKey{1, 2})
	assert.ErrorContains(t, err, "trust key 1: ed25519 key of 2 bytes")
}

func TestKeysAreNotShared(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys, err := NewKeys(ed)
	require.NoError(t, err)
	keys.All()[0] = Key{}
	require.Equal(t, "ed25519", keys.All()[0].Algorithm)
	require.Equal(t, 1, keys.Len())
	require.Zero(t, Keys{}.Len())
}

func FuzzParseKeys(f *testing.F) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(f, err)
	der, err := x509.MarshalPKIXPublicKey(ed)
	f.Add(block(f, "PUBLIC KEY", der, err))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := ParseKeys(text)
		require.Equal(t, err == nil, keys.Len() > 0)
	})
}
