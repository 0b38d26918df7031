package format

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKeysAreNotShared(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys, err := NewKeys(ed)
	require.NoError(t, err)
	keys.All()[0] = Key{}
	require.Equal(t, "ed25519", keys.All()[0].Algorithm)
	require.Equal(t, 1, keys.Len())
	require.Zero(t, Keys{}.Len())
	_, err = NewKeys(ed25519.PublicKey{1, 2})
	assert.ErrorContains(t, err, "trust key 1: ed25519 key of 2 bytes")
}
