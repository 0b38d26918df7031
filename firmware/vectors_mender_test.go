package firmware_test

import (
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/mender"
)

func menderVectors() adapter {
	return adapter{device: menderDevice, generate: generateMender}
}

type menderContext struct {
	DeviceType        string `yaml:"device_type"`
	InstalledArtifact string `yaml:"installed_artifact"`
	ArtifactGroup     string `yaml:"artifact_group,omitempty"`
	Trust             string `yaml:"trust,omitempty"` // prose
}

func menderDevice(t *testing.T, c vectorCase) firmware.Device {
	var x menderContext
	c.context(t, &x)
	require.NotEmpty(t, x.DeviceType)
	d := firmware.Device{Version: x.InstalledArtifact, Is: map[string]string{"device_type": x.DeviceType}}
	if x.ArtifactGroup != "" {
		d.Has = map[string]string{"artifact_group": x.ArtifactGroup}
	}
	return d
}

// generateMender makes the project's own set: a good artifact of each kind and
// compression, every variant of it, and what the maker signed for another device.
func generateMender(t *testing.T, dir string) manifest {
	v := &generated{t: t, format: "mender", dir: dir}
	keys := signers(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	keys["rsa"] = rsaKey
	for _, kind := range []string{"p256", "rsa"} {
		key, keyFile := keys[kind], kind+".pem"
		require.NoError(t, os.WriteFile(filepath.Join(dir, keyFile), publicPEM(t, key.Public()), 0o600))
		build := func(edit func(*mender.Spec)) []byte {
			s := mender.Spec{
				Name: "release-2", DeviceTypes: []string{"thermostat"}, Depends: map[string][]string{"artifact_name": {"release-1"}},
				Files: []mender.File{{Name: "rootfs.ext4", Data: []byte("the program")}}, Compression: mender.Gzip,
			}
			edit(&s)
			b, err := mender.Build(s, key)
			require.NoError(t, err)
			return b
		}
		good := build(func(*mender.Spec) {})
		v.add(row{File: "ok-" + kind, Verdict: "accept", Scope: "device", Key: keyFile}, good)
		for name, compression := range map[string]string{"plain": mender.None, "xz": mender.XZ, "zstd": mender.Zstd} {
			v.add(row{File: "ok-" + kind + "-" + name, Verdict: "accept", Scope: "device", Key: keyFile}, build(func(s *mender.Spec) { s.Compression = compression }))
		}
		older := firmware.FromBytes(build(func(s *mender.Spec) { s.Name = "release-1" })).Source
		for _, variant := range mender.Format().Variants {
			bad, err := firmware.Tamper(firmware.FromBytes(good), variant, firmware.Means{Signer: key, Older: &older})
			require.NoError(t, err, variant)
			if bad.Files != nil {
				bad.Bytes = bad.Files["second"]
			}
			if bad.Manifest.Device == nil { // else the device of this set would not know
				v.add(row{File: "bad-" + kind + "-" + variant, Verdict: "reject", Scope: "signature", Key: keyFile}, bad.Bytes)
			}
		}
		for name, edit := range map[string]func(*mender.Spec){
			"other-device": func(s *mender.Spec) { s.DeviceTypes = []string{"kettle"} },
			"dependency":   func(s *mender.Spec) { s.Depends["artifact_name"] = []string{"release-0"} },
			"group":        func(s *mender.Spec) { s.Depends["artifact_group"] = []string{"beta"} },
		} {
			v.add(row{File: "bad-" + kind + "-" + name, Verdict: "reject", Scope: "device", Key: keyFile}, build(edit))
		}
	}
	return manifest{Vectors: v.rows, DeviceContext: node(t, menderContext{DeviceType: "thermostat", InstalledArtifact: "release-1"})}
}
