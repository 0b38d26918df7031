package firmware_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
	"assay/firmware/inspect"
)

// inspectionVectors are no images of a format: each row names what the inspection must find.
func inspectionVectors() adapter {
	return adapter{judge: judgeInspection, generate: generateInspection}
}

// wantFinding is one entry of a file of expected findings.
type wantFinding struct {
	Path     string `json:"path"`
	Kind     string `json:"kind"`
	Severity string `json:"severity"`
	Why      string `json:"why"`
}

func judgeInspection(t *testing.T, c vectorCase) {
	require.Equal(t, "n/a", c.Verdict)
	switch c.Variant {
	case "elf":
		judgeELF(t, c)
	case "container":
		inv, err := inspect.Image(t.Context(), format.FromBytes(c.bytes(t, c.File)), inspect.Options{})
		require.NoError(t, err)
		if c.Expected == nil {
			// Nobody can look into it, and the result must not read as if somebody had.
			assert.False(t, inv.Complete)
			require.NotEmpty(t, inv.NotInspected)
			assert.Contains(t, inv.NotInspected[0].Reason, "encrypted")
			assert.Equal(t, inv.Size, inv.NotInspected[0].Size)
			assert.Empty(t, inv.Findings)
			return
		}
		judgeContainer(t, c, inv)
	case "":
		want := readExpected(t, c, c.File)
		require.NotEmpty(t, want)
	default:
		t.Fatalf("unknown variant %q", c.Variant)
	}
}

func readExpected(t *testing.T, c vectorCase, file string) []wantFinding {
	var want []wantFinding
	dec := json.NewDecoder(bytes.NewReader(c.bytes(t, file)))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&want))
	return want
}

// lost are findings about permissions that the image does not have: FAT and romfs record none,
// mkfs.jffs2 was told to squash them, genext2fs keeps the owner's bits only. The inspection
// notes the first two; of the others the format's own tools (jffs2reader, debugfs) show the modes.
var lost = map[string][]string{
	"mtools/dosfstools": {"suid", "permissions"}, "genromfs": {"suid", "permissions"},
	"mtd-utils 2.1.5 JFFS2": {"suid", "permissions"}, "genext2fs 1.5.0": {"permissions"},
}

