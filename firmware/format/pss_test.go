package format

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// remote is a key that lies elsewhere.
type remote struct{ crypto.Signer }

func TestSignOtherSalt(t *testing.T) {
	digest := sha256.Sum256([]byte("image"))
	for _, bits := range []int{2048, 2049, 2055} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		require.NoError(t, err)
		for want, signer := range map[int]crypto.Signer{0: key, 20: remote{key}} {
			sig, salt, err := SignOtherSalt(signer, crypto.SHA256, digest[:])
			require.NoError(t, err)
			assert.Equal(t, want, salt)
			// It is a good signature to who takes any salt, and to nobody else.
			require.NoError(t, rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}))
			require.Error(t, rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: 32}))
			if want == 0 {
				again, _, err := SignOtherSalt(signer, crypto.SHA256, digest[:])
				require.NoError(t, err)
				assert.Equal(t, sig, again)
			}
		}
		_, _, err = SignOtherSalt(key, crypto.SHA256, digest[:20])
		require.Error(t, err)
	}
}

// TestFitsPSS holds our verifier against the standard library's, for moduli of which the
// encoded message has a byte less, too.
func TestFitsPSS(t *testing.T) {
	digest := sha256.Sum256([]byte("image"))
	for _, bits := range []int{2048, 2049, 2050, 2055} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		require.NoError(t, err)
		fits := func(salt int, mask crypto.Hash, sig []byte) bool {
			return FitsPSS(&key.PublicKey, crypto.SHA256, mask, salt, digest[:], sig)
		}
		for _, salt := range []int{20, 32, 100} {
			sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
			require.NoError(t, err)
			assert.True(t, fits(salt, crypto.SHA256, sig), "%d bits, salt %d", bits, salt)
			assert.False(t, fits(salt-1, crypto.SHA256, sig))
			assert.False(t, fits(salt+1, crypto.SHA256, sig))
			assert.False(t, fits(0, crypto.SHA256, sig))
			assert.False(t, fits(salt, crypto.SHA1, sig))
			assert.False(t, FitsPSS(&key.PublicKey, crypto.SHA256, crypto.SHA256, salt, make([]byte, 32), sig))
			for i := range sig {
				sig[i] ^= 0x10
				require.False(t, fits(salt, crypto.SHA256, sig), "byte %d", i)
				sig[i] ^= 0x10
			}
			assert.False(t, fits(salt, crypto.SHA256, sig[1:]))
			assert.False(t, fits(salt, crypto.SHA256, append([]byte{0}, sig...)))
			more := new(big.Int).Add(new(big.Int).SetBytes(sig), key.N)
			if more.BitLen() <= 8*key.Size() {
				assert.False(t, fits(salt, crypto.SHA256, more.FillBytes(make([]byte, key.Size()))), "the signature plus the modulus")
			}
		}
		sig, salt, err := SignOtherSalt(key, crypto.SHA256, digest[:])
		require.NoError(t, err)
		assert.True(t, fits(salt, crypto.SHA256, sig))
		assert.False(t, fits(32, crypto.SHA256, sig))
		assert.False(t, fits(1<<20, crypto.SHA256, sig))
		assert.False(t, fits(-1, crypto.SHA256, sig))
	}
}
