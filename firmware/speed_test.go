package firmware_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/format"
	"assay/firmware/mender"
	"assay/firmware/swupdate"
)

const (
	bigSize = 256 << 20
	rounds  = 5 // each tool in turn; the best of each counts
)

// bigImage is one image of 256 MB as a file, with its signature beside it where there is one.
type bigImage struct {
	path, signature string
	trust           firmware.Trust
}

// BenchmarkBesideOpenSSL verifies images of 256 MB from a file, in turns with `openssl dgst
// -sha256` on the same file, and reports what share of its rate that is.
func BenchmarkBesideOpenSSL(b *testing.B) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		b.Skip("needs openssl")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	payload := make([]byte, bigSize)
	_, _ = mathrand.NewChaCha8([32]byte{1}).Read(payload)
	for name, make := range map[string]func(*testing.B, string, []byte, crypto.Signer) bigImage{
		"raw signature": rawImage, "mender": menderImage, "swupdate": swupdateImage,
	} {
		b.Run(name, func(b *testing.B) {
			i := make(b, b.TempDir(), payload, key)
			ours, theirs := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			b.SetBytes(bigSize)
			b.ReportAllocs()
			for b.Loop() {
				for range rounds {
					start := time.Now()
					require.NoError(b, exec.Command(openssl, "dgst", "-sha256", i.path).Run())
					theirs = min(theirs, time.Since(start))
					start = time.Now()
					i.verify(b)
					ours = min(ours, time.Since(start))
				}
			}
			b.ReportMetric(100*float64(theirs)/float64(ours), "%-of-openssl")
			b.ReportMetric(float64(bigSize>>20)/ours.Seconds(), "MB/s-best")
		})
	}
}

func (i bigImage) verify(b *testing.B) {
	in, done := i.open(b)
	defer done()
	_, err := firmware.Verify(in, i.trust)
	require.NoError(b, err)
}

func (i bigImage) open(b *testing.B) (firmware.Input, func()) {
	image, err := os.Open(i.path)
	require.NoError(b, err)
	info, err := image.Stat()
	require.NoError(b, err)
	in := firmware.Input{Source: format.NewSource(image, info.Size())}
	if i.signature != "" {
		artifact := in.Source
		text, err := os.ReadFile(i.signature)
		require.NoError(b, err)
		in = firmware.FromBytes(text)
		in.Artifact = &artifact
	}
	return in, func() { require.NoError(b, image.Close()) }
}

func trusted(b *testing.B, key crypto.Signer) firmware.Trust {
	trust, err := firmware.ParseTrust(firmware.Anchor{From: "maker.pem", Bytes: publicPEM(b, key.Public())})
	require.NoError(b, err)
	return trust
}

func saved(b *testing.B, dir, name string, content []byte) string {
	path := filepath.Join(dir, name)
	require.NoError(b, os.WriteFile(path, content, 0o600))
	return path
}

func rawImage(b *testing.B, dir string, payload []byte, key crypto.Signer) bigImage {
	sum := sha256.Sum256(payload)
	signature, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	require.NoError(b, err)
	return bigImage{saved(b, dir, "fw.bin", payload), saved(b, dir, "fw.sig", signature), trusted(b, key)}
}

func menderImage(b *testing.B, dir string, payload []byte, key crypto.Signer) bigImage {
	artifact, err := mender.Build(mender.Spec{
		Name: "release-1", DeviceTypes: []string{"board-a"}, Compression: mender.None,
		Files: []mender.File{{Name: "rootfs.ext4", Data: payload}},
	}, key)
	require.NoError(b, err)
	return bigImage{path: saved(b, dir, "release.mender", artifact), trust: trusted(b, key)}
}

func swupdateImage(b *testing.B, dir string, payload []byte, _ crypto.Signer) bigImage {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(b, err)
	archive, err := swupdate.Build(swupdate.Spec{
		Version: "1.0.0", Images: []swupdate.Artifact{{File: swupdate.File{Name: "rootfs.ext4", Data: payload}, Type: "raw"}},
	}, swupdate.Identity{Key: key})
	require.NoError(b, err)
	return bigImage{path: saved(b, dir, "release.swu", archive), trust: trusted(b, key)}
}
