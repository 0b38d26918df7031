package swupdate

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// Keys and authorities are made once: that takes long. They are valid today, because the peers look at the clock.
var (
	rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	ecPKI  = sync.OnceValues(func() (*cms.PKI, error) { return cms.NewPKI(cms.PKIOptions{Intermediate: true, At: time.Now()}) })
	rsaPKI = sync.OnceValues(func() (*cms.PKI, error) { return cms.NewPKI(cms.PKIOptions{Kind: "rsa-2048", At: time.Now()}) })
)

func pki(t testing.TB, kind string) *cms.PKI {
	p, err := map[string]func() (*cms.PKI, error){"ec": ecPKI, "rsa": rsaPKI}[kind]()
	require.NoError(t, err)
	return p
}

// identity is the maker: "ec" and "rsa" sign by certificate, "raw" and "pss" by a bare key.
func identity(t testing.TB, kind string) Identity {
	if kind == "raw" || kind == "pss" {
		key, err := rsaKey()
		require.NoError(t, err)
		return Identity{Key: key, PSS: kind == "pss"}
	}
	p := pki(t, kind)
	return Identity{Key: p.Signer.Key, Chain: p.Chain()}
}

func trust(t testing.TB, kind string) format.Trust {
	if kind == "raw" || kind == "pss" {
		keys, err := format.NewKeys(identity(t, kind).Key.Public())
		require.NoError(t, err)
		return format.Trust{Keys: keys}
	}
	p := pki(t, kind)
	return format.Trust{Roots: []format.Root{{Certificate: p.Root.Certificate, From: "root.pem"}}, At: p.At}
}

func input(b []byte) format.Input { return format.Input{Source: format.FromBytes(b)} }

func fullSpec() Spec {
	return Spec{
		Version:  "2.1.0",
		Hardware: []string{"1.0", "#RE:^2\\.[0-9]$"},
		Images: []Artifact{{
			File: File{"rootfs.img", append(bytes.Repeat([]byte("code "), 300), bytes.Repeat([]byte{0xff}, 63)...)},
			Type: "raw", Fields: map[string]string{"device": "/dev/null"},
		}},
		Files:   []Artifact{{File: File{"etc/app.conf", []byte("a=b\n")}, Type: "rawfile", Fields: map[string]string{"path": "/etc/app.conf"}}},
		Scripts: []Artifact{{File: File{"post.sh", []byte("#!/bin/sh\n")}, Type: "shellscript"}},
	}
}

func made(t testing.TB, spec Spec, kind string) []byte {
	b, err := Build(spec, identity(t, kind))
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
		{"ec", "ec", func(*Spec) {}},
		{"rsa_crc", "rsa", func(s *Spec) { s.CRC = true }},
		{"raw_crc", "raw", func(s *Spec) { s.CRC = true }},
		{"pss", "pss", func(*Spec) {}},
		{"json", "ec", func(s *Spec) { s.JSON = true }},
		{"smallest", "ec", func(s *Spec) {
			*s = Spec{Version: "2", Hardware: []string{"1.0"}, Images: []Artifact{{File: File{Name: "f", Data: []byte{0}}}}}
		}},
	}
}

func (g goodImage) bytes(t testing.TB) []byte {
	spec := fullSpec()
	g.spec(&spec)
	return made(t, spec, g.key)
}

// rewritten edits the members and keeps the container in order.
func rewritten(t testing.TB, b []byte, edit func(w *work)) []byte {
	w, err := opened(t, b).work()
	require.NoError(t, err)
	edit(w)
	return archive(w.magic, w.files)
}

// resigned is what the maker signs: its own text of sw-description with the members of b.
func resigned(t testing.TB, b []byte, kind, text string) []byte {
	return rewritten(t, b, func(w *work) {
		sig, err := identity(t, kind).sign([]byte(text), "")
		require.NoError(t, err)
		w.files[0].Data, w.files[1].Data = []byte(text), sig
	})
}
