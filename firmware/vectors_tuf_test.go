package firmware_test

import (
	"crypto"
	"errors"
	"io/fs"
	"maps"
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
	return adapter{generate: generateTUF, judge: func(t *testing.T, c vectorCase) {
		a := adapter{trust: tufTrust, device: tufDevice}
		switch {
		case c.Variant == "uptane": // whose order it is decides already about the signature
			c.Scope = "device"
		case c.Scope == "signature" && c.Target != "": // what a client asks for is part of every question
			c.Scope, a.device = "device", func(*testing.T, vectorCase) firmware.Device {
				return firmware.Device{Is: map[string]string{tuf.IsTarget: c.Target}}
			}
		}
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

// generateTUF makes a repository and an Uptane pair, with every variant of them, and what is
// genuine but for another time or another device.
func generateTUF(t *testing.T, dir string) manifest {
	g := &tufSet{t: t, dir: dir, at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	key := signers(t)["p256"]
	plain := g.build(key, g.spec("sensor-a", 14))
	g.add("ok", "accept", "device", "tuf", plain, plain["metadata/1.root.json"])
	img, err := firmware.OpenUnverified(firmware.Input{Dir: os.DirFS(filepath.Join(dir, "ok"))})
	require.NoError(t, err)
	for _, variant := range tuf.Format().Variants {
		bad, err := img.Tamper(variant, firmware.Means{Signer: key})
		if errors.Is(err, firmware.ErrNotApplicable) || bad.Manifest.Device != nil || variant == "toctou" {
			continue
		}
		require.NoError(t, err)
		g.add("bad-"+variant, "reject", "signature", "tuf", bad.Files, plain["metadata/1.root.json"])
	}
	for name, s := range map[string]tuf.Spec{"counter": g.spec("sensor-a", 13), "hardware": g.spec("sensor-b", 14)} {
		files := g.build(key, s)
		g.add("bad-"+name, "reject", "device", "tuf", files, files["metadata/1.root.json"])
	}
	other := signers(t)["ed25519"]
	for unit, verdict := range map[string]string{"ECU-0001": "accept", "ECU-0002": "reject"} {
		order := g.spec("sensor-a", 14)
		order.Targets["sensor.bin"].Custom["ecuIdentifiers"] = map[string]any{unit: map[string]any{"hardwareId": "sensor-a"}}
		name := verdict + "-uptane"
		director, image := g.build(key, order), g.build(other, g.spec("sensor-a", 14))
		g.write(name+"/director", director, director["metadata/1.root.json"])
		g.write(name+"/image", image, image["metadata/1.root.json"])
		g.rows = append(g.rows, row{File: name, Format: "tuf", Verdict: verdict, Scope: "device", Variant: "uptane", Target: "sensor.bin"})
	}
	return manifest{Vectors: g.rows, DeviceContext: node(t, tufContext{ReferenceTime: g.at, ECU: "ECU-0001", HardwareID: "sensor-a", Counter: new(uint64(14))})}
}

type tufSet struct {
	t    *testing.T
	dir  string
	at   time.Time
	rows []row
}

func (g *tufSet) spec(hardware string, counter int) tuf.Spec {
	return tuf.Spec{Version: 2, Expires: g.at.Add(time.Hour),
		Targets: map[string]tuf.File{"sensor.bin": {Content: []byte("the program"), Custom: map[string]any{"hardwareId": hardware, "releaseCounter": counter}}}}
}

func (g *tufSet) build(key crypto.Signer, s tuf.Spec) map[string][]byte {
	s.Signers = map[string][]crypto.Signer{"root": {key}, "timestamp": {key}, "snapshot": {key}, "targets": {key}}
	files, err := tuf.Build(s)
	require.NoError(g.t, err)
	return files
}

func (g *tufSet) add(name, verdict, scope, variant string, files map[string][]byte, root []byte) {
	g.write(name, files, root)
	g.rows = append(g.rows, row{File: name, Format: "tuf", Verdict: verdict, Scope: scope, Variant: variant, Target: "sensor.bin"})
}

func (g *tufSet) write(name string, files map[string][]byte, root []byte) {
	files = maps.Clone(files)
	files["trusted_root.json"] = root
	for file, b := range files {
		file = filepath.Join(g.dir, filepath.FromSlash(name), filepath.FromSlash(file))
		require.NoError(g.t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(g.t, os.WriteFile(file, b, 0o600))
	}
}