func judgeContainer(t *testing.T, c vectorCase, inv *inspect.Inventory) {
	var file string
	require.NoError(t, yaml.NodeToValue(c.Expected, &file))
	maker := c.MadeBy
	if strings.Contains(c.Why, "JFFS2") {
		maker += " JFFS2"
	}
	for _, w := range readExpected(t, c, file) {
		if contains(lost[maker], w.Kind) {
			continue
		}
		n := 0
		for _, f := range inv.Findings {
			if f.Kind == w.Kind && strings.HasSuffix(f.Path, "!"+w.Path) {
				n++
			}
		}
		for _, component := range inv.Components {
			for _, p := range component.Places {
				if w.Kind == "component" && strings.HasSuffix(p.Path, "!"+w.Path) && strings.Contains(w.Why, strings.SplitN(component.Version, "-", 2)[0]) {
					n++
				}
			}
		}
		assert.Positive(t, n, "%s of %s: %s", w.Kind, w.Path, w.Why)
		if account, _, ok := strings.Cut(w.Why, ":"); ok && w.Kind == "default-password" {
			assert.True(t, says(inv, w.Kind, "account "+account+" "), "%s of %s", w.Kind, account)
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func says(inv *inspect.Inventory, kind, text string) bool {
	for _, f := range inv.Findings {
		if f.Kind == kind && strings.Contains(f.Statement, text) {
			return true
		}
	}
	return false
}

func judgeELF(t *testing.T, c vectorCase) {
	var want struct {
		PIE     *bool   `yaml:"pie"`
		NX      *bool   `yaml:"nx"`
		Canary  *bool   `yaml:"canary"`
		RELRO   *string `yaml:"relro"`
		Fortify *bool   `yaml:"fortify"`
		RPath   *string `yaml:"rpath"`
	}
	require.NoError(t, yaml.NodeToValue(c.Expected, &want, yaml.Strict()))
	inv, err := inspect.Image(t.Context(), format.FromBytes(c.bytes(t, c.File)), inspect.Options{})
	require.NoError(t, err)
	require.Len(t, inv.Programs, 1)
	got := inv.Programs[0]
	for name, pair := range map[string][2]*bool{"pie": {want.PIE, &got.PIE}, "nx": {want.NX, &got.NX}, "canary": {want.Canary, &got.Canary}, "fortify": {want.Fortify, &got.Fortify}} {
		if pair[0] != nil {
			assert.Equal(t, *pair[0], *pair[1], name)
		}
	}
	if want.RELRO != nil {
		assert.Equal(t, *want.RELRO, got.RELRO)
	}
	if want.RPath != nil {
		assert.Equal(t, *want.RPath, got.RPath+got.RunPath)
	}
}

// generateInspection makes a small set for a machine without the vectors.
func generateInspection(t *testing.T, dir string) manifest {
	files := map[string]string{
		"etc/passwd":                "root:x:0:0::/:/bin/sh\nsecond:x:0:0::/:/bin/sh\n",
		"etc/inittab":               "x:respawn:/usr/sbin/telnetd -l /bin/sh\n",
		"etc/wpa_supplicant.conf":   "network={\n psk=\"a-made-up-psk\"\n}\n",
		"usr/lib/opkg/status":       "Package: zlib\nVersion: 1.2.11-1\n",
		"etc/init.d/world-writable": "#!/bin/sh\n",
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		mode := int64(0o644)
		if strings.Contains(name, "init.d") {
			mode = 0o777
		}
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(text)), Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	expected, err := json.Marshal([]wantFinding{
		{Path: "/etc/passwd", Kind: "second-uid0"}, {Path: "/etc/inittab", Kind: "telnet-shell"}, {Path: "/etc/wpa_supplicant.conf", Kind: "hardcoded-password"},
		{Path: "/usr/lib/opkg/status", Kind: "component", Why: "zlib 1.2.11"}, {Path: "/etc/init.d/world-writable", Kind: "permissions"},
	})
	require.NoError(t, err)
	random := make([]byte, 64<<10)
	_, err = rand.Read(random)
	require.NoError(t, err)
	put := func(r row, content []byte) row {
		require.NoError(t, os.WriteFile(dir+"/"+r.File, content, 0o600))
		r.Format, r.Verdict, r.Scope = "inspection", "n/a", "signature"
		return r
	}
	node := func(text string) (r row) {
		f, err := parser.ParseBytes([]byte(text), 0)
		require.NoError(t, err)
		r.Expected = f.Docs[0].Body
		return r
	}
	container, weak, stack := node("expected.json"), node("pie: false\nnx: true\nrelro: none\ncanary: false\nfortify: false\n"), node("nx: false\n")
	return manifest{Vectors: []row{
		put(row{File: "expected.json"}, expected),
		put(row{File: "rootfs.tar.gz", Variant: "container", Expected: container.Expected}, b.Bytes()),
		put(row{File: "encrypted.bin", Variant: "container"}, random),
		put(row{File: "weak", Variant: "elf", Expected: weak.Expected}, tinyELF(t, uint32(elf.PF_R|elf.PF_W))),
		put(row{File: "stack", Variant: "elf", Expected: stack.Expected}, tinyELF(t, uint32(elf.PF_R|elf.PF_W|elf.PF_X))),
	}}
}

// tinyELF is a program of two headers, the second of which tells the rights of the stack.
func tinyELF(t *testing.T, stack uint32) []byte {
	var b bytes.Buffer
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64}
	copy(h.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	require.NoError(t, binary.Write(&b, binary.LittleEndian, h))
	require.NoError(t, binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_GNU_STACK), Flags: stack}))
	return b.Bytes()
}
