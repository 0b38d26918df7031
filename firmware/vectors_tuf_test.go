package firmware_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/tuf"
)

func tufVectors() adapter {
	a := adapter{trust: tufTrust, device: tufDevice}
	return adapter{generate: generateTUF, judge: func(t *testing.T, c vectorCase) {
		judgeRow(t, c, a)
	}}
}

type tufContext struct {
	ReferenceTime time.Time `yaml:"reference_time,omitempty"`
	ECU           string    `yaml:"ecu,omitempty"`
	HardwareID    string    `yaml:"hardware_id,omitempty"`
	Counter       *uint64   `yaml:"installed_release_counter,omitempty"`
}

// tufTrust takes the roots that a client ships with, and what it has already seen, from where
// the vectors lay them: beside the repository, which is not asked for them.
func tufTrust(t *testing.T, c vectorCase) firmware.Trust {
	var x tufContext
	c.context(t, &x)
	var anchors []firmware.Anchor
	err := filepath.WalkDir(c.path(c.File), func(file string, e fs.DirEntry, err error) error {
		if err == nil && (e.Name() == "trusted_root.json" || filepath.Base(filepath.Dir(file)) == "client-state") {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			from, err := filepath.Rel(c.path(c.File), file)
			require.NoError(t, err)
			anchors = append(anchors, firmware.Anchor{From: path.Clean(filepath.ToSlash(from)), Bytes: b})
		}
		return err
	})
	require.NoError(t, err)
	trust, err := firmware.ParseTrust(anchors...)
	require.NoError(t, err)
	require.NotEmpty(t, trust.Own[tuf.Name])
	trust.At = x.ReferenceTime
	return trust
}

func tufDevice(t *testing.T, c vectorCase) firmware.Device {
	var x tufContext
	c.context(t, &x)
	d := firmware.Device{Counter: x.Counter, Is: map[string]string{tuf.IsTarget: c.Target, tuf.IsHardware: x.HardwareID}}
	if c.Variant == "uptane" {
		d.Is[tuf.IsECU] = x.ECU
	}
	return d
}

func generateTUF(t *testing.T, dir string) manifest { return manifest{} }
