package authenticode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"assay/firmware/cms"
	"assay/firmware/format"
)

func variants() []string {
	own := append([]string{
		format.Tampered, format.TamperedPlain, format.HeaderFlip, format.SignatureFlip, format.TruncatedHeader, format.TruncatedPayload,
		format.TruncatedSignature, format.Empty, format.Oversize, format.TrailingData, format.LengthLie, format.MixAndMatch, format.Swapped,
	}, cms.ForgedVariants()...)
	return format.InOrder(own...)
}

// maxTamper is the largest image of which variants are made.
const maxTamper = 1 << 30

// Tamper makes a variant of the image.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	v := format.Variant{Manifest: format.Manifest{Format: name, Variant: variant}}
	if err := img.tamper(variant, means, &v); err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of PE image: %w", variant, err)
	}
	return v, nil
}

func (img *Image) tamper(variant string, means format.Means, v *format.Variant) error {
	if err := format.Made(variant, variants()); err != nil {
		return err
	}
	if len(img.signatures) != 1 {
		return format.Wrap(format.ErrNotApplicable, "the image has %d signatures, one is needed", len(img.signatures))
	}
	b, err := img.in.Whole(maxTamper)
	if err != nil {
		return err
	}
	v.Bytes, err = img.change(variant, means, b, &v.Manifest)
	if variant == format.Swapped && err == nil {
		genuine, err := img.in.Whole(maxTamper)
		if err != nil {
			return err
		}
		v.Files = map[string][]byte{format.FileFirst: genuine, format.FileSecond: v.Bytes}
		v.Bytes = nil
	}
	return err
}

func (img *Image) change(variant string, means format.Means, b []byte, m *format.Manifest) ([]byte, error) {
	s := img.signatures[0]
	switch variant {
	case format.Tampered, format.TamperedPlain, format.Swapped:
		return img.flipPayload(variant, b, m)
	case format.HeaderFlip:
		b[img.coff+8] ^= 1
		m.Say(format.LayerPayload, format.ErrBadHash, "the image hash is another", fmt.Sprintf("lowest bit of the time stamp at offset %d", img.coff+8))
		return img.repaired(b, m)
	case format.SignatureFlip:
		der, at, err := s.message.FlipSignature()
		if err != nil {
			return nil, err
		}
		copy(b[s.at+entryHead:], der)
		m.Say(format.LayerSignature, format.ErrBadSignature, "the signature is another", fmt.Sprintf("lowest bit at offset %d", s.at+entryHead+at))
		return img.repaired(b, m)
	case format.TruncatedHeader:
		m.Say(format.LayerStructure, format.ErrMalformed, "the headers end too early", fmt.Sprintf("cut at offset %d", img.coff+coffSize+32))
		return b[:img.coff+coffSize+32], nil
	case format.TruncatedPayload:
		at := img.headers + (img.table-img.headers)/2
		m.Say(format.LayerStructure, format.ErrMalformed, "sections run over the file", fmt.Sprintf("cut at offset %d", at))
		return b[:at], nil
	case format.TruncatedSignature:
		at := img.table + img.tableSize/2
		m.Say(format.LayerStructure, format.ErrMalformed, "the certificate table runs over the file", fmt.Sprintf("cut at offset %d", at))
		return b[:at], nil
	case format.Empty:
		m.Say(format.LayerStructure, format.ErrMalformed, "there is no image", "everything removed")
		return []byte{}, nil
	case format.LengthLie:
		binary.LittleEndian.PutUint32(b[s.at:], uint32(s.size)+0x1000)
		m.Say(format.LayerStructure, format.ErrMalformed, "the entry is longer than the certificate table", fmt.Sprintf("length of the entry at offset %d", s.at))
		return img.repaired(b, m)
	case format.Oversize:
		m.Say(format.LayerStructure, format.ErrTrailing, "the certificate table must end the file", fmt.Sprintf("4096 bytes appended at offset %d", len(b)))
		return append(b, bytes.Repeat([]byte{0xa5}, 4096)...), nil
	case format.TrailingData:
		return img.hide(s, b, m)
	case format.MixAndMatch:
		return img.mix(means, m)
	}
	return img.forge(variant, means, m)
}

