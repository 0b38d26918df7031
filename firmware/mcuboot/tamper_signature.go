package mcuboot

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"slices"

	"assay/firmware/format"
)

// The variants of header, signature and TLVs.

// flipHeader changes the padding of the header, which is covered and which no device uses.
func (img *Image) flipHeader(m *format.Manifest, _ format.Means) ([]byte, error) {
	const at = 28
	b := bytes.Clone(img.raw)
	b[at] ^= 1
	changed(m, "lowest bit of the header byte at offset %d", at)
	expect(m, format.LayerSignature, format.ErrBadSignature, "the header is part of what is signed")
	return img.rehash(b, m)
}

// place is where the value of an unprotected TLV begins.
func (img *Image) place(t Type) int {
	at := img.covered + tlvInfoSize
	for _, x := range img.unprotected {
		at += tlvHeadSize
		if x.Type == t {
			return at
		}
		at += len(x.Value)
	}
	return -1
}

func (img *Image) flipSignature(m *format.Manifest, _ format.Means) ([]byte, error) {
	sig, _ := img.signature()
	b := bytes.Clone(img.raw)
	der, _ := trimPadding(sig.Value, 384)
	if sig.Type != TypeECDSA {
		der = sig.Value
	}
	at := img.place(sig.Type) + len(der) - 1
	b[at] ^= 1
	changed(m, "lowest bit of %v at offset %d", sig.Type, at)
	expect(m, format.LayerSignature, format.ErrBadSignature, "the signature does not fit")
	return b, nil
}

// flipTrailer changes what names the key.
func (img *Image) flipTrailer(m *format.Manifest, _ format.Means) ([]byte, error) {
	for _, t := range []Type{TypeKeyHash, TypePublicKey} {
		if value := find(img.unprotected, t); len(value) > 0 {
			b := bytes.Clone(img.raw)
			at := img.place(t) + len(value) - 1
			b[at] ^= 1
			changed(m, "lowest bit of %v at offset %d", t, at)
			expect(m, format.LayerTrust, format.ErrNoTrustedKey, "the bootloader does not hold the key that the image names")
			return b, nil
		}
	}
	return nil, notApplicable("it names no key")
}

// twoSignatures has a stranger's signature of a changed image before the maker's of the genuine one.
func (img *Image) twoSignatures(m *format.Manifest, means format.Means) ([]byte, error) {
	b, err := img.flip(m, means)
	if err != nil {
		return nil, err
	}
	if b, err = img.rehash(b, m); err != nil {
		return nil, err
	}
	stranger, err := img.freshKey()
	if err != nil {
		return nil, err
	}
	signed, err := sign(b[:img.covered], stranger, false, find(img.unprotected, TypePure) != nil)
	if err != nil {
		return nil, err
	}
	edited, err := OpenUnverified(b)
	if err != nil {
		return nil, err
	}
	sig, _ := img.signature()
	tlvs := edited.Unprotected()
	i := slices.IndexFunc(tlvs, func(t TLV) bool { return t.Type == sig.Type })
	tlvs = slices.Insert(tlvs, i, TLV{sig.Type, find(signed, sig.Type)})
	changed(m, "a second %v, by a fresh key, before the maker's", sig.Type)
	m.Repaired = append(m.Repaired, "size of the unprotected TLV area")
	expect(m, format.LayerStructure, format.ErrMalformed, "two signatures: a device that checks the first and one that checks the last disagree")
	return img.written(b[:img.covered], tlvs)
}

// otherAlgorithm says that the signature is of another kind than the key is for.
func (img *Image) otherAlgorithm(m *format.Manifest, means format.Means) ([]byte, error) {
	sig, _ := img.signature()
	tlvs := img.Unprotected()
	i := slices.IndexFunc(tlvs, func(t TLV) bool { return t.Type == sig.Type })
	m.Repaired = append(m.Repaired, "size of the unprotected TLV area")
	switch {
	case sig.Type == TypeEd25519 && find(tlvs, TypePure) != nil:
		tlvs = slices.DeleteFunc(tlvs, func(t TLV) bool { return t.Type == TypePure })
		changed(m, "%v removed: the signature of the image is taken for one of its hash", TypePure)
		expect(m, format.LayerSignature, format.ErrBadSignature, "the signature is not one of the hash")
	case sig.Type == TypeEd25519:
		tlvs = append(tlvs, TLV{TypePure, []byte{1}})
		changed(m, "%v added: the signature of the hash is taken for one of the image", TypePure)
		expect(m, format.LayerSignature, format.ErrBadSignature, "the signature is not one of the image itself")
	case sig.Type == TypeECDSA:
		tlvs[i].Type = TypeEd25519
		changed(m, "%v is called %v", sig.Type, TypeEd25519)
		expect(m, format.LayerSignature, format.ErrAlgorithm, "a bootloader is built for one kind of signature")
	case means.Signer != nil:
		value, err := img.pkcs1(means.Signer)
		if err != nil {
			return nil, err
		}
		tlvs[i].Value = value
		changed(m, "signature by the maker's key, PKCS#1 v1.5 in the place of PSS")
		expect(m, format.LayerSignature, format.ErrBadSignature, "the padding must be that of PSS")
	default:
		tlvs[i].Type = TypeECDSA
		changed(m, "%v is called %v", sig.Type, TypeECDSA)
		expect(m, format.LayerSignature, format.ErrAlgorithm, "a bootloader is built for one kind of signature")
	}
	return img.withUnprotected(tlvs)
}

