package detached

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"slices"

	"assay/firmware/cms"
	"assay/firmware/format"
)

var cmsVariants = []string{
	format.WrongKey, format.WrongKeyForged, format.SelfMadeChain, format.DuplicateSignature, format.ExpiredCertificate,
	format.WrongPurpose, format.FormatDowngrade, format.DuplicateEntry, format.WeakAlgorithm, format.LengthLie,
}

// tamper works on the DER; a PEM file becomes DER.
func (s *cmsFile) tamper(variant string, means format.Means, c *change) error {
	c.signature = bytes.Clone(s.der)
	switch variant {
	case format.SignatureFlip:
		return s.flipSignature(c)
	case format.Unsigned:
		c.say(format.LayerSignature, format.ErrUnsigned, "nobody signed", "the signers removed, their certificates kept")
		return c.became(s.WithoutSigners())
	case format.LengthLie:
		c.signature[3] ^= 1
		c.say(format.LayerStructure, format.ErrMalformed, "the outermost length is not that of the file", "lowest bit of the length at offset 3")
	case format.FormatDowngrade:
		b, content, err := s.StripAttributes()
		if err != nil {
			return wrap(format.ErrNotApplicable, "%v", err)
		}
		c.signature, c.artifact = b, content
		c.m.Classic = "CMS signed attributes (MTG AG, October 2024)"
		c.say(format.LayerSignature, format.ErrNotBound, "without signed attributes, the genuine signature is one of the attributes themselves",
			"signed attributes removed from the signature file", "signed file replaced by those attributes")
	case format.DuplicateEntry:
		c.say(format.LayerStructure, format.ErrNotBound, "a detached message has no content of its own", "the genuine file put into the message", "the file beside it changed")
		b, err := s.WithContent(bytes.Clone(c.artifact))
		if err == nil {
			err = flipIn(&c.m, c.artifact, "signed file")
		}
		return c.became(b, err)
	case format.WrongKey, format.WrongKeyForged, format.SelfMadeChain, format.DuplicateSignature:
		return s.strange(variant, c)
	case format.ExpiredCertificate, format.WrongPurpose:
		return s.spoilt(variant, means, c)
	case format.WeakAlgorithm:
		return s.weak(means, c)
	case format.Tampered, format.TamperedPlain, format.TruncatedPayload, format.Empty, format.TrailingData, format.MixAndMatch, format.Swapped:
		if err := c.common(variant, means); err != nil {
			return err
		}
		if s.attributes() {
			c.m.Layer, c.m.Reason, c.m.Expected = format.LayerPayload, format.ErrBadHash, "the file has not the digest among the signed attributes"
		}
	default:
		return format.ErrUnknownVariant
	}
	return nil
}

func (s *cmsFile) attributes() bool { return len(s.Signers) > 0 && s.Signers[0].Attributes }

func (c *change) became(b []byte, err error) error {
	if err != nil {
		return wrap(format.ErrNotApplicable, "%v", err)
	}
	c.signature = b
	return nil
}

func (s *cmsFile) flipSignature(c *change) error {
	// The signature is the last thing in the message that is covered by the certificate's key.
	end := len(c.signature)
	if n := len(s.Message.Uncovered); n > 0 {
		for _, r := range s.Message.Uncovered {
			if int(r.Offset+r.Size) == end {
				end = int(r.Offset)
			}
		}
	}
	c.signature[end-1] ^= 1
	c.say(format.LayerSignature, format.ErrBadSignature, "the signature is another", fmt.Sprintf("lowest bit at offset %d", end-1))
	return nil
}

// options writes a message as the maker's is.
func (s *cmsFile) options(id cms.Identity, more []*x509.Certificate) cms.SignOptions {
	o := cms.SignOptions{Signers: []cms.Identity{id}, Certificates: more, Detached: true, NoAttributes: !s.attributes()}
	if len(s.Signers) > 0 {
		o.PSS, o.Digest, o.KeyID = s.Signers[0].Signature == "rsa-pss", s.Signers[0].Digest, s.Signers[0].KeyID != nil
	}
	return o
}

func (s *cmsFile) sign(c *change, id cms.Identity, more []*x509.Certificate) ([]byte, error) {
	return cms.Sign(bytes.NewReader(c.artifact), s.options(id, more))
}

