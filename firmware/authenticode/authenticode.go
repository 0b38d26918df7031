// Package authenticode tells whether a PE image (EFI application, boot loader, unified
// kernel image) is what its maker signed: a strict reader of PE headers and of the
// certificate table, Authenticode's hash in one pass, a writer and signer of small images.
// It is stricter than firmware that runs them: bytes that some loaders skip are refused. It
// never takes a root from the image and never runs anything.
package authenticode

import (
	"encoding/binary"
	"fmt"

	"assay/firmware/cms"
	"assay/firmware/format"
)

const name = "authenticode"

// Format describes Authenticode to the front door.
func Format() format.Format {
	return format.Format{
		Name:           name,
		Detect:         func(in format.Input) bool { return detect(in.Source) },
		OpenUnverified: openUnverified,
		Variants:       variants(),
	}
}

func detect(s format.Source) bool {
	head := s.Head(64)
	if len(head) < 64 || head[0] != 'M' || head[1] != 'Z' {
		return false
	}
	magic, err := s.Bytes(int64(binary.LittleEndian.Uint32(head[60:])), 4)
	return err == nil && string(magic) == "PE\x00\x00"
}

// An Image is one parsed PE file.
type Image struct {
	in format.Input
	layout
	signatures []signature
	sums       map[string][]byte // Authenticode's hash, once computed
}

// A signature is one entry of the certificate table.
type signature struct {
	at      int64 // of its WIN_CERTIFICATE
	size    int64
	message *cms.Message
}

func openUnverified(in format.Input) (format.Image, error) {
	img, err := open(in)
	if err != nil {
		return nil, fmt.Errorf("open PE image of %d bytes: %w", in.Size(), err)
	}
	return img, nil
}

func open(in format.Input) (*Image, error) {
	l, err := parse(in.Source)
	if err != nil {
		return nil, err
	}
	img := &Image{in: in, layout: l, sums: map[string][]byte{}}
	if l.tableSize == 0 {
		return img, nil
	}
	return img, img.readTable()
}

// Limits of a certificate table: real ones have one or two entries of a few kilobytes.
const (
	maxTable   = 1 << 20
	maxEntries = 8

	entryHead  = 8      // length, revision, type
	revision2  = 0x0200 // WIN_CERT_REVISION_2_0
	typePKCS7  = 0x0002 // WIN_CERT_TYPE_PKCS_SIGNED_DATA
	tableAlign = 8
)

// readTable reads the certificate table (PE format, "The Attribute Certificate Table").
// Behind each message only zeros up to the next multiple of eight may stand: what hides there is
// covered by nothing (CVE-2013-3900).
func (img *Image) readTable() error {
	if img.tableSize > maxTable {
		return format.Malformed("certificate table of %d bytes", img.tableSize)
	}
	table, err := img.in.Bytes(img.table, img.tableSize)
	if err != nil {
		return err
	}
	for at := int64(0); at < img.tableSize; {
		if len(img.signatures) == maxEntries {
			return format.Malformed("more than %d certificate table entries", maxEntries)
		}
		rest := table[at:]
		if len(rest) < entryHead {
			return format.Wrap(format.ErrTrailing, "%d bytes behind the last entry of the certificate table", len(rest))
		}
		size := int64(binary.LittleEndian.Uint32(rest))
		next := (size + tableAlign - 1) &^ (tableAlign - 1)
		if size < entryHead || next > int64(len(rest)) {
			return format.Malformed("certificate table entry of %d bytes, %d are left", size, len(rest))
		}
		if r, k := binary.LittleEndian.Uint16(rest[4:]), binary.LittleEndian.Uint16(rest[6:]); r != revision2 || k != typePKCS7 {
			return format.Malformed("certificate table entry of revision 0x%04x and type 0x%04x", r, k)
		}
		m, err := readMessage(rest[entryHead:next])
		if err != nil {
			return err
		}
		img.signatures = append(img.signatures, signature{at: img.table + at, size: size, message: m})
		at += next
	}
	return nil
}

func readMessage(b []byte) (*cms.Message, error) {
	n, ok := elementSize(b)
	if !ok || n > len(b) {
		return nil, format.Malformed("certificate table entry is not DER")
	}
	padding := b[n:]
	if len(padding) >= tableAlign {
		return nil, format.Wrap(format.ErrTrailing, "%d bytes behind the signature within its certificate table entry", len(padding))
	}
	for _, c := range padding {
		if c != 0 {
			return nil, format.Wrap(format.ErrTrailing, "bytes other than zero behind the signature within its certificate table entry")
		}
	}
	m, err := cms.Parse(b[:n])
	if err != nil {
		return nil, err
	}
	if m.ContentType != cms.ContentIndirectData || m.Detached {
		return nil, format.Malformed("the signature's content is %s, not Authenticode's", m.ContentType)
	}
	return m, nil
}

// elementSize is the length of the DER element at the head of b.
func elementSize(b []byte) (int, bool) {
	if len(b) < 2 || b[0] != 0x30 {
		return 0, false
	}
	if b[1] < 0x80 {
		return 2 + int(b[1]), true
	}
	n := int(b[1] & 0x7f)
	if n == 0 || n > 4 || len(b) < 2+n {
		return 0, false
	}
	size := 0
	for _, c := range b[2 : 2+n] {
		size = size<<8 | int(c)
	}
	return 2 + n + size, true
}

// Check applies a device's rules. An EFI image tells no version that firmware looks at.
func (img *Image) Check(d format.Device) error {
	if d.Size > 0 && img.in.Size() > d.Size {
		return format.Wrap(format.ErrTooLarge, "%d bytes, the slot has %d", img.in.Size(), d.Size)
	}
	if d.Version != "" || d.Counter != nil {
		return format.Wrap(format.ErrDevice, "a PE image tells neither version nor counter: revocation (dbx, SBAT) takes their place")
	}
	for key, own := range d.Is {
		if key != "machine" {
			return format.Wrap(format.ErrDevice, "a PE image does not say for which %s", key)
		}
		if own != machineName(img.machine) {
			return format.Wrap(format.ErrWrongDevice, "made for %s, the device is %s", machineName(img.machine), own)
		}
	}
	return nil
}
