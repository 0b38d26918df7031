package carrier

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"strings"

	"assay/firmware/format"
)

// HEX writes bytes as Intel HEX, from address at.
func HEX(at uint32, data []byte) []byte {
	var out strings.Builder
	line := func(kind byte, at uint16, data []byte) {
		raw := append([]byte{byte(len(data)), byte(at >> 8), byte(at), kind}, data...)
		fmt.Fprintf(&out, ":%X%02X\r\n", raw, -sum(raw))
	}
	for i := 0; i < len(data); {
		a := at + uint32(i)
		if i == 0 || a&0xffff == 0 {
			line(hexLinear, 0, []byte{byte(a >> 24), byte(a >> 16)})
		}
		n := min(16, len(data)-i, 0x10000-int(a&0xffff))
		line(hexData, uint16(a), data[i:i+n])
		i += n
	}
	line(hexEnd, 0, nil)
	return []byte(out.String())
}

// SRecord writes bytes as S3 records.
func SRecord(at uint32, data []byte) []byte {
	var out strings.Builder
	line := func(kind byte, at uint32, data []byte) {
		raw := append([]byte{byte(len(data) + 5)}, binary.BigEndian.AppendUint32(nil, at)...)
		raw = append(raw, data...)
		fmt.Fprintf(&out, "S%c%X%02X\n", kind, raw, ^sum(raw))
	}
	for i := 0; i < len(data); i += 32 {
		line('3', at+uint32(i), data[i:min(i+32, len(data))])
	}
	line('7', at, nil)
	return []byte(out.String())
}

// TI writes bytes as TI-TXT.
func TI(at uint32, data []byte) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "@%04X\n", at)
	for i := 0; i < len(data); i += 16 {
		fmt.Fprintf(&out, "% X\n", data[i:min(i+16, len(data))])
	}
	out.WriteString("q\n")
	return []byte(out.String())
}

// UF2 writes bytes as blocks of 256 for the chip family.
func UF2(at, family uint32, data []byte) []byte {
	count := (len(data) + 255) / 256
	var out []byte
	for i := range count {
		part := data[i*256 : min((i+1)*256, len(data))]
		block := make([]byte, uf2Block)
		for n, v := range []uint32{uf2Magic0, uf2Magic1, uf2Family, at + uint32(i*256), uint32(len(part)), uint32(i), uint32(count), family} {
			binary.LittleEndian.PutUint32(block[4*n:], v)
		}
		copy(block[32:], part)
		binary.LittleEndian.PutUint32(block[uf2Block-4:], uf2End)
		out = append(out, block...)
	}
	return out
}

// Gzip writes bytes as one gzip member.
func Gzip(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

var variants = []string{format.TamperedPlain, format.TruncatedPayload, format.Empty}

// tamper makes what a loader itself should refuse: there is nothing else that it could.
func (img *Image) tamper(variant string) (format.Variant, error) {
	b, err := img.in.Whole(maxText)
	if err != nil {
		return format.Variant{}, err
	}
	m := format.Manifest{Format: img.kind.name, Variant: variant, Layer: format.LayerStructure, Reason: format.ErrMalformed}
	switch variant {
	case format.TruncatedPayload:
		b = b[:len(b)/2-1]
		m.Expected, m.Changed = "the file ends too early", []string{fmt.Sprintf("cut at offset %d", len(b))}
	case format.Empty:
		b = []byte{}
		m.Expected, m.Changed = "nothing is carried", []string{"everything removed"}
	case format.TamperedPlain:
		if img.kind.name == "ti-txt" || img.kind.name == "uf2" {
			return format.Variant{}, format.Wrap(format.ErrNotApplicable, "%s has no checksum: nothing but the carried image can refuse a changed byte", img.kind.what)
		}
		at := len(b) / 2
		for b[at] < '0' || b[at] > '8' { // a digit that stays one
			if img.kind.name == "gzip" {
				break
			}
			at++
		}
		b[at] ^= 1
		m.Layer, m.Expected, m.Changed = format.LayerHash, "the checksum is another", []string{fmt.Sprintf("lowest bit at offset %d", at)}
	default:
		return format.Variant{}, format.Wrap(format.ErrNotApplicable, "%s defends nothing: tamper with the image that it carries", img.kind.what)
	}
	return format.Variant{Bytes: b, Manifest: m}, nil
}
