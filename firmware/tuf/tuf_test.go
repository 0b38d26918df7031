package tuf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"path"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

var (
	now     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	program = []byte("the program, and some filling: \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
)

const (
	name = "sensor-a.bin"
	unit = "ECU-1"
)

// rsaKeys are made once: each takes a second.
var (
	keysMade atomic.Int32
	rsaKeys  = [4]func() (*rsa.PrivateKey, error){sync.OnceValues(newRSA), sync.OnceValues(newRSA), sync.OnceValues(newRSA), sync.OnceValues(newRSA)}
)

func newRSA() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }

func newKey(t testing.TB, kind string) crypto.Signer {
	var k crypto.Signer
	var err error
	switch kind {
	case "p256":
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		k, err = rsaKeys[keysMade.Add(1)%4]()
	default:
		_, k, err = ed25519.GenerateKey(rand.Reader)
	}
	require.NoError(t, err)
	return k
}

// spec is a repository of one target, with one key for each role, or one for all.
func spec(t testing.TB, kind string, one bool) Spec {
	s := Spec{Version: 3, Expires: now.Add(24 * time.Hour), Signers: map[string][]crypto.Signer{},
		Targets: map[string]File{name: {program, map[string]any{"hardwareId": "sensor-a", "releaseCounter": 14}}}}
	key := newKey(t, kind)
	for _, role := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets} {
		if !one && role != roleRoot {
			key = newKey(t, kind)
		}
		s.Signers[role] = []crypto.Signer{key}
	}
	return s
}

func folder(files map[string][]byte) format.Input {
	dir := fstest.MapFS{}
	for file, b := range files {
		dir[file] = &fstest.MapFile{Data: b}
	}
	return format.Input{Dir: dir}
}

func built(t testing.TB, s Spec) map[string][]byte {
	files, err := Build(s)
	require.NoError(t, err)
	return files
}

func trust(files map[string][]byte) format.Trust {
	return format.Trust{At: now, Own: map[string][]format.Anchor{Name: {{From: "root.json", Bytes: files["metadata/1.root.json"]}}}}
}

// good is a folder with who trusts it and the key that makes its variants.
type good struct {
	name  string
	files map[string][]byte
	trust format.Trust
	key   crypto.Signer
}

func (g good) open(t testing.TB) *Image {
	img, err := OpenUnverified(folder(g.files))
	require.NoError(t, err)
	return img
}

func goods(t testing.TB) []good {
	var all []good
	add := func(n string, s Spec, key crypto.Signer) {
		files := built(t, s)
		all = append(all, good{n, files, trust(files), key})
	}
	for _, kind := range []string{"ed25519", "p256", "rsa"} {
		s := spec(t, kind, false)
		add(kind, s, s.Signers[roleTimestamp][0])
	}
	one := spec(t, "p256", true)
	add("one key", one, one.Signers[roleRoot][0])
	plain := spec(t, "ed25519", false)
	plain.Plain, plain.NoDigests = true, true
	add("plain", plain, plain.Signers[roleTargets][0])
	two := spec(t, "ed25519", true)
	two.Signers[roleTargets] = append(two.Signers[roleTargets], newKey(t, "ed25519"))
	add("threshold", two, two.Signers[roleTimestamp][0])
	below := spec(t, "ed25519", false)
	below.Targets = nil
	below.Delegations = []Delegation{
		{Name: "vendor-b", Signers: []crypto.Signer{newKey(t, "")}, Paths: []string{"sensor-b-*"}, Terminating: true},
		{Name: "vendor-a", Signers: []crypto.Signer{newKey(t, "")}, Paths: []string{"sensor-a*"}, Targets: map[string]File{name: {Content: program}}},
	}
	add("delegated", below, nil)
	return append(all, uptane(t, func(*Spec, *Spec) {}))
}

// uptane is a pair of repositories, as change leaves them.
func uptane(t testing.TB, change func(director, image *Spec)) good {
	d, i := spec(t, "ed25519", false), spec(t, "ed25519", false)
	d.Targets[name] = File{program, map[string]any{"hardwareId": "sensor-a", "releaseCounter": 14,
		"ecuIdentifiers": map[string]any{unit: map[string]any{"hardwareId": "sensor-a"}}}}
	change(&d, &i)
	g := good{name: "uptane", files: map[string][]byte{}, key: d.Signers[roleTimestamp][0],
		trust: format.Trust{At: now, Own: map[string][]format.Anchor{}}}
	for folder, s := range map[string]Spec{"director": d, "image": i} {
		files := built(t, s)
		for file, b := range files {
			if folder == "image" || path.Dir(file) == "metadata" {
				g.files[path.Join(folder, file)] = b
			}
		}
		g.trust.Own[Name] = append(g.trust.Own[Name], format.Anchor{From: folder + "-root.json", Bytes: files["metadata/1.root.json"]})
	}
	return g
}

func TestGood(t *testing.T) {
	for _, g := range goods(t) {
		t.Run(g.name, func(t *testing.T) {
			require.True(t, Format().Detect(folder(g.files)))
			img := g.open(t)
			report, err := img.Verify(g.trust)
			require.NoError(t, err)
			require.True(t, report.Verified)
			require.NotEmpty(t, report.Digest)
			require.Equal(t, "3", report.Image.Version)
			require.Equal(t, g.name == "rsa", len(report.Findings) > 0)
			require.NoError(t, img.Check(format.Device{Is: map[string]string{IsTarget: name}, Version: "3"}))
			require.ErrorIs(t, img.Check(format.Device{Is: map[string]string{IsTarget: "sensor-c.bin"}}), format.ErrWrongDevice)
			require.ErrorIs(t, img.Check(format.Device{Version: "4"}), format.ErrRollback)
			require.ErrorIs(t, img.Check(format.Device{Size: 3}), format.ErrTooLarge)
			require.ErrorIs(t, img.Check(format.Device{Is: map[string]string{"colour": "red"}}), format.ErrDevice)
		})
	}
	require.False(t, Format().Detect(folder(map[string][]byte{"metadata/root.json": nil})))
	require.False(t, Format().Detect(format.Input{}))
}
