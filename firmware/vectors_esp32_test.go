package firmware_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/esp32"
)

func esp32Vectors() adapter {
	return adapter{device: esp32Device, generate: generateESP32}
}

type esp32Context struct {
	ChipID             *uint16 `yaml:"chip_id"`
	Chip               string  `yaml:"chip,omitempty"`
	EfuseSecureVersion *uint64 `yaml:"efuse_secure_version"`
	TrustedKeyDigests  string  `yaml:"trusted_key_digests,omitempty"`
	ProjectName        string  `yaml:"project_name"`
	ChipRevision       string  `yaml:"chip_revision,omitempty"`
}

// newestSilicon stands in where a manifest names the chip but not its revision.
const newestSilicon = "3.99"

func esp32Device(t *testing.T, c vectorCase) firmware.Device {
	var x esp32Context
	c.context(t, &x)
	d := firmware.Device{Counter: x.EfuseSecureVersion, Is: map[string]string{"chip-revision": newestSilicon}}
	if x.ChipRevision != "" {
		d.Is["chip-revision"] = x.ChipRevision
	}
	if x.ChipID != nil {
		d.Is["chip-id"] = strconv.Itoa(int(*x.ChipID))
		var own esp32Context // what the row itself says
		vectorCase{row: c.row}.context(t, &own)
		if own.ChipID == nil && strings.Contains(x.Chip, "(13) for ecdsa") && strings.Contains(c.Key, "ecdsa") {
			d.Is["chip-id"] = "13" // the manifest has one board for each kind of key
		}
	}
	if x.ProjectName != "" {
		d.Is["project-name"] = x.ProjectName
	}
	return d
}

func esp32Signers(t *testing.T) map[string]crypto.Signer {
	rsa3072, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	p192, err := esp32.GenerateP192()
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	return map[string]crypto.Signer{"rsa3072": rsa3072, "p192": p192, "p256": p256, "p384": p384, "v1": p256}
}

// generateESP32 makes the project's own set: for each kind of key a good image, every
// variant of it, and what the maker signed for another time or another device.
func generateESP32(t *testing.T, dir string) manifest {
	v := &generated{t: t, format: "esp32", dir: dir}
	for kind, key := range esp32Signers(t) {
		public := func() []byte {
			if p, ok := key.Public().(*esp32.P192PublicKey); ok {
				der, err := p.DER()
				require.NoError(t, err)
				return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
			}
			return publicPEM(t, key.Public())
		}
		keyFile := kind + ".pem"
		require.NoError(t, os.WriteFile(filepath.Join(dir, keyFile), public(), 0o600))
		build := func(edit func(*esp32.Spec)) []byte {
			s := esp32.Spec{Chip: esp32.ChipESP32, V1: kind == "v1", SecureVersion: 3, Version: "1.4.0", Project: "thermostat", Payload: []byte("the program")}
			edit(&s)
			b, err := esp32.Build(s, key)
			require.NoError(t, err)
			return b
		}
		good := build(func(*esp32.Spec) {})
		v.add(row{File: "ok-" + kind, Verdict: "accept", Scope: "device", Key: keyFile}, good)
		v.add(row{File: "note-older-" + kind, Verdict: "policy", Scope: "device", Key: keyFile}, build(func(s *esp32.Spec) { s.Version = "1.3.0" }))
		for name, edit := range map[string]func(*esp32.Spec){
			"lower-secure-version": func(s *esp32.Spec) { s.SecureVersion = 2 },
			"no-description":       func(s *esp32.Spec) { s.NoDescription = true },
			"other-project":        func(s *esp32.Spec) { s.Project = "kettle" },
			"newer-silicon":        func(s *esp32.Spec) { s.MinRevision = 9999 },
		} {
			v.add(row{File: "bad-" + kind + "-" + name, Verdict: "reject", Scope: "device", Key: keyFile}, build(edit))
		}
		v.addTampered(good, "bad-"+kind+"-", keyFile, firmware.Means{Signer: key})
	}
	return manifest{Vectors: v.rows, DeviceContext: node(t, esp32Context{
		ChipID: new(uint16(0)), EfuseSecureVersion: new(uint64(3)), ProjectName: "thermostat",
	})}
}

// addTampered adds everything that Tamper makes of a good image, except what only a
// certain device refuses: that has rows of its own.
func (g *generated) addTampered(good []byte, prefix, key string, means firmware.Means) {
	g.t.Helper()
	f, err := firmware.Detect(firmware.FromBytes(good))
	require.NoError(g.t, err)
	for _, variant := range f.Variants {
		bad, err := firmware.Tamper(firmware.FromBytes(good), variant, means)
		if errors.Is(err, firmware.ErrNotApplicable) || bad.Manifest.Device != nil {
			continue
		}
		require.NoError(g.t, err)
		image := bad.Bytes
		if second, ok := bad.Files[firmware.FileSecond]; ok {
			image = second
		}
		g.add(row{File: prefix + variant, Verdict: "reject", Scope: "signature", Key: key}, image)
	}
}
