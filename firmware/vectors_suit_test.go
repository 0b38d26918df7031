package firmware_test

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/suit"
)

func suitVectors() adapter {
	return adapter{trust: suitTrust, device: suitDevice, generate: generateSUIT}
}

type suitContext struct {
	VendorID   string     `yaml:"vendor_id"`
	ClassID    string     `yaml:"class_id"`
	Sequence   *uint64    `yaml:"installed_sequence_number"`
	Components [][]string `yaml:"components"`
	Versions   []int      `yaml:"supported_manifest_versions"`
	Phase      string     `yaml:"phase,omitempty"`
}

// suitTrust takes a key file that is no PEM as the shared secret of a MAC.
func suitTrust(t *testing.T, c vectorCase) firmware.Trust {
	var x suitContext
	c.context(t, &x)
	require.Contains(t, []string{"", "boot", "update"}, x.Phase)
	var trust firmware.Trust
	if c.Key == "" || bytes.Contains(c.bytes(t, c.Key), []byte("-----BEGIN ")) {
		trust = commonTrust(t, c)
	} else {
		b := c.bytes(t, c.Key)
		trust.Secrets = []firmware.Anchor{{From: c.Key, Bytes: b}}
	}
	trust.Installed = x.Phase == "boot"
	return trust
}

func suitDevice(t *testing.T, c vectorCase) firmware.Device {
	var x suitContext
	c.context(t, &x)
	d := firmware.Device{Counter: x.Sequence, Is: map[string]string{"vendor-id": x.VendorID, "class-id": x.ClassID}}
	var components, versions []string
	for _, parts := range x.Components {
		components = append(components, strings.Join(parts, "/"))
	}
	for _, v := range x.Versions {
		versions = append(versions, strconv.Itoa(v))
	}
	d.Is["components"], d.Is["manifest-versions"] = strings.Join(components, ","), strings.Join(versions, ",")
	return d
}

// generateSUIT makes the project's own set: for each kind of key and for a shared secret
// a good envelope, every variant of it, and what the author signed for another device.
func generateSUIT(t *testing.T, dir string) manifest {
	g := &generated{t: t, format: "suit", dir: dir}
	vendor := uuid5(dnsNamespace, "vendor.example")
	class := uuid5(vendor, "thermostat")
	keys := signers(t)
	keys["secret"] = nil
	for kind, key := range keys {
		keyFile, text := kind+".pem", []byte(nil)
		if key == nil {
			keyFile, text = kind+".bin", bytes.Repeat([]byte{0x5a}, 32)
		} else {
			text = publicPEM(t, key.Public())
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, keyFile), text, 0o600))
		build := func(edit func(*suit.Spec)) []byte {
			s := suit.Spec{
				Sequence: 12, VendorID: vendor, ClassID: class, URI: "#firmware", Payload: []byte("the program"),
				Text: "Update to 12", Severable: true,
			}
			edit(&s)
			return buildSUIT(t, s, key, text)
		}
		good := build(func(*suit.Spec) {})
		add := func(name, verdict, scope string, b []byte) {
			g.add(row{File: name + "-" + kind, Verdict: verdict, Scope: scope, Key: keyFile}, b)
		}
		add("ok", "accept", "device", good)
		for _, variant := range suit.Format().Variants {
			bad, err := firmware.Tamper(firmware.FromBytes(good), variant, firmware.Means{Signer: key})
			if errors.Is(err, firmware.ErrNotApplicable) || err == nil && (bad.Files != nil || bad.Manifest.Device != nil) {
				continue
			}
			require.NoError(t, err)
			add("bad-"+variant, "reject", "signature", bad.Bytes)
		}
		for name, edit := range map[string]func(*suit.Spec){
			"lower-sequence":  func(s *suit.Spec) { s.Sequence = 9 },
			"other-vendor":    func(s *suit.Spec) { s.VendorID = class },
			"other-class":     func(s *suit.Spec) { s.ClassID = vendor },
			"other-component": func(s *suit.Spec) { s.Component = []byte{1} },
		} {
			add("bad-"+name, "reject", "device", build(edit))
		}
		add("note-same-sequence", "policy", "device", build(func(s *suit.Spec) { s.Sequence = 10 }))
		add("note-untagged", "policy", "signature", build(func(s *suit.Spec) { s.Untagged = true }))
		add("ok-elsewhere", "accept", "device", build(func(s *suit.Spec) { s.URI = "coap://update.example/fw" }))
	}
	return manifest{Vectors: g.rows, DeviceContext: node(t, suitContext{
		VendorID: hex.EncodeToString(vendor), ClassID: hex.EncodeToString(class), Sequence: new(uint64(10)),
		Components: [][]string{{"00"}}, Versions: []int{1},
	})}
}

func buildSUIT(t *testing.T, s suit.Spec, key crypto.Signer, secret []byte) (b []byte) {
	var err error
	if key == nil {
		b, err = suit.BuildMAC(s, secret)
	} else {
		b, err = suit.Build(s, key)
	}
	require.NoError(t, err, fmt.Sprintf("sequence number %d", s.Sequence))
	return b
}
