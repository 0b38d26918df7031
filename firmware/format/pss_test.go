package format

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
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
