package inspect

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// member is one file of the root file system that the tests pack in every container.
type member struct {
	name string
	mode fs.FileMode
	text string
}

// planted are the kinds of findings in the root file system, by file.
var planted = []struct{ path, kind string }{
	{"/etc/passwd", "second-uid0"},
	{"/etc/passwd", "empty-password"},
	{"/etc/shadow", "default-password"},
	{"/etc/shadow", "weak-hash"},
	{"/etc/ssl/server.key", "private-key"},
	{"/etc/ssl/device.der", "private-key"},
	{"/root/.ssh/authorized_keys", "authorized-key"},
	{"/etc/config/mqtt.conf", "hardcoded-password"},
	{"/etc/wpa_supplicant.conf", "hardcoded-password"},
	{"/usr/share/app/cloud.json", "cloud-credential"},
	{"/usr/share/app/cloud.json", "token"},
	{"/etc/inittab", "telnet-shell"},
}

// rights are the findings that need permissions to be recorded.
var rights = []struct{ path, kind string }{{"/bin/tool", "suid"}, {"/etc/init.d/open", "permissions"}}

// secretTexts must never turn up in a result.
var secretTexts = []string{"Sup3rS3cret", "factory-psk-value", "AKIAZ7MADEUPTEST2Q4X", "bWFkZS11cC1zaWduYXR1cmUtZm9yLXRlc3Rz"}

func rootFS(t testing.TB) []member {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	edDER, err := x509.MarshalPKCS8PrivateKey(ed)
	require.NoError(t, err)
	return []member{
		{"etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nsupport:x:0:0::/root:/bin/sh\nguest::1001:1001::/:/bin/sh\n"},
		{"etc/shadow", 0o600, "root:$1$abcdefgh$l/LAqC8oJERu7Cmx6trtY/:19000:0:99999:7:::\nlocked:!:19000:0:99999:7:::\n"},
		{"etc/ssl/server.key", 0o600, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))},
		{"etc/ssl/device.der", 0o600, string(edDER)},
		{"root/.ssh/authorized_keys", 0o644, "# comment\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC9dsDn2EUIV7u+pOg3XUGzylbHukwMrYxnqLSlS6WX1 lab\n"},
		{"etc/config/mqtt.conf", 0o644, "broker mqtt.vendor.example\npassword Sup3rS3cret!\n"},
		{"etc/wpa_supplicant.conf", 0o644, "network={\n ssid=\"factory\"\n psk=\"factory-psk-value\"\n}\n"},
		{"usr/share/app/cloud.json", 0o644, `{"aws_access_key_id": "AKIAZ7MADEUPTEST2Q4X", "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkZXZpY2UifQ.bWFkZS11cC1zaWduYXR1cmUtZm9yLXRlc3Rz"}`},
		{"etc/inittab", 0o644, "# ::respawn:/usr/sbin/telnetd -l /bin/sh\n::respawn:/usr/sbin/telnetd -l /bin/sh\n"},
		{"etc/os-release", 0o644, "ID=lab\nVERSION_ID=\"2.1\"\n"},
		{"usr/lib/opkg/status", 0o644, "Package: busybox\nVersion: 1.30.1-5\nStatus: install ok installed\n\nPackage: gone\nVersion: 1\nStatus: deinstall ok not-installed\n"},
		{"bin/tool", 0o4755, "\x00\x01BusyBox v1.30.1 (2020-01-01)\x00" + strings.Repeat("code ", 2000)},
		{"etc/init.d/open", 0o777, "#!/bin/sh\n"},
		{"usr/share/big.txt", 0o644, strings.Repeat("a line of a longer text, so that blocks are many\n", 8000)},
	}
}

// rootDir writes the root file system to a folder, for the tools.
func rootDir(t testing.TB) string {
	dir := t.TempDir()
	for _, m := range rootFS(t) {
		path := filepath.Join(dir, m.name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(m.text), 0o600))
		mode := m.mode & 0o777
		if m.mode&0o4000 != 0 {
			mode |= fs.ModeSetuid
		}
		require.NoError(t, os.Chmod(path, mode))
	}
	require.NoError(t, os.Symlink("tool", filepath.Join(dir, "bin/sh")))
	return dir
}

func tarOf(t testing.TB, members []member) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: m.name, Mode: int64(m.mode), Size: int64(len(m.text)), Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(m.text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func cpioOf(members []member) []byte {
	var b bytes.Buffer
	add := func(name string, mode uint32, data string) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", b.Len(), mode, 0, 0, 1, 0, len(data), 0, 0, 1, 3, len(name)+1, 0, name)
		b.Write(make([]byte, -b.Len()&3))
		b.WriteString(data)
		b.Write(make([]byte, -b.Len()&3))
	}
	for _, m := range members {
		mode := uint32(m.mode)
		if mode&0o170000 == 0 {
			mode |= 0o100000
		}
		add(m.name, mode, m.text)
	}
	add("TRAILER!!!", 0, "")
	return b.Bytes()
}

