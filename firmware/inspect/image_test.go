package inspect

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func kernelText(options ...string) string {
	var b strings.Builder
	b.WriteString("#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm 5.10.110 Kernel Configuration\n#\nCONFIG_MMU=y\nCONFIG_MODULES=y\n")
	for i := range 30 {
		fmt.Fprintf(&b, "CONFIG_DRIVER_%d=m\n", i)
	}
	return b.String() + strings.Join(options, "\n") + "\n"
}

func TestKernelConfig(t *testing.T) {
	text := kernelText("CONFIG_DEVMEM=y", "CONFIG_STRICT_KERNEL_RWX=y", "# CONFIG_SECCOMP is not set", "CONFIG_CC_STACKPROTECTOR=y")
	image := append([]byte(strings.Repeat("kernel code ", 1000)+"Linux version 5.10.110 (oe@x) IKCFG_ST"), gzipOf(t, []byte(text))...)
	image = append(image, "IKCFG_ED"+strings.Repeat(" more code", 1000)...)
	for name, inv := range map[string]*Inventory{"in the kernel": inspect(t, image, Options{}), "in /boot": inspect(t, tarOf(t, []member{{"boot/config-5.10.110", 0o644, text}}), Options{})} {
		var got []string
		for _, f := range inv.Findings {
			assert.Equal(t, "kernel-config", f.Kind)
			got = append(got, f.Statement)
		}
		all := strings.Join(got, "\n")
		assert.Contains(t, all, "CONFIG_DEVMEM is set", name)
		assert.Contains(t, all, "CONFIG_SECCOMP is not set", name)
		assert.NotContains(t, all, "STRICT_KERNEL_RWX", name)
		assert.NotContains(t, all, "STACKPROTECTOR", name)
	}
	assert.Empty(t, inspect(t, tarOf(t, []member{{"etc/busybox.config", 0o644, "# Automatically generated make config: don't edit\nCONFIG_ASH=y\n"}}), Options{}).Findings)
}

// TestCarving finds containers between other bytes, wherever they begin.
func TestCarving(t *testing.T) {
	inner := gzipOf(t, cpioOf(rootFS(t)))
	for _, at := range []int{1, 511, 4096, 70_001} {
		b := append(bytes.Repeat([]byte("boot loader "), at/12+1)[:at], inner...)
		b = append(b, bytes.Repeat([]byte{0xff}, 5000)...)
		inv := inspect(t, b, Options{})
		requirePlanted(t, inv, true)
		require.NotEmpty(t, inv.NotInspected)
		for _, g := range inv.NotInspected {
			assert.Contains(t, g.Reason, "no known structure")
			assert.LessOrEqual(t, g.Offset+g.Size, int64(at), "the container and the erased end are not unknown")
		}
	}
	root := rootDir(t)
	for _, r := range recipes() {
		if r.name == "squashfs-xz" || r.name == "ext4" || r.name == "fat12" || r.name == "romfs" || r.name == "cramfs" || r.name == "ubi" || r.name == "jffs2-le" || r.name == "erofs" || r.name == "fit" || r.name == "tar-gnu" {
			t.Run(r.name, func(t *testing.T) {
				b := append(bytes.Repeat([]byte{0xff}, 0x20000), r.make(t, root)...)
				copy(b, "\x13\x37 vendor head")
				inv := inspect(t, b, Options{})
				requirePlanted(t, inv, r.modes)
			})
		}
	}
}

func TestPartitions(t *testing.T) {
	for _, label := range []string{"dos", "gpt"} {
		t.Run(label, func(t *testing.T) {
			r := recipe{label, "mbr", true, "truncate -s 8M $OUT && truncate -s 4M $OUT.p && mke2fs -q -F -d $ROOT $OUT.p && printf 'label: " + label + "\\nstart=2048, size=8192\\n' | sfdisk -q $OUT && dd if=$OUT.p of=$OUT bs=1M seek=1 conv=notrunc status=none"}
			inv := inspect(t, r.make(t, rootDir(t)), Options{})
			requirePlanted(t, inv, true)
			assert.True(t, inv.Complete, "%v", inv.NotInspected)
			assert.True(t, strings.HasPrefix(inv.Findings[0].Path, "image!partition1!/"), inv.Findings[0].Path)
		})
	}
}

