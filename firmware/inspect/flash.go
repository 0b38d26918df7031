package inspect

import "encoding/binary"

// flashKinds are the file systems of raw flash, and erofs.
func flashKinds() []kind {
	return []kind{
		{name: "ubi", is: func(b []byte) bool { return len(b) >= 64 && string(b[:4]) == "UBI#" && b[4] == 1 }, why: "no reader for this kind", needles: needle(0, "UBI#\x01")},
		{name: "ubifs", is: func(b []byte) bool { return len(b) >= 24 && string(b[:4]) == "\x31\x18\x10\x06" && b[20] == 6 }, why: "no reader for this kind", needles: needle(0, "\x31\x18\x10\x06")},
		{name: "jffs2", is: isJFFS2, why: "no reader for this kind", needles: needle(0, "\x85\x19\x01\xe0", "\x85\x19\x02\xe0", "\x85\x19\x03\x20", "\x19\x85\xe0\x01", "\x19\x85\xe0\x02", "\x19\x85\x20\x03")},
		{name: "erofs", is: func(b []byte) bool {
			return len(b) >= 1024+128 && binary.LittleEndian.Uint32(b[1024:]) == 0xe0f5e1e2
		}, why: "no reader for this kind", needles: needle(1024, "\xe2\xe1\xf5\xe0")},
	}
}

func isJFFS2(b []byte) bool {
	if len(b) < 12 {
		return false
	}
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if t := o.Uint16(b[2:]); o.Uint16(b) == 0x1985 && (t == 0xe001 || t == 0xe002 || t == 0x2003 || t == 0xe008 || t == 0xe009 || t == 0x2006) && o.Uint32(b[4:]) >= 12 {
			return true
		}
	}
	return false
}
