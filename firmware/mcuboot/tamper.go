package mcuboot

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"maps"
	"slices"

	"assay/firmware/format"
)

// Tamper returns a copy of the image that a good device refuses. The file keeps its
// size where it fills a slot.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	m := format.Manifest{Format: name, Variant: variant}
	b, err := img.tamper(variant, &m, means)
	if err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of mcuboot image %v: %w", variant, img.Version(), err)
	}
	v := format.Variant{Bytes: b, Manifest: m}
	if variant == format.Swapped {
		v.Files, v.Bytes = map[string][]byte{format.FileFirst: bytes.Clone(img.raw), format.FileSecond: b}, nil
	}
	return v, nil
}

// A recipe makes one variant and fills in its manifest.
type recipe func(img *Image, m *format.Manifest, means format.Means) ([]byte, error)

func recipes() map[string]recipe {
	return map[string]recipe{
		format.Tampered: (*Image).flipAndRepair, format.TamperedPlain: (*Image).flip, format.Swapped: (*Image).swapped,
		format.HeaderFlip: (*Image).flipHeader, format.SignatureFlip: (*Image).flipSignature, format.TrailerFlip: (*Image).flipTrailer,
		format.Unsigned: (*Image).strip, format.DuplicateSignature: (*Image).twoSignatures,
		format.WrongKey: (*Image).wrongKey, format.WrongKeyForged: (*Image).forgedID,
		format.AlgorithmConfusion: (*Image).otherAlgorithm, format.ZeroSignature: (*Image).zeroSignature, format.SaltLength: (*Image).otherSalt,
		format.Older: (*Image).older, format.OtherProduct: (*Image).otherClass, format.OtherHardware: (*Image).otherVendor,
		format.TruncatedHeader: (*Image).cutHeader, format.TruncatedPayload: (*Image).cutPayload, format.TruncatedSignature: (*Image).cutSignature,
		format.Empty: (*Image).empty, format.Oversize: (*Image).oversize, format.TrailingData: (*Image).trailing, format.LengthLie: (*Image).lengthLie,
		format.DuplicateEntry: (*Image).twoHashes, format.UnsignedExtra: (*Image).uncovered, format.MixAndMatch: (*Image).mix,
	}
}

func variants() []string {
	known := recipes()
	return format.InOrder(slices.Collect(maps.Keys(known))...)
}

func (img *Image) tamper(variant string, m *format.Manifest, means format.Means) ([]byte, error) {
	recipe, known := recipes()[variant]
	if !known {
		return nil, format.ErrUnknownVariant
	}
	if _, signed := img.signature(); !signed {
		return nil, notApplicable("it is not signed")
	}
	return recipe(img, m, means)
}

func changed(m *format.Manifest, what string, args ...any) {
	m.Changed = append(m.Changed, fmt.Sprintf(what, args...))
}

// expect fills in how a good device answers.
func expect(m *format.Manifest, layer format.Layer, reason error, sentence string, args ...any) {
	m.Layer, m.Reason, m.Expected = layer, reason, fmt.Sprintf(sentence, args...)
}

func notApplicable(why string, args ...any) error {
	return format.Wrap(format.ErrNotApplicable, why, args...)
}

// flip changes one bit of the payload.
func (img *Image) flip(m *format.Manifest, _ format.Means) ([]byte, error) {
	payload := img.Payload()
	if len(payload) == 0 {
		return nil, notApplicable("the payload is empty")
	}
	at := int(img.header.size) + format.Harmless(payload)
	b := bytes.Clone(img.raw)
	b[at] ^= 1
	changed(m, "lowest bit of the payload byte at offset %d", at)
	expect(m, format.LayerHash, format.ErrBadHash, "the hash TLV is of another image")
	return b, nil
}

func (img *Image) flipAndRepair(m *format.Manifest, means format.Means) ([]byte, error) {
	b, err := img.flip(m, means)
	if err != nil {
		return nil, err
	}
	expect(m, format.LayerSignature, format.ErrBadSignature, "the hash fits, the signature is of another one")
	return img.rehash(b, m)
}

// rehash makes the hash TLV of an edited copy consistent.
func (img *Image) rehash(b []byte, m *format.Manifest) ([]byte, error) {
	if img.Encrypted() {
		return nil, notApplicable("its hash is one of the plaintext and cannot be repaired")
	}
	edited, err := OpenUnverified(b)
	if err != nil {
		return nil, err
	}
	tlv, hash, ok := edited.hashTLV()
	if !ok {
		return nil, notApplicable("it has no hash to repair")
	}
	copy(tlv.Value, edited.digest(hash)) // the value is a part of b
	m.Repaired = append(m.Repaired, tlv.Type.String())
	return b, nil
}