func TestVulnerabilitiesAndBOM(t *testing.T) {
	b := tarOf(t, rootFS(t))
	inv := inspect(t, b, Options{})
	assert.False(t, inv.Vulnerabilities.Checked)
	var text bytes.Buffer
	require.NoError(t, inv.WriteText(&text))
	assert.Contains(t, text.String(), "NOT CHECKED")
	folder := fstest.MapFS{"x.json": {Data: []byte(`{"id":"OSV-1","aliases":["CVE-2021-1"],"modified":"2026-01-02T00:00:00Z","affected":[{"package":{"ecosystem":"","name":"busybox"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.34.0"}]}]}]}`)}}
	inv = inspect(t, b, Options{Snapshot: folder, SnapshotName: "osv-2026-01"})
	require.Len(t, inv.Vulnerabilities.Matches, 2, "of the package and of the program's version string")
	text.Reset()
	require.NoError(t, inv.WriteText(&text))
	assert.Contains(t, text.String(), "osv-2026-01, dated 2026-01-02T00:00:00Z, sha256:")
	var bom bytes.Buffer
	require.NoError(t, cdx.NewBOMEncoder(&bom, cdx.BOMFileFormatJSON).Encode(inv.BOM()))
	assert.Contains(t, bom.String(), "pkg:opkg/busybox@1.30.1-5")
	_, err := Image(t.Context(), format.FromBytes(b), Options{Snapshot: fstest.MapFS{"x.json": {Data: []byte("{")}}})
	require.ErrorIs(t, err, format.ErrMalformed)
}

// TestLargeFilesStayOffTheHeap unpacks 96 MB through a gzip and a tar.
func TestLargeFilesStayOffTheHeap(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	line := []byte(strings.Repeat("text of no meaning but with some length 0123456789 ", 1000))
	for range 2000 {
		_, err := w.Write(line)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	dir := t.TempDir()
	before := heap()
	inv := inspect(t, b.Bytes(), Options{TempDir: dir, Limits: Limits{Ratio: 1000}})
	assert.Less(t, heap()-before, int64(48<<20))
	assert.EqualValues(t, 2000*len(line), inv.Counts.Bytes)
	left, err := filepath.Glob(dir + "/*")
	require.NoError(t, err)
	assert.Empty(t, left)
}

// BenchmarkImage inspects 64 MB of programs in a tar, and takes SHA-256 of the same bytes in turn:
// the share holds on a busy machine too.
func BenchmarkImage(b *testing.B) {
	self, err := os.ReadFile(os.Args[0])
	require.NoError(b, err)
	var members []member
	for size := 0; size < 64<<20; size += len(self) {
		members = append(members, member{fmt.Sprintf("bin/p%d", size), 0o755, string(self)})
	}
	image := tarOf(b, members)
	share(b, image, func() {
		_, err := Image(b.Context(), format.FromBytes(image), Options{})
		require.NoError(b, err)
	})
}

// BenchmarkBytes is the one pass over raw bytes: needles and entropy.
func BenchmarkBytes(b *testing.B) {
	self, err := os.ReadFile(os.Args[0])
	require.NoError(b, err)
	image := bytes.Repeat(self, 64<<20/len(self)+1)
	w, err := newWalk(b.Context(), Options{})
	require.NoError(b, err)
	share(b, image, func() {
		_, err := w.pass(node{path: "image", src: format.FromBytes(image)}, 0, true)
		require.NoError(b, err)
	})
}

func share(b *testing.B, image []byte, work func()) {
	b.SetBytes(int64(len(image)))
	var own, hash time.Duration
	for b.Loop() {
		start := time.Now()
		work()
		own += time.Since(start)
		start = time.Now()
		sha256.Sum256(image)
		hash += time.Since(start)
	}
	b.ReportMetric(float64(len(image))*float64(b.N)/1e6/own.Seconds(), "MB/s-inspected")
	b.ReportMetric(100*hash.Seconds()/own.Seconds(), "%-of-sha256")
}
