package fit

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// A bootTools is a folder with keys in which U-Boot's own tools run.
type bootTools struct {
	t   *testing.T
	dir string
}

func tools(t *testing.T) bootTools {
	for _, tool := range []string{"mkimage", "dumpimage", "dtc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing: install u-boot-tools and device-tree-compiler", tool)
		}
	}
	b := bootTools{t, t.TempDir()}
	for _, kind := range []string{"rsa2048", "rsa3072"} {
		b.writeKey(kind, signer(t, kind))
	}
	b.write("kernel", append(bytes.Repeat([]byte("kernel "), 300), make([]byte, 64)...))
	return b
}

func (b bootTools) path(name string) string { return filepath.Join(b.dir, name) }

func (b bootTools) write(name string, content []byte) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(b.path(name), content, 0o600))
}

func (b bootTools) read(name string) []byte {
	b.t.Helper()
	content, err := os.ReadFile(b.path(name))
	require.NoError(b.t, err)
	return content
}

func (b bootTools) run(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(b.t.Context(), name, args...)
	cmd.Dir = b.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b bootTools) must(name string, args ...string) string {
	b.t.Helper()
	out, err := b.run(name, args...)
	require.NoError(b.t, err, out)
	return out
}

// writeKey writes the key and a certificate of it, as mkimage -k looks for them.
func (b bootTools) writeKey(name string, key crypto.Signer) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(b.t, err)
	b.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}}
	der, err = x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(b.t, err)
	b.write(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// control makes a device tree for mkimage -K to put the key into.
func (b bootTools) control(name string) {
	b.write("control.dts", []byte(`/dts-v1/; / { model = "a board"; };`))
	b.must("dtc", "-q", "-I", "dts", "-O", "dtb", "-p", "4096", "-o", name, "control.dts")
}

const source = `/dts-v1/;
/ { description = "made by mkimage"; #address-cells = <1>;
	images {
		kernel-1 { description = "kernel"; data = /incbin/("kernel"); type = "kernel"; arch = "arm"; os = "linux"; compression = "none";
			load = <0x80008000>; entry = <0x80008000>; hash-1 { algo = "DIGEST"; }; IMAGE };
		fdt-1 { description = "board"; data = "a device tree"; type = "flat_dt"; arch = "arm"; compression = "none"; hash-1 { algo = "DIGEST"; }; IMAGE };
	};
	configurations { default = "conf-1";
		conf-1 { description = "a"; kernel = "kernel-1"; fdt = "fdt-1"; compatible = "vendor,board-a"; CONFIG };
		conf-2 { description = "b"; kernel = "kernel-1"; compatible = "vendor,board-b"; CONFIG };
	};
};`

// TestToolSigns verifies what Debian's mkimage signs, by the control device tree into which
// it put the key, and refuses it when the tool signs with another key or none.
func TestToolSigns(t *testing.T) {
	b := tools(t)
	for name, tc := range map[string]struct {
		key, digest, padding string
		images               bool
		flags                []string
	}{
		"rsa2048":         {"rsa2048", "sha256", "", false, nil},
		"rsa2048_pss":     {"rsa2048", "sha256", `padding = "pss";`, false, nil},
		"rsa3072_sha384":  {"rsa3072", "sha384", "", false, nil},
		"rsa2048_sha512":  {"rsa2048", "sha512", `padding = "pkcs-1.5";`, false, nil},
		"external":        {"rsa2048", "sha256", "", false, []string{"-E"}},
		"aligned":         {"rsa2048", "sha256", "", false, []string{"-E", "-B", "200"}},
		"at_a_position":   {"rsa2048", "sha256", "", false, []string{"-E", "-p", "0x4000"}},
		"images":          {"rsa2048", "sha256", "", true, nil},
		"images_external": {"rsa2048", "sha256", "", true, []string{"-E"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := bootTools{t, b.dir}
			node := `signature-1 { algo = "` + tc.digest + "," + tc.key + `"; key-name-hint = "` + tc.key + `"; ` + tc.padding + ` };`
			text := strings.ReplaceAll(source, "DIGEST", tc.digest)
			on, off := "CONFIG", "IMAGE"
			if tc.images {
				on, off = off, on
			}
			text = strings.ReplaceAll(strings.ReplaceAll(text, on, node), off, "")
			b.write(name+".its", []byte(text))
			b.control(name + ".dtb")
			b.must("mkimage", append([]string{"-f", name + ".its", "-k", ".", "-K", name + ".dtb", "-r"}, append(tc.flags, name+".itb")...)...)

			anchor := b.read(name + ".dtb")
			require.True(t, isControl(anchor))
			trust := format.Trust{Own: map[string][]format.Anchor{Name: {{From: name, Bytes: anchor}}}}
			report, err := verify(t, b.read(name+".itb"), trust)
			require.NoError(t, err)
			assert.Contains(t, report.Signature, tc.digest)
			if !tc.images {
				trust.Configuration = "conf-2"
				_, err = verify(t, b.read(name+".itb"), trust)
				require.NoError(t, err)
				_, err = verify(t, b.read(name+".itb"), bare(t, tc.key))
				require.NoError(t, err)
			}
			_, err = verify(t, b.read(name+".itb"), bare(t, "stranger"))
			require.ErrorIs(t, err, format.ErrNotVerified)
			refuseTampered(t, b.read(name+".itb"), trust, signer(t, tc.key))
		})
	}
}

// refuseTampered makes the refusal set of an image that another tool made.
func refuseTampered(t *testing.T, b []byte, trust format.Trust, key crypto.Signer) {
	trust.Configuration = ""
	img, err := OpenUnverified(format.FromBytes(b))
	require.NoError(t, err)
	made := 0
	for _, variant := range variants() {
		v, err := img.Tamper(variant, format.Means{Signer: key})
		if err != nil {
			require.ErrorIs(t, err, format.ErrNotApplicable, variant)
			continue
		}
		made++
		out := v.Bytes
		if v.Files != nil {
			out = v.Files[format.FileSecond]
		}
		changed, err := Open(format.FromBytes(out), trust)
		if v.Manifest.Device != nil && err == nil {
			err = changed.Check(*v.Manifest.Device)
		}
		require.ErrorIs(t, err, v.Manifest.Reason, variant)
	}
	require.Greater(t, made, 18)
}

// TestToolTakesOurs has mkimage sign our tree again, which it does over what it reads there,
// and dumpimage take out our data; what is broken in structure it refuses as well.
func TestToolTakesOurs(t *testing.T) {
	b := tools(t)
	for _, g := range goodImages() {
		if g.key != "rsa2048" {
			continue // mkimage of Debian 12 writes no EC keys into a control device tree
		}
		t.Run(g.name, func(t *testing.T) {
			b := bootTools{t, b.dir}
			spec := fullSpec()
			g.spec(&spec)
			spec.Hint = "rsa2048"
			spec.Parts[3].Verity = nil // which this mkimage does not cover
			ours := build1(t, spec, g.key)
			b.write("ours.itb", ours)
			b.control("ours.dtb")
			b.must("mkimage", "-F", "-k", ".", "-K", "ours.dtb", "-r", "ours.itb")
			trust := format.Trust{Own: map[string][]format.Anchor{Name: {{From: "ours.dtb", Bytes: b.read("ours.dtb")}}}}
			again := b.read("ours.itb")
			_, err := verify(t, again, trust)
			if g.by == "image" {
				require.NoError(t, err)
			} else {
				// Without sign-images it signs kernel and device tree, and leaves the loadable out.
				require.ErrorIs(t, err, format.ErrNotBound)
				trust.Configuration = "conf-2"
				_, err = verify(t, again, trust)
				require.NoError(t, err)
			}
			out := b.must("dumpimage", "-T", "flat_dt", "-p", "0", "-o", "extracted", "ours.itb")
			assert.Contains(t, out, "sha256", "it shows what it extracts")
			assert.Equal(t, spec.Parts[0].Data, b.read("extracted"))
		})
	}
}

// TestToolRefuses: dumpimage checks no signature and no hash, only that a tree is one. What
// it cannot see is what the other variants are for.
func TestToolRefuses(t *testing.T) {
	b := tools(t)
	spec := fullSpec()
	img, err := OpenUnverified(format.FromBytes(build1(t, spec, "rsa2048")))
	require.NoError(t, err)
	refuses := map[string]bool{
		format.TruncatedHeader: true, format.TruncatedPayload: true, format.TruncatedSignature: true, format.Empty: true,
		format.FakeRoot: true,
	}
	for _, variant := range variants() {
		v, err := img.Tamper(variant, format.Means{Signer: signer(t, "rsa2048")})
		if err != nil || v.Files != nil {
			continue
		}
		b.write("variant.itb", v.Bytes)
		out, err := b.run("dumpimage", "-l", "variant.itb")
		taken := err == nil && strings.Contains(out, "FIT description")
		if refuses[variant] {
			assert.False(t, taken, "%s: %s", variant, out)
			assert.Equal(t, format.LayerStructure, v.Manifest.Layer, variant)
		} else {
			assert.True(t, taken, "%s: %s %v", variant, out, err)
		}
	}
}
