package mcuboot

import (
	"bytes"
	"encoding/binary"
	"slices"

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
// things are let through: erased flash that fills the slot, and behind it the
// trailer by which a tool marks the slot for swapping, with its image_ok byte. It
// tells whether that trailer is there.
func checkTail(tail []byte) (trailer bool, err error) {
	fill := tail
	if align := swapAlign(tail); align > 0 {
		trailer = true
		fill = tail[:len(tail)-len(swapMagic)]
		// The magic takes whole units of the alignment, and image_ok the one before them; 1 means confirmed.
		units := (len(swapMagic) + align - 1) / align
		if ok := len(tail) - (units+1)*align; ok >= 0 && fill[ok] == 1 {
			fill = slices.Concat(fill[:ok], fill[ok+1:])
		}
	}
	// Erased flash reads as ones, and as zeros on a few chips (imgtool --erased-val 0).
	if !only(fill, "\xff") && !(trailer && only(fill, "\x00")) {
		return false, format.Wrap(format.ErrTrailing, "%d bytes behind the last TLV area are not erased flash", len(tail))
	}
	return trailer, nil
}

func only(b []byte, value string) bool { return len(bytes.TrimLeft(b, value)) == 0 }

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
