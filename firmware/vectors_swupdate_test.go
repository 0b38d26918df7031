package firmware_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/cms"
	"assay/firmware/swupdate"
)

func swupdateVectors() adapter {
	return adapter{trust: swupdateTrust, device: swupdateDevice, generate: generateSWUpdate}
}

type swupdateContext struct {
	HWRevision       string `yaml:"hwrevision"`
	InstalledVersion string `yaml:"installed_version"`
	NoDowngrading    string `yaml:"no_downgrading"`
	CMSTrust         string `yaml:"cms_trust,omitempty"`
	RSATrust         string `yaml:"rsa_trust,omitempty"`
	ForcedSignerName string `yaml:"forced_signer_name,omitempty"`
}

// swupdateTrust adds the day on which the certificates of the vectors are looked at.
func swupdateTrust(t *testing.T, c vectorCase) firmware.Trust {
	trust := commonTrust(t, c)
	var x swupdateContext
	c.context(t, &x)
	trust.Signer = x.ForcedSignerName
	if c.DecryptKey != "" {
		trust.Recipients = []firmware.Anchor{{From: c.DecryptKey, Bytes: c.bytes(t, c.DecryptKey)}}
	}
	trust.At = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	return trust
}

func swupdateDevice(t *testing.T, c vectorCase) firmware.Device {
	var x swupdateContext
	c.context(t, &x)
	require.NotEmpty(t, x.HWRevision)
	require.NotEmpty(t, x.NoDowngrading)
	return firmware.Device{Version: x.NoDowngrading, Is: map[string]string{"hwrevision": x.HWRevision}}
}

// generateSWUpdate makes the project's own set: a good archive by certificate and by bare
// key, every variant of it, and what the maker signed for another time or another device.
func generateSWUpdate(t *testing.T, dir string) manifest {
	v := &generated{t: t, format: "swupdate", dir: dir}
	pki, err := cms.NewPKI(cms.PKIOptions{Intermediate: true})
	require.NoError(t, err)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pki.Root.Certificate.Raw})
	for name, text := range map[string][]byte{"cms.pem": root, "raw.pem": publicPEM(t, key.Public())} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	for kind, id := range map[string]swupdate.Identity{"cms": {Key: pki.Signer.Key, Chain: pki.Chain()}, "raw": {Key: key}} {
		build := func(edit func(*swupdate.Spec)) []byte {
			s := swupdate.Spec{
				Version: "2.0.0", Hardware: []string{"1.0"}, CRC: true,
				Images: []swupdate.Artifact{{File: swupdate.File{Name: "rootfs.img", Data: []byte("the program")}, Type: "raw"}},
			}
			edit(&s)
			b, err := swupdate.Build(s, id)
			require.NoError(t, err)
			return b
		}
		good := build(func(*swupdate.Spec) {})
		v.add(row{File: "ok-" + kind, Verdict: "accept", Scope: "device", Key: kind + ".pem"}, good)
		for name, edit := range map[string]func(*swupdate.Spec){
			"json": func(s *swupdate.Spec) { s.JSON = true },
			"newc": func(s *swupdate.Spec) { s.CRC = false },
		} {
			v.add(row{File: "ok-" + kind + "-" + name, Verdict: "accept", Scope: "device", Key: kind + ".pem"}, build(edit))
		}
		v.add(row{File: "note-" + kind + "-extra", Verdict: "policy", Scope: "device", Key: kind + ".pem"}, build(func(s *swupdate.Spec) {
			s.Extra = []swupdate.File{{Name: "extra", Data: []byte("x")}}
		}))
		older := firmware.FromBytes(build(func(s *swupdate.Spec) { s.Version, s.Images[0].Data = "1.0.0", []byte("old") })).Source
		means := firmware.Means{Signer: id.Key, Chain: id.Chain, Issuer: pki.Issuer().Key, Older: &older}
		for _, variant := range swupdate.Format().Variants {
			bad, err := firmware.Tamper(firmware.FromBytes(good), variant, means)
			if errors.Is(err, firmware.ErrNotApplicable) {
				continue
			}
			require.NoError(t, err, variant)
			if bad.Files != nil {
				bad.Bytes = bad.Files["second"]
			}
			if bad.Manifest.Device == nil { // else the device of this set would not know
				v.add(row{File: "bad-" + kind + "-" + variant, Verdict: "reject", Scope: "signature", Key: kind + ".pem"}, bad.Bytes)
			}
		}
		for name, edit := range map[string]func(*swupdate.Spec){
			"older-version":  func(s *swupdate.Spec) { s.Version = "1.9.9" },
			"other-hardware": func(s *swupdate.Spec) { s.Hardware = []string{"2.0"} },
		} {
			v.add(row{File: "bad-" + kind + "-" + name, Verdict: "reject", Scope: "device", Key: kind + ".pem"}, build(edit))
		}
	}
	return manifest{Vectors: v.rows, DeviceContext: node(t, swupdateContext{HWRevision: "board:1.0", InstalledVersion: "2.0.0", NoDowngrading: "2.0.0"})}
}
