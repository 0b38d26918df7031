package mcuboot

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"math"

	"assay/firmware/format"
)

// A Spec is what Build needs to make an image. Version and Payload matter, the rest
// may stay zero.
type Spec struct {
	Version         Version
	SecurityCounter uint32 // 0 writes none
	Payload         []byte

	HeaderSize   int    // with its padding of zeros; 0 means 32, the smallest
	LoadAddress  uint32 // of RAM_LOAD and ROM_FIXED images
	Flags        uint32 // the encryption flags are refused: Build does not encrypt
	VendorID     []byte // UUID_VID, 16 bytes
	ClassID      []byte // UUID_CID, 16 bytes
	Dependencies []Dependency
	Protected    []TLV // further protected TLVs, in this order

	EmbedKey bool // carry the whole public key instead of its hash
	Pure     bool // Ed25519 over the image itself instead of its hash
	SlotSize int  // fill up with erased flash to this size; 0 does not
}

// Build makes an image signed by key: RSA-2048 or RSA-3072, ECDSA on P-256 or P-384, Ed25519.
func Build(spec Spec, key crypto.Signer) ([]byte, error) {
	b, err := build(spec, key)
	if err != nil {
		return nil, fmt.Errorf("build mcuboot image %v: %w", spec.Version, err)
	}
	return b, nil
}

func build(spec Spec, key crypto.Signer) ([]byte, error) {
	covered, err := spec.covered()
	if err != nil {
		return nil, err
	}
	tlvs, err := sign(covered, key, spec.EmbedKey, spec.Pure)
	if err != nil {
		return nil, err
	}
	b, err := appendArea(covered, unprotectedMagic, tlvs)
	if err != nil {
		return nil, err
	}
	if spec.SlotSize > 0 && len(b) > spec.SlotSize {
		return nil, fmt.Errorf("%d bytes do not fit the slot of %d", len(b), spec.SlotSize)
	}
	for len(b) < spec.SlotSize {
		b = append(b, 0xff)
	}
	// What Build makes must be what the verifier takes apart.
	if _, err := OpenUnverified(b); err != nil {
		return nil, err
	}
	return b, nil
}

// covered writes header, payload and protected area.
func (spec Spec) covered() ([]byte, error) {
	size := max(spec.HeaderSize, headerSize)
	if size > math.MaxUint16 || uint64(len(spec.Payload))+3*math.MaxUint16 > math.MaxUint32 {
		return nil, fmt.Errorf("header of %d and payload of %d bytes are too large", size, len(spec.Payload))
	}
	if spec.Flags&(FlagAES128|FlagAES256) != 0 {
		return nil, fmt.Errorf("flags 0x%x ask for encryption", spec.Flags)
	}
	var area []byte
	if tlvs := spec.protected(); len(tlvs) > 0 {
		var err error
		if area, err = appendArea(nil, protectedMagic, tlvs); err != nil {
			return nil, err
		}
	}
	b := make([]byte, 0, size+len(spec.Payload)+len(area)+1024)
	b = binary.LittleEndian.AppendUint32(b, headerMagic)
	b = binary.LittleEndian.AppendUint32(b, spec.LoadAddress)
	b = binary.LittleEndian.AppendUint16(b, uint16(size))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(area)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(spec.Payload)))
	b = binary.LittleEndian.AppendUint32(b, spec.Flags)
	b = spec.Version.append(b)
	b = append(b, make([]byte, size-len(b))...)
	b = append(b, spec.Payload...)
	return append(b, area...), nil
}

func (spec Spec) protected() []TLV {
	var tlvs []TLV
	if spec.SecurityCounter != 0 {
		tlvs = append(tlvs, TLV{TypeSecurityCount, binary.LittleEndian.AppendUint32(nil, spec.SecurityCounter)})
	}
	for _, d := range spec.Dependencies {
		tlvs = append(tlvs, TLV{TypeDependency, d.encode()})
	}
	if spec.VendorID != nil {
		tlvs = append(tlvs, TLV{TypeVendorUUID, spec.VendorID})
	}
	if spec.ClassID != nil {
		tlvs = append(tlvs, TLV{TypeClassUUID, spec.ClassID})
	}
	return append(tlvs, spec.Protected...)
}

func appendArea(b []byte, magic uint16, tlvs []TLV) ([]byte, error) {
	total := tlvInfoSize
	for _, t := range tlvs {
		total += tlvHeadSize + len(t.Value)
	}
	if total > math.MaxUint16 {
		return nil, fmt.Errorf("TLV area of %d bytes is too large", total)
	}
	b = binary.LittleEndian.AppendUint16(b, magic)
	b = binary.LittleEndian.AppendUint16(b, uint16(total))
	for _, t := range tlvs {
		b = binary.LittleEndian.AppendUint16(b, uint16(t.Type))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(t.Value)))
		b = append(b, t.Value...)
	}
	return b, nil
}

// sign returns the unprotected TLVs in imgtool's order: hash, key, signature.
func sign(covered []byte, signer crypto.Signer, embed, pure bool) ([]TLV, error) {
	key, s, err := signerKey(signer)
	if err != nil {
		return nil, err
	}
	if pure && s.tlv != TypeEd25519 {
		return nil, format.Wrap(format.ErrAlgorithm, "a pure signature needs an ed25519 key, not %s", key.Algorithm)
	}
	hashType := s.hashes[0]
	if pure {
		hashType = TypeSHA512 // as imgtool does
	}
	hash, _, _ := hashOf(hashType)
	digest := sum(hash, covered)
	message := digest
	if pure {
		message = covered
	}
	sig, err := signMessage(signer, s, hash, message)
	if err != nil {
		return nil, err
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	id := TLV{TypeKeyHash, sum(hash, encoded)}
	if embed {
		id = TLV{TypePublicKey, encoded}
	}
	tlvs := []TLV{{hashType, digest}, id, {s.tlv, sig}}
	if pure {
		tlvs = append(tlvs, TLV{TypePure, []byte{1}})
	}
	return tlvs, nil
}

func signerKey(signer crypto.Signer) (format.Key, scheme, error) {
	if signer == nil {
		return format.Key{}, scheme{}, format.Wrap(format.ErrUnsigned, "no key to sign with")
	}
	set, err := format.NewKeys(signer.Public())
	if err != nil {
		return format.Key{}, scheme{}, err
	}
	s, err := schemeOf(signer.Public())
	return set.All()[0], s, err
}

func signMessage(signer crypto.Signer, s scheme, hash crypto.Hash, message []byte) ([]byte, error) {
	var opts crypto.SignerOpts = hash
	switch s.tlv {
	case TypeRSA2048, TypeRSA3072:
		opts = &rsa.PSSOptions{SaltLength: saltSize, Hash: hash}
	case TypeEd25519:
		opts = crypto.Hash(0) // the hash value is the message; this is not the prehash mode of RFC 8032
	}
	sig, err := signer.Sign(rand.Reader, message, opts)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return sig, nil
}
