package inspect

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func randomBytes(t testing.TB, n int) []byte {
	b := make([]byte, n)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

func reasons(gaps []Gap) string {
	var out []string
	for _, g := range gaps {
		out = append(out, g.Path+": "+g.Reason)
	}
	return strings.Join(out, "\n")
}

// zeros is a gzip stream of n zero bytes.
func zeros(t testing.TB, n int64) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.CopyN(w, zeroReader{}, n)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestEncryptedIsNeverClean(t *testing.T) {
	for name, b := range map[string][]byte{
		"random": randomBytes(t, 64<<10), "random with a head": append(bytes.Repeat([]byte("HEAD"), 1024), randomBytes(t, 64<<10)...),
		"random in a tar": tarOf(t, []member{{"fw.bin", 0o644, string(randomBytes(t, 64<<10))}}),
		"luks":            append([]byte("LUKS\xba\xbe\x00\x02"), randomBytes(t, 64<<10)...),
		"openssl enc":     append([]byte("Salted__"), randomBytes(t, 1000)...),
		"plain bytes":     bytes.Repeat([]byte("\x01\x02\x03 machine code of some kind \x80"), 500),
	} {
		t.Run(name, func(t *testing.T) {
			inv := inspect(t, b, Options{})
			assert.False(t, inv.Complete)
			require.NotEmpty(t, inv.NotInspected)
			var text bytes.Buffer
			require.NoError(t, inv.WriteText(&text))
			assert.Contains(t, text.String(), "INCOMPLETE")
			assert.Regexp(t, "encrypted|no known structure", reasons(inv.NotInspected))
		})
	}
}

func TestBombs(t *testing.T) {
	big := zeros(t, 20<<20)
	nested := zeros(t, 1<<20)
	for range 40 {
		nested = gzipOf(t, nested)
	}
	many := make([]member, 3000)
	for i := range many {
		many[i] = member{fmt.Sprintf("f%d", i), 0o644, "x"}
	}
	for _, c := range []struct {
		name   string
		image  []byte
		limits Limits
		want   string
	}{
		{"ratio", big, Limits{Free: 1 << 20}, "unpacks to far more than its size"},
		{"ratio in a zip", zipOf(t, []member{{"a", 0o644, string(make([]byte, 20<<20))}}), Limits{Free: 1 << 20}, "unpacks to far more than its size"},
		{"one file", big, Limits{FileSize: 1 << 20}, "file of more than 1048576 bytes"},
		{"all files", tarOf(t, []member{{"a.gz", 0o644, string(zeros(t, 3<<20))}, {"b.gz", 0o644, string(zeros(t, 3<<20))}}), Limits{Total: 4 << 20}, "more than 4194304 bytes in all files"},
		{"all files without packing", cpioOf([]member{{"a", 0o644, strings.Repeat("a", 3<<20)}, {"b", 0o644, strings.Repeat("b", 3<<20)}}), Limits{Total: 4 << 20}, "more than 4194304 bytes in all files"},
		{"number of files", tarOf(t, many), Limits{Files: 1000}, "more than 1000 entries"},
		{"depth", nested, Limits{}, "deeper than 12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			inv := inspect(t, c.image, Options{Limits: c.limits, TempDir: dir})
			assert.Contains(t, reasons(inv.LimitsHit), c.want)
			assert.False(t, inv.Complete)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, left, "temporary files stay behind")
		})
	}
}