func (img *Image) flipPayload(variant string, b []byte, m *format.Manifest) ([]byte, error) {
	if len(img.sections) == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "the image has no section")
	}
	at := img.sections[0].at + img.sections[0].size - 1 // padding, where there is some
	b[at] ^= 1
	m.Say(format.LayerPayload, format.ErrBadHash, "the image hash is another", fmt.Sprintf("lowest bit at offset %d, in section %.8s", at, img.sections[0].name))
	if variant == format.Tampered {
		return img.repaired(b, m)
	}
	return b, nil
}

// repaired puts the checksum right, where the image has one.
func (img *Image) repaired(b []byte, m *format.Manifest) ([]byte, error) {
	if img.checksum == 0 {
		return b, nil
	}
	m.Repaired = append(m.Repaired, "CheckSum of the optional header")
	return repairChecksum(b)
}

// hide puts bytes behind the signature within its own entry, where Windows long looked away.
func (img *Image) hide(s signature, b []byte, m *format.Manifest) ([]byte, error) {
	e := append(bytes.Clone(b[s.at:s.at+s.size]), bytes.Repeat([]byte("hidden! "), 8)...)
	for len(e)%tableAlign != 0 {
		e = append(e, 0)
	}
	binary.LittleEndian.PutUint32(e, uint32(len(e)))
	m.Classic = "CVE-2013-3900"
	m.Repaired = append(m.Repaired, "length of the entry", "directory entry of the certificate table", "CheckSum of the optional header")
	m.Say(format.LayerStructure, format.ErrTrailing, "behind the signature only zeros may fill up its entry", fmt.Sprintf("64 bytes put behind the signature at offset %d", s.at+s.size))
	return img.withTable(e)
}

// mix puts the certificate table of the maker's older image onto this one.
func (img *Image) mix(means format.Means, m *format.Manifest) ([]byte, error) {
	if means.Older == nil {
		return nil, format.Wrap(format.ErrNotApplicable, "it needs an older image of the maker")
	}
	older, err := open(format.Input{Source: *means.Older})
	if err != nil || older.tableSize == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "the older image is not signed: %v", err)
	}
	table, err := older.in.Bytes(older.table, older.tableSize)
	if err != nil {
		return nil, err
	}
	if _, sum, err := sha256Of(older.in.Source); err != nil {
		return nil, err
	} else if _, own, err := sha256Of(img.in.Source); err != nil || bytes.Equal(sum, own) {
		return nil, format.Wrap(format.ErrNotApplicable, "the older image is the same")
	}
	m.Repaired = append(m.Repaired, "directory entry of the certificate table", "CheckSum of the optional header")
	m.Say(format.LayerPayload, format.ErrBadHash, "the signature is one of another image", "certificate table replaced by that of an older image")
	return img.withTable(table)
}

func (img *Image) forge(variant string, means format.Means, m *format.Manifest) ([]byte, error) {
	if variant == format.Unsigned {
		m.Repaired = append(m.Repaired, "directory entry of the certificate table", "CheckSum of the optional header")
		m.Say(format.LayerSignature, format.ErrUnsigned, "there is no signature", "certificate table removed")
		return img.withTable(nil)
	}
	message := img.signatures[0].message
	f, err := message.Forge(variant, means, bytes.NewReader(message.Content))
	if errors.Is(err, format.ErrUnknownVariant) {
		return nil, format.Wrap(format.ErrNotApplicable, "the format has no such thing")
	}
	if err != nil {
		return nil, err
	}
	m.Classic = f.Classic
	m.Repaired = append(m.Repaired, "length of the entry", "directory entry of the certificate table", "CheckSum of the optional header")
	m.Say(f.Layer, f.Reason, f.Expected, f.Changed)
	return img.withTable(entry(f.DER))
}
