package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"math/big"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func key(t testing.TB, seed byte) (ed25519.PublicKey, ed25519.PrivateKey) {
	public, private, err := ed25519.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 64)))
	require.NoError(t, err)
	return public, private
}

// TestAgreesWithTheStandardLibrary puts the same questions to both, the crooked ones too.
func TestAgreesWithTheStandardLibrary(t *testing.T) {
	for seed := range byte(8) {
		public, private := key(t, seed)
		message := bytes.Repeat([]byte{seed}, int(seed)*37)
		sig := ed25519.Sign(private, message)
		other, _ := key(t, seed+100)
		plusOrder := slices.Clone(sig)
		s := add(littleEndian(sig[32:]), order)
		copy(plusOrder[32:], encodeY(s, 0))
		for name, q := range map[string]struct {
			public  ed25519.PublicKey
			message []byte
			sig     []byte
		}{
			"good":           {public, message, sig},
			"other message":  {public, append([]byte{1}, message...), sig},
			"other key":      {other, message, sig},
			"R flipped":      {public, message, flip(sig, 3)},
			"S flipped":      {public, message, flip(sig, 40)},
			"S + L":          {public, message, plusOrder},
			"zero":           {public, message, make([]byte, 64)},
			"short":          {public, message, sig[:63]},
			"long":           {public, message, append(slices.Clone(sig), 0)},
			"no signature":   {public, message, nil},
			"key off curve":  {flip(public, 0), message, sig},
			"key of order 1": {append([]byte{1}, make([]byte, 31)...), message, append(append([]byte{1}, make([]byte, 31)...), make([]byte, 32)...)},
			"key y >= p":     {slices.Concat([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30), []byte{0x7f}), message, append(append([]byte{1}, make([]byte, 31)...), make([]byte, 32)...)},
			"minus zero":     {slices.Concat([]byte{1}, make([]byte, 30), []byte{0x80}), message, append(append([]byte{1}, make([]byte, 31)...), make([]byte, 32)...)},
		} {
			want := ed25519.Verify(q.public, q.message, q.sig)
			got, err := verifyStream(q.public, bytes.NewReader(q.message), q.sig)
			require.NoError(t, err)
			assert.Equal(t, want, got, "%s, seed %d", name, seed)
		}
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func TestCurve(t *testing.T) {
	assert.Equal(t, neutral().encode(), combine(order, base, big.NewInt(0), base).encode(), "the base point has that order")
	assert.Equal(t, byte(0x58), base.encode()[0])
	assert.Equal(t, byte(0x66), base.encode()[31])
	public, private := key(t, 9)
	require.Len(t, private, 64)
	p, ok := decode(public)
	require.True(t, ok)
	assert.Equal(t, []byte(public), p.encode())
}

func TestVerify(t *testing.T) {
	public, private := key(t, 1)
	for _, size := range []int{0, 1, small - 1, small, small + 1, 3 * small} {
		message := make([]byte, size)
		_, err := rand.Read(message)
		require.NoError(t, err)
		sig := ed25519.Sign(private, message)
		ok, err := Verify(public, bytes.NewReader(message), sig)
		require.NoError(t, err)
		assert.True(t, ok, "%d bytes", size)
		if size == 0 {
			continue
		}
		message[size-1] ^= 0x80
		ok, err = Verify(public, bytes.NewReader(message), sig)
		require.NoError(t, err)
		assert.False(t, ok, "%d bytes, the last changed", size)
	}
	broken := errors.New("broken disk")
	_, err := Verify(public, iotest.ErrReader(broken), make([]byte, 64))
	require.ErrorIs(t, err, broken)
	_, err = Verify(public, io.MultiReader(bytes.NewReader(make([]byte, small)), iotest.ErrReader(broken)), make([]byte, 64))
	require.ErrorIs(t, err, broken)
	_, err = Verify(public[:31], bytes.NewReader(nil), make([]byte, 64))
	require.ErrorContains(t, err, "ed25519 key of 31 bytes")
}

func FuzzVerify(f *testing.F) {
	public, private := key(f, 3)
	f.Add([]byte(public), []byte("message"), ed25519.Sign(private, []byte("message")))
	f.Fuzz(func(t *testing.T, public, message, sig []byte) {
		if len(public) != ed25519.PublicKeySize {
			return
		}
		got, err := verifyStream(public, bytes.NewReader(message), sig)
		require.NoError(t, err)
		require.Equal(t, ed25519.Verify(public, message, sig), got)
	})
}

func BenchmarkVerify(b *testing.B) {
	public, private := key(b, 1)
	message := make([]byte, 64<<20)
	sig := ed25519.Sign(private, message)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		ok, err := Verify(public, bytes.NewReader(message), sig)
		require.NoError(b, err)
		require.True(b, ok)
	}
}
