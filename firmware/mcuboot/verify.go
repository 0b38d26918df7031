package mcuboot

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"assay/firmware/format"
)

// Open returns the image in b if one of the keys of trust signed it.
func Open(b []byte, trust format.Trust) (*Image, error) {
	img, err := OpenUnverified(b)
	if err != nil {
		return nil, err
	}
	if _, err := img.Verify(trust); err != nil {
		return nil, err
	}
	return img, nil
}

// Verify checks, in this order: there is a signature, the hash fits (one of trust's recipients
// opens an encrypted payload, which vouches for nothing), the image names
// one of keys, the signature is of that key's algorithm, the signature fits. A device
// is built for one signature type, so the trusted key decides the algorithm, never the image.
//
// Two files that differ may both verify, because the format leaves some bytes uncovered:
// the order of the unprotected TLVs (but the key before the signature), the maker's own key added as PUBKEY or KEYHASH, the
// second form of an ECDSA signature and zeros behind it, erased flash and a swap trailer
// behind the image. Header, payload and protected TLVs are then the same in both, and
// the report's Notes and Uncovered name what is there. Any other byte makes a difference.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	report := format.Report{Image: img.Describe()}
	err := img.verify(trust, &report)
	report.Findings = img.findings(report.Key)
	if err != nil {
		return report, fmt.Errorf("verify mcuboot image %v: %w", img.Version(), err)
	}
	report.Verified = true
	return report, nil
}

func (img *Image) verify(trust format.Trust, report *format.Report) error {
	keys := trust.Keys
	if keys.Len() == 0 {
		return format.Wrap(format.ErrNoTrustedKey, "no key was given")
	}
	sig, signed := img.signature()
	if !signed {
		return format.Wrap(format.ErrUnsigned, "no signature TLV")
	}
	covered, digest, hash, err := img.checkHash(trust.Recipients, report)
	if err != nil {
		return err
	}
	key, err := img.trustedKey(keys, hash)
	if err != nil {
		return err
	}
	report.Key = &key
	report.Chain = []format.Link{{Kind: "key", Name: "sha256:" + key.Fingerprint, Algorithm: key.Algorithm, Strength: format.Strength(key.Public), From: key.From}}
	if err := img.checkSignature(key, sig, hash, digest, covered); err != nil {
		return err
	}
	report.Chain = append(report.Chain, format.Link{Kind: "signature", Name: sig.Type.String(), Algorithm: report.Image.Signature, From: "image"})
	if covered == nil {
		return format.Wrap(format.ErrEncrypted, "the signature is one of the hash, but the hash is one of the plaintext, and no recipient's key was given")
	}
	report.Signature = report.Image.Signature
	report.Chain = append(report.Chain,
		format.Link{Kind: "hash", Name: "header, payload and protected TLVs", Algorithm: strings.SplitN(report.Digest, ":", 2)[0], From: "image"})
	return nil
}

// signature returns the one signature TLV; an empty one counts as none.
func (img *Image) signature() (TLV, bool) {
	for _, t := range img.unprotected {
		if isSignature(t.Type) && len(t.Value) > 0 {
			return t, true
		}
	}
	return TLV{}, false
}

// hashTLV returns the one hash TLV.
func (img *Image) hashTLV() (TLV, crypto.Hash, bool) {
	for _, t := range img.unprotected {
		if h, _, ok := hashOf(t.Type); ok {
			return t, h, true
		}
	}
	return TLV{}, 0, false
}

// checkHash compares the hash TLV with the covered bytes, which it returns in clear. The
// hash of an encrypted image is one of the plaintext: without a recipient's key the hash
// alone is returned, and the report stays without a digest. An image may say that it is
// encrypted and yet lie here in clear (imgtool sign --clear); then its hash fits as it is.
func (img *Image) checkHash(recipients []format.Anchor, report *format.Report) (covered, digest []byte, hash crypto.Hash, err error) {
	tlv, hash, ok := img.hashTLV()
	if !ok {
		return nil, nil, 0, format.Wrap(format.ErrBadHash, "no hash TLV")
	}
	covered, digest = img.raw[:img.covered], img.digest(hash)
	if img.Encrypted() && !bytes.Equal(digest, tlv.Value) {
		if len(recipients) == 0 {
			return nil, tlv.Value, hash, nil
		}
		if covered, err = img.decrypted(recipients); err != nil {
			return nil, nil, 0, err
		}
		digest = sum(hash, covered)
	}
	_, name, _ := hashOf(tlv.Type)
	report.Digest = name + ":" + hex.EncodeToString(digest)
	if !bytes.Equal(digest, tlv.Value) {
		return nil, nil, 0, format.Wrap(format.ErrBadHash, "%v says %x, the image hashes to %x", tlv.Type, tlv.Value, digest)
	}
	return covered, digest, hash, nil
}

func (img *Image) digest(hash crypto.Hash) []byte { return sum(hash, img.raw[:img.covered]) }

// trustedKey picks the key of keys that the image names, by hash or by the key
// itself. Where it gives both, both must name the same one.
func (img *Image) trustedKey(keys format.Keys, hash crypto.Hash) (format.Key, error) {
	id, embedded := find(img.unprotected, TypeKeyHash), find(img.unprotected, TypePublicKey)
	if id == nil && embedded == nil {
		return format.Key{}, format.Wrap(format.ErrNoTrustedKey, "the image names no key")
	}
	// The bootloader reads on from TLV to TLV: a signature before its key is passed over
	// (boot/bootutil/src/image_validate.c).
	if slices.IndexFunc(img.unprotected, func(t TLV) bool { return isSignature(t.Type) }) <
		slices.IndexFunc(img.unprotected, func(t TLV) bool { return t.Type == TypeKeyHash || t.Type == TypePublicKey }) {
		return format.Key{}, format.Wrap(format.ErrNoTrustedKey, "the signature stands before the key that it is of")
	}
	for _, k := range keys.All() {
		encoded, err := encodeKey(k)
		if err != nil {
			return format.Key{}, err
		}
		if id != nil && !bytes.Equal(id, sum(hash, encoded)) || embedded != nil && !bytes.Equal(embedded, encoded) {
			continue
		}
		return k, nil
	}
	if id == nil {
		id = sum(hash, embedded)
	}
	return format.Key{}, format.Wrap(format.ErrNoTrustedKey, "the image names key %x, which is none of the %d given", id, keys.Len())
}

