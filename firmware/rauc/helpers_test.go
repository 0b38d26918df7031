package rauc

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// at is the time of the tests that ask no tool.
var at = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

func newPKI(t testing.TB, o cms.PKIOptions) *cms.PKI {
	p, err := cms.NewPKI(o)
	require.NoError(t, err)
	return p
}

func trustOf(p *cms.PKI) format.Trust {
	return format.Trust{Roots: []format.Root{{Certificate: p.Root.Certificate, From: "root.pem"}}, At: p.At}
}

func signBy(p *cms.PKI) cms.SignOptions {
	chain := p.Chain()
	return cms.SignOptions{Signers: []cms.Identity{p.Signer}, Certificates: chain[1 : len(chain)-1]}
}

func meansOf(p *cms.PKI) format.Means {
	return format.Means{Signer: p.Signer.Key, Chain: p.Chain(), Issuer: p.Issuer().Key}
}

// junk is a payload that begins like a squashfs and holds none.
func junk(size int) []byte {
	b := bytes.Repeat([]byte("firmware"), size/8)
	copy(b, squashfsMagic)
	binary.LittleEndian.PutUint64(b[40:], uint64(size))
	return b
}

var rootfs = []ImageEntry{{Slot: "rootfs", Filename: "rootfs.img", Size: 9000,
	SHA256: "797dfc59bb33cdb21601e2d218ee5e16efb54423237d2f9749d659c76ebf88b0"}}

func specOf(kind Kind, p *cms.PKI) Spec {
	return Spec{Kind: kind, Payload: junk(5 * blockSize), Compatible: "Board A", Version: "2026.11-1", Images: rootfs, Sign: signBy(p)}
}

func build(t testing.TB, s Spec) []byte {
	b, err := Build(s)
	require.NoError(t, err)
	return b
}

func opened(t testing.TB, b []byte) *Bundle {
	bundle, err := OpenUnverified(format.FromBytes(b))
	require.NoError(t, err)
	return bundle
}

// verify goes through both steps.
func verify(b []byte, trust format.Trust) (format.Report, error) {
	bundle, err := OpenUnverified(format.FromBytes(b))
	if err != nil {
		return format.Report{}, err
	}
	return bundle.Verify(trust)
}

// squashed is a real squashfs of the files.
func squashed(t testing.TB, files map[string][]byte, more ...string) []byte {
	tool, err := exec.LookPath("mksquashfs")
	if err != nil {
		t.Skip("mksquashfs of Debian's squashfs-tools is not there")
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	require.NoError(t, os.Mkdir(in, 0o755))
	for file, b := range files {
		require.NoError(t, os.WriteFile(filepath.Join(in, file), b, 0o644))
	}
	log, err := exec.Command(tool, append([]string{in, out, "-all-root", "-noappend", "-quiet"}, more...)...).CombinedOutput()
	require.NoError(t, err, "%s", log)
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	return b
}

func pkcs8(t testing.TB, key crypto.Signer) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
