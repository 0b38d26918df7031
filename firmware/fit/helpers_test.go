package fit

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// rsaKeys are made once: that takes long. EC keys are from a fixed number, so that the
// processes of a fuzzer agree on them.
var rsaKeys = map[string]func() (*rsa.PrivateKey, error){
	"rsa2048":  sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }),
	"rsa3072":  sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 3072) }),
	"stranger": sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }),
}

func signer(t testing.TB, kind string) crypto.Signer {
	var key crypto.Signer
	var err error
	switch kind {
	case "p256":
		key, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32))
	case "p384":
		key, err = ecdsa.ParseRawPrivateKey(elliptic.P384(), bytes.Repeat([]byte{2}, 48))
	case "p521":
		key, err = ecdsa.ParseRawPrivateKey(elliptic.P521(), append([]byte{0}, bytes.Repeat([]byte{3}, 65)...))
	default:
		require.Contains(t, rsaKeys, kind)
		key, err = rsaKeys[kind]()
	}
	require.NoError(t, err)
	return key
}

// bare trusts public keys alone.
func bare(t testing.TB, kinds ...string) format.Trust {
	var trust format.Trust
	for _, k := range kinds {
		require.NoError(t, trust.Keys.Add(signer(t, k).Public(), k+".pem"))
	}
	return trust
}

// control trusts what a control device tree requires.
func control(t testing.TB, enough string, keys ...Required) format.Trust {
	b, err := Control(enough, keys...)
	require.NoError(t, err)
	require.True(t, isControl(b))
	return format.Trust{Own: map[string][]format.Anchor{Name: {{From: "control.dtb", Bytes: b}}}}
}

func required(t testing.TB, by, kind string) Required {
	return Required{Name: kind, By: by, Public: signer(t, kind).Public()}
}

var made = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// fullSpec uses everything that the writer knows, with two configurations that share a kernel.
func fullSpec() Spec {
	return Spec{
		Description: "test image", Made: made, Default: "conf-1",
		Parts: []Part{
			{Name: "kernel-1", Type: "kernel", Arch: "arm", OS: "linux", Load: 0x80008000, Data: append(bytes.Repeat([]byte("code "), 100), make([]byte, 64)...), Hashes: []string{"sha256", "crc32"}},
			{Name: "fdt-1", Type: "flat_dt", Arch: "arm", Data: []byte("board a")},
			{Name: "fdt-2", Type: "flat_dt", Arch: "arm", Data: []byte("board b")},
			{Name: "rootfs", Type: "filesystem", Data: []byte("a file system"), Hashes: []string{"sha512"}, Verity: map[string]string{"roothash": "00"}},
		},
		Configurations: []Configuration{
			{Name: "conf-1", Compatible: []string{"vendor,board-a"}, Uses: []Use{{"kernel", []string{"kernel-1"}}, {"fdt", []string{"fdt-1"}}, {"loadables", []string{"rootfs"}}}},
			{Name: "conf-2", Compatible: []string{"vendor,board-b"}, Uses: []Use{{"kernel", []string{"kernel-1"}}, {"fdt", []string{"fdt-2"}}}},
		},
	}
}

// smallSpec is the least that there can be.
func smallSpec() Spec {
	return Spec{
		Default:        "c",
		Parts:          []Part{{Name: "k", Data: []byte("kernel")}},
		Configurations: []Configuration{{Name: "c", Uses: []Use{{"kernel", []string{"k"}}}}},
	}
}

func build1(t testing.TB, spec Spec, kind string) []byte {
	b, err := Build(spec, signer(t, kind))
	require.NoError(t, err)
	return b
}

// A goodImage is one image of each kind, named by the key that signed it.
type goodImage struct {
	name, key string
	by        string // conf or image
	spec      func(*Spec)
}

func goodImages() []goodImage {
	return []goodImage{
		{"rsa2048", "rsa2048", "conf", func(*Spec) {}},
		{"rsa2048_pss", "rsa2048", "conf", func(s *Spec) { s.PSS = true }},
		{"rsa3072_sha384", "rsa3072", "conf", func(s *Spec) { s.Digest = "sha384" }},
		{"p256", "p256", "conf", func(*Spec) {}},
		{"p384_sha512", "p384", "conf", func(s *Spec) { s.Digest = "sha512" }},
		{"p521", "p521", "conf", func(*Spec) {}},
		{"p256_external", "p256", "conf", func(s *Spec) { s.External = true }},
		{"p256_at_a_position", "p256", "conf", func(s *Spec) { s.Position = 0x2000 }},
		{"p256_small", "p256", "conf", func(s *Spec) { *s = smallSpec() }},
		{"rsa2048_images", "rsa2048", "image", func(s *Spec) { s.SignImages = true }},
		{"p256_images_external", "p256", "image", func(s *Spec) { s.SignImages, s.External = true, true }},
	}
}

func (g goodImage) bytes(t testing.TB) []byte {
	spec := fullSpec()
	g.spec(&spec)
	return build1(t, spec, g.key)
}

// trust is the control device tree of the device that takes it.
func (g goodImage) trust(t testing.TB) format.Trust {
	k := required(t, g.by, g.key)
	spec := fullSpec()
	g.spec(&spec)
	k.Digest = spec.Digest
	return control(t, "", k)
}
