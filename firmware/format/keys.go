package format

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// A Key is one public key that the caller trusts.
type Key struct {
	Public      crypto.PublicKey `json:"-"`
	From        string           `json:"from,omitempty"` // the file it came from
	Algorithm   string           `json:"algorithm"`      // ecdsa-p256, ecdsa-p384, ed25519, rsa-2048 ...
	Fingerprint string           `json:"fingerprint"`    // SHA-256 of the SubjectPublicKeyInfo, in hex
	SPKI        []byte           `json:"-"`              // SubjectPublicKeyInfo, DER (RFC 5280 section 4.1)
}

// Keys is the set of keys that may vouch for an image. The zero value trusts
// nobody, so nothing verifies with it.
type Keys struct {
	keys []Key
}

// NewKeys makes a set of public keys.
func NewKeys(public ...crypto.PublicKey) (Keys, error) {
	var set Keys
	for i, p := range public {
		if err := set.Add(p, ""); err != nil {
			return Keys{}, fmt.Errorf("trust key %d: %w", i+1, err)
		}
	}
	return set, nil
}

// Add trusts one more key, which came from the named file.
func (s *Keys) Add(public crypto.PublicKey, from string) error {
	k, err := newKey(public)
	if err != nil {
		return err
	}
	k.From = from
	if !slices.ContainsFunc(s.keys, func(o Key) bool { return o.Fingerprint == k.Fingerprint }) {
		s.keys = append(s.keys, k)
	}
	return nil
}

// All returns the keys in the order given.
func (s Keys) All() []Key { return slices.Clone(s.keys) }

// Len is the number of keys.
func (s Keys) Len() int { return len(s.keys) }

// ParsePublic reads one PEM block; a private key is refused: a verifier has no business with it.
func ParsePublic(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("a private key: give its public half")
	default:
		return nil, fmt.Errorf("unexpected PEM block %.40q, want PUBLIC KEY", block.Type)
	}
}

func newKey(public crypto.PublicKey) (Key, error) {
	name, err := algorithm(public)
	if err != nil {
		return Key{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Key{}, err
	}
	sum := sha256.Sum256(spki)
	return Key{Public: public, Algorithm: name, Fingerprint: hex.EncodeToString(sum[:]), SPKI: spki}, nil
}

// algorithm names the key's kind. Small RSA keys are refused here, so that no
// format needs to remember it (NIST SP 800-131A: below 2048 bits is disallowed).
func algorithm(public crypto.PublicKey) (string, error) {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		switch p.Curve {
		case elliptic.P256():
			return "ecdsa-p256", nil
		case elliptic.P384():
			return "ecdsa-p384", nil
		case elliptic.P521():
			return "ecdsa-p521", nil
		}
		return "", errors.New("elliptic curve is none of P-256, P-384, P-521")
	case ed25519.PublicKey:
		if len(p) != ed25519.PublicKeySize {
			return "", fmt.Errorf("ed25519 key of %d bytes", len(p))
		}
		if smallOrder(p) {
			return "", Wrap(ErrWeak, "ed25519 key of small order, for which anybody can sign")
		}
		return "ed25519", nil
	case *rsa.PublicKey:
		bits := p.N.BitLen()
		if bits < 2048 || bits > 16384 {
			return "", fmt.Errorf("rsa key of %d bits, want 2048 to 16384", bits)
		}
		return fmt.Sprintf("rsa-%d", bits), nil
	default:
		return "", fmt.Errorf("key type %T is not for signatures", public)
	}
}

// smallOrder tells the points that vanish when multiplied by eight, in every encoding: with one of
// them as the key, a signature can be found for any message without knowing a secret. The last
// bit is the sign of x.
func smallOrder(p ed25519.PublicKey) bool {
	text := hex.EncodeToString(append(slices.Clone(p[:31]), p[31]&0x7f))
	return slices.Contains([]string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // -1
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 0, not reduced
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 1, not reduced
	}, text)
}
