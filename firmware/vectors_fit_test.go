package firmware_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/fit"
)

func fitVectors() adapter {
	return adapter{trust: fitTrust, device: fitDevice, generate: generateFIT}
}

type fitContext struct {
	Trust      string `yaml:"trust,omitempty"`
	Boots      string `yaml:"boots,omitempty"`
	BootConfig string `yaml:"boot_config,omitempty"`
	Compatible string `yaml:"compatible,omitempty"`
	Arch       string `yaml:"arch,omitempty"`
	Installed  string `yaml:"installed,omitempty"`
	SlotSize   int64  `yaml:"slot_size,omitempty"`
}

// fitTrust goes by the control device tree where the row has one, else by the bare key.
func fitTrust(t *testing.T, c vectorCase) firmware.Trust {
	var x fitContext
	c.context(t, &x)
	if c.ControlDTB != "" {
		c.Key = c.ControlDTB
	}
	trust := commonTrust(t, c)
	trust.Configuration = x.BootConfig
	return trust
}

func fitDevice(t *testing.T, c vectorCase) firmware.Device {
	var x fitContext
	c.context(t, &x)
	d := firmware.Device{Version: x.Installed, Size: x.SlotSize, Is: map[string]string{}}
	if x.BootConfig != "" {
		d.Is["configuration"] = x.BootConfig
	}
	if x.Compatible != "" {
		d.Is["compatible"] = x.Compatible
	}
	if x.Arch != "" {
		d.Is["arch"] = x.Arch
	}
	return d
}

// generateFIT makes the project's own set: for each kind of key and each way of signing a
// good image and every variant of it, under the bare key and under a control device tree.
func generateFIT(t *testing.T, dir string) manifest {
	v := &generated{t: t, format: fit.Name, dir: dir}
	keys := signers(t)
	delete(keys, "ed25519") // which FIT does not know
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	keys["rsa2048"] = rsa2048
	made := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	write := func(name string, b []byte) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		return name
	}
	for kind, key := range keys {
		keyFile := write(kind+".pem", publicPEM(t, key.Public()))
		for _, by := range []string{"conf", "image"} {
			control, err := fit.Control("", fit.Required{Name: kind, By: by, Public: key.Public()})
			require.NoError(t, err)
			tree := write(kind+"-"+by+".dtb", control)
			spec := fit.Spec{
				Description: "generated", Made: made, Default: "conf-1", SignImages: by == "image",
				Parts: []fit.Part{{Name: "kernel-1", Type: "kernel", Arch: "arm", Load: 0x8000, Data: []byte("the kernel of the product")}},
				Configurations: []fit.Configuration{{
					Name: "conf-1", Compatible: []string{"vendor,board-a"}, Uses: []fit.Use{{As: "kernel", Parts: []string{"kernel-1"}}},
				}},
			}
			good, err := fit.Build(spec, key)
			require.NoError(t, err)
			name := kind + "-" + by
			v.add(row{File: "ok-" + name, Verdict: "accept", Scope: "device", ControlDTB: tree}, good)
			if by == "conf" {
				v.add(row{File: "ok-bare-" + name, Verdict: "accept", Scope: "device", Key: keyFile}, good)
			}
			for _, variant := range fit.Format().Variants {
				bad, err := firmware.Tamper(firmware.FromBytes(good), variant, firmware.Means{Signer: key})
				if errors.Is(err, firmware.ErrNotApplicable) {
					continue
				}
				require.NoError(t, err)
				r := row{File: "bad-" + name + "-" + variant, Verdict: "reject", Scope: "signature", ControlDTB: tree}
				if d := bad.Manifest.Device; d != nil {
					r.Scope = "device"
					r.Context = node(t, fitContext{Installed: d.Version, Compatible: d.Is["compatible"], Arch: d.Is["arch"], SlotSize: d.Size})
				}
				image := bad.Bytes
				if bad.Files != nil {
					image = bad.Files[firmware.FileSecond]
				}
				v.add(r, image)
			}
		}
	}
	return manifest{Vectors: v.rows, DeviceContext: node(t, fitContext{
		Boots: "default configuration", Compatible: "vendor,board-a", Installed: made.Format(time.RFC3339),
	})}
}