func zipOf(t testing.TB, members []member) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		mode := m.mode & 0o777
		if m.mode&0o4000 != 0 {
			mode |= fs.ModeSetuid
		}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		require.NoError(t, err)
		_, err = f.Write([]byte(m.text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func gzipOf(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// recipe makes a container of the folder $ROOT as the file $OUT with tools of Debian.
type recipe struct {
	name   string
	kind   string // as the inventory names it
	modes  bool   // permissions are recorded as they are
	script string
}

func recipes() []recipe {
	var out []recipe
	for _, c := range []string{"gzip", "xz", "zstd", "lz4", "lzo", "lzma"} {
		out = append(out, recipe{"squashfs-" + c, "squashfs", true, "mksquashfs $ROOT $OUT -noappend -all-root -quiet -no-progress -comp " + c})
	}
	out = append(out, recipe{"squashfs-stored", "squashfs", true, "mksquashfs $ROOT $OUT -noappend -all-root -quiet -no-progress -noI -noD -noF -no-fragments -b 4096"})
	for _, e := range []struct{ name, options string }{
		{"ext2", "-t ext2"}, {"ext3", "-t ext3"}, {"ext4", "-t ext4"}, {"ext4-1k", "-t ext4 -b 1024"}, {"ext4-inline", "-t ext4 -O inline_data -I 256"}, {"ext4-64bit-metabg", "-t ext4 -b 1024 -O 64bit,meta_bg,^resize_inode"}, {"ext2-1k", "-t ext2 -b 1024"},
	} {
		out = append(out, recipe{e.name, "ext", true, "truncate -s 8M $OUT && mke2fs -q -F -d $ROOT " + e.options + " $OUT"})
	}
	for bits, size := range map[string]string{"12": "2M", "16": "16M", "32": "64M"} {
		out = append(out, recipe{"fat" + bits, "fat", false, "truncate -s " + size + " $OUT && mkfs.fat -F " + bits + " $OUT >/dev/null && cd $ROOT && mcopy -Q -s -i $OUT bin etc root usr ::/"})
	}
	for name, options := range map[string]string{"jffs2-le": "-l", "jffs2-be": "-b", "jffs2-padded": "-l -p", "jffs2-rtime": "-l -X rtime -x zlib", "jffs2-lzo": "-l -X lzo -y 95:lzo -x zlib"} {
		out = append(out, recipe{name, "jffs2", true, "mkfs.jffs2 -r $ROOT -o $OUT -e 64KiB " + options})
	}
	for _, c := range []string{"none", "lzo", "zlib", "zstd"} {
		out = append(out, recipe{"ubifs-" + c, "ubifs", true, "mkfs.ubifs -q -r $ROOT -o $OUT -m 2048 -e 126976 -c 200 -x " + c})
	}
	return append(out,
		recipe{"ubi", "ubi", true, "mkfs.ubifs -q -r $ROOT -o $OUT.fs -m 2048 -e 126976 -c 200 && printf '[root]\\nmode=ubi\\nimage=%s\\nvol_id=0\\nvol_type=dynamic\\nvol_name=rootfs\\nvol_flags=autoresize\\n' $OUT.fs >$OUT.ini && ubinize -o $OUT -m 2048 -p 128KiB $OUT.ini"},
		recipe{"erofs", "erofs", true, "mkfs.erofs --all-root $OUT $ROOT >/dev/null"},
		recipe{"cramfs", "cramfs", true, "mkfs.cramfs $ROOT $OUT >/dev/null"},
		recipe{"cramfs-be", "cramfs", true, "mkfs.cramfs -N big $ROOT $OUT >/dev/null"},
		recipe{"romfs", "romfs", false, "genromfs -d $ROOT -f $OUT"},
		recipe{"cpio-newc", "cpio", true, "cd $ROOT && find . | cpio --quiet -o -H newc >$OUT"},
		recipe{"cpio-crc", "cpio", true, "cd $ROOT && find . | cpio --quiet -o -H crc >$OUT"},
		recipe{"cpio-odc", "cpio", true, "cd $ROOT && find . | cpio --quiet -o -H odc >$OUT"},
		recipe{"tar-gnu", "tar", true, "tar -C $ROOT --format gnu -cf $OUT ."},
		recipe{"tar-pax", "tar", true, "tar -C $ROOT --format pax -cf $OUT ."},
		recipe{"tar.xz", "xz", true, "tar -C $ROOT -cf - . | xz -T1 >$OUT"},
		recipe{"tar.xz-blocks", "xz", true, "tar -C $ROOT -cf - . | xz -T1 --block-size=32KiB --check=sha256 >$OUT"},
		recipe{"tar.lzma", "lzma", true, "tar -C $ROOT -cf - . | xz --format=lzma >$OUT"},
		recipe{"tar.bz2", "bzip2", true, "tar -C $ROOT -cf - . | bzip2 >$OUT"},
		recipe{"tar.zst", "zstd", true, "tar -C $ROOT -cf - . | zstd -q >$OUT"},
		recipe{"tar.lz4", "lz4", true, "tar -C $ROOT -cf - . | lz4 -q >$OUT"},
		recipe{"tar.lz4-legacy", "lz4-legacy", true, "tar -C $ROOT -cf - . | lz4 -q -l >$OUT"},
		recipe{"zip", "zip", true, "cd $ROOT && zip -q -r $OUT.zip . && mv $OUT.zip $OUT"},
		recipe{"fit", "fit", true, "cd $ROOT && find . | cpio --quiet -o -H newc | gzip >$OUT.cpio.gz && printf '/dts-v1/;/{description=\"t\";#address-cells=<1>;images{ramdisk-1{description=\"r\";data=/incbin/(\"%s\");type=\"ramdisk\";arch=\"arm\";os=\"linux\";compression=\"none\";hash-1{algo=\"sha256\";};};};configurations{default=\"c\";c{ramdisk=\"ramdisk-1\";};};};' $OUT.cpio.gz >$OUT.its && mkimage -f $OUT.its $OUT >/dev/null"},
		recipe{"fit-external", "fit", true, "cd $ROOT && find . | cpio --quiet -o -H newc | gzip >$OUT.cpio.gz && printf '/dts-v1/;/{description=\"t\";#address-cells=<1>;images{ramdisk-1{description=\"r\";data=/incbin/(\"%s\");type=\"ramdisk\";arch=\"arm\";os=\"linux\";compression=\"none\";hash-1{algo=\"sha256\";};};};configurations{default=\"c\";c{ramdisk=\"ramdisk-1\";};};};' $OUT.cpio.gz >$OUT.its && mkimage -E -f $OUT.its $OUT >/dev/null"},
		recipe{"uimage", "uimage", true, "cd $ROOT && find . | cpio --quiet -o -H newc | gzip >$OUT.cpio.gz && mkimage -A arm -T ramdisk -C gzip -d $OUT.cpio.gz $OUT >/dev/null"},
	)
}

// small are for fuzzing: a mutation of a megabyte hits nothing.
func small() []recipe {
	return []recipe{
		{"fuzz-ext2", "ext", true, "truncate -s 64K $OUT && mke2fs -q -F -d $ROOT -t ext2 -b 1024 -N 16 $OUT"},
		{"fuzz-ext4", "ext", true, "truncate -s 64K $OUT && mke2fs -q -F -d $ROOT -t ext4 -b 1024 -N 16 -O ^has_journal,^resize_inode $OUT"},
		{"fuzz-fat12", "fat", false, "truncate -s 64K $OUT && mkfs.fat -F 12 $OUT >/dev/null && cd $ROOT && mcopy -Q -s -i $OUT bin etc ::/"},
		{"fuzz-ubifs", "ubifs", true, "mkfs.ubifs -q -r $ROOT -o $OUT -m 512 -e 15360 -c 30 -j 63KiB"},
		{"fuzz-ubi", "ubi", true, "printf hello >$OUT.fs && printf '[a]\\nmode=ubi\\nimage=%s\\nvol_id=0\\nvol_type=static\\nvol_name=a\\n' $OUT.fs >$OUT.ini && ubinize -o $OUT -m 512 -p 16KiB $OUT.ini"},
	}
}

// tryMake is make for a corpus: nothing where the tool is missing.
func tryMake(r recipe, root, dir string) []byte {
	out := filepath.Join(dir, "out")
	cmd := exec.Command("sh", "-e", "-c", r.script)
	cmd.Env = append(os.Environ(), "ROOT="+root, "OUT="+out, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if cmd.Run() != nil {
		return nil
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return nil
	}
	return b
}

// make runs the recipe; a missing tool skips with its name.
func (r recipe) make(t testing.TB, root string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	cmd := exec.Command("sh", "-e", "-c", r.script)
	cmd.Env = append(os.Environ(), "ROOT="+root, "OUT="+out, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	text, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(text), "not found") {
		t.Skipf("%s cannot be made here: %s", r.name, text)
	}
	require.NoError(t, err, "%s: %s", r.name, text)
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	return b
}
