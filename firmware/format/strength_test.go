package format

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWeaknesses(t *testing.T) {
	modulus := func(bits uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), bits-1) }
	what := func(found []Finding) (all []string) {
		for _, f := range found {
			assert.NotEmpty(t, f.Says)
			assert.NotEmpty(t, f.Source)
			all = append(all, string(f.Level)+" "+f.ID+" "+f.What)
		}
		return all
	}
	for name, c := range map[string]struct {
		key      any
		found    []string
		strength int
	}{
		"rsa-1024":   {&rsa.PublicKey{N: modulus(1024), E: 65537}, []string{"disallowed weak-key rsa-1024"}, 80},
		"rsa-2047":   {&rsa.PublicKey{N: modulus(2047), E: 65537}, []string{"disallowed weak-key rsa-2047"}, 80},
		"rsa-2048":   {&rsa.PublicKey{N: modulus(2048), E: 65537}, []string{"legacy weak-key rsa-2048"}, 112},
		"rsa-3072":   {&rsa.PublicKey{N: modulus(3072), E: 65537}, nil, 128},
		"rsa-4096 3": {&rsa.PublicKey{N: modulus(4096), E: 3}, []string{"disallowed weak-exponent rsa-4096 with exponent 3"}, 128},
		"p224":       {&ecdsa.PublicKey{Curve: elliptic.P224()}, []string{"legacy weak-key ecdsa-p224"}, 112},
		"p256":       {&ecdsa.PublicKey{Curve: elliptic.P256()}, nil, 128},
		"p192":       {&ecdsa.PublicKey{Curve: &elliptic.CurveParams{BitSize: 192}}, []string{"disallowed weak-key ecdsa-p192"}, 96},
		"ed25519":    {ed25519.PublicKey{}, nil, 128},
		"unknown":    {nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.found, what(WeakKey(c.key)))
			assert.Equal(t, c.strength, Strength(c.key))
		})
	}
	assert.Equal(t, []string{"disallowed weak-digest sha1"}, what(WeakDigest("SHA-1")))
	assert.Equal(t, []string{"disallowed weak-digest crc16-ccitt"}, what(WeakDigest("crc16-ccitt")))
	assert.Empty(t, WeakDigest("sha256"))
	assert.Equal(t, []string{"disallowed weak-key rsa-1024", "disallowed weak-digest sha1"},
		what(WeakCertificate(&x509.Certificate{PublicKey: &rsa.PublicKey{N: modulus(1024), E: 65537}, SignatureAlgorithm: x509.SHA1WithRSA})))
}
