package esp32

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// rsaKey3072 is made once: that takes long. The other kinds have keys from a fixed number,
// so that the processes of a fuzzer agree on them.
var rsaKey3072 = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 3072) })

func signer(t testing.TB, kind string) crypto.Signer {
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsaKey3072()
	case "p192":
		d := new(big.Int).SetBytes(bytes.Repeat([]byte{4}, p192Size))
		key = &P192Key{d, generator().times(d)}
	case "p256":
		key, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32))
	case "p384":
		key, err = ecdsa.ParseRawPrivateKey(elliptic.P384(), bytes.Repeat([]byte{2}, 48))
	case "other":
		key, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{3}, 32))
	default:
		require.Fail(t, "no such key", kind)
	}
	require.NoError(t, err)
	return key
}

// trust names keys as a caller would: P-192 by an anchor of the format's own.
func trust(t testing.TB, kinds ...string) format.Trust {
	var all format.Trust
	for _, kind := range kinds {
		if kind == "p192" {
			all.Own = map[string][]format.Anchor{name: {{From: "p192.pem", Bytes: p192PEM(t)}}}
			continue
		}
		require.NoError(t, all.Keys.Add(signer(t, kind).Public(), kind+".pem"))
	}
	return all
}

func fullSpec() Spec {
	return Spec{
		Chip: ChipC6, MinRevision: 1, MaxRevision: 99, SecureVersion: 3, Version: "1.4.0", Project: "thermostat",
		Payload:  append(bytes.Repeat([]byte("code "), 100), make([]byte, 64)...),
		Segments: []Segment{{0x3fc80000, bytes.Repeat([]byte("data"), 50)}, {0x42000020, []byte("instructions")}},
	}
}

// A goodImage is one image of each kind.
type goodImage struct {
	name, key string
	spec      func(*Spec)
	keys      []string // that sign; key alone if nil
}

func v1(s *Spec) { s.V1, s.Chip = true, ChipESP32 }

func goodImages() []goodImage {
	return []goodImage{
		{"rsa", "rsa", func(s *Spec) { s.Chip = ChipC3 }, nil},
		{"p192", "p192", func(*Spec) {}, nil},
		{"p256", "p256", func(*Spec) {}, nil},
		{"p384", "p384", func(*Spec) {}, nil},
		{"v1", "p256", v1, nil},
		{"p256 behind two others", "p256", func(*Spec) {}, []string{"other", "p384", "p256"}},
		{"p256 without description and hash", "p256", func(s *Spec) { s.NoDescription, s.NoHash = true, true }, nil},
		{"p256 smallest", "p256", func(s *Spec) { *s = Spec{Payload: []byte("1234"), NoDescription: true, Chip: ChipC6} }, nil},
		{"p256 filling whole sectors", "p256", func(s *Spec) {
			s.Payload = make([]byte, 2*sectorSize-headerSize-segmentHead-appDescSize-16-hashSize)
			s.Segments = nil
		}, nil},
	}
}

func (g goodImage) bytes(t testing.TB) []byte {
	spec := fullSpec()
	g.spec(&spec)
	var keys []crypto.Signer
	for _, kind := range append([]string{}, g.keys...) {
		keys = append(keys, signer(t, kind))
	}
	if g.keys == nil {
		keys = []crypto.Signer{signer(t, g.key)}
	}
	b, err := Build(spec, keys...)
	require.NoError(t, err)
	return b
}

func made(t testing.TB, edit func(*Spec), kinds ...string) []byte {
	return goodImage{key: kinds[0], keys: kinds, spec: edit}.bytes(t)
}

func opened(t testing.TB, b []byte) *Image {
	img, err := OpenUnverified(format.FromBytes(b))
	require.NoError(t, err)
	return img
}

func verify(t testing.TB, b []byte, trust format.Trust) (format.Report, error) {
	img, err := OpenUnverified(format.FromBytes(b))
	if err != nil {
		return format.Report{}, err
	}
	report, err := img.Verify(trust)
	require.Equal(t, err == nil, report.Verified)
	return report, err
}