// strip removes everything that speaks of a signer.
func (img *Image) strip(m *format.Manifest, _ format.Means) ([]byte, error) {
	var kept []TLV
	for _, t := range img.unprotected {
		if isSignature(t.Type) || t.Type == TypePure || t.Type == TypeKeyHash || t.Type == TypePublicKey {
			changed(m, "%v removed", t.Type)
			continue
		}
		kept = append(kept, t)
	}
	m.Repaired = append(m.Repaired, "size of the unprotected TLV area")
	expect(m, format.LayerSignature, format.ErrUnsigned, "there is no signature TLV")
	return img.withUnprotected(kept)
}

func (img *Image) wrongKey(m *format.Manifest, _ format.Means) ([]byte, error) {
	return img.resign(m, false)
}
func (img *Image) forgedID(m *format.Manifest, _ format.Means) ([]byte, error) {
	return img.resign(m, true)
}

// resign signs the unchanged contents with a fresh key of the same kind. With
// forgedID the image still names the maker's key; otherwise it names the fresh key
// by hash and carries it as well.
func (img *Image) resign(m *format.Manifest, forgedID bool) ([]byte, error) {
	if img.Encrypted() {
		return nil, notApplicable("its signature covers the plaintext")
	}
	stranger, err := img.freshKey()
	if err != nil {
		return nil, err
	}
	pure := find(img.unprotected, TypePure) != nil
	signed, err := sign(img.raw[:img.covered], stranger, false, pure)
	if err != nil {
		return nil, err
	}
	key, s, err := signerKey(stranger)
	if err != nil {
		return nil, err
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	tlvs := slices.Clone(img.unprotected)
	for i, t := range tlvs {
		switch {
		case isSignature(t.Type):
			tlvs[i].Value = find(signed, s.tlv)
		case t.Type == TypeKeyHash && !forgedID:
			_, hash, _ := img.hashTLV()
			tlvs[i].Value = sum(hash, encoded)
		case t.Type == TypePublicKey && !forgedID:
			tlvs[i].Value = encoded
		}
	}
	changed(m, "signature made by a fresh key of the same kind")
	expect(m, format.LayerSignature, format.ErrBadSignature, "the signature is not of the key that the image names")
	if !forgedID {
		if find(tlvs, TypePublicKey) == nil {
			tlvs = append(tlvs, TLV{TypePublicKey, encoded})
		}
		changed(m, "KEYHASH and PUBKEY are those of the fresh key")
		expect(m, format.LayerTrust, format.ErrNoTrustedKey, "the bootloader does not hold the key that the image names")
	}
	m.Repaired = append(m.Repaired, "size of the unprotected TLV area")
	return img.withUnprotected(tlvs)
}

// freshKey makes a key of the kind that signed the image.
func (img *Image) freshKey() (crypto.Signer, error) {
	sig, _ := img.signature()
	tlv, _, _ := img.hashTLV()
	switch {
	case sig.Type == TypeECDSA && tlv.Type == TypeSHA384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case sig.Type == TypeECDSA:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case sig.Type == TypeEd25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case sig.Type == TypeRSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case sig.Type == TypeRSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, notApplicable("%v is not made any more", sig.Type)
}

// withUnprotected writes the image with another unprotected area. What lay behind is
// kept; erased flash gives or takes the difference.
func (img *Image) withUnprotected(tlvs []TLV) ([]byte, error) {
	return img.written(img.raw[:img.covered], tlvs)
}

// written puts another covered part, of the same length, before it.
func (img *Image) written(covered []byte, tlvs []TLV) ([]byte, error) {
	b, err := appendArea(bytes.Clone(covered), unprotectedMagic, tlvs)
	if err != nil {
		return nil, err
	}
	tail := img.raw[img.end:]
	if len(tail) == 0 {
		return b, nil
	}
	for len(b) < img.end {
		b = append(b, 0xff)
	}
	if grown := len(b) - img.end; grown > 0 {
		if erased := len(tail) - len(bytes.TrimLeft(tail, "\xff")); erased < grown {
			return nil, notApplicable("%d more bytes do not fit the slot", grown)
		}
		tail = tail[grown:]
	}
	return append(b, tail...), nil
}
