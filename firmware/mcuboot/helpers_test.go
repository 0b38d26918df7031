package mcuboot

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// rsaKeys are made once: that takes long, and other kinds have keys from a fixed
// number, so that the processes of a fuzzer agree on them.
var rsaKeys = map[string]func() (*rsa.PrivateKey, error){
	"rsa2048": sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }),
	"rsa3072": sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 3072) }),
}

func signer(t testing.TB, kind string) crypto.Signer {
	var key crypto.Signer
	var err error
	switch kind {
	case "p256":
		key, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32))
	case "p384":
		key, err = ecdsa.ParseRawPrivateKey(elliptic.P384(), bytes.Repeat([]byte{2}, 48))
	case "ed25519":
		key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	default:
		require.Contains(t, rsaKeys, kind)
		key, err = rsaKeys[kind]()
	}
	require.NoError(t, err)
	return key
}

func trust(t testing.TB, kinds ...string) format.Trust {
	var public []crypto.PublicKey
	for _, k := range kinds {
		public = append(public, signer(t, k).Public())
	}
	keys, err := format.NewKeys(public...)
	require.NoError(t, err)
	return format.Trust{Keys: keys}
}

// fullSpec uses everything that the format knows.
func fullSpec() Spec {
	return Spec{
		Version:         Version{1, 2, 3, 4},
		SecurityCounter: 7,
		Payload:         append(bytes.Repeat([]byte("code "), 100), bytes.Repeat([]byte{0xff}, 64)...),
		HeaderSize:      64,
		LoadAddress:     0x20000000,
		Flags:           FlagRAMLoad,
		VendorID:        bytes.Repeat([]byte{0xaa}, 16),
		ClassID:         bytes.Repeat([]byte{0xbb}, 16),
		Dependencies:    []Dependency{{1, Version{Major: 1}}, {2, Version{Minor: 5}}},
		Protected:       []TLV{{TypeBootRecord, []byte{0xa0}}, {0x12a0, []byte("vendor")}},
	}
}

func made(t testing.TB, spec Spec, kind string) []byte {
	b, err := Build(spec, signer(t, kind))
	require.NoError(t, err)
	return b
}

// goodImages is one image of each kind, named by the key that signed it.
type goodImage struct {
	name, key string
	spec      func(*Spec)
}

func goodImages() []goodImage {
	return []goodImage{
		{"p256", "p256", func(*Spec) {}},
		{"p384", "p384", func(*Spec) {}},
		{"ed25519", "ed25519", func(*Spec) {}},
		{"ed25519_pure", "ed25519", func(s *Spec) { s.Pure = true }},
		{"rsa2048", "rsa2048", func(*Spec) {}},
		{"rsa3072", "rsa3072", func(*Spec) {}},
		{"p256_with_the_key_embedded", "p256", func(s *Spec) { s.EmbedKey = true }},
		{"rsa2048_with_the_key_embedded", "rsa2048", func(s *Spec) { s.EmbedKey = true }},
		{"p256_smallest", "p256", func(s *Spec) { *s = Spec{Payload: []byte{0}} }},
		{"p256_filling_a_slot", "p256", func(s *Spec) { s.SlotSize = 4096 }},
	}
}

func (g goodImage) bytes(t testing.TB) []byte {
	spec := fullSpec()
	g.spec(&spec)
	return made(t, spec, g.key)
}
