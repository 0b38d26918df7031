package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"assay/firmware/format"
	"assay/firmware/inspect/archive"
	"assay/firmware/inspect/boot"
	"assay/firmware/inspect/cramfs"
	"assay/firmware/inspect/ext"
	"assay/firmware/inspect/fat"
	"assay/firmware/inspect/packed"
	"assay/firmware/inspect/romfs"
	"assay/firmware/inspect/scan"
	"assay/firmware/inspect/squashfs"
	"assay/firmware/inspect/tree"
)

// headSize is what is looked at to tell a kind: ext's superblock lies at 1024.
const headSize = 4096

// A kind is one kind of container.
type kind struct {
	name    string
	is      func(head []byte) bool
	read    tree.Reader // nil: recognised, but there is no reader
	why     string      // why there is none
	needles []scan.Needle
	aligned bool // its mark is too short for a needle: looked for at each 4 KB
	empty   bool // it may hold nothing: then it is a file like any other
	stream  bool // one compressed stream
}

func starts(magic string) func([]byte) bool {
	return func(b []byte) bool { return bytes.HasPrefix(b, []byte(magic)) }
}

func needle(back int64, texts ...string) []scan.Needle {
	out := make([]scan.Needle, len(texts))
	for i, t := range texts {
		out[i] = scan.Needle{Text: t, Back: back}
	}
	return out
}

// kinds in the order in which they are tried.
func kinds() []kind {
	all := []kind{
		{name: "squashfs", is: squashfs.Is, read: squashfs.Walk, needles: needle(0, "hsqs")},
		{name: "squashfs", is: oldSquashfs, why: "a version or a byte order of squashfs that is not read", needles: needle(0, "sqsh", "shsq", "qshs")},
		{name: "cramfs", is: cramfs.Is, read: cramfs.Walk, needles: needle(16, "Compressed ROMFS")},
		{name: "romfs", is: romfs.Is, read: romfs.Walk, needles: needle(0, "-rom1fs-")},
		{name: "uimage", is: boot.IsUImage, read: boot.UImage, needles: needle(0, "\x27\x05\x19\x56")},
		{name: "fit", is: boot.IsFDT, read: boot.FIT, empty: true, needles: needle(0, "\xd0\x0d\xfe\xed")},
		{name: "android-boot", is: boot.IsAndroid, read: boot.Android, needles: needle(0, "ANDROID!")},
		{name: "cpio", is: archive.IsCPIO, read: archive.CPIO, needles: needle(0, "070701", "070702", "070707")},
		{name: "zip", is: archive.IsZip, read: archive.Zip, needles: needle(0, "PK\x03\x04")},
		{name: "tar", is: archive.IsTar, read: archive.Tar, needles: needle(257, "ustar")},
		{name: "ar", is: starts("!<arch>\n"), read: archive.Ar, needles: needle(0, "!<arch>\n")},
	}
	for _, s := range []struct {
		kind    packed.Kind
		needles []scan.Needle
	}{
		{packed.Gzip, needle(0, "\x1f\x8b\x08\x00", "\x1f\x8b\x08\x08", "\x1f\x8b\x08\x02")},
		{packed.Bzip2, needle(4, "1AY&SY")},
		{packed.XZ, needle(0, "\xfd7zXZ\x00")},
		{packed.Zstd, needle(0, "\x28\xb5\x2f\xfd")},
		{packed.LZ4, needle(0, "\x04\x22\x4d\x18")},
		{packed.LZ4K, needle(0, "\x02\x21\x4c\x18")},
		{packed.LZMA, needle(0, "\x5d\x00\x00\x80\x00", "\x5d\x00\x00\x00\x01", "\x5d\x00\x00\x00\x02", "\x5d\x00\x00\x40\x00", "\x5d\x00\x00\x20\x00", "\x5d\x00\x00\x10\x00", "\x5d\x00\x00\x01\x00", "\x5d\x00\x00\x00\x04")},
	} {
		all = append(all, kind{name: string(s.kind), is: func(b []byte) bool { return packed.Detect(b) == s.kind }, read: streamReader(s.kind), needles: s.needles, stream: true})
	}
	all = append(all, flashKinds()...)
	return append(all,
		kind{name: "ext", is: ext.Is, read: ext.Walk, aligned: true},
		kind{name: "fat", is: fat.Is, read: fat.Walk, aligned: true},
		kind{name: "gpt", is: boot.IsGPT, read: boot.GPT},
		kind{name: "mbr", is: boot.IsMBR, read: boot.MBR},
		kind{name: "luks", is: starts("LUKS\xba\xbe\x00"), why: "encrypted (LUKS)", needles: needle(0, "LUKS\xba\xbe\x00")},
		kind{name: "openssl-enc", is: starts("Salted__"), why: "encrypted (openssl enc)", needles: needle(0, "Salted__")},
		kind{name: "7z", is: starts("7z\xbc\xaf\x27\x1c"), why: "no reader for this kind", needles: needle(0, "7z\xbc\xaf\x27\x1c")},
		kind{name: "rar", is: starts("Rar!\x1a\x07"), why: "no reader for this kind", needles: needle(0, "Rar!\x1a\x07")},
		kind{name: "lzop", is: starts("\x89LZO\x00\r\n\x1a\n"), why: "no reader for this kind", needles: needle(0, "\x89LZO\x00\r\n")},
		kind{name: "lzip", is: starts("LZIP\x01"), why: "no reader for this kind"},
		kind{name: "android-sparse", is: starts("\x3a\xff\x26\xed\x01\x00"), why: "no reader for this kind", needles: needle(0, "\x3a\xff\x26\xed\x01\x00")},
	)
}

// oldSquashfs knows what no reader here reads by a superblock whose version makes sense.
func oldSquashfs(b []byte) bool {
	if len(b) < 96 {
		return false
	}
	switch string(b[:4]) {
	case "hsqs", "shsq":
		return binary.LittleEndian.Uint16(b[28:]) >= 1 && binary.LittleEndian.Uint16(b[28:]) <= 4
	case "sqsh", "qshs":
		return binary.BigEndian.Uint16(b[28:]) >= 1 && binary.BigEndian.Uint16(b[28:]) <= 4
	}
	return false
}

// streamReader makes a reader of a compressed stream: its content is one entry.
func streamReader(k packed.Kind) tree.Reader {
	return func(src format.Source, visit tree.Visit) (int64, error) {
		s, err := packed.Open(k, src.Section(0, src.Size()))
		if err != nil {
			return 0, fmt.Errorf("%w: %w", err, tree.ErrBroken)
		}
		defer s.Close()
		err = visit(tree.Entry{Name: string(k), Segment: true, NoMode: true, Size: -1, Open: func() (io.Reader, error) { return s, nil }})
		return min(s.Used(), src.Size()), err
	}
}

// media are files that are compressed by nature and hold no software.
var media = []string{"\x89PNG\r\n\x1a\n", "\xff\xd8\xff", "GIF8", "RIFF", "OggS", "ID3", "\xff\xfb", "fLaC", "wOFF", "wOF2", "%PDF-", "\x00\x00\x00\x18ftyp", "\x00\x00\x00\x20ftyp", "\x00\x00\x00\x1cftyp"}

func isMedia(head []byte) bool {
	for _, m := range media {
		if bytes.HasPrefix(head, []byte(m)) {
			return true
		}
	}
	return false
}
