package sigstore

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func write(t *testing.T, dir, name string, b []byte) string {
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

// TestOpenSSL lets openssl judge what managed keys sign: ours there, its own here, and of the
// variants those in which the signature itself can be found. cosign, which Debian does not
// have, judges the bundles too where it is installed.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	cosign, _ := exec.LookPath("cosign")
	for kind, key := range newKeys(t) {
		if kind == "ed25519" || kind == "p384" || kind == "p521" {
			continue // openssl dgst has no Ed25519; cosign verifies the larger curves by other hashes
		}
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			der, err := x509.MarshalPKIXPublicKey(key.Public())
			require.NoError(t, err)
			public := write(t, dir, "key.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
			private, err := x509.MarshalPKCS8PrivateKey(key)
			require.NoError(t, err)
			secret := write(t, dir, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
			keys, err := format.NewKeys(key.Public())
			require.NoError(t, err)
			trust := format.Trust{Keys: keys, NoLog: true}
			ask := func(signature, artifact []byte) error {
				img, err := OpenUnverified(input(signature, artifact))
				if err != nil {
					return err
				}
				return exec.Command(openssl, "dgst", "-sha256", "-verify", public,
					"-signature", write(t, dir, "sig", img.sig), write(t, dir, "artifact", artifact)).Run()
			}
			askCosign := func(signature, artifact []byte) error {
				return exec.Command(cosign, "verify-blob", "--key", public, "--insecure-ignore-tlog", "--bundle",
					write(t, dir, "bundle", signature), write(t, dir, "artifact", artifact)).Run()
			}

			bundle, err := Build(Spec{Artifact: firmware, Signer: key})
			require.NoError(t, err)
			require.NoError(t, ask(bundle, firmware), "ours, judged by openssl")
			if cosign != "" {
				require.NoError(t, askCosign(bundle, firmware), "ours, judged by cosign")
			}
			img, err := OpenUnverified(input(bundle, firmware))
			require.NoError(t, err)
			for _, variant := range Format().Variants {
				v, err := img.Tamper(variant, format.Means{})
				if err != nil {
					require.ErrorIs(t, err, format.ErrNotApplicable)
					continue
				}
				artifact := v.Files[format.FileArtifact]
				if variant == format.Swapped {
					artifact = v.Files[format.FileSecond]
				}
				assert.Error(t, ask(v.Files[format.FileSignature], artifact), "openssl takes %s", variant)
				if cosign != "" {
					assert.Error(t, askCosign(v.Files[format.FileSignature], artifact), "cosign takes %s", variant)
				}
			}

			out, err := exec.Command(openssl, "dgst", "-sha256", "-sign", secret, write(t, dir, "artifact", firmware)).Output()
			require.NoError(t, err)
			img, err = OpenUnverified(input([]byte(base64.StdEncoding.EncodeToString(out)+"\n"), firmware))
			require.NoError(t, err)
			_, err = img.Verify(trust)
			require.NoError(t, err, "openssl's, judged here")
		})
	}
	if cosign != "" {
		t.Log("cosign judged the bundles as well")
	}
}
