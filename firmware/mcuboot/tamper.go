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
	"slices"

	"assay/firmware/format"
)

// Tamper returns a copy of the image that a good device refuses. The file keeps its
// size where it fills a slot.
func (img *Image) Tamper(variant string, _ format.Means) (format.Variant, error) {
	m := format.Manifest{Format: name, Variant: variant}
	b, err := img.tamper(variant, &m)
	if err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of mcuboot image %v: %w", variant, img.Version(), err)
	}
	return format.Variant{Bytes: b, Manifest: m}, nil
}

func variants() []string {
	return []string{format.Tampered, format.TamperedPlain, format.Unsigned, format.WrongKey, format.WrongKeyForged}
}

func (img *Image) tamper(variant string, m *format.Manifest) ([]byte, error) {
	if _, signed := img.signature(); !signed {
		return nil, wrap(format.ErrNotApplicable, "it is not signed")
	}
	switch variant {
	case format.TamperedPlain:
		return img.flip(m)
	case format.Tampered:
		return img.flipAndRepair(m)
	case format.Unsigned:
		return img.strip(m)
	case format.WrongKey, format.WrongKeyForged:
		return img.resign(m, variant == format.WrongKeyForged)
	}
	return nil, format.ErrUnknownVariant
}

// flip changes one bit of the payload.
func (img *Image) flip(m *format.Manifest) ([]byte, error) {
	payload := img.Payload()
	if len(payload) == 0 {
		return nil, wrap(format.ErrNotApplicable, "the payload is empty")
	}
	at := int(img.header.size) + harmless(payload)
	b := bytes.Clone(img.raw)
	b[at] ^= 1
	m.Changed = append(m.Changed, fmt.Sprintf("lowest bit of the payload byte at offset %d", at))
	m.Layer, m.Reason = format.LayerHash, format.ErrBadHash
	return b, nil
}

// harmless picks the payload byte whose change is least likely to stop a device that
// takes the image after all: one amid the longest run of filling (0x00 or 0xff), else
// the middle. A device that runs the variant says so; one that does not come up needs a person.
func harmless(payload []byte) int {
	const worth = 8
	best, length := len(payload)/2, worth-1
	for i := 0; i < len(payload); {
		j := i
		for j < len(payload) && payload[j] == payload[i] {
			j++
		}
		if n := j - i; n > length && (payload[i] == 0 || payload[i] == 0xff) {
			best, length = i+n/2, n
		}
		i = j
	}
	return best
}

func (img *Image) flipAndRepair(m *format.Manifest) ([]byte, error) {
	if img.Encrypted() {
		return nil, wrap(format.ErrNotApplicable, "its hash is one of the plaintext and cannot be repaired")
	}
	b, err := img.flip(m)
	if err != nil {
		return nil, err
	}
	changed, err := OpenUnverified(b)
	if err != nil {
		return nil, err
	}
	tlv, hash, ok := changed.hashTLV()
	if !ok {
		return nil, wrap(format.ErrNotApplicable, "it has no hash to repair")
	}
	copy(tlv.Value, changed.digest(hash)) // the value is a part of b
	m.Repaired = append(m.Repaired, tlv.Type.String())
	m.Layer, m.Reason = format.LayerSignature, format.ErrBadSignature
	return b, nil
}

// strip removes everything that speaks of a signer.
func (img *Image) strip(m *format.Manifest) ([]byte, error) {
	var kept []TLV
	for _, t := range img.unprotected {
		if isSignature(t.Type) || t.Type == TypePure || t.Type == TypeKeyHash || t.Type == TypePublicKey {
			m.Changed = append(m.Changed, t.Type.String()+" removed")
			continue
		}
		kept = append(kept, t)
	}
	m.Repaired = append(m.Repaired, "size of the unprotected TLV area")
	m.Layer, m.Reason = format.LayerSignature, format.ErrUnsigned
	return img.withUnprotected(kept)
}

// resign signs the unchanged contents with a fresh key of the same kind. With
// forgedID the image still names the maker's key; otherwise it names the fresh key
// by hash and carries it as well.
func (img *Image) resign(m *format.Manifest, forgedID bool) ([]byte, error) {
	if img.Encrypted() {
		return nil, wrap(format.ErrNotApplicable, "its signature covers the plaintext")
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
	m.Changed = append(m.Changed, "signature made by a fresh key of the same kind")
	m.Layer, m.Reason = format.LayerSignature, format.ErrBadSignature
	if !forgedID {
		if find(tlvs, TypePublicKey) == nil {
			tlvs = append(tlvs, TLV{TypePublicKey, encoded})
		}
		m.Changed = append(m.Changed, "KEYHASH and PUBKEY are those of the fresh key")
		m.Layer, m.Reason = format.LayerTrust, format.ErrNoTrustedKey
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
	return nil, wrap(format.ErrNotApplicable, "%v is not made any more", sig.Type)
}

// withUnprotected writes the image with another unprotected area. What lay behind is
// kept; erased flash gives or takes the difference.
func (img *Image) withUnprotected(tlvs []TLV) ([]byte, error) {
	b, err := appendArea(bytes.Clone(img.raw[:img.covered]), unprotectedMagic, tlvs)
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
			return nil, wrap(format.ErrNotApplicable, "%d more bytes do not fit the slot", grown)
		}
		tail = tail[grown:]
	}
	return append(b, tail...), nil
}
