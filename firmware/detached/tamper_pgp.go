package detached

import (
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"assay/firmware/format"
)

var pgpVariants = []string{
	format.HeaderFlip, format.TrailerFlip, format.WrongKey, format.WrongKeyForged, format.DuplicateSignature,
	format.AlgorithmConfusion, format.WeakAlgorithm, format.LengthLie,
}

// tamper works on the binary packet: an armored signature becomes a binary one.
func (s *pgp) tamper(variant string, means format.Means, c *change) error {
	b := slices.Clone(s.packet)
	at := s.frame.head
	switch variant {
	case format.Unsigned, format.TruncatedPayload, format.Empty, format.TrailingData, format.MixAndMatch, format.Swapped, format.TamperedPlain:
		return format.ErrUnknownVariant
	case format.Tampered:
		return s.repairTag(b, c)
	case format.TruncatedSignature:
		c.signature = b[:len(b)/2]
		c.say(format.LayerStructure, format.ErrMalformed, "the packet is longer than the file", fmt.Sprintf("signature file cut at offset %d", len(b)/2))
		return nil
	case format.HeaderFlip: // the creation time, which is hashed
		b[at+8] ^= 1
		c.say(format.LayerSignature, format.ErrBadSignature, "the hashed area is another", fmt.Sprintf("lowest bit at offset %d, in the hashed area", at+8))
	case format.TrailerFlip:
		b[s.frame.unhashedEnd] ^= 1
		c.say(format.LayerHash, format.ErrMalformed, "the two bytes are not the digest's", fmt.Sprintf("lowest bit at offset %d, of the left bytes of the digest", s.frame.unhashedEnd))
	case format.SignatureFlip:
		b[len(b)-1] ^= 1
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is another", fmt.Sprintf("lowest bit at offset %d", len(b)-1))
	case format.LengthLie:
		binary.BigEndian.PutUint16(b[at+4:], 0xffff)
		c.say(format.LayerStructure, format.ErrMalformed, "the hashed area runs over the packet", fmt.Sprintf("length of the hashed area at offset %d", at+4))
	case format.AlgorithmConfusion:
		b[at+3] = pgpHashes[crypto.SHA384]
		if s.sig.Hash == crypto.SHA384 {
			b[at+3] = pgpHashes[crypto.SHA512]
		}
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the other digest", fmt.Sprintf("hash algorithm at offset %d", at+3))
	case format.WrongKey, format.WrongKeyForged, format.DuplicateSignature, format.WeakAlgorithm:
		return s.strange(variant, means, b, c)
	default:
		return format.ErrUnknownVariant
	}
	c.signature = b
	return nil
}

// repairTag changes the file and puts the left bytes of its new digest beside the signature:
// the only unkeyed check that stands before it.
func (s *pgp) repairTag(b []byte, c *change) error {
	if err := c.flipArtifact(); err != nil {
		return err
	}
	h, err := s.sig.PrepareVerify()
	if err != nil {
		return err
	}
	h.Write(c.artifact)
	h.Write(s.sig.HashSuffix)
	copy(b[s.frame.unhashedEnd:], h.Sum(nil)[:2])
	c.m.Repaired = append(c.m.Repaired, fmt.Sprintf("left two bytes of the digest at offset %d", s.frame.unhashedEnd))
	c.signature = b
	return nil
}

// strange signs with a fresh key of the same kind, or with the maker's over SHA-1.
func (s *pgp) strange(variant string, means format.Means, genuine []byte, c *change) error {
	spec := OpenPGP{KeyID: 0x7461_6d70_6572_6564, Hash: s.sig.Hash, Created: s.sig.CreationTime.Unix(), Algorithm: byte(s.sig.PubKeyAlgo)}
	if variant == format.WrongKeyForged || variant == format.WeakAlgorithm {
		spec.KeyID, spec.Fingerprint = *s.sig.IssuerKeyId, s.sig.IssuerFingerprint
	}
	if _, ok := pgpHashes[spec.Hash]; !ok || s.sig.Version != 4 {
		return format.Wrap(format.ErrNotApplicable, "signatures of version %d by %v are not written", s.sig.Version, spec.Hash)
	}
	if variant == format.WeakAlgorithm {
		if means.Signer == nil {
			return format.Wrap(format.ErrNotApplicable, "it needs the maker's key")
		}
		spec.Key, spec.Hash = means.Signer, crypto.SHA1
		b, err := SignOpenPGP(spec, c.artifact)
		if err != nil {
			return err
		}
		c.signature = b
		c.say(format.LayerTrust, format.ErrWeak, "a digest by SHA-1 vouches for nothing", "signed again over SHA-1")
		c.m.Classic = "SHAttered (2017), SHA-1 is a shambles (2020)"
		return nil
	}
	var err error
	if spec.Key, err = freshPGP(s.sig.PubKeyAlgo); err != nil {
		return err
	}
	b, err := SignOpenPGP(spec, c.artifact)
	if err != nil {
		return err
	}
	c.signature = genuine
	return stranger(variant, b, c)
}

func freshPGP(a packet.PublicKeyAlgorithm) (crypto.Signer, error) {
	switch a {
	case packet.PubKeyAlgoRSA:
		return freshLike(rsaKind)
	case packet.PubKeyAlgoECDSA:
		return freshLike(ecdsaKind)
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519:
		return freshLike(ed25519.PublicKey{})
	}
	return nil, format.Wrap(format.ErrNotApplicable, "no key of algorithm %d is made here", a)
}
