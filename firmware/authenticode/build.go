package authenticode

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// A Spec is what Build needs to make an EFI application for x86-64.
type Spec struct {
	Payload   []byte // the .text section; no code is needed for it to be signed
	SBAT      string // the .sbat section; empty: none
	Timestamp uint32
	NoSum     bool // leave CheckSum zero, as many linkers do
}

const fileAlign = 0x200

// Build makes an unsigned image.
func Build(spec Spec) ([]byte, error) {
	type part struct {
		name string
		data []byte
	}
	parts := []part{{".text", spec.Payload}}
	if spec.SBAT != "" {
		parts = append(parts, part{".sbat", []byte(spec.SBAT)})
	}
	b := make([]byte, fileAlign)
	copy(b, "MZ")
	le := binary.LittleEndian
	const coff, optionalSize = 64, 112 + 16*8
	le.PutUint32(b[60:], coff)
	copy(b[coff:], "PE\x00\x00")
	le.PutUint16(b[coff+4:], 0x8664)
	le.PutUint16(b[coff+6:], uint16(len(parts)))
	le.PutUint32(b[coff+8:], spec.Timestamp)
	le.PutUint16(b[coff+20:], optionalSize)
	le.PutUint16(b[coff+22:], 0x022e)
	o := b[coff+coffSize:]
	le.PutUint16(o, magicPE32Plus)
	le.PutUint32(o[16:], 0x1000) // entry point
	le.PutUint32(o[20:], 0x1000) // base of code
	le.PutUint32(o[32:], 0x1000) // section alignment
	le.PutUint32(o[36:], fileAlign)
	le.PutUint32(o[offsetHeaders:], fileAlign)
	le.PutUint16(o[offsetSubsystem:], 10)
	le.PutUint32(o[108:], 16)
	memory := uint32(0x1000)
	for i, p := range parts {
		padded := (len(p.data) + fileAlign - 1) / fileAlign * fileAlign
		h := b[coff+coffSize+optionalSize+i*sectionSize:]
		copy(h, p.name)
		le.PutUint32(h[8:], uint32(len(p.data)))
		le.PutUint32(h[12:], memory)
		le.PutUint32(h[16:], uint32(padded))
		le.PutUint32(h[20:], uint32(len(b)))
		le.PutUint32(h[36:], 0x60000020)
		b = append(b, p.data...)
		b = append(b, make([]byte, padded-len(p.data))...)
		memory += uint32(padded+0xfff) &^ 0xfff
	}
	le.PutUint32(b[coff+coffSize+56:], memory) // size of image
	if spec.NoSum {
		return b, nil
	}
	return repairChecksum(b)
}

// repairChecksum puts the right CheckSum into the header.
func repairChecksum(b []byte) ([]byte, error) {
	at := int64(binary.LittleEndian.Uint32(b[60:])) + coffSize + offsetChecksum
	sum, err := peChecksum(format.FromBytes(b), at)
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(b[at:], sum)
	return b, nil
}

// Sign adds a signature to an image, behind those that it has.
func Sign(image []byte, id cms.Identity, more []*x509.Certificate) ([]byte, error) {
	img, sum, err := sha256Of(format.FromBytes(image))
	if err != nil {
		return nil, fmt.Errorf("sign PE image: %w", err)
	}
	if rest := len(image) % tableAlign; rest != 0 {
		// The padding becomes a part of what is hashed.
		return Sign(append(bytes.Clone(image), make([]byte, tableAlign-rest)...), id, more)
	}
	content, err := indirect(sum)
	if err != nil {
		return nil, err
	}
	der, err := cms.Sign(bytes.NewReader(content), cms.SignOptions{Signers: []cms.Identity{id}, Certificates: more, IndirectData: true})
	if err != nil {
		return nil, fmt.Errorf("sign PE image: %w", err)
	}
	table := image[img.table : img.table+img.tableSize]
	if img.tableSize == 0 {
		table = nil
	}
	return img.withTable(append(bytes.Clone(table), entry(der)...))
}

// indirect is the value of an SpcIndirectDataContent for a PE image: no page hashes, the
// link to nowhere that every signer writes, the digest.
func indirect(sum []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidPEImageData)
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes([]byte{0x03, 0x01, 0x00, 0xa0, 0x04, 0xa2, 0x02, 0x80, 0x00})
		})
	})
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidSHA256)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(sum)
	})
	return b.Bytes()
}

// entry is one padded entry of the certificate table.
func entry(der []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(entryHead+len(der)))
	b = binary.LittleEndian.AppendUint16(b, revision2)
	b = binary.LittleEndian.AppendUint16(b, typePKCS7)
	b = append(b, der...)
	for len(b)%tableAlign != 0 {
		b = append(b, 0)
	}
	return b
}

// withTable is the image with another certificate table, its directory entry and checksum repaired.
func (img *Image) withTable(table []byte) ([]byte, error) {
	if img.directoryAt == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "the header has no room for a certificate table")
	}
	end := img.in.Size()
	if img.tableSize > 0 {
		end = img.table
	}
	b, err := img.in.Bytes(0, end)
	if err != nil {
		return nil, err
	}
	clear(b[img.directoryAt : img.directoryAt+8])
	if len(table) > 0 {
		binary.LittleEndian.PutUint32(b[img.directoryAt:], uint32(len(b)))
		binary.LittleEndian.PutUint32(b[img.directoryAt+4:], uint32(len(table)))
	}
	b = append(b, table...)
	if img.checksum == 0 {
		return b, nil
	}
	return repairChecksum(b)
}
