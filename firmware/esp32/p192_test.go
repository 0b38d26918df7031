package esp32

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func p192PEM(t testing.TB) []byte {
	der, err := signer(t, "p192").Public().(*P192PublicKey).DER()
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestP192(t *testing.T) {
	key, err := GenerateP192()
	require.NoError(t, err)
	public := key.Public().(*P192PublicKey)
	digest := sha256.Sum256([]byte("image"))
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err)
	var sig ecdsaSignature
	_, err = asn1.Unmarshal(der, &sig)
	require.NoError(t, err)
	fits := func(digest []byte, r, s *big.Int) bool {
		return public.fits(digest, r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32)))
	}
	require.True(t, fits(digest[:], sig.R, sig.S))
	other := sha256.Sum256([]byte("another"))
	assert.False(t, fits(other[:], sig.R, sig.S))
	n, zero := p192().N, new(big.Int)
	for _, bad := range []ecdsaSignature{{zero, sig.S}, {sig.R, zero}, {zero, zero}, {n, sig.S}, {sig.R, n}, {n, n},
		{new(big.Int).Add(sig.R, n), sig.S}, {sig.R, new(big.Int).Add(sig.S, n)}, {sig.S, sig.R}} {
		assert.False(t, fits(digest[:], bad.R, bad.S), "%v", bad)
	}
	stranger, err := GenerateP192()
	require.NoError(t, err)
	public = stranger.public
	assert.False(t, fits(digest[:], sig.R, sig.S))
	assert.False(t, public.Equal(key.Public()))
	assert.True(t, key.public.Equal(key.Public()))
}

func TestP192Arithmetic(t *testing.T) {
	g, n := generator(), p192().N
	assert.Nil(t, g.times(n).x, "n times the generator is the point at infinity")
	assert.True(t, g.times(new(big.Int).Add(n, big.NewInt(1))).Equal(g))
	minus := g.times(new(big.Int).Sub(n, big.NewInt(1)))
	assert.Equal(t, g.x, minus.x)
	assert.Nil(t, g.add(minus).x)
	assert.True(t, g.add(&P192PublicKey{}).Equal(g))
	two, three := g.times(big.NewInt(2)), g.times(big.NewInt(3))
	assert.True(t, two.add(g).Equal(three))
	// The double of the generator as NIST prints it in its routines for prime curves.
	assert.Equal(t, "dafebf5828783f2ad35534631588a3f629a70fb16982a888", two.x.Text(16))
}

func TestParseP192(t *testing.T) {
	key := signer(t, "p192").Public().(*P192PublicKey)
	der, err := key.DER()
	require.NoError(t, err)
	again, err := parseP192(der)
	require.NoError(t, err)
	require.True(t, key.Equal(again))

	edit := func(at int, v byte) []byte { b := bytes.Clone(der); b[at] ^= v; return b }
	for what, bad := range map[string][]byte{
		"empty": nil, "cut": der[:len(der)-1], "bytes behind": append(bytes.Clone(der), 0), "other curve": edit(22, 1),
		"point off the curve": edit(len(der)-1, 1), "other form of the point": edit(len(der)-49, 6), "no curve key": edit(8, 1),
	} {
		_, err := parseP192(bad)
		assert.Error(t, err, what)
	}
	p := p192().P
	_, err = newP192(p.Bytes(), key.y.Bytes())
	assert.ErrorContains(t, err, "not below the prime")
}