// TestNothingLeaves packs what classic attacks on unpackers pack. The working folder and the
// temporary one must stay empty, and each attack must be told.
func TestNothingLeaves(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "../../up", Typeflag: tar.TypeReg}, {Name: "/etc/absolute", Typeflag: tar.TypeReg}, {Name: "a/../../b", Typeflag: tar.TypeReg},
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, {Name: "link/passwd", Typeflag: tar.TypeReg},
		{Name: "d/up", Typeflag: tar.TypeSymlink, Linkname: "../../.."}, {Name: "hard", Typeflag: tar.TypeLink, Linkname: "../../etc/shadow"},
		{Name: "dev/sda", Typeflag: tar.TypeBlock, Devmajor: 8}, {Name: "tmp/mem", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 1}, {Name: "fifo", Typeflag: tar.TypeFifo},
		{Name: "bell\a\x1b[31m", Typeflag: tar.TypeReg},
	} {
		require.NoError(t, w.WriteHeader(&h))
	}
	require.NoError(t, w.Close())
	cpio := cpioOf([]member{{"../../up", 0o644, "x"}, {"link", 0o120777, "../../../etc"}, {"link/x", 0o644, "x"}, {"sda", 0o60644, ""}})
	for name, c := range map[string]struct {
		image []byte
		want  []string
	}{
		"tar":  {b.Bytes(), []string{"path-escape /up", "path-escape /b", "path-escape /link/passwd", "path-escape /d/up", "path-escape /hard", "device-node /tmp/mem"}},
		"cpio": {cpio, []string{"path-escape /up", "path-escape /link", "path-escape /link/x", "device-node /sda"}},
		"zip":  {zipOf(t, []member{{"../../up", 0o644, "x"}, {`..\..\windows`, 0o644, "x"}}), []string{"path-escape /up", "path-escape /..\\\\..\\\\windows"}},
	} {
		t.Run(name, func(t *testing.T) {
			inv := inspect(t, c.image, Options{TempDir: dir})
			var got []string
			for _, f := range inv.Findings {
				got = append(got, f.Kind+" "+strings.TrimPrefix(f.Path, "image!"))
			}
			for _, want := range c.want {
				assert.Contains(t, got, want)
			}
			j, err := json.Marshal(inv)
			require.NoError(t, err)
			assert.NotContains(t, string(j), "\\u001b[")
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

// TestCircles: folders that contain themselves end, and are told.
func TestCircles(t *testing.T) {
	romfs := make([]byte, 256)
	copy(romfs, "-rom1fs-")
	binary.BigEndian.PutUint32(romfs[8:], 256)
	entry := func(at, next, info int, name string) {
		binary.BigEndian.PutUint32(romfs[at:], uint32(next))
		binary.BigEndian.PutUint32(romfs[at+4:], uint32(info))
		copy(romfs[at+16:], name)
	}
	entry(32, 64|1, 32, "self") // a folder whose first entry is itself
	entry(64, 0|1, 32, "again")
	var sum uint32
	for i := 0; i < 256; i += 4 {
		sum += binary.BigEndian.Uint32(romfs[i:])
	}
	binary.BigEndian.PutUint32(romfs[12:], -sum)
	inv := inspect(t, romfs, Options{})
	assert.Contains(t, reasons(inv.NotInspected), "circle")
	t.Run("ext4", func(t *testing.T) {
		root := t.TempDir()
		require.NoError(t, os.MkdirAll(root+"/a/b", 0o755))
		b := recipe{"ext4", "ext", true, "truncate -s 1M $OUT && mke2fs -q -F -b 1024 -d $ROOT $OUT && printf 'ln <2> /a/loop\\n' >$OUT.cmd && debugfs -w -f $OUT.cmd $OUT >/dev/null 2>&1"}.make(t, root)
		inv := inspect(t, b, Options{})
		assert.Contains(t, reasons(inv.NotInspected), "circle")
	})
	t.Run("fat", func(t *testing.T) {
		b := recipe{"fat", "fat", false, "truncate -s 1M $OUT && mkfs.fat -F 12 $OUT >/dev/null && mmd -i $OUT ::/a ::/a/b"}.make(t, t.TempDir())
		// The folder b, whose entry lies in a's cluster, gets a's cluster as its own.
		at := bytes.Index(b, []byte("A          \x10"))
		first := binary.LittleEndian.Uint16(b[at+26:])
		at = bytes.Index(b, []byte("B          \x10"))
		binary.LittleEndian.PutUint16(b[at+26:], first)
		inv := inspect(t, b, Options{})
		assert.Contains(t, reasons(inv.NotInspected), "circle")
	})
}

func TestDevicesInFileSystems(t *testing.T) {
	root := t.TempDir()
	for _, r := range []recipe{
		{"squashfs", "squashfs", true, "mksquashfs $ROOT $OUT -noappend -quiet -no-progress -p 'sda b 600 0 0 8 0' -p 'mem c 600 0 0 1 1' -p 'q s 777 0 0 /etc'"},
		{"cpio", "cpio", true, "cp $ROOT/x $OUT"},
	} {
		t.Run(r.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(root+"/x", cpioOf([]member{{"sda", 0o60600, ""}, {"mem", 0o20600, ""}}), 0o600))
			inv := inspect(t, r.make(t, root), Options{})
			assert.GreaterOrEqual(t, inv.Counts.Devices, 2)
			assert.True(t, has(inv, "/sda", "device-node") && has(inv, "/mem", "device-node"))
		})
	}
}

// TestManyHeads: places that look like containers and make their readers search what follows
// must not cost the square of the size.
func TestManyHeads(t *testing.T) {
	zipHead := zipOf(t, []member{{"a", 0o644, "x"}})[:64]
	node := []byte{0x85, 0x19, 0x02, 0xe0, 12, 0, 0, 0, 0, 0, 0, 0} // of JFFS2
	binary.LittleEndian.PutUint32(node[8:], ^crc32.Update(^uint32(0), crc32.IEEETable, node[:8]))
	for name, unit := range map[string][]byte{"zip": zipHead, "jffs2": node, "ubi": append([]byte("UBI#\x01"), make([]byte, 59)...), "cpio": cpioOf([]member{{"a", 0o644, "x"}})[:112]} {
		t.Run(name, func(t *testing.T) {
			size := 4 << 20
			if testing.Short() { // as the race detector is asked for: it costs ten times as much
				size = 1 << 20
			}
			b := append([]byte("head"), bytes.Repeat(unit, size/len(unit))...)
			start := time.Now()
			inv := inspect(t, b, Options{})
			assert.False(t, inv.Complete)
			assert.Less(t, time.Since(start), time.Minute)
		})
	}
}

// TestBarrenIsTold: a stream that gives not one byte must not pass for a file without anything in it.
func TestBarrenIsTold(t *testing.T) {
	for name, b := range map[string][]byte{
		"cut": append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3}, "0123456789"...),
		"nil": append(gzipOf(t, []byte("hello hello hello"))[:20], make([]byte, 100)...),
	} {
		inv := inspect(t, tarOf(t, []member{{"etc/x.gz", 0o644, string(b)}}), Options{})
		assert.False(t, inv.Complete, name)
		require.NotEmpty(t, inv.NotInspected, name)
		assert.Contains(t, inv.NotInspected[0].Path, "etc/x.gz")
	}
}

