package capsule

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"assay/firmware/cms"
)

// A Spec is what Build needs.
type Spec struct {
	ImageType string // GUID
	Index     uint8
	Instance  uint64
	Count     uint64 // monotonic count
	Image     []byte
	Vendor    []byte // vendor code
	Version   uint32 // of the item header; 0 means 3
}

// Build makes a capsule; with a nil key an unsigned one.
func Build(spec Spec, id *cms.Identity, more []*x509.Certificate) ([]byte, error) {
	var body []byte
	if id != nil {
		content := binary.LittleEndian.AppendUint64(bytes.Clone(spec.Image), spec.Count)
		der, err := cms.Sign(bytes.NewReader(content), cms.SignOptions{Signers: []cms.Identity{*id}, Certificates: more, Detached: true})
		if err != nil {
			return nil, fmt.Errorf("build UEFI capsule: %w", err)
		}
		body = authentication(spec.Count, der)
	}
	return spec.write(append(body, spec.Image...), id != nil)
}

// authentication is what stands before a signed image.
func authentication(count uint64, der []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint64(nil, count)
	b = le.AppendUint32(b, uint32(certHead+len(der)))
	b = le.AppendUint16(b, revision2)
	b = le.AppendUint16(b, typeEFIGUID)
	b = append(b, parseGUID(guidPKCS7)...)
	return append(b, der...)
}

func (spec Spec) write(body []byte, signed bool) ([]byte, error) {
	kind := parseGUID(spec.ImageType)
	if kind == nil {
		return nil, fmt.Errorf("build UEFI capsule: image type %q is no GUID", spec.ImageType)
	}
	le := binary.LittleEndian
	version := max(spec.Version, 1)
	if spec.Version == 0 {
		version = 3
	}
	b := append(parseGUID(guidFMP), make([]byte, capsuleHead-16)...)
	le.PutUint32(b[16:], capsuleHead)
	le.PutUint32(b[20:], 0x00010000) // persist across reset
	b = le.AppendUint32(b, 1)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint64(b, fmpHead+8)
	b = le.AppendUint32(b, version)
	b = append(b, kind...)
	b = append(b, spec.Index, 0, 0, 0)
	b = le.AppendUint32(b, uint32(len(body)))
	b = le.AppendUint32(b, uint32(len(spec.Vendor)))
	if version >= 2 {
		b = le.AppendUint64(b, spec.Instance)
	}
	if version >= 3 {
		support := uint64(0)
		if signed {
			support = supportsAuth
		}
		b = le.AppendUint64(b, support)
	}
	b = append(b, body...)
	b = append(b, spec.Vendor...)
	le.PutUint32(b[24:], uint32(len(b)))
	return b, nil
}

// parseGUID is the reverse of guid; nil if s is none.
func parseGUID(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 {
		return nil
	}
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return b
}

// spec is what a capsule was built from.
func (img *Image) spec() (Spec, error) {
	image, err := img.in.Bytes(img.image, img.size)
	if err != nil {
		return Spec{}, err
	}
	vendor, err := img.in.Bytes(img.image+img.size, img.vendorSize)
	return Spec{
		ImageType: img.imageType, Index: img.index, Instance: img.instance, Count: img.count,
		Image: image, Vendor: vendor, Version: img.version,
	}, err
}
