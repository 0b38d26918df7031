package esp32

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"assay/firmware/format"
)

// An anchor is one key that a device trusts, or the digest of one in its eFuses.
type anchor struct {
	key    format.Key     // without Public, Algorithm and Fingerprint where only the digest is known
	digest [hashSize]byte // of efuse, as the eFuses hold it
	efuse  []byte         // the key as a signature block carries it; nil where only the digest is known
}

// name is how the chain calls the anchor.
func (a anchor) name() string {
	if a.efuse == nil {
		return "eFuse digest " + hex.EncodeToString(a.digest[:])
	}
	return "sha256:" + a.key.Fingerprint
}

// isAnchor tells whether b is a trust anchor that only this format reads.
func isAnchor(b []byte) bool {
	a, err := parseAnchor(format.Anchor{Bytes: b})
	return err == nil && len(a) > 0
}

// parseAnchor reads the files of espsecure: digest_sbv2_public_key (32 bytes), the raw
// point that extract_public_key writes for Secure Boot V1 (64 bytes, big endian), and PEM
// with P-192 keys, which the standard library refuses.
func parseAnchor(f format.Anchor) ([]anchor, error) {
	switch len(f.Bytes) {
	case hashSize:
		if zero(f.Bytes) || erased(f.Bytes) {
			return nil, errors.New("a blank eFuse block is no key digest")
		}
		return []anchor{{key: format.Key{From: f.From}, digest: [hashSize]byte(f.Bytes)}}, nil
	case v1Size - 4:
		if p, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, f.Bytes)); err == nil {
			return anchorsOf(f.From, p)
		}
	}
	var keys []crypto.PublicKey
	for rest := f.Bytes; len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "PUBLIC KEY" {
			return nil, errors.New("neither an eFuse digest nor PEM of public keys")
		}
		p, err := parseP192(block.Bytes)
		if err != nil {
			return nil, err
		}
		keys = append(keys, p)
	}
	return anchorsOf(f.From, keys...)
}

func anchorsOf(from string, keys ...crypto.PublicKey) ([]anchor, error) {
	var all []anchor
	for _, public := range keys {
		key, err := keyOf(public)
		if err != nil {
			return nil, err
		}
		key.From = from
		a, err := anchorOf(key)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func anchorOf(k format.Key) (anchor, error) {
	efuse, err := efuseKey(k.Public)
	if err != nil {
		return anchor{}, err
	}
	return anchor{key: k, digest: sha256.Sum256(efuse), efuse: efuse}, nil
}

// keyOf describes a public key, P-192 among them.
func keyOf(public crypto.PublicKey) (format.Key, error) {
	p, ok := public.(*P192PublicKey)
	if !ok {
		set, err := format.NewKeys(public)
		if err != nil {
			return format.Key{}, err
		}
		return set.All()[0], nil
	}
	der, err := p.DER()
	if err != nil {
		return format.Key{}, err
	}
	sum := sha256.Sum256(der)
	return format.Key{Public: p, Algorithm: "ecdsa-p192", Fingerprint: hex.EncodeToString(sum[:]), SPKI: der}, nil
}

// anchors are the keys of trust that Secure Boot can use. A key of another kind vouches
// for nothing here; where there is no other, that is said.
func anchors(trust format.Trust) ([]anchor, error) {
	var all []anchor
	var unfit error
	for _, k := range trust.Keys.All() {
		a, err := anchorOf(k)
		if err != nil {
			unfit = err
			continue
		}
		all = append(all, a)
	}
	for _, f := range trust.Own[name] {
		a, err := parseAnchor(f)
		if err != nil {
			return nil, fmt.Errorf("trust anchor %s: %w", f.From, err)
		}
		all = append(all, a...)
	}
	if len(all) > 0 {
		return all, nil
	}
	if unfit != nil {
		return nil, unfit
	}
	return nil, format.Wrap(format.ErrNoTrustedKey, "no key was given")
}
