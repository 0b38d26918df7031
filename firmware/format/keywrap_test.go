package format

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUnwrapKey: RFC 3394 section 4.
func TestUnwrapKey(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	for _, tc := range []struct{ secret, key, wrapped string }{
		{"000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF", "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
		{"000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF", "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
		{"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF", "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"},
	} {
		secret, wrapped := unhex(tc.secret), unhex(tc.wrapped)
		key, ok := UnwrapKey(secret, wrapped)
		require.True(t, ok)
		require.Equal(t, unhex(tc.key), key)
		for i := range wrapped {
			bad := bytes.Clone(wrapped)
			bad[i] ^= 1
			_, ok := UnwrapKey(secret, bad)
			require.False(t, ok)
			_, ok = UnwrapKey(secret, wrapped[:i])
			require.False(t, ok)
		}
	}
	_, ok := UnwrapKey(make([]byte, 5), make([]byte, 24))
	require.False(t, ok)
}
