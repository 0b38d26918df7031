package bench

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/detached"
	"assay/profiles/dossier"
)

// TestImagesWithASignatureBesideThem takes images whose signature lies beside them under the maker's
// minisign key: the dossier's versions count, the pair goes to the probes, and every variant of it is refused.
func TestImagesWithASignatureBesideThem(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	number := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	write("maker.pub", detached.MarshalKey("minisign public key", number, key.Public().(ed25519.PublicKey)))
	d := &dossier.Dossier{Trust: []dossier.Anchor{{For: dossier.ForFirmware, File: filepath.Join(dir, "maker.pub")}}}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		image := []byte("the program, version " + version)
		signature, err := detached.SignMinisign(detached.Minisign{Key: key, Number: number}, image)
		require.NoError(t, err)
		write(version+".bin", image)
		write(version+".minisig", signature)
		d.Images = append(d.Images, dossier.Image{File: filepath.Join(dir, version+".bin"), Signature: filepath.Join(dir, version+".minisig"), Version: version})
	}
	set, err := loadImages(d)
	require.NoError(t, err)
	newer, err := set.Newer("1.0.0")
	require.NoError(t, err)
	assert.Equal(t, "1.1.0", newer.Version)
	assert.NotEmpty(t, newer.Signature)
	for _, variant := range []string{firmware.Tampered, firmware.Unsigned, firmware.WrongKey} {
		bad, err := firmware.Tamper(newer.Input(), variant, firmware.Means{})
		require.NoError(t, err, variant)
		require.Error(t, firmware.Refuses(newer.Input(), bad, set.Trust()), variant)
	}

	swapped := d.Images[0]
	swapped.Signature = d.Images[1].Signature
	d.Images[0] = swapped
	_, err = loadImages(d)
	require.ErrorContains(t, err, "not genuine under the dossier's trust for firmware")
}
