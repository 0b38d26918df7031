package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/lab/refdevice"
)

// TestWrongImages wants each image that a dossier is wrong about refused before the device is touched.
func TestWrongImages(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, p *refdevice.Product)
		want   []string
	}{
		"another hash": {func(t *testing.T, p *refdevice.Product) {
			edit(t, p.Dossier, p.Images[2].SHA256, strings.Repeat("0", 64))
		}, []string{"images[2], file images/firmware-1.1.0.bin: sha256 is ", "the dossier says 0000"}},
		"tampered with": {func(t *testing.T, p *refdevice.Product) {
			genuine, err := os.ReadFile(p.Images[2].File)
			require.NoError(t, err)
			bad, err := firmware.Tamper(firmware.FromBytes(genuine), firmware.Tampered, firmware.Means{})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(p.Images[2].File, bad.Bytes, 0o600))
			edit(t, p.Dossier, "sha256: "+p.Images[2].SHA256, "")
		}, []string{"images[2], file images/firmware-1.1.0.bin: not genuine under the dossier's trust for firmware"}},
		"another maker's key": {func(t *testing.T, p *refdevice.Product) {
			other, err := refdevice.Manufacture(t.TempDir(), refdevice.ManufactureOptions{Now: time.Now()})
			require.NoError(t, err)
			key, err := os.ReadFile(other.FirmwarePublic)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(p.FirmwarePublic, key, 0o600))
		}, []string{"images[0], file images/firmware-0.9.0.bin: not genuine", "the image names key ", "none of the 1 given"}},
		"no key at all": {func(t *testing.T, p *refdevice.Product) { require.NoError(t, os.Remove(p.FirmwarePublic)) },
			[]string{"dossier.yaml:", ": trust[0].file: there is no file ", "keys/firmware.pub.pem"}},
		"missing": {func(t *testing.T, p *refdevice.Product) { require.NoError(t, os.Remove(p.Images[1].File)) },
			[]string{"dossier.yaml:", ": images[1].file: there is no file ", "images/firmware-1.0.0.bin"}},
		"no image": {func(t *testing.T, p *refdevice.Product) {
			require.NoError(t, os.WriteFile(p.Images[1].File, []byte("not an image"), 0o600))
			edit(t, p.Dossier, "sha256: "+p.Images[1].SHA256, "")
		}, []string{"images[1], file images/firmware-1.0.0.bin: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p, err := refdevice.Manufacture(filepath.Join(dir, "product"), refdevice.ManufactureOptions{Now: time.Now()})
			require.NoError(t, err)
			c.change(t, p)
			file := written(t, dir, "bench.yaml", "assay: bench/v1\nmode: attached\ninterface: lo\n")
			r := assay(t, exitUnusable, "run", p.Dossier, "--bench", file, "--out", filepath.Join(dir, "runs"))
			for _, want := range c.want {
				assert.Contains(t, r.told(), want)
			}
			assert.Contains(t, r.told(), "assay: hint: ")
			left, err := filepath.Glob(filepath.Join(dir, "runs", "*"))
			require.NoError(t, err)
			assert.Empty(t, left, "nothing was observed, nothing stays")
		})
	}
}

// edit replaces a text that must be in a file.
func edit(t *testing.T, path, old, with string) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(b), old)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(b), old, with, 1)), 0o600))
}
