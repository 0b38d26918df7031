package mcuboot

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"assay/firmware/format"
)

// An Image is a parsed MCUboot image. It keeps the bytes it was made from.
type Image struct {
	raw         []byte // the whole file
	header      header
	protected   []TLV
	unprotected []TLV
	protectedAt int // where the protected area begins, or would begin
	covered     int // raw[:covered] is what hash and signature cover
	end         int // raw[end:] lies behind the TLV areas
	swapTrailer bool
}

type header struct {
	loadAddress   uint32
	size          uint16 // of the header with its padding
	protectedSize uint16
	imageSize     uint32
	flags         uint32
	version       Version
}

// OpenUnverified parses b strictly: bounds, area totals, allow-lists, duplicates.
// It checks neither hash nor signature.
func OpenUnverified(b []byte) (*Image, error) {
	img := &Image{raw: b}
	if err := img.parse(); err != nil {
		return nil, fmt.Errorf("open mcuboot image: %w", err)
	}
	return img, nil
}

// Version is that of the header.
func (img *Image) Version() Version { return img.header.version }

// SecurityCounter is the protected one; false if the image carries none.
func (img *Image) SecurityCounter() (uint32, bool) {
	v := find(img.protected, TypeSecurityCount)
	if v == nil {
		return 0, false
	}
	return binary.LittleEndian.Uint32(v), true
}

// Payload is what the device would run; encrypted, if the image is. It is part of
// the bytes that the image was opened from.
func (img *Image) Payload() []byte { return img.raw[img.header.size:img.protectedAt:img.protectedAt] }

// Protected returns the TLVs that the signature covers.
func (img *Image) Protected() []TLV { return slices.Clone(img.protected) }

// Unprotected returns the TLVs that it does not cover.
func (img *Image) Unprotected() []TLV { return slices.Clone(img.unprotected) }

// Encrypted tells whether the header says that the payload is.
func (img *Image) Encrypted() bool { return img.header.flags&(FlagAES128|FlagAES256) != 0 }

func detect(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	magic := binary.LittleEndian.Uint32(b)
	return magic == headerMagic || magic == headerMagicV1
}

func (img *Image) parse() error {
	if err := img.parseHeader(); err != nil {
		return err
	}
	at := img.protectedAt
	if n := int(img.header.protectedSize); n > 0 {
		tlvs, end, err := parseArea(img.raw, at, protectedMagic, "protected")
		if err != nil {
			return err
		}
		if end-at != n {
			return format.Malformed("protected area of %d bytes, header says %d", end-at, n)
		}
		img.protected, at = tlvs, end
	}
	img.covered = at
	tlvs, end, err := parseArea(img.raw, at, unprotectedMagic, "unprotected")
	if err != nil {
		return err
	}
	img.unprotected, img.end = tlvs, end
	if err := img.checkTLVs(); err != nil {
		return err
	}
	img.swapTrailer, err = checkTail(img.raw[end:])
	return err
}

func (img *Image) parseHeader() error {
	b := img.raw
	if len(b) < headerSize {
		return format.Malformed("%d bytes are no header", len(b))
	}
	switch magic := binary.LittleEndian.Uint32(b); magic {
	case headerMagic:
	case headerMagicV1:
		return format.Malformed("header of the withdrawn version 1")
	default:
		return format.Malformed("header magic 0x%08x", magic)
	}
	h := header{
		loadAddress:   binary.LittleEndian.Uint32(b[4:]),
		size:          binary.LittleEndian.Uint16(b[8:]),
		protectedSize: binary.LittleEndian.Uint16(b[10:]),
		imageSize:     binary.LittleEndian.Uint32(b[12:]),
		flags:         binary.LittleEndian.Uint32(b[16:]),
		version: Version{
			Major: b[20], Minor: b[21],
			Revision: binary.LittleEndian.Uint16(b[22:]),
			Build:    binary.LittleEndian.Uint32(b[24:]),
		},
	}
	if h.size < headerSize {
		return format.Malformed("header size %d, want at least %d", h.size, headerSize)
	}
	// The device adds these as 32-bit numbers: a sum that wraps moves the TLV area
	// to where the attacker wants it.
	end := uint64(h.size) + uint64(h.imageSize)
	if end+uint64(h.protectedSize)+tlvInfoSize > math.MaxUint32 {
		return format.Malformed("header size %d and image size %d exceed 32 bits", h.size, h.imageSize)
	}
	if end+tlvInfoSize > uint64(len(b)) {
		return format.Malformed("header size %d and image size %d reach behind the %d bytes there are", h.size, h.imageSize, len(b))
	}
	if h.flags&FlagAES128 != 0 && h.flags&FlagAES256 != 0 {
		return format.Malformed("flags name two ciphers")
	}
	img.header, img.protectedAt = h, int(end)
	return nil
}

