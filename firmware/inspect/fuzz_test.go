package inspect

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"assay/firmware/format"
	"assay/firmware/inspect/archive"
	"assay/firmware/inspect/boot"
	"assay/firmware/inspect/cramfs"
	"assay/firmware/inspect/erofs"
	"assay/firmware/inspect/ext"
	"assay/firmware/inspect/fat"
	"assay/firmware/inspect/jffs2"
	"assay/firmware/inspect/packed"
	"assay/firmware/inspect/romfs"
	"assay/firmware/inspect/squashfs"
	"assay/firmware/inspect/tree"
	"assay/firmware/inspect/ubi"
)

// seed makes the recipes with the names for a small root file system; what the machine has
// no tool for is left out: a fuzz target runs without a corpus too.
func seed(f *testing.F, names ...string) {
	root := f.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		f.Fatal(err)
	}
	for name, text := range map[string]string{"etc/passwd": "root::0:0::/:/bin/sh\n", "etc/long": string(bytes.Repeat([]byte("0123456789abcdef"), 700)), "bin": "\x7fELF"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	if runtime.GOOS == "linux" {
		_ = os.Symlink("../bin", filepath.Join(root, "etc/link"))
	}
	for _, r := range append(recipes(), small()...) {
		for _, name := range names {
			if r.name == name {
				if b := tryMake(r, root, f.TempDir()); len(b) > 0 && len(b) < 1<<20 {
					f.Add(b)
				}
			}
		}
	}
}

// walkAll reads every entry to its end, with bounds as the inspection has them.
func walkAll(t *testing.T, read tree.Reader, b []byte) {
	left, entries := int64(8<<20), 0
	used, err := read(format.FromBytes(b), func(e tree.Entry) error {
		if entries++; entries > 2000 || left <= 0 {
			return tree.ErrLimit
		}
		tree.Clean(e.Name)
		if len(e.Target) > tree.MaxName {
			t.Fatalf("target of %d bytes", len(e.Target))
		}
		if e.Place != nil {
			left -= e.Place.Size()
			if e.Place.Size() > int64(len(b)) {
				t.Fatalf("%d bytes of %d lie in one piece", e.Place.Size(), len(b))
			}
		}
		if e.Open != nil {
			if r, err := e.Open(); err == nil {
				n, _ := io.CopyN(io.Discard, r, min(left, 4<<20))
				left -= n
			}
		}
		return nil
	})
	if err == nil && (used < 0 || used > int64(len(b))) {
		t.Fatalf("%d bytes used of %d", used, len(b))
	}
}

func fuzzReader(f *testing.F, read tree.Reader, names ...string) {
	seed(f, names...)
	f.Fuzz(func(t *testing.T, b []byte) { walkAll(t, read, b) })
}

func FuzzSquashfs(f *testing.F) {
	fuzzReader(f, squashfs.Walk, "squashfs-gzip", "squashfs-lz4", "squashfs-lzo", "squashfs-stored")
}
func FuzzExt(f *testing.F)    { fuzzReader(f, ext.Walk, "fuzz-ext2", "fuzz-ext4") }
func FuzzFAT(f *testing.F)    { fuzzReader(f, fat.Walk, "fuzz-fat12") }
func FuzzRomfs(f *testing.F)  { fuzzReader(f, romfs.Walk, "romfs") }
func FuzzCramfs(f *testing.F) { fuzzReader(f, cramfs.Walk, "cramfs", "cramfs-be") }
func FuzzJFFS2(f *testing.F)  { fuzzReader(f, jffs2.Walk, "jffs2-le", "jffs2-be", "jffs2-rtime") }
func FuzzUBI(f *testing.F)    { fuzzReader(f, ubi.Walk, "fuzz-ubi") }
func FuzzUBIFS(f *testing.F)  { fuzzReader(f, ubi.FS, "fuzz-ubifs") }
func FuzzEROFS(f *testing.F)  { fuzzReader(f, erofs.Walk, "erofs") }
func FuzzCPIO(f *testing.F)   { fuzzReader(f, archive.CPIO, "cpio-newc", "cpio-odc") }
func FuzzTar(f *testing.F)    { fuzzReader(f, archive.Tar, "tar-gnu", "tar-pax") }
func FuzzZip(f *testing.F)    { fuzzReader(f, archive.Zip, "zip") }
func FuzzAr(f *testing.F) {
	f.Add([]byte("!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n"))
	fuzzReader(f, archive.Ar)
}
func FuzzUImage(f *testing.F) { fuzzReader(f, boot.UImage, "uimage") }
func FuzzFIT(f *testing.F)    { fuzzReader(f, boot.FIT, "fit", "fit-external") }
func FuzzPartitions(f *testing.F) {
	f.Add(make([]byte, 2048), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, which byte) {
		walkAll(t, []tree.Reader{boot.MBR, boot.GPT, boot.Android}[int(which)%3], b)
	})
}

func FuzzStreams(f *testing.F) {
	seed(f, "tar.xz", "tar.xz-blocks", "tar.lzma", "tar.bz2", "tar.zst", "tar.lz4", "tar.lz4-legacy")
	f.Fuzz(func(t *testing.T, b []byte) {
		if k := packed.Detect(b); k != "" {
			walkAll(t, streamReader(k), b)
		}
	})
}

func FuzzLZO(f *testing.F) {
	f.Add([]byte("\x15hello\x11\x00\x00"), 100)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		limit = min(max(limit, 0), 1<<16)
		if out, err := packed.Block(packed.LZO, b, limit); err == nil && len(out) > limit {
			t.Fatalf("%d bytes, at most %d", len(out), limit)
		}
	})
}

// FuzzImage is the whole inspection.
func FuzzImage(f *testing.F) {
	seed(f, "cpio-newc", "tar-gnu", "squashfs-gzip", "fit", "jffs2-le", "tar.xz")
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte("Package: a\nVersion: 1\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Image(t.Context(), format.FromBytes(b), Options{Limits: Limits{Files: 2000, Total: 16 << 20, FileSize: 8 << 20}}); err != nil {
			t.Fatal(err)
		}
	})
}
