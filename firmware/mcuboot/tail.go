package mcuboot

import (
	"bytes"
	"encoding/binary"

	"assay/firmware/format"
)

// swapMagic ends a slot that is marked for swapping, for write alignments up to 8.
// Larger alignments write themselves into the first two bytes and swapMagicTail behind
// (bootutil_public.c: BOOT_MAGIC_ALIGN_SIZE, boot_img_magic).
const (
	swapMagic     = "\x77\xc2\x95\xf3\x60\xd2\xef\x7f\x35\x52\x50\x0f\x2c\xb6\x79\x80"
	swapMagicTail = "\x2d\xe1\x5d\x29\x41\x0b\x8d\x77\x67\x9c\x11\x0f\x1f\x8a"
)

// checkTail judges what lies behind the TLV areas. Nothing covers it, so only two
// things are let through: erased flash (0xff) that fills the slot, and behind it the
// trailer by which a tool marks the slot for swapping, with its image_ok byte. It
// tells whether that trailer is there.
func checkTail(tail []byte) (trailer bool, err error) {
	fill := tail
	if align := swapAlign(tail); align > 0 {
		trailer = true
		fill = tail[:len(tail)-len(swapMagic)]
		// image_ok lies one alignment before the magic; 1 means confirmed.
		if ok := len(fill) - align; ok >= 0 && fill[ok] == 1 && erased(fill[ok+1:]) {
			fill = fill[:ok]
		}
	}
	if !erased(fill) {
		return false, format.Wrap(format.ErrTrailing, "%d bytes behind the last TLV area are not erased flash", len(tail))
	}
	return trailer, nil
}

func erased(b []byte) bool { return len(bytes.TrimLeft(b, "\xff")) == 0 }

// swapAlign is the write alignment that a swap trailer at the end tells, 0 without one.
func swapAlign(tail []byte) int {
	if len(tail) < len(swapMagic) {
		return 0
	}
	last := tail[len(tail)-len(swapMagic):]
	if string(last) == swapMagic {
		return 8
	}
	if string(last[2:]) == swapMagicTail {
		if a := binary.LittleEndian.Uint16(last); a == 16 || a == 32 {
			return int(a)
		}
	}
	return 0
}
