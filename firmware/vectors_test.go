package firmware_test

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/mcuboot"
)

var vectorsDir = flag.String("vectors", "", "folder of <format>/MANIFEST.yaml; without it the generated set is judged")

// manifest is MANIFEST.yaml of one format, with every field that it may have.
type manifest struct {
	About         string        `yaml:"about"`
	Tool          string        `yaml:"tool"`
	DeviceContext deviceContext `yaml:"device_context"`
	DevKeyNote    string        `yaml:"dev_key_note"`
	Format        string        `yaml:"format"`
	Vectors       []row         `yaml:"vectors"`
}

type deviceContext struct {
	SlotSize           string  `yaml:"slot_size"`
	InstalledVersion   string  `yaml:"installed_version"`
	MinSecurityCounter *uint32 `yaml:"min_security_counter"`
	VendorUUID         string  `yaml:"vendor_uuid"`
	ClassUUID          string  `yaml:"class_uuid"`
	Image1Version      string  `yaml:"image_1_version"`
	Rule               string  `yaml:"rule"`
}

type row struct {
	File       string        `yaml:"file"`
	Format     string        `yaml:"format"`
	Verdict    string        `yaml:"verdict"`
	Scope      string        `yaml:"scope"`
	Class      string        `yaml:"class"`
	Key        string        `yaml:"key"`
	DecryptKey string        `yaml:"decrypt_key"`
	Why        string        `yaml:"why"`
	Note       string        `yaml:"note"`
	Base       string        `yaml:"base"`
	MadeBy     string        `yaml:"made_by"`
	Checked    string        `yaml:"checked"`
	Context    deviceContext `yaml:"context"`
	Reference  string        `yaml:"reference"`
	Origin     string        `yaml:"origin"`
	Licence    string        `yaml:"licence"`
	Size       int64         `yaml:"size"`
	SHA256     string        `yaml:"sha256"`
}

// TestVectors judges every row of a folder of public vectors, or of the set that the
// project's own generator makes.
func TestVectors(t *testing.T) {
	dir := *vectorsDir
	if dir == "" {
		dir = generateVectors(t)
	}
	text, err := os.ReadFile(filepath.Join(dir, "mcuboot", "MANIFEST.yaml"))
	require.NoError(t, err)
	var m manifest
	require.NoError(t, yaml.UnmarshalWithOptions(text, &m, yaml.Strict()))
	require.Equal(t, "mcuboot", m.Format)
	require.NotEmpty(t, m.Vectors)
	for i, r := range m.Vectors {
		t.Run(fmt.Sprintf("%d_%s", i, r.File), func(t *testing.T) {
			judge(t, filepath.Join(dir, "mcuboot"), m.DeviceContext, r)
		})
	}
}

func judge(t *testing.T, dir string, device deviceContext, r row) {
	require.Equal(t, "mcuboot", r.Format)
	b, err := os.ReadFile(filepath.Join(dir, r.File))
	require.NoError(t, err)
	if r.SHA256 != "" {
		sum := sha256.Sum256(b)
		require.Equal(t, r.SHA256, hex.EncodeToString(sum[:]), "the vector itself")
	}
	pem, err := os.ReadFile(filepath.Join(dir, r.Key))
	require.NoError(t, err)
	keys, err := firmware.ParseKeys(pem)
	require.NoError(t, err)

	report, err := firmware.Verify(b, keys)
	assert.Equal(t, err == nil, report.Verified)
	switch r.Scope {
	case "signature":
	case "device":
		if err == nil {
			err = deviceOf(t, device, r.Context).Check(mustOpen(t, b, keys))
		}
	default:
		t.Fatalf("unknown scope %q", r.Scope)
	}
	t.Logf("%s: %v", r.Verdict, err)
	switch r.Verdict {
	case "accept":
		if r.DecryptKey != "" {
			// Decryption is not this package's: what can be said is that the signature fits the hash.
			require.ErrorIs(t, err, firmware.ErrEncrypted)
			return
		}
		require.NoError(t, err, r.Why)
	case "reject":
		require.Error(t, err, r.Why)
		assert.True(t, errors.Is(err, firmware.ErrMalformed) || errors.Is(err, firmware.ErrNotVerified) ||
			errors.Is(err, firmware.ErrNotForDevice), "an error without a sentinel: %v", err)
	case "policy":
		if err == nil {
			require.NotEmpty(t, report.Image.Notes, "accepted without a word: %s", r.Why)
		}
	default:
		t.Fatalf("unknown verdict %q", r.Verdict)
	}
}

func mustOpen(t *testing.T, b []byte, keys firmware.Keys) *mcuboot.Image {
	img, err := mcuboot.Open(b, keys)
	require.NoError(t, err)
	return img
}

// deviceOf is the device of the manifest, with what the row changes about it.
func deviceOf(t *testing.T, general, own deviceContext) mcuboot.Device {
	var d mcuboot.Device
	if size := cmp.Or(own.SlotSize, general.SlotSize); size != "" {
		n, err := strconv.ParseInt(size, 0, 64)
		require.NoError(t, err)
		d.SlotSize = n
	}
	if v := cmp.Or(own.InstalledVersion, general.InstalledVersion); v != "" {
		d.Installed = new(version(t, v))
	}
	d.MinCounter = cmp.Or(own.MinSecurityCounter, general.MinSecurityCounter)
	if v := cmp.Or(own.Image1Version, general.Image1Version); v != "" {
		d.Images = map[uint8]mcuboot.Version{1: version(t, v)}
	}
	// Written as uuid5(DNS, name) and uuid5(vendor uuid, name).
	dns := []byte("\x6b\xa7\xb8\x10\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8") // RFC 9562 section 6.6
	if id := cmp.Or(own.VendorUUID, general.VendorUUID); id != "" {
		d.VendorID = uuid5(dns, argument(t, id, "uuid5(DNS, "))
	}
	if id := cmp.Or(own.ClassUUID, general.ClassUUID); id != "" {
		d.ClassID = uuid5(d.VendorID, argument(t, id, "uuid5(vendor uuid, "))
	}
	return d
}

func argument(t *testing.T, call, prefix string) string {
	name, ok := strings.CutPrefix(call, prefix)
	require.True(t, ok && strings.HasSuffix(name, ")"), "uuid written as %q", call)
	return strings.TrimSuffix(name, ")")
}

// uuid5 follows RFC 9562 section 5.5.
func uuid5(space []byte, name string) []byte {
	sum := sha1.Sum(append(bytes.Clone(space), name...))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	return sum[:16]
}

func version(t *testing.T, s string) mcuboot.Version {
	v, err := mcuboot.ParseVersion(s)
	require.NoError(t, err)
	return v
}
