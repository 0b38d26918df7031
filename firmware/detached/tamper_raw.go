package detached

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"assay/firmware/format"
)

var rawVariants = []string{format.WrongKey, format.WeakAlgorithm, format.AlgorithmConfusion}

// Kinds of key of which only the kind counts.
var (
	rsaKind   = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}
	ecdsaKind = &ecdsa.PublicKey{Curve: elliptic.P256()}
)

// kind guesses by the length which key made the signature.
func (s *raw) kind() crypto.PublicKey {
	switch n := len(s.sig); {
	case n == ed25519.SignatureSize:
		return ed25519.PublicKey{}
	case n >= 256:
		return &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), uint(8*n-1)), E: 65537}
	case n > 110:
		return &ecdsa.PublicKey{Curve: elliptic.P521()}
	case n > 80:
		return &ecdsa.PublicKey{Curve: elliptic.P384()}
	}
	return ecdsaKind
}

func (s *raw) tamper(variant string, means format.Means, c *change) error {
	switch variant {
	case format.Unsigned:
		c.signature = []byte{}
		c.say(format.LayerStructure, format.ErrUnsigned, "there is no signature", "signature file emptied")
	case format.TruncatedSignature:
		c.signature = c.signature[:len(c.signature)/2]
		c.say(format.LayerStructure, format.ErrAlgorithm, "it is too short for a signature of the key", fmt.Sprintf("signature file cut at offset %d", len(c.signature)))
	case format.SignatureFlip:
		at := len(c.signature) - 1
		c.signature[at] ^= 1
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is another", fmt.Sprintf("lowest bit at offset %d", at))
	case format.AlgorithmConfusion:
		return s.confuse(c)
	case format.WrongKey:
		return s.strange(c)
	case format.WeakAlgorithm:
		return s.weak(means, c)
	default:
		return format.ErrUnknownVariant
	}
	return nil
}

// confuse makes a signature that fits every file for a verifier that leaves out a check:
// r = s = 0 (CVE-2022-21449), an RSA value of 1, an Ed25519 signature of the neutral point.
func (s *raw) confuse(c *change) error {
	switch s.kind().(type) {
	case *ecdsa.PublicKey:
		c.signature = []byte{0x30, 6, 2, 1, 0, 2, 1, 0}
		c.m.Classic = "CVE-2022-21449"
		c.say(format.LayerSignature, format.ErrBadSignature, "r and s must not be zero", "signature replaced by r = s = 0")
	case *rsa.PublicKey:
		clear(c.signature)
		c.signature[len(c.signature)-1] = 1
		c.say(format.LayerSignature, format.ErrBadSignature, "the padding does not fit", "signature replaced by the number 1")
	default:
		clear(c.signature)
		c.signature[0] = 1
		c.say(format.LayerSignature, format.ErrBadSignature, "only a key of small order would take it", "signature replaced by the neutral point and zero")
	}
	return nil
}

func (s *raw) strange(c *change) error {
	key, err := freshLike(s.kind())
	if err != nil {
		return err
	}
	// Which padding the maker uses cannot be seen; PKCS#1 v1.5 is openssl's own.
	if c.signature, err = SignRaw(key, crypto.SHA256, false, c.artifact); err != nil {
		return err
	}
	c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the key", "signature made by a fresh key of the same kind")
	return nil
}

func (s *raw) weak(means format.Means, c *change) error {
	if means.Signer == nil {
		return format.Wrap(format.ErrNotApplicable, "it needs the maker's key")
	}
	if _, ok := means.Signer.Public().(ed25519.PublicKey); ok {
		return format.Wrap(format.ErrNotApplicable, "ed25519 has its own digest")
	}
	sig, err := SignRaw(means.Signer, crypto.SHA1, false, c.artifact)
	if err != nil {
		return errors.Join(format.ErrNotApplicable, err)
	}
	c.signature = sig
	c.say(format.LayerTrust, format.ErrWeak, "a digest by SHA-1 vouches for nothing", "signed again over SHA-1")
	c.m.Classic = "SHAttered (2017)"
	return nil
}