// EmbeddedKey is the public key that the image brings along. Whoever verifies with
// it has verified nothing: it is here to show devices that do.
func (img *Image) EmbeddedKey() (crypto.PublicKey, error) {
	der := find(img.unprotected, TypePublicKey)
	if der == nil {
		return nil, format.Wrap(format.ErrNoTrustedKey, "read embedded key: no %v", TypePublicKey)
	}
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return nil, format.Malformed("read embedded key: neither SubjectPublicKeyInfo nor RSAPublicKey")
	}
	return key, nil
}

// encodeKey writes a key as MCUboot hashes it: RSA as RSAPublicKey (RFC 8017
// appendix A.1.1), the others as SubjectPublicKeyInfo.
func encodeKey(k format.Key) ([]byte, error) {
	if p, ok := k.Public.(*rsa.PublicKey); ok {
		return x509.MarshalPKCS1PublicKey(p), nil
	}
	return k.SPKI, nil
}

func sum(h crypto.Hash, b []byte) []byte {
	w := h.New()
	w.Write(b)
	return w.Sum(nil)
}

// A scheme is what one kind of key signs with.
type scheme struct {
	tlv    Type
	hashes []Type
	name   string
}

// schemeOf is the allow-list of scripts/imgtool/image.py: ALLOWED_KEY_SHA.
func schemeOf(public crypto.PublicKey) (scheme, error) {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		switch p.Curve.Params().BitSize {
		case 256:
			return scheme{TypeECDSA, []Type{TypeSHA256}, "ecdsa-p256"}, nil
		case 384:
			return scheme{TypeECDSA, []Type{TypeSHA384}, "ecdsa-p384"}, nil
		}
	case ed25519.PublicKey:
		return scheme{TypeEd25519, []Type{TypeSHA256, TypeSHA512}, "ed25519"}, nil
	case *rsa.PublicKey:
		switch p.N.BitLen() {
		case 2048:
			return scheme{TypeRSA2048, []Type{TypeSHA256}, "rsa-2048-pss"}, nil
		case 3072:
			return scheme{TypeRSA3072, []Type{TypeSHA256}, "rsa-3072-pss"}, nil
		}
	}
	return scheme{}, format.Wrap(format.ErrAlgorithm, "mcuboot knows no signature by a %T of that size", public)
}

// checkSignature checks it over digest, or over the covered bytes if it is pure, which
// needs them in clear: nil where they are not.
func (img *Image) checkSignature(key format.Key, sig TLV, hash crypto.Hash, digest, covered []byte) error {
	s, err := schemeOf(key.Public)
	if err != nil {
		return err
	}
	if sig.Type != s.tlv {
		return format.Wrap(format.ErrAlgorithm, "signature is %v, a key %s makes %v", sig.Type, key.Algorithm, s.tlv)
	}
	tlv, _, _ := img.hashTLV()
	if !slices.Contains(s.hashes, tlv.Type) {
		return format.Wrap(format.ErrAlgorithm, "hash is %v, which does not go with %s", tlv.Type, s.name)
	}
	message := digest
	if pure := find(img.unprotected, TypePure) != nil; pure {
		if s.tlv != TypeEd25519 {
			return format.Wrap(format.ErrAlgorithm, "%v goes with ed25519 only, the key is %s", TypePure, key.Algorithm)
		}
		if covered == nil {
			return format.Wrap(format.ErrEncrypted, "a pure signature covers the plaintext")
		}
		message = covered
	}
	if !fits(key.Public, hash, message, sig.Value) {
		return format.Wrap(format.ErrBadSignature, "%v is not one of key %.16s...", sig.Type, key.Fingerprint)
	}
	return nil
}

// fits checks one signature; message is the hash value, except for pure Ed25519.
func fits(public crypto.PublicKey, hash crypto.Hash, message, sig []byte) bool {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		der, _ := trimPadding(sig, p.Curve.Params().BitSize)
		return ecdsa.VerifyASN1(p, message, der)
	case ed25519.PublicKey:
		return ed25519.Verify(p, message, sig)
	case *rsa.PublicKey:
		// The salt is fixed to 32 by the bootloader; the standard library would else take any.
		return rsa.VerifyPSS(p, hash, message, sig, &rsa.PSSOptions{SaltLength: saltSize, Hash: hash}) == nil
	}
	return false
}

const saltSize = 32

// trimPadding takes off the zeros with which imgtool fills ECDSA signatures for
// MCUboot before 1.5: up to the longest DER that the curve can need, no further.
func trimPadding(sig []byte, bits int) (der []byte, padding int) {
	longest := 2 + 2*(2+bits/8+1)
	if len(sig) < 2 || len(sig) > longest || sig[1] >= 0x80 || 2+int(sig[1]) > len(sig) {
		return sig, 0
	}
	n := 2 + int(sig[1])
	if len(bytes.Trim(sig[n:], "\x00")) > 0 {
		return sig, 0
	}
	return sig[:n], len(sig) - n
}
