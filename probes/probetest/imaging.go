package probetest

import (
	"archive/tar"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"testing/fstest"
	"time"

	"assay/firmware/mcuboot"
	"assay/probes"
)

// Imaging says what the maker's images are, and what lies in the storage. The zero value is an image
// that can be taken apart, in which nothing is wrong.
type Imaging struct {
	Files      map[string]string // in the image, beside the usual; "" takes a usual one away
	Blobs      []string          // versions whose payload cannot be taken apart
	WeakKey    bool              // the maker's key is RSA of 3072 bits with the exponent 3
	Foreign    []string          // versions that a stranger signed
	Counters   []uint32          // of the images; default 1, 2, 3 ...; 0: none
	Declared   string            // version by the dossier; default 1.0.0
	Stores     []string          // versions in the storage; default the one that runs
	Advisories map[string]string // files of the snapshot; default one entry that is about another version
	Dated      time.Time         // of the snapshot; default the day before
}

func (m Imaging) withDefaults() Imaging {
	files := map[string]string{
		"etc/os-release":      "ID=thermostat\nVERSION_ID=1.0\n",
		"etc/passwd":          "root:x:0:0:root:/:/bin/false\n",
		"etc/shadow":          "root:*:20000:0:99999:7:::\n",
		"usr/lib/opkg/status": "Package: mbedtls\nVersion: 3.6.2-r1\nArchitecture: cortexm33\nStatus: install user installed\n\n",
	}
	maps.Copy(files, m.Files)
	maps.DeleteFunc(files, func(_, text string) bool { return text == "" })
	m.Files = files
	if m.Declared == "" {
		m.Declared = installed
	}
	if m.Advisories == nil {
		m.Advisories = map[string]string{"one.json": Advisory("mbedtls", "3.6.1")}
	}
	if m.Dated.IsZero() {
		m.Dated = time.Date(2026, 10, 31, 0, 0, 0, 0, time.UTC)
	}
	return m
}

// Advisory is an OSV entry about a package before a version.
func Advisory(name, fixed string) string {
	return fmt.Sprintf(`{"id":"OSV-2026-1","modified":"2026-10-30T00:00:00Z","affected":[{"package":{"ecosystem":"generic","name":%q},`+
		`"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":%q}]}]}]}`, name, fixed)
}

func (m Imaging) key() (crypto.Signer, error) {
	if !m.WeakKey {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return weakKey()
}

// image makes the n-th image.
func (m Imaging) image(n int, name string, key crypto.Signer) (probes.Image, error) {
	version, err := mcuboot.ParseVersion(name)
	if err != nil {
		return probes.Image{}, err
	}
	spec := mcuboot.Spec{Version: version, SecurityCounter: uint32(n + 1)}
	if n < len(m.Counters) {
		spec.SecurityCounter = m.Counters[n]
	}
	if spec.Payload, err = m.payload(name); err != nil {
		return probes.Image{}, err
	}
	if slices.Contains(m.Foreign, name) {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return probes.Image{}, err
		}
	}
	b, err := mcuboot.Build(spec, key)
	return probes.Image{Name: name + ".bin", Version: name, Bytes: b}, err
}

func (m Imaging) payload(version string) ([]byte, error) {
	if slices.Contains(m.Blobs, version) {
		blob := make([]byte, 4096)
		_, err := rand.Read(blob)
		return blob, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	files := maps.Clone(m.Files)
	files["etc/version"] = version + "\n"
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Name: name, Mode: 0o600, Size: int64(len(files[name])), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, files[name]); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// stored writes what images the storage holds.
func (m Imaging) stored(b *bytes.Buffer, u *updates) {
	versions := m.Stores
	if versions == nil {
		versions = []string{u.version}
	}
	b.Write(bytes.Repeat([]byte{0xFF}, 777))
	for _, v := range versions {
		if at := u.place(v); at >= 0 {
			b.Write(u.images[at].Bytes)
		}
	}
}

type advisories struct{ t *Thermostat }

// Snapshot holds the files of the script.
func (a advisories) Snapshot() probes.Snapshot {
	m := a.t.script.Imaging
	folder := fstest.MapFS{}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(m.Advisories)) {
		folder[name] = &fstest.MapFile{Data: []byte(m.Advisories[name])}
		fmt.Fprintf(sum, "%x  %s\n", sha256.Sum256(folder[name].Data), name)
	}
	return probes.Snapshot{Name: "advisories", Dated: m.Dated, SHA256: hex.EncodeToString(sum.Sum(nil)), Files: fs.FS(folder)}
}
