package esp32

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"assay/firmware/format"
)

// A Segment is a part of the image that the device loads or maps.
type Segment struct {
	Load uint32
	Data []byte // filled with zeros to a multiple of 4
}

// A Spec is what Build needs to make an image. Payload matters, the rest may stay zero.
type Spec struct {
	Chip          Chip
	MinRevision   Revision
	MaxRevision   Revision
	SecureVersion uint32
	Version       string
	Project       string
	Payload       []byte    // behind the app description, in the first segment
	Segments      []Segment // further ones

	NoDescription bool // as a bootloader
	NoHash        bool // no appended SHA-256
	V1            bool // Secure Boot V1; one key on P-256
}

// loadAddress of the first segment: what the ESP32-C3 maps as read-only data.
const loadAddress = 0x3c000020

// Build makes an image signed by keys: RSA of 3072 bits, ECDSA on P-192 (P192Key), P-256 or
// P-384; without keys it is not signed.
func Build(spec Spec, keys ...crypto.Signer) ([]byte, error) {
	b, err := spec.build(keys)
	if err != nil {
		return nil, fmt.Errorf("build esp32 image %s: %w", spec.Version, err)
	}
	return b, nil
}

func (spec Spec) build(keys []crypto.Signer) ([]byte, error) {
	b, err := spec.image()
	if err != nil {
		return nil, err
	}
	switch {
	case len(keys) == 0:
		return b, nil
	case spec.V1 && len(keys) == 1:
		return signV1(b, keys[0])
	case spec.V1 || len(keys) > maxBlocks:
		return nil, fmt.Errorf("%d keys are too many", len(keys))
	}
	return signV2(fill(b, sectorSize), keys...)
}

// image writes everything but the signature.
func (spec Spec) image() ([]byte, error) {
	var first []byte
	if !spec.NoDescription {
		first = spec.description()
	}
	segments := append([]Segment{{loadAddress, append(first, spec.Payload...)}}, spec.Segments...)
	if len(segments) > maxSegments {
		return nil, fmt.Errorf("%d segments, at most %d", len(segments), maxSegments)
	}
	b := make([]byte, headerSize)
	b[0], b[1], b[2], b[3] = imageMagic, byte(len(segments)), 2, 0x20
	binary.LittleEndian.PutUint32(b[4:], 0x40380000)
	b[8] = 0xee // no write-protect pin
	binary.LittleEndian.PutUint16(b[12:], uint16(spec.Chip))
	b[14] = byte(spec.MinRevision / 100)
	binary.LittleEndian.PutUint16(b[15:], uint16(spec.MinRevision))
	binary.LittleEndian.PutUint16(b[17:], uint16(spec.MaxRevision))
	if !spec.NoHash {
		b[23] = 1
	}
	sum := byte(checksumSeed)
	for _, s := range segments {
		data := slices.Concat(s.Data, make([]byte, -len(s.Data)&3))
		b = binary.LittleEndian.AppendUint32(b, s.Load)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		b = append(b, data...)
		for _, c := range data {
			sum ^= c
		}
	}
	for len(b)%checksumAlign != checksumAlign-1 {
		b = append(b, 0)
	}
	b = append(b, sum)
	if !spec.NoHash {
		hash := sha256.Sum256(b)
		b = append(b, hash[:]...)
	}
	return b, nil
}

func (spec Spec) description() []byte {
	b := make([]byte, appDescSize)
	binary.LittleEndian.PutUint32(b, appDescMagic)
	binary.LittleEndian.PutUint32(b[4:], spec.SecureVersion)
	copy(b[16:47], spec.Version)
	copy(b[48:79], spec.Project)
	copy(b[80:], "12:00:00")
	copy(b[96:], "Nov 25 2026")
	copy(b[112:], "v5.5")
	elf := sha256.Sum256(spec.Payload)
	copy(b[144:], elf[:])
	return b
}

// fill fills up with erased flash.
func fill(b []byte, align int) []byte {
	for len(b)%align != 0 {
		b = append(b, 0xff)
	}
	return b
}

func signV1(b []byte, key crypto.Signer) ([]byte, error) {
	p, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || p.Curve.Params().BitSize != 256 {
		return nil, format.Wrap(format.ErrAlgorithm, "secure boot v1 takes a key on P-256")
	}
	digest := sha256.Sum256(b)
	r, s, err := signECDSA(key, digest[:], crypto.SHA256, 32)
	if err != nil {
		return nil, err
	}
	return slices.Concat(b, make([]byte, 4), r, s), nil
}

// signV2 appends a signature sector to an image that is filled to whole sectors.
func signV2(b []byte, keys ...crypto.Signer) ([]byte, error) {
	var sector []byte
	for _, key := range keys {
		raw, err := signBlock(b, key)
		if err != nil {
			return nil, err
		}
		sector = append(sector, raw...)
	}
	return slices.Concat(b, fill(sector, sectorSize)), nil
}

// signBlock makes the signature block of one key over covered.
func signBlock(covered []byte, key crypto.Signer) ([]byte, error) {
	public, err := efuseKey(key.Public())
	if err != nil {
		return nil, err
	}
	raw := make([]byte, blockSize)
	raw[0] = blockMagic
	if _, isRSA := key.Public().(*rsa.PublicKey); isRSA {
		raw[1] = blockRSA
		digest := sha256.Sum256(covered)
		copy(raw[digestAt:], digest[:])
		copy(raw[rsaKeyAt:], public)
		sig, err := key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: hashSize, Hash: crypto.SHA256})
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		copy(raw[rsaSigAt:], bigEndian(sig))
		return sealed(raw), nil
	}
	c := curves()[public[0]-1]
	raw[1], raw[2] = blockECDSA, c.hashID
	h := c.hash.New()
	h.Write(covered)
	digest := h.Sum(nil)
	copy(raw[digestAt:], digest)
	copy(raw[c.keyAt():], public)
	r, s, err := signECDSA(key, digest, c.hash, c.size)
	if err != nil {
		return nil, err
	}
	copy(raw[c.sigAt():], slices.Concat(bigEndian(r), bigEndian(s)))
	return sealed(raw), nil
}

// sealed writes the CRC of a block.
func sealed(raw []byte) []byte {
	binary.LittleEndian.PutUint32(raw[crcAt:], crc32.ChecksumIEEE(raw[:crcAt]))
	return raw
}

// signECDSA returns r and s, big endian, size bytes each.
func signECDSA(key crypto.Signer, digest []byte, hash crypto.Hash, size int) (r, s []byte, err error) {
	der, err := key.Sign(rand.Reader, digest, hash)
	if err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	var sig ecdsaSignature
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	return sig.R.FillBytes(make([]byte, size)), sig.S.FillBytes(make([]byte, size)), nil
}
