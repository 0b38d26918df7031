package firmware_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/mcuboot"
)

func mcubootVectors() adapter {
	return adapter{device: mcubootDevice, generate: generateMCUboot}
}

type mcubootContext struct {
	SlotSize           string  `yaml:"slot_size"`
	InstalledVersion   string  `yaml:"installed_version"`
	MinSecurityCounter *uint64 `yaml:"min_security_counter"`
	VendorUUID         string  `yaml:"vendor_uuid"`
	ClassUUID          string  `yaml:"class_uuid"`
	Image1Version      string  `yaml:"image_1_version"`
	Rule               string  `yaml:"rule,omitempty"`
}

func mcubootDevice(t *testing.T, c vectorCase) firmware.Device {
	var x mcubootContext
	c.context(t, &x)
	d := firmware.Device{Version: x.InstalledVersion, Counter: x.MinSecurityCounter, Is: map[string]string{}, Has: map[string]string{}}
	if x.SlotSize != "" {
		n, err := strconv.ParseInt(x.SlotSize, 0, 64)
		require.NoError(t, err)
		d.Size = n
	}
	if x.Image1Version != "" {
		d.Has["1"] = x.Image1Version
	}
	vendor := uuidOf(t, x.VendorUUID, "uuid5(DNS, ", dnsNamespace)
	d.Is["vendor-id"] = hex.EncodeToString(vendor)
	d.Is["class-id"] = hex.EncodeToString(uuidOf(t, x.ClassUUID, "uuid5(vendor uuid, ", vendor))
	return d
}

// uuidOf reads uuid5(DNS, name), uuid5(vendor uuid, name), or a UUID as it is.
func uuidOf(t *testing.T, text, call string, space []byte) []byte {
	if name, ok := strings.CutPrefix(text, call); ok {
		name, ok = strings.CutSuffix(name, ")")
		require.True(t, ok, "uuid written as %q", text)
		return uuid5(space, name)
	}
	id, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	require.NoError(t, err)
	require.Len(t, id, 16)
	return id
}

// dnsNamespace is that of RFC 9562 section 6.6.
var dnsNamespace = []byte("\x6b\xa7\xb8\x10\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8")

// uuid5 follows RFC 9562 section 5.5.
func uuid5(space []byte, name string) []byte {
	sum := sha1.Sum(append(bytes.Clone(space), name...))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	return sum[:16]
}

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

// generated collects the rows of a set that is being made.
type generated struct {
	t      *testing.T
	format string
	dir    string
	rows   []row
}

// add writes the file of a row.
func (g *generated) add(r row, image []byte) {
	g.t.Helper()
	r.Format = g.format
	require.NoError(g.t, os.MkdirAll(filepath.Dir(filepath.Join(g.dir, r.File)), 0o700))
	require.NoError(g.t, os.WriteFile(filepath.Join(g.dir, r.File), image, 0o600))
	g.rows = append(g.rows, r)
}

// node is a value as a part of a manifest.
func node(t *testing.T, value any) ast.Node {
	t.Helper()
	n, err := yaml.ValueToNode(value)
	require.NoError(t, err)
	return n
}

// generateMCUboot makes the project's own set: for each kind of key a good image, every
// variant of it, and what the maker signed for another time or another device.
func generateMCUboot(t *testing.T, dir string) manifest {
	v := &generated{t: t, format: "mcuboot", dir: dir}
	vendor := uuid5(dnsNamespace, "vendor.example")
	for kind, key := range signers(t) {
		keyFile := kind + ".pem"
		require.NoError(t, os.WriteFile(filepath.Join(dir, keyFile), publicPEM(t, key.Public()), 0o600))
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
		v.addTampered(good, "bad-"+kind+"-", keyFile, firmware.Means{Signer: key})
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
	return manifest{Vectors: v.rows, DeviceContext: node(t, mcubootContext{
		SlotSize: "0x1000", InstalledVersion: "1.2.0+0", MinSecurityCounter: new(uint64(5)),
		VendorUUID: "uuid5(DNS, vendor.example)", ClassUUID: "uuid5(vendor uuid, thermostat)", Image1Version: "1.0.0+0",
	})}
}