func (img *Image) pkcs1(key crypto.Signer) ([]byte, error) {
	if err := img.isMaker(key); err != nil {
		return nil, err
	}
	tlv, hash, _ := img.hashTLV()
	return key.Sign(rand.Reader, tlv.Value, hash)
}

// zeroSignature is one that needs no key where a verifier forgets to ask for r, s > 0.
func (img *Image) zeroSignature(m *format.Manifest, means format.Means) ([]byte, error) {
	b, err := img.flipAndRepair(m, means)
	if err != nil {
		return nil, err
	}
	edited, err := OpenUnverified(b)
	if err != nil {
		return nil, err
	}
	sig, _ := edited.signature()
	tlvs := edited.Unprotected()
	i := slices.IndexFunc(tlvs, func(t TLV) bool { return t.Type == sig.Type })
	tlvs[i].Value = make([]byte, len(sig.Value))
	if sig.Type == TypeECDSA {
		tlvs[i].Value = []byte{0x30, 6, 2, 1, 0, 2, 1, 0} // SEQUENCE of two INTEGER 0
		m.Classic = "CVE-2022-21449"
	}
	changed(m, "%v is zero", sig.Type)
	expect(m, format.LayerSignature, format.ErrBadSignature, "a signature of zeros fits no image")
	return img.written(b[:img.covered], tlvs)
}

// otherSalt signs with the maker's key and another salt length, for devices that take any.
func (img *Image) otherSalt(m *format.Manifest, means format.Means) ([]byte, error) {
	sig, _ := img.signature()
	if sig.Type != TypeRSA2048 && sig.Type != TypeRSA3072 {
		return nil, notApplicable("it is not signed by RSA")
	}
	if err := img.isMaker(means.Signer); err != nil {
		return nil, err
	}
	tlv, hash, _ := img.hashTLV()
	value, length, err := format.SignOtherSalt(means.Signer, hash, tlv.Value)
	if err != nil {
		return nil, err
	}
	b := bytes.Clone(img.raw)
	copy(b[img.place(sig.Type):], value)
	changed(m, "signature by the maker's key with a salt of %d bytes", length)
	expect(m, format.LayerSignature, format.ErrBadSignature, "the salt must have 32 bytes")
	return b, nil
}

// twoHashes has the hash of the genuine image first and that of a changed one last.
func (img *Image) twoHashes(m *format.Manifest, means format.Means) ([]byte, error) {
	b, err := img.flip(m, means)
	if err != nil {
		return nil, err
	}
	if b, err = img.rehash(b, m); err != nil {
		return nil, err
	}
	edited, err := OpenUnverified(b)
	if err != nil {
		return nil, err
	}
	genuine, _, _ := img.hashTLV()
	changed(m, "a second %v: the genuine one first, that of the changed image behind it", genuine.Type)
	m.Repaired = append(m.Repaired, "size of the unprotected TLV area")
	expect(m, format.LayerStructure, format.ErrMalformed, "two hashes: a device that checks the first and one that checks the last disagree")
	return img.written(b[:img.covered], slices.Insert(edited.Unprotected(), 0, genuine))
}

// uncovered adds a security counter where the signature does not cover it.
func (img *Image) uncovered(m *format.Manifest, _ format.Means) ([]byte, error) {
	changed(m, "%v of 0xffffffff in the unprotected TLV area", TypeSecurityCount)
	m.Repaired = append(m.Repaired, "size of the unprotected TLV area")
	m.Classic = "CVE-2024-32883"
	expect(m, format.LayerStructure, format.ErrMalformed, "the unprotected area may hold hash, key and signature alone")
	return img.withUnprotected(append(img.Unprotected(), TLV{TypeSecurityCount, bytes.Repeat([]byte{0xff}, 4)}))
}
