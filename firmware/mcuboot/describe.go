package mcuboot

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"assay/firmware/format"
)

// Describe tells what the image says about itself; nothing of it is verified.
func (img *Image) Describe() format.Facts {
	f := format.Facts{
		Format:      name,
		Version:     img.Version().String(),
		Targets:     img.targets(),
		Signature:   img.claimedSignature(),
		KeyHint:     hex.EncodeToString(find(img.unprotected, TypeKeyHash)),
		Encrypted:   img.cipher(),
		Size:        int64(len(img.raw)),
		PayloadSize: int64(img.header.imageSize),
		Covered:     img.coveredRegions(),
		Uncovered:   img.uncoveredRegions(),
		Fields:      img.fields(),
		Notes:       img.notes(),
	}
	if n, ok := img.SecurityCounter(); ok {
		f.SecurityCounter = new(uint64(n))
	}
	return f
}

// claimedSignature names the algorithm by the TLVs alone; which curve an ECDSA
// signature is on follows from the hash that goes with it.
func (img *Image) claimedSignature() string {
	sig, ok := img.signature()
	if !ok {
		return ""
	}
	tlv, _, _ := img.hashTLV()
	_, hash, _ := hashOf(tlv.Type)
	switch sig.Type {
	case TypeECDSA:
		if tlv.Type == TypeSHA384 {
			return "ecdsa-p384-sha384"
		}
		return "ecdsa-p256-" + hash
	case TypeEd25519:
		if find(img.unprotected, TypePure) != nil {
			return "ed25519"
		}
		return "ed25519-over-" + hash
	case TypeRSA2048:
		return "rsa-2048-pss-" + hash
	case TypeRSA3072:
		return "rsa-3072-pss-" + hash
	}
	return sig.Type.String()
}

func (img *Image) cipher() string {
	switch {
	case img.header.flags&FlagAES128 != 0:
		return "aes-128-ctr"
	case img.header.flags&FlagAES256 != 0:
		return "aes-256-ctr"
	}
	return ""
}

func (img *Image) coveredRegions() []format.Region {
	regions := []format.Region{
		region("header", 0, int(img.header.size)),
		region("payload", int(img.header.size), img.protectedAt),
	}
	if img.covered > img.protectedAt {
		regions = append(regions, region("protected TLVs", img.protectedAt, img.covered))
	}
	return regions
}

func (img *Image) uncoveredRegions() []format.Region {
	regions := []format.Region{region("unprotected TLVs", img.covered, img.end)}
	if img.end < len(img.raw) {
		name := "erased flash"
		if img.swapTrailer {
			name = "erased flash and swap trailer"
		}
		regions = append(regions, region(name, img.end, len(img.raw)))
	}
	return regions
}

func region(name string, from, to int) format.Region {
	return format.Region{Name: name, Offset: int64(from), Size: int64(to - from)}
}

func (img *Image) fields() []format.Field {
	h := img.header
	fields := []format.Field{
		{Name: "load address", Value: fmt.Sprintf("0x%08x", h.loadAddress), Protected: true},
		{Name: "header size", Value: fmt.Sprint(h.size), Protected: true},
		{Name: "flags", Value: fmt.Sprintf("0x%x", h.flags), Protected: true},
	}
	for _, t := range img.protected {
		fields = append(fields, format.Field{Name: t.Type.String(), Value: tlvText(t), Protected: true})
	}
	for _, t := range img.unprotected {
		fields = append(fields, format.Field{Name: t.Type.String(), Value: tlvText(t)})
	}
	return fields
}

func tlvText(t TLV) string {
	switch t.Type {
	case TypeSecurityCount:
		return fmt.Sprint(binary.LittleEndian.Uint32(t.Value))
	case TypeDependency:
		return parseDependency(t.Value).String()
	}
	const shown = 96
	if len(t.Value) > shown {
		return fmt.Sprintf("%x... (%d bytes)", t.Value[:shown], len(t.Value))
	}
	return hex.EncodeToString(t.Value)
}

func (img *Image) notes() []string {
	var notes []string
	say := func(s string, args ...any) { notes = append(notes, fmt.Sprintf(s, args...)) }
	if _, ok := img.SecurityCounter(); !ok {
		say("no security counter: only the version number resists an older image")
	}
	if unknown := img.header.flags &^ knownFlags; unknown != 0 {
		say("unknown header flags 0x%x", unknown)
	}
	for _, t := range img.protected {
		if !isVendor(t.Type) && t.Type.String() == fmt.Sprintf("TLV 0x%04x", uint16(t.Type)) {
			say("unknown protected TLV 0x%04x", uint16(t.Type))
		}
	}
	if find(img.unprotected, TypePublicKey) != nil {
		say("the image carries a public key; it was only compared with the trusted ones")
	}
	if sig, ok := img.signature(); ok && sig.Type == TypeECDSA {
		if _, padding := trimPadding(sig.Value, 384); padding > 0 {
			say("signature is padded with %d zero bytes that nothing covers", padding)
		}
	}
	if img.end < len(img.raw) {
		say("%d bytes behind the image are not covered", len(img.raw)-img.end)
	}
	return notes
}