// chain is the signer's certificate and those of the message above it.
func (s *cmsFile) chain() []*x509.Certificate {
	var chain []*x509.Certificate
	for _, c := range s.Certificates {
		if len(s.Signers) > 0 && (s.Signers[0].Serial != nil && s.Signers[0].Serial.Cmp(c.SerialNumber) == 0 || s.Signers[0].KeyID != nil && bytes.Equal(s.Signers[0].KeyID, c.SubjectKeyId)) {
			chain = append(chain, c)
			break
		}
	}
	for len(chain) > 0 && len(chain) <= len(s.Certificates) {
		top := chain[len(chain)-1]
		i := slices.IndexFunc(s.Certificates, func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, top.RawIssuer) && !slices.Contains(chain, c)
		})
		if i < 0 {
			break
		}
		chain = append(chain, s.Certificates[i])
	}
	return chain
}

// strange signs with a fresh key: under a copy of the maker's chain, or under the maker's very certificate.
func (s *cmsFile) strange(variant string, c *change) error {
	chain := s.chain()
	if len(chain) == 0 {
		return wrap(format.ErrNotApplicable, "the message carries no certificate to copy")
	}
	id, above, err := cms.Lookalike(chain)
	if err != nil {
		return wrap(format.ErrNotApplicable, "%v", err)
	}
	if variant == format.WrongKeyForged {
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the certificate's key", "signature made by a fresh key under the maker's own certificates")
		id.Certificate = chain[0]
		return c.became(s.sign(c, id, chain[1:]))
	}
	if variant == format.WrongKey {
		above = nil
	}
	b, err := s.sign(c, id, above)
	if err != nil {
		return err
	}
	c.signature = b
	switch variant {
	case format.DuplicateSignature:
		c.say(format.LayerStructure, format.ErrNotVerified, "there must be one signer", "a stranger's signer put before the maker's")
		other, err := cms.Parse(b)
		if err != nil {
			return err
		}
		return c.became(s.Before(other))
	case format.SelfMadeChain:
		c.say(format.LayerTrust, format.ErrChain, "the root in the message is nobody's who is trusted", "signed under a copy of the maker's chain with fresh keys, its root among the certificates")
	default:
		c.say(format.LayerTrust, format.ErrChain, "nobody trusted issued the certificate", "signed by a fresh key under a copy of the maker's certificate")
	}
	return nil
}

// spoilt signs with a certificate that the maker's authority did issue, though not for this.
func (s *cmsFile) spoilt(variant string, means format.Means, c *change) error {
	if means.Issuer == nil || len(means.Chain) == 0 {
		return wrap(format.ErrNotApplicable, "it needs the key of the maker's authority and the signer's chain")
	}
	change, reason, expected := cms.Expire, format.ErrValidity, "the certificate has expired"
	if variant == format.WrongPurpose {
		change, reason, expected = cms.ForServers, format.ErrPurpose, "the certificate is for TLS servers"
	}
	id, err := cms.IssueLike(means.Chain[0], means.Issuer, change)
	if err != nil {
		return wrap(format.ErrNotApplicable, "%v", err)
	}
	c.say(format.LayerTrust, reason, expected, "signed by a fresh key under the maker's authority")
	return c.became(s.sign(c, id, means.Chain[1:]))
}

// weak signs with the maker's key over SHA-1.
func (s *cmsFile) weak(means format.Means, c *change) error {
	if means.Signer == nil || len(means.Chain) == 0 {
		return wrap(format.ErrNotApplicable, "it needs the maker's key and chain")
	}
	if _, ok := means.Signer.Public().(ed25519.PublicKey); ok {
		return wrap(format.ErrNotApplicable, "ed25519 goes with SHA-512 only")
	}
	o := s.options(cms.Identity{Certificate: means.Chain[0], Key: means.Signer}, means.Chain[1:])
	o.Digest, o.PSS = "sha1", false
	b, err := cms.Sign(bytes.NewReader(c.artifact), o)
	if err != nil {
		return wrap(format.ErrNotApplicable, "%v", err)
	}
	c.signature = b
	c.m.Classic = "SHAttered (2017)"
	c.say(format.LayerTrust, format.ErrWeak, "a digest by SHA-1 vouches for nothing", "signed again over SHA-1")
	return nil
}
