// Package mcuboot tells whether an MCUboot image is what its maker signed: a strict
// reader of header and TLV areas, a verifier for RSA-PSS, ECDSA and Ed25519, a writer
// of signed images, and the rules by which a device refuses older ones. It reads as
// the strictest bootloader would: what a device might take in two ways is refused. It
// never takes a key from the image, and decrypts only to hash.
package mcuboot

import (
	"crypto"
	"fmt"

	"assay/firmware/format"
)

const name = "mcuboot"

// Numbers of the format: boot/bootutil/include/bootutil/image.h of mcu-tools/mcuboot.
// All integers are little endian.
const (
	headerMagic      = 0x96f3b83d
	headerMagicV1    = 0x96f3b83c
	protectedMagic   = 0x6908
	unprotectedMagic = 0x6907

	maxSize     = 256 << 20 // bytes of an image: a hundred times the flash of any MCU
	headerSize  = 32        // without padding
	tlvInfoSize = 4
	tlvHeadSize = 4
)

// Header flags.
const (
	FlagAES128      = 0x4
	FlagAES256      = 0x8
	FlagNonBootable = 0x10
	FlagRAMLoad     = 0x20
	FlagROMFixed    = 0x100
	FlagLZMA1       = 0x200
	FlagLZMA2       = 0x400
	FlagARMThumb    = 0x800

	knownFlags = FlagAES128 | FlagAES256 | FlagNonBootable | FlagRAMLoad | FlagROMFixed | FlagLZMA1 | FlagLZMA2 | FlagARMThumb
)

// A Type is the type of a TLV.
type Type uint16

// Types of TLVs.
const (
	TypeKeyHash           Type = 0x01
	TypePublicKey         Type = 0x02
	TypeSHA256            Type = 0x10
	TypeSHA384            Type = 0x11
	TypeSHA512            Type = 0x12
	TypeRSA2048           Type = 0x20
	TypeECDSA224          Type = 0x21 // withdrawn; refused
	TypeECDSA             Type = 0x22
	TypeRSA3072           Type = 0x23
	TypeEd25519           Type = 0x24
	TypePure              Type = 0x25
	TypeEncRSA            Type = 0x30
	TypeEncKW             Type = 0x31
	TypeEncEC256          Type = 0x32
	TypeEncX25519         Type = 0x33
	TypeEncX25519SHA      Type = 0x34
	TypeDependency        Type = 0x40
	TypeSecurityCount     Type = 0x50
	TypeBootRecord        Type = 0x60
	TypeDecompSize        Type = 0x70
	TypeDecompHash        Type = 0x71
	TypeDecompSig         Type = 0x72
	TypeCompDecSize       Type = 0x73
	TypeVendorUUID        Type = 0x74
	TypeClassUUID         Type = 0x75
	vendorLow, vendorHigh      = 0xa0, 0xfe // low byte of the types left to vendors
)

// A TLV is one entry of a TLV area.
type TLV struct {
	Type  Type
	Value []byte
}

// Format describes MCUboot to the front door.
func Format() format.Format {
	return format.Format{
		Name:   name,
		Detect: func(in format.Input) bool { return detect(in.Head(4)) },
		OpenUnverified: func(in format.Input) (format.Image, error) {
			b, err := in.Whole(maxSize)
			if err != nil {
				return nil, fmt.Errorf("open mcuboot image: %w", err)
			}
			img, err := OpenUnverified(b)
			if err != nil {
				return nil, err // a nil *Image in an interface would not be nil
			}
			return img, nil
		},
		Compare:  compareVersions,
		Variants: variants(),
	}
}

// hashes and what they are called.
func hashOf(t Type) (crypto.Hash, string, bool) {
	switch t {
	case TypeSHA256:
		return crypto.SHA256, "sha256", true
	case TypeSHA384:
		return crypto.SHA384, "sha384", true
	case TypeSHA512:
		return crypto.SHA512, "sha512", true
	}
	return 0, "", false
}

// isSignature holds for everything that claims to be one, the withdrawn type too.
func isSignature(t Type) bool { return t >= TypeRSA2048 && t <= TypeEd25519 }

func isEncryption(t Type) bool { return t >= TypeEncRSA && t <= TypeEncX25519SHA }

func isVendor(t Type) bool {
	low := byte(t)
	return low >= vendorLow && low <= vendorHigh
}

func (t Type) String() string {
	for _, n := range typeNames() {
		if n.t == t {
			return n.name
		}
	}
	if isVendor(t) {
		return fmt.Sprintf("vendor TLV 0x%04x", uint16(t))
	}
	return fmt.Sprintf("TLV 0x%04x", uint16(t))
}

type typeName struct {
	t    Type
	name string
}

// typeNames uses the names of mcu-tools/mcuboot, without the common prefix.
func typeNames() []typeName {
	return []typeName{
		{TypeKeyHash, "KEYHASH"}, {TypePublicKey, "PUBKEY"},
		{TypeSHA256, "SHA256"}, {TypeSHA384, "SHA384"}, {TypeSHA512, "SHA512"},
		{TypeRSA2048, "RSA2048_PSS"}, {TypeECDSA224, "ECDSA224"}, {TypeECDSA, "ECDSA_SIG"},
		{TypeRSA3072, "RSA3072_PSS"}, {TypeEd25519, "ED25519"}, {TypePure, "SIG_PURE"},
		{TypeEncRSA, "ENC_RSA2048"}, {TypeEncKW, "ENC_KW"}, {TypeEncEC256, "ENC_EC256"},
		{TypeEncX25519, "ENC_X25519"}, {TypeEncX25519SHA, "ENC_X25519_SHA512"},
		{TypeDependency, "DEPENDENCY"}, {TypeSecurityCount, "SEC_CNT"}, {TypeBootRecord, "BOOT_RECORD"},
		{TypeDecompSize, "DECOMP_SIZE"}, {TypeDecompHash, "DECOMP_SHA"}, {TypeDecompSig, "DECOMP_SIGNATURE"},
		{TypeCompDecSize, "COMP_DEC_SIZE"}, {TypeVendorUUID, "UUID_VID"}, {TypeClassUUID, "UUID_CID"},
	}
}
