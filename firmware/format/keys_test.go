package format

import (
	"bytes"
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

// TestSmallOrder: for keys of small order a signature is found by trying, and none may be trusted.
func TestSmallOrder(t *testing.T) {
	one := append([]byte{1}, make([]byte, 31)...)
	require.True(t, ed25519.Verify(one, []byte("anything"), append(bytes.Clone(one), make([]byte, 32)...)), "the reason")
	high := bytes.Repeat([]byte{0xff}, 32)
	for _, low := range []byte{0xec, 0xed, 0xee} {
		key := bytes.Clone(high)
		key[0] = low
		for _, last := range []byte{0x7f, 0xff} {
			key[31] = last
			_, err := NewKeys(ed25519.PublicKey(bytes.Clone(key)))
			require.ErrorIs(t, err, ErrWeak)
		}
	}
	for _, key := range [][]byte{one, make([]byte, 32), append(make([]byte, 31), 0x80)} {
		_, err := NewKeys(ed25519.PublicKey(key))
		require.ErrorIs(t, err, ErrWeak)
	}
}
