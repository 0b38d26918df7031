package firmware_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/mcuboot"
)

func publicPEM(t testing.TB, key crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func signers(t testing.TB) map[string]crypto.Signer {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return map[string]crypto.Signer{"p256": p256, "p384": p384, "ed25519": ed}
}

// vectors writes a folder as TestVectors reads it.
type vectors struct {
	t    *testing.T
	dir  string
	rows []row
}

func (v *vectors) add(r row, image []byte) {
	v.t.Helper()
	r.Format = "mcuboot"
	require.NoError(v.t, os.WriteFile(filepath.Join(v.dir, r.File), image, 0o600))
	v.rows = append(v.rows, r)
}

// generateVectors makes the project's own set: for each kind of key a good image, every
// variant of it, and what the maker signed for another time or another device.
func generateVectors(t *testing.T) string {
	root := t.TempDir()
	v := &vectors{t: t, dir: filepath.Join(root, "mcuboot")}
	require.NoError(t, os.Mkdir(v.dir, 0o700))
	vendor := uuid5([]byte("\x6b\xa7\xb8\x10\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8"), "vendor.example")
	for kind, key := range signers(t) {
		keyFile := kind + ".pem"
		require.NoError(t, os.WriteFile(filepath.Join(v.dir, keyFile), publicPEM(t, key.Public()), 0o600))
		build := func(edit func(*mcuboot.Spec)) []byte {
			s := mcuboot.Spec{
				Version: mcuboot.Version{Major: 1, Minor: 2}, SecurityCounter: 5, Payload: []byte("the program"),
				VendorID: vendor, ClassID: uuid5(vendor, "thermostat"),
				Dependencies: []mcuboot.Dependency{{Image: 1, Minimum: mcuboot.Version{Major: 1}}},
			}
			edit(&s)
			b, err := mcuboot.Build(s, key)
			require.NoError(t, err)
			return b
		}
		good := build(func(*mcuboot.Spec) {})
		v.add(row{File: "ok-" + kind, Verdict: "accept", Scope: "device", Key: keyFile}, good)
		for _, variant := range firmware.Variants() {
			b, _, err := firmware.Tamper(good, variant)
			require.NoError(t, err)
			v.add(row{File: fmt.Sprintf("bad-%s-%s", kind, variant), Verdict: "reject", Scope: "signature", Key: keyFile}, b)
		}
		for name, edit := range map[string]func(*mcuboot.Spec){
			"older-version": func(s *mcuboot.Spec) { s.Version.Minor = 1 },
			"lower-counter": func(s *mcuboot.Spec) { s.SecurityCounter = 4 },
			"no-counter":    func(s *mcuboot.Spec) { s.SecurityCounter = 0 },
			"other-class":   func(s *mcuboot.Spec) { s.ClassID = uuid5(vendor, "kettle") },
			"dependency":    func(s *mcuboot.Spec) { s.Dependencies[0].Minimum.Major = 9 },
			"too-large":     func(s *mcuboot.Spec) { s.Payload = make([]byte, 4096) },
		} {
			v.add(row{File: "bad-" + kind + "-" + name, Verdict: "reject", Scope: "device", Key: keyFile}, build(edit))
		}
	}
	text, err := yaml.Marshal(manifest{Format: "mcuboot", Vectors: v.rows, DeviceContext: deviceContext{
		SlotSize: "0x1000", InstalledVersion: "1.2.0+0", MinSecurityCounter: new(uint32(5)),
		VendorUUID: "uuid5(DNS, vendor.example)", ClassUUID: "uuid5(vendor uuid, thermostat)", Image1Version: "1.0.0+0",
	}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(v.dir, "MANIFEST.yaml"), text, 0o600))
	return root
}
