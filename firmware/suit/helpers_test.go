package suit

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

// rsaKey is made once: that takes long. The others come from a fixed number, so that the
// processes of a fuzzer agree on them.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

var (
	secret = bytes.Repeat([]byte{0x5a}, 32)
	vendor = bytes.Repeat([]byte{0xaa}, 16)
	class  = bytes.Repeat([]byte{0xbb}, 16)
)

func key(t testing.TB, kind string) crypto.Signer {
	var k crypto.Signer
	var err error
	switch kind {
	case "p256":
		k, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32))
	case "other":
		k, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{9}, 32))
	case "p384":
		k, err = ecdsa.ParseRawPrivateKey(elliptic.P384(), bytes.Repeat([]byte{2}, 48))
	case "p521":
		k, err = ecdsa.ParseRawPrivateKey(elliptic.P521(), append([]byte{0}, bytes.Repeat([]byte{4}, 65)...))
	case "ed25519":
		k = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	case "rsa2048":
		k, err = rsaKey()
	default:
		require.Fail(t, "no such key", kind)
	}
	require.NoError(t, err)
	return k
}

func trust(t testing.TB, kinds ...string) format.Trust {
	var out format.Trust
	for _, k := range kinds {
		if k == "mac" {
			out.Secrets = append(out.Secrets, format.Anchor{From: "secret.bin", Bytes: secret})
			continue
		}
		require.NoError(t, out.Keys.Add(key(t, k).Public(), k+".pem"))
	}
	return out
}

func input(b []byte) format.Input { return format.Input{Source: format.FromBytes(b)} }

func spec() Spec {
	return Spec{
		Sequence: 12, VendorID: vendor, ClassID: class, URI: "#firmware",
		Payload: append(bytes.Repeat([]byte("code "), 100), bytes.Repeat([]byte{0xff}, 64)...),
	}
}

func made(t testing.TB, s Spec, kind string) []byte {
	var b []byte
	var err error
	if kind == "mac" {
		b, err = BuildMAC(s, secret)
	} else {
		b, err = Build(s, key(t, kind))
	}
	require.NoError(t, err)
	return b
}

// input is the image, with its payload where that lies beside it.
func (g goodImage) input(t testing.TB, b []byte) format.Input {
	in := input(b)
	if g.name == "beside" {
		payload := format.FromBytes(g.spec(t).Payload)
		in.Artifact = &payload
	}
	return in
}

type goodImage struct {
	name, key string
	edit      func(t testing.TB, s *Spec)
}

func (g goodImage) spec(t testing.TB) Spec {
	s := spec()
	if g.edit != nil {
		g.edit(t, &s)
	}
	return s
}

func (g goodImage) bytes(t testing.TB) []byte { return made(t, g.spec(t), g.key) }

func goodImages() []goodImage {
	full := func(_ testing.TB, s *Spec) {
		s.Severable, s.Text, s.Reference, s.KeyID = true, "Update to 12", "https://vendor.example/12", []byte("key 1")
	}
	return []goodImage{
		{"integrated", "p256", nil},
		{"severable", "p256", full},
		{"specific", "p256", func(_ testing.TB, s *Spec) { s.Specific = true }},
		{"untagged", "p256", func(_ testing.TB, s *Spec) { s.Untagged = true }},
		{"elsewhere", "p256", func(_ testing.TB, s *Spec) { s.URI = "coap://update.example/fw.bin" }},
		{"beside", "p256", func(_ testing.TB, s *Spec) { s.URI = "coap://update.example/fw.bin" }},
		{"p384", "p384", func(_ testing.TB, s *Spec) { s.Algorithm = SHA384 }},
		{"p521", "p521", func(_ testing.TB, s *Spec) { s.Algorithm, s.Specific = SHA512, true }},
		{"ed25519", "ed25519", func(_ testing.TB, s *Spec) { s.Algorithm = SHAKE128 }},
		{"ed25519_specific", "ed25519", func(_ testing.TB, s *Spec) { s.Algorithm, s.Specific = SHAKE256, true }},
		{"rsa", "rsa2048", nil},
		{"mac", "mac", nil},
		{"dependency", "p256", func(t testing.TB, s *Spec) {
			sub := spec()
			sub.Sequence, sub.Payload, sub.Component = 3, []byte("radio"), []byte{7}
			s.Dependency = made(t, sub, "p256")
		}},
	}
}
