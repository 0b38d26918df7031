package mcuboot

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// opensslTakes asks the independent judge of signatures, since no distribution has the
// format's own tool: is the signature TLV one of the covered bytes?
func opensslTakes(t testing.TB, img *Image, key string) bool {
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		return filepath.Join(dir, name)
	}
	der, err := x509.MarshalPKIXPublicKey(signer(t, key).Public())
	require.NoError(t, err)
	public := write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	sig, _ := img.signature()
	value := sig.Value
	if sig.Type == TypeECDSA {
		value, _ = trimPadding(sig.Value, 384)
	}
	_, hash, ok := img.hashTLV()
	require.True(t, ok)
	message := img.digest(hash)
	if find(img.unprotected, TypePure) != nil {
		message = img.raw[:img.covered]
	}
	args := []string{"pkeyutl", "-verify", "-pubin", "-inkey", public, "-in", write("message", message), "-sigfile", write("sig", value)}
	switch {
	case key == "ed25519":
		args = append(args, "-rawin")
	case strings.HasPrefix(key, "rsa"):
		args = append(args, "-pkeyopt", "digest:sha256", "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:32", "-pkeyopt", "rsa_mgf1_md:sha256")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	assert.Equal(t, err == nil, strings.Contains(string(out), "Verified Successfully"), "%s", out)
	return err == nil
}

func TestOpensslJudgesAlike(t *testing.T) {
	for _, g := range goodImages() {
		if g.key == "rsa3072" {
			continue // its variants take seconds to make, and rsa2048 tells the same
		}
		good, err := OpenUnverified(g.bytes(t))
		require.NoError(t, err)
		require.True(t, opensslTakes(t, good, g.key), g.name)
		lent := means(t, g)
		for _, variant := range variants() {
			v, err := good.Tamper(variant, lent)
			if err != nil {
				require.ErrorIs(t, err, format.ErrNotApplicable)
				continue
			}
			b := v.Bytes
			if v.Files != nil {
				b = v.Files[format.FileSecond]
			}
			img, err := OpenUnverified(b)
			switch {
			case err != nil:
				require.ErrorIs(t, err, v.Manifest.Reason, "no signature to ask openssl about")
			case v.Manifest.Device != nil:
				assert.True(t, opensslTakes(t, img, g.key), "%s/%s is genuine", g.name, variant)
			case errors.Is(v.Manifest.Reason, format.ErrBadSignature), errors.Is(v.Manifest.Reason, format.ErrBadHash):
				assert.False(t, opensslTakes(t, img, g.key), "%s/%s: %s", g.name, variant, v.Manifest.Expected)
			}
		}
	}
}
