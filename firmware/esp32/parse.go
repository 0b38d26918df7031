package esp32

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"

	"assay/firmware/format"
)

// An Image is a parsed application image. It keeps the source it was made from.
type Image struct {
	src      format.Source
	header   header
	segments []segment
	desc     *description // nil where the image carries none
	sumAt    int64        // of the checksum byte
	end      int64        // behind checksum and appended hash
	covered  int64        // bytes before the signature; the whole file where there is none
	v1       []byte       // version and signature of Secure Boot V1
	sector   []byte       // signature sector of Secure Boot V2
	blocks   []block      // what lies in the slots of the sector that are not erased
}

type header struct {
	segments     int
	entry        uint32
	chip         Chip
	minOld       uint8 // revision of the ESP32 in whole numbers, before the fields below
	min, max     Revision
	hashAppended bool
}

type segment struct {
	load   uint32
	at     int64 // of the data
	length int64
}

// description is esp_app_desc_t.
type description struct {
	secureVersion uint32
	version       string
	project       string
	time, date    string
	idf           string
	elf           []byte // SHA-256
}

// OpenUnverified parses strictly: header, segments, and where the signature must lie. It
// checks no checksum, hash or signature.
func OpenUnverified(src format.Source) (*Image, error) {
	img := &Image{src: src}
	for _, step := range []func() error{img.parseHeader, img.parseSegments, img.parseDescription, img.parseSignature} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("open esp32 image: %w", err)
		}
	}
	return img, nil
}

// Version is that of the app description; empty where there is none.
func (img *Image) Version() string {
	if img.desc == nil {
		return ""
	}
	return img.desc.version
}

// label names the image in errors.
func (img *Image) label() string {
	return strings.Join(strings.Fields(fmt.Sprintf("esp32 image %s for %v", img.Version(), img.header.chip)), " ")
}

// detect wants more than the one byte of magic: a header that a tool could have written,
// or a signature sector behind an image that lost its own magic.
func detect(in format.Input) bool {
	b := in.Head(headerSize)
	if len(b) < headerSize {
		return false
	}
	if b[0] == imageMagic {
		_, known := chipNames()[Chip(binary.LittleEndian.Uint16(b[12:]))]
		return b[1] >= 1 && b[1] <= maxSegments && known && b[23] <= 1 && bytes.Equal(b[19:23], make([]byte, 4))
	}
	if in.Size() < 2*sectorSize || in.Size()%sectorSize != 0 {
		return false
	}
	raw, err := in.Bytes(in.Size()-sectorSize, blockSize)
	return err == nil && raw[0] == blockMagic && parseBlock(0, raw).err == nil
}

func (img *Image) parseHeader() error {
	b, err := img.src.Bytes(0, headerSize)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if b[0] != imageMagic {
		return format.Malformed("image magic 0x%02x, want 0x%02x", b[0], imageMagic)
	}
	le := binary.LittleEndian
	img.header = header{
		segments: int(b[1]),
		entry:    le.Uint32(b[4:]),
		chip:     Chip(le.Uint16(b[12:])),
		minOld:   b[14],
		min:      Revision(le.Uint16(b[15:])),
		max:      Revision(le.Uint16(b[17:])),
	}
	if n := img.header.segments; n < 1 || n > maxSegments {
		return format.Malformed("%d segments, want 1 to %d", n, maxSegments)
	}
	switch b[23] {
	case 0, 1:
		img.header.hashAppended = b[23] == 1
	default:
		return format.Malformed("mark of the appended hash is %d, want 0 or 1", b[23])
	}
	return nil
}

// parseSegments finds the end of the image. The device adds lengths as 32-bit numbers, so
// one that wraps would move checksum, hash and signature to where an attacker wants them.
func (img *Image) parseSegments() error {
	at := int64(headerSize)
	for i := range img.header.segments {
		b, err := img.src.Bytes(at, segmentHead)
		if err != nil {
			return fmt.Errorf("head of segment %d: %w", i, err)
		}
		s := segment{load: binary.LittleEndian.Uint32(b), at: at + segmentHead, length: int64(binary.LittleEndian.Uint32(b[4:]))}
		if s.length%4 != 0 {
			return format.Malformed("segment %d of %d bytes, want a multiple of 4", i, s.length)
		}
		if s.length > img.src.Size()-s.at {
			return format.Malformed("segment %d of %d bytes at offset %d reaches behind the %d bytes there are", i, s.length, s.at, img.src.Size())
		}
		img.segments = append(img.segments, s)
		at = s.at + s.length
	}
	img.sumAt = at | (checksumAlign - 1)
	img.end = img.sumAt + 1
	if img.header.hashAppended {
		img.end += hashSize
	}
	if img.end > img.src.Size() {
		return format.Malformed("checksum and hash end at offset %d, the file has %d bytes", img.end, img.src.Size())
	}
	return nil
}

func (img *Image) parseDescription() error {
	if img.segments[0].length < appDescSize {
		return nil
	}
	b, err := img.src.Bytes(appDescAt, appDescSize)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b) != appDescMagic {
		return nil
	}
	img.desc = &description{
		secureVersion: binary.LittleEndian.Uint32(b[4:]),
		version:       cString(b[16:48]), project: cString(b[48:80]),
		time: cString(b[80:96]), date: cString(b[96:112]), idf: cString(b[112:144]),
		elf: b[144:176],
	}
	return nil
}

// cString is what lies before the first zero; what cannot be printed is replaced, since it
// goes to terminals and reports.
func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, string(b))
}

// parseSignature looks at what lies behind the image. The device computes the place of the
// signature from the segments, so nothing else may be there.
func (img *Image) parseSignature() error {
	padded := (img.end + sectorSize - 1) / sectorSize * sectorSize
	switch size := img.src.Size(); {
	case size == img.end || size == padded:
		img.covered = size
		return nil
	case size == img.end+v1Size:
		return img.parseV1()
	case size < padded:
		return format.Wrap(format.ErrTrailing, "%d bytes behind the image at offset %d are neither padding to a sector nor a signature of secure boot v1", size-img.end, img.end)
	case size < padded+sectorSize:
		return format.Malformed("the signature sector at offset %d is cut off after %d bytes", padded, size-padded)
	case size > padded+sectorSize:
		return format.Wrap(format.ErrTrailing, "%d bytes behind the signature sector at offset %d", size-padded-sectorSize, padded)
	}
	img.covered = padded
	var err error
	if img.sector, err = img.src.Bytes(padded, sectorSize); err != nil {
		return err
	}
	for i := range maxBlocks {
		raw := img.sector[i*blockSize : (i+1)*blockSize]
		if !erased(raw) {
			img.blocks = append(img.blocks, parseBlock(i, raw))
		}
	}
	return nil
}

func (img *Image) parseV1() error {
	b, err := img.src.Bytes(img.end, v1Size)
	if err != nil {
		return err
	}
	if v := binary.LittleEndian.Uint32(b); v != 0 {
		return format.Malformed("signature of secure boot v1 has version %d, want 0", v)
	}
	img.v1, img.covered = b, img.end
	return nil
}

func erased(b []byte) bool { return len(bytes.TrimLeft(b, "\xff")) == 0 }
