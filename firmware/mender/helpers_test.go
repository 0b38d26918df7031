package mender

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// rsaKey is made once; the other key comes from a fixed number, so that the processes of a fuzzer agree on it.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func signer(t testing.TB, kind string) crypto.Signer {
	if kind == "rsa" {
		key, err := rsaKey()
		require.NoError(t, err)
		return key
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	return key
}

func trust(t testing.TB, public ...crypto.PublicKey) format.Trust {
	keys, err := format.NewKeys(public...)
	require.NoError(t, err)
	return format.Trust{Keys: keys}
}

func input(b []byte) format.Input { return format.Input{Source: format.FromBytes(b)} }

// fullSpec uses everything that the format knows.
func fullSpec() Spec {
	return Spec{
		Name:        "release-7",
		Group:       "beta",
		DeviceTypes: []string{"board-a", "board-b"},
		Depends:     map[string][]string{"artifact_name": {"release-5", "release-6"}, "artifact_group": {"beta"}},
		Type:        "module",
		Needs:       map[string][]string{"rootfs-image.version": {"6", "6.1"}},
		Provides:    map[string]string{"rootfs-image.module.version": "7"},
		Scripts:     []File{{"ArtifactInstall_Enter_01_check", []byte("#!/bin/sh\n")}},
		Files: []File{
			{"app.bin", append(bytes.Repeat([]byte("code "), 300), bytes.Repeat([]byte{0xff}, 64)...)},
			{"empty", nil},
			{"config.json", []byte("{}")},
		},
		Compression: Gzip,
	}
}

func made(t testing.TB, spec Spec, kind string) []byte {
	b, err := Build(spec, signer(t, kind))
	require.NoError(t, err)
	return b
}

func opened(t testing.TB, b []byte) *Image {
	img, err := OpenUnverified(input(b))
	require.NoError(t, err)
	return img
}

type goodImage struct {
	name, key string
	spec      func(*Spec)
}

func goodImages() []goodImage {
	return []goodImage{
		{"ecdsa", "ecdsa", func(*Spec) {}},
		{"rsa", "rsa", func(*Spec) {}},
		{"plain", "ecdsa", func(s *Spec) { s.Compression = None }},
		{"xz", "ecdsa", func(s *Spec) { s.Compression = XZ }},
		{"zstd", "ecdsa", func(s *Spec) { s.Compression = Zstd }},
		{"version_2", "ecdsa", func(s *Spec) {
			*s = Spec{Version: 2, Name: "old", DeviceTypes: []string{"board-a"}, Files: s.Files[:1], Compression: Gzip}
		}},
		{"smallest", "ecdsa", func(s *Spec) { *s = Spec{Name: "s", DeviceTypes: []string{"d"}, Files: []File{{"f", []byte{0}}}} }},
	}
}

func (g goodImage) bytes(t testing.TB) []byte {
	spec := fullSpec()
	g.spec(&spec)
	return made(t, spec, g.key)
}

// reseal edits the parts of an artifact and signs it again, for what only its maker could do wrong.
func reseal(t testing.TB, b []byte, key crypto.Signer, edit func(p *parts)) []byte {
	p, err := opened(t, b).parts()
	require.NoError(t, err)
	edit(p)
	require.NoError(t, p.sign(key))
	out, err := p.archive()
	require.NoError(t, err)
	return out
}