// parseArea reads the TLV area at b[at:] and returns where it ends.
func parseArea(b []byte, at int, magic uint16, name string) ([]TLV, int, error) {
	if len(b)-at < tlvInfoSize {
		return nil, 0, format.Malformed("%s area is cut off", name)
	}
	if got := binary.LittleEndian.Uint16(b[at:]); got != magic {
		return nil, 0, format.Malformed("%s area begins with 0x%04x, want 0x%04x", name, got, magic)
	}
	total := int(binary.LittleEndian.Uint16(b[at+2:]))
	if total < tlvInfoSize || total > len(b)-at {
		return nil, 0, format.Malformed("%s area says %d bytes, %d are left", name, total, len(b)-at)
	}
	var tlvs []TLV
	rest := b[at+tlvInfoSize : at+total]
	for len(rest) > 0 {
		if len(rest) < tlvHeadSize {
			return nil, 0, format.Malformed("%s area ends inside a TLV head", name)
		}
		t, n := Type(binary.LittleEndian.Uint16(rest)), int(binary.LittleEndian.Uint16(rest[2:]))
		rest = rest[tlvHeadSize:]
		if n > len(rest) {
			return nil, 0, format.Malformed("%v of %d bytes reaches behind the %s area", t, n, name)
		}
		tlvs = append(tlvs, TLV{Type: t, Value: rest[:n:n]})
		rest = rest[n:]
	}
	return tlvs, at + total, nil
}

// checkTLVs refuses what two readers could take differently: types in the wrong area
// (CVE-2024-32883: an injected unprotected counter was believed), duplicates over both
// areas (first wins or last wins), a second hash or signature (any match wins).
func (img *Image) checkTLVs() error {
	seen := map[Type]bool{}
	hashes, signatures := 0, 0
	for area, tlvs := range [][]TLV{img.protected, img.unprotected} {
		for _, t := range tlvs {
			if inProtected := area == 0; inProtected == belongsUnprotected(t.Type) {
				return format.Malformed("%v in the wrong area", t.Type)
			}
			if seen[t.Type] && t.Type != TypeDependency {
				return format.Malformed("%v twice", t.Type)
			}
			seen[t.Type] = true
			if err := checkLength(t); err != nil {
				return err
			}
			if _, _, ok := hashOf(t.Type); ok {
				hashes++
			}
			if isSignature(t.Type) {
				signatures++
			}
			if isEncryption(t.Type) && !img.Encrypted() {
				return format.Malformed("%v, but the header says that the payload is in clear", t.Type)
			}
		}
	}
	if hashes > 1 || signatures > 1 {
		return format.Malformed("%d hashes and %d signatures, want one each", hashes, signatures)
	}
	return nil
}

// belongsUnprotected is the allow-list of the unprotected area.
func belongsUnprotected(t Type) bool {
	_, _, isHash := hashOf(t)
	return t == TypeKeyHash || t == TypePublicKey || isHash || isSignature(t) || t == TypePure || isEncryption(t)
}

// checkLength holds types of fixed length to it. Signatures are left to the
// verifier, which says more about a wrong one.
func checkLength(t TLV) error {
	want := -1
	switch t.Type {
	case TypeSHA256:
		want = 32
	case TypeSHA384:
		want = 48
	case TypeSHA512:
		want = 64
	case TypePure:
		want = 1
	case TypeDependency:
		want = dependencySize
	case TypeSecurityCount:
		want = 4
	case TypeVendorUUID, TypeClassUUID:
		want = 16
	}
	if want >= 0 && len(t.Value) != want {
		return format.Malformed("%v of %d bytes, want %d", t.Type, len(t.Value), want)
	}
	if t.Type == TypePure && t.Value[0] != 1 {
		return format.Malformed("%v is %d, want 1", t.Type, t.Value[0])
	}
	return nil
}

func find(tlvs []TLV, t Type) []byte {
	for _, x := range tlvs {
		if x.Type == t {
			return x.Value
		}
	}
	return nil
}
