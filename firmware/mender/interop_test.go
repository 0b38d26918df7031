package mender

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// tool runs mender-artifact (Debian: mender-artifact) and returns what it says.
func tool(t testing.TB, args ...string) (string, error) {
	path, err := exec.LookPath("mender-artifact")
	if err != nil {
		t.Skip("mender-artifact is not installed (Debian package mender-artifact)")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err
}

// keyFiles writes a key as the tool reads it: SEC 1 or PKCS #1, and the public half.
func keyFiles(t testing.TB, dir, kind string) (private, public string) {
	key := signer(t, kind)
	var block pem.Block
	switch k := key.(type) {
	case *rsa.PrivateKey:
		block = pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		require.NoError(t, err)
		block = pem.Block{Type: "EC PRIVATE KEY", Bytes: der}
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	private, public = filepath.Join(dir, kind+".pem"), filepath.Join(dir, kind+".pub.pem")
	require.NoError(t, os.WriteFile(private, pem.EncodeToMemory(&block), 0o600))
	require.NoError(t, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	return private, public
}

func TestToolMakesWhatVerifies(t *testing.T) {
	dir := t.TempDir()
	private, _ := keyFiles(t, dir, "ecdsa")
	private2, _ := keyFiles(t, dir, "rsa")
	script := filepath.Join(dir, "ArtifactInstall_Enter_01_check")
	file := filepath.Join(dir, "fw.bin")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700))
	require.NoError(t, os.WriteFile(file, make([]byte, 5000), 0o600))
	module := []string{"write", "module-image", "-T", "module", "-n", "release-7", "-t", "board-a", "-t", "board-b", "-f", file, "-s", script, "-N", "release-6", "-d", "rootfs-image.version:6"}
	for name, args := range map[string][]string{
		"gzip":      append(module, "--compression", "gzip", "-k", private),
		"lzma":      append(module, "--compression", "lzma", "-k", private),
		"none":      append(module, "--compression", "none", "-k", private),
		"rsa":       append(module, "-k", private2),
		"bootstrap": {"write", "bootstrap-artifact", "-n", "release-7", "-t", "board-a", "-k", private},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(dir, name+".mender")
			text, err := tool(t, append(args, "-o", out)...)
			require.NoError(t, err, text)
			b, err := os.ReadFile(out)
			require.NoError(t, err)
			img := opened(t, b)
			report, err := img.Verify(trust(t, signer(t, "ecdsa").Public(), signer(t, "rsa").Public()))
			require.NoError(t, err)
			assert.Equal(t, "release-7", report.Image.Version)
			require.NoError(t, img.Check(format.Device{Version: "release-6", Is: map[string]string{"device_type": "board-a"}}))
			if name == "gzip" {
				require.ErrorIs(t, img.Check(format.Device{Version: "release-5"}), format.ErrDependency)
				require.ErrorIs(t, img.Check(format.Device{Has: map[string]string{"rootfs-image.version": "5"}}), format.ErrDependency)
			}
		})
	}
}

// TestToolAgrees hands our artifacts and every variant of them to the tool. It checks
// structure, hashes and signature as we do; the rest a device decides.
func TestToolAgrees(t *testing.T) {
	_, err := tool(t, "--version")
	require.NoError(t, err)
	const signature = "verification failed|verification error"
	says := map[string]string{ // what the tool says of a variant; empty: it is content, and why that is so
		format.Tampered:           signature,
		format.TamperedPlain:      "invalid checksum",
		format.HeaderPlain:        "invalid checksum",
		format.HeaderFlip:         signature,
		format.SignatureFlip:      signature,
		format.TrailerFlip:        "invalid tar header",
		format.Unsigned:           "missing signature",
		format.DuplicateSignature: "Invalid structure|verification",
		format.WrongKey:           signature,
		format.AlgorithmConfusion: "invalid|verification error",
		format.WeakAlgorithm:      signature,
		format.OtherProduct:       "", // a device knows its type, the tool does not
		format.TruncatedHeader:    "unexpected EOF",
		format.TruncatedPayload:   "EOF",
		format.TruncatedSignature: "invalid|verification error",
		format.Empty:              "EOF",
		format.Oversize:           "", // a device knows its room
		format.TrailingData:       "", // it stops reading at the end mark
		format.LengthLie:          "unexpected EOF",
		format.DuplicateEntry:     "Invalid structure",
		format.DecompressionBomb:  "invalid checksum", // after it has read all 4 GiB
		format.UnsignedExtra:      "can not find data file",
		format.PathEscape:         "can not find data file",
		format.MixAndMatch:        "invalid checksum",
		format.Swapped:            signature,
	}
	dir := t.TempDir()
	for _, g := range goodImages() {
		if g.name == "zstd" || g.name == "smallest" {
			continue // mender-artifact 3.9.0 knows no zstd
		}
		t.Run(g.name, func(t *testing.T) {
			_, public := keyFiles(t, dir, g.key)
			file := filepath.Join(dir, g.name+".mender")
			good := g.bytes(t)
			require.NoError(t, os.WriteFile(file, good, 0o600))
			text, err := tool(t, "validate", "-k", public, file)
			require.NoError(t, err, text)
			if g.name != "ecdsa" && g.name != "rsa" {
				return
			}
			img, with := opened(t, good), means(t, g)
			for _, variant := range variants() {
				if variant == format.DecompressionBomb && (g.name == "rsa" || testing.Short()) {
					continue // once is enough: it takes seconds
				}
				v, err := img.Tamper(variant, with)
				require.NoError(t, err)
				b := v.Bytes
				if v.Files != nil {
					b = v.Files["second"]
				}
				require.NoError(t, os.WriteFile(file, b, 0o600))
				text, err := tool(t, "validate", "-k", public, file)
				t.Logf("%s: %v %.300s", variant, err, text)
				want, known := says[variant]
				require.True(t, known, variant)
				if want == "" {
					assert.NoError(t, err, variant)
					continue
				}
				assert.Error(t, err, variant)
				assert.Regexp(t, want, text, variant)
			}
		})
	}
}