func TestBrokenIsTold(t *testing.T) {
	members := rootFS(t)
	good := map[string][]byte{"cpio": cpioOf(members), "tar": tarOf(t, members), "gzip": gzipOf(t, tarOf(t, members)), "zip": zipOf(t, members)}
	for name, b := range good {
		inv := inspect(t, b[:len(b)*2/3], Options{})
		assert.False(t, inv.Complete, name)
		assert.NotEmpty(t, inv.NotInspected, name)
	}
	// What stood before the fault is still inspected.
	assert.True(t, has(inspect(t, good["gzip"][:len(good["gzip"])-9], Options{}), "/etc/passwd", "second-uid0"))
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Image(ctx, format.FromBytes(make([]byte, 1<<20)), Options{})
	require.ErrorIs(t, err, context.Canceled)
}

// TestMutants changes images of every kind in 10,000 ways in all. None may panic, hang, or take
// memory beyond the limits; what is broken must be told or be of no consequence.
func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 200
	}
	members := append(rootFS(t)[:1], rootFS(t)[2:6]...) // without hashes: they take the time of ten images
	good := [][]byte{cpioOf(members), tarOf(t, members), zipOf(t, members), gzipOf(t, cpioOf(members))}
	root := t.TempDir()
	for _, m := range members {
		require.NoError(t, os.MkdirAll(root+"/etc/ssl", 0o755))
		require.NoError(t, os.MkdirAll(root+"/root/.ssh", 0o755))
		require.NoError(t, os.MkdirAll(root+"/etc/config", 0o755))
		require.NoError(t, os.WriteFile(root+"/"+m.name, []byte(m.text), 0o600))
	}
	if _, err := exec.LookPath("mksquashfs"); err == nil {
		for _, r := range recipes() {
			if r.name == "ubi" || strings.HasPrefix(r.name, "ubifs-") || strings.HasPrefix(r.name, "fat") || strings.HasPrefix(r.name, "ext") || r.name == "zip" {
				continue // of megabytes: the fuzz targets of their readers see them
			}
			if b := r.make(t, root); len(b) < 128<<10 {
				good = append(good, b)
			}
		}
	}
	limits := Limits{Files: 5000, Total: 64 << 20, FileSize: 16 << 20}
	r := mrand.New(mrand.NewPCG(3, 9))
	start := time.Now()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range count {
		b := bytes.Clone(good[i%len(good)])
		for range 1 + r.IntN(4) {
			mutate(r, b)
		}
		if r.IntN(8) == 0 {
			b = b[:r.IntN(len(b))]
		}
		_, err := Image(t.Context(), format.FromBytes(b), Options{Limits: limits, TempDir: root})
		require.NoError(t, err)
	}
	runtime.ReadMemStats(&after)
	t.Logf("%d mutants of %d images in %v, %d MB of heap from the system", count, len(good), time.Since(start), (after.HeapSys-before.HeapSys)>>20)
	assert.Less(t, after.HeapSys, uint64(1<<30))
}

func mutate(r *mrand.Rand, b []byte) {
	at := r.IntN(len(b))
	if r.IntN(3) == 0 {
		at = r.IntN(min(len(b), 256)) // where heads are
	}
	switch r.IntN(4) {
	case 0:
		b[at] ^= 1 << r.IntN(8)
	case 1:
		b[at] = byte(r.Uint32())
	case 2:
		for i := at; i < min(len(b), at+4); i++ {
			b[i] = 0xff
		}
	case 3:
		for i := at; i < min(len(b), at+1+r.IntN(8)); i++ {
			b[i] = byte(r.Uint32())
		}
	}
}

// heap is what is in use now.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
