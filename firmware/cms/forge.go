package cms

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"assay/firmware/format"
)

// A Forged is a message in place of the maker's, and why a good verifier refuses it.
type Forged struct {
	DER      []byte
	Layer    format.Layer
	Reason   error
	Expected string
	Changed  string
	Classic  string
}

// ForgedVariants are those that Forge makes.
func ForgedVariants() []string {
	return []string{
		format.Unsigned, format.DuplicateSignature, format.WrongKey, format.WrongKeyForged, format.SelfMadeChain,
		format.ExpiredCertificate, format.WrongPurpose, format.WeakAlgorithm,
	}
}

// Forge makes what a stranger, or a maker with the wrong certificate, would put in the place of
// the message: of the same form and over the same content, which the caller gives again.
// format.ErrUnknownVariant: it is none of ForgedVariants.
func (m *Message) Forge(variant string, means format.Means, content io.Reader) (Forged, error) {
	f, err := m.forge(variant, means, content)
	if err != nil && !errors.Is(err, format.ErrUnknownVariant) && !errors.Is(err, format.ErrNotApplicable) {
		err = format.Wrap(format.ErrNotApplicable, "%v", err)
	}
	return f, err
}

func (m *Message) forge(variant string, means format.Means, content io.Reader) (Forged, error) {
	switch variant {
	case format.Unsigned:
		f := Forged{Layer: format.LayerSignature, Reason: format.ErrUnsigned, Expected: "nobody signed", Changed: "signers removed from the message, their certificates kept"}
		var err error
		f.DER, err = m.WithoutSigners()
		return f, err
	case format.WrongKey, format.WrongKeyForged, format.SelfMadeChain, format.DuplicateSignature:
		return m.forgeStranger(variant, content)
	case format.ExpiredCertificate, format.WrongPurpose:
		return m.forgeSpoilt(variant, means, content)
	case format.WeakAlgorithm:
		return m.forgeWeak(means, content)
	}
	return Forged{}, format.ErrUnknownVariant
}

// options writes a message of the same form.
func (m *Message) options(id Identity, more []*x509.Certificate) SignOptions {
	o := SignOptions{Signers: []Identity{id}, Certificates: more, Detached: m.Detached, IndirectData: m.contentType.Equal(oidIndirectData)}
	if len(m.Signers) > 0 {
		s := m.Signers[0]
		o.PSS, o.Digest, o.KeyID, o.NoAttributes = s.Signature == "rsa-pss", s.Digest, s.KeyID != nil, !s.Attributes
	}
	return o
}

// SignerChain is the first signer's certificate and those of the message above it.
func (m *Message) SignerChain() []*x509.Certificate {
	var chain []*x509.Certificate
	if len(m.Signers) == 0 {
		return nil
	}
	if i := slices.IndexFunc(m.Certificates, m.Signers[0].names); i >= 0 {
		chain = append(chain, m.Certificates[i])
	}
	for len(chain) > 0 && len(chain) <= len(m.Certificates) {
		top := chain[len(chain)-1]
		i := slices.IndexFunc(m.Certificates, func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, top.RawIssuer) && !slices.Contains(chain, c)
		})
		if i < 0 {
			break
		}
		chain = append(chain, m.Certificates[i])
	}
	return chain
}

// forgeStranger signs with a fresh key: under a copy of the maker's chain, or under the maker's very certificate.
func (m *Message) forgeStranger(variant string, content io.Reader) (Forged, error) {
	chain := m.SignerChain()
	if len(chain) == 0 {
		return Forged{}, format.Wrap(format.ErrNotApplicable, "the message carries no certificate to copy")
	}
	id, above, err := Lookalike(chain)
	if err != nil {
		return Forged{}, err
	}
	f := Forged{
		Layer: format.LayerTrust, Reason: format.ErrChain, Expected: "nobody trusted issued the certificate",
		Changed: "signed by a fresh key under a copy of the maker's certificate",
	}
	switch variant {
	case format.WrongKey:
		above = nil
	case format.SelfMadeChain:
		f.Expected = "the root in the message is nobody's who is trusted"
		f.Changed = "signed under a copy of the maker's chain with fresh keys, its root among the certificates"
	case format.WrongKeyForged:
		id.Certificate, above = chain[0], chain[1:]
		f.Layer, f.Reason, f.Expected = format.LayerSignature, format.ErrBadSignature, "the signature is not one of the certificate's key"
		f.Changed = "signature made by a fresh key under the maker's own certificates"
	}
	if f.DER, err = Sign(content, m.options(id, above)); err != nil || variant != format.DuplicateSignature {
		return f, err
	}
	other, err := Parse(f.DER)
	if err != nil {
		return f, err
	}
	f.Layer, f.Reason, f.Expected, f.Changed = format.LayerStructure, format.ErrNotVerified, "there must be one signer", "a stranger's signer put before the maker's"
	f.DER, err = m.Before(other)
	return f, err
}

// forgeSpoilt signs with a certificate that the maker's authority did issue, though not for this.
func (m *Message) forgeSpoilt(variant string, means format.Means, content io.Reader) (Forged, error) {
	if means.Issuer == nil || len(means.Chain) == 0 {
		return Forged{}, format.Wrap(format.ErrNotApplicable, "it needs the key of the maker's authority and the signer's chain")
	}
	f := Forged{Layer: format.LayerTrust, Reason: format.ErrValidity, Expected: "the certificate has expired", Changed: "signed by a fresh key under the maker's authority, expired"}
	change := Expire
	if variant == format.WrongPurpose {
		change = ForServers
		f.Reason, f.Expected, f.Changed = format.ErrPurpose, "the certificate is for TLS servers", "signed by a fresh key under the maker's authority, for TLS servers"
	}
	id, err := IssueLike(means.Chain[0], means.Issuer, change)
	if err != nil {
		return f, err
	}
	f.DER, err = Sign(content, m.options(id, means.Chain[1:]))
	return f, err
}

// forgeWeak signs with the maker's key over SHA-1.
func (m *Message) forgeWeak(means format.Means, content io.Reader) (Forged, error) {
	if means.Signer == nil || len(means.Chain) == 0 {
		return Forged{}, format.Wrap(format.ErrNotApplicable, "it needs the maker's key and chain")
	}
	if _, ok := means.Signer.Public().(ed25519.PublicKey); ok {
		return Forged{}, format.Wrap(format.ErrNotApplicable, "ed25519 goes with SHA-512 only")
	}
	o := m.options(Identity{Certificate: means.Chain[0], Key: means.Signer}, means.Chain[1:])
	o.Digest, o.PSS = "sha1", false
	der, err := Sign(content, o)
	if err != nil {
		return Forged{}, fmt.Errorf("sign over SHA-1: %w", err)
	}
	return Forged{
		DER: der, Layer: format.LayerTrust, Reason: format.ErrWeak, Expected: "a digest by SHA-1 vouches for nothing",
		Changed: "signed again over SHA-1", Classic: "SHAttered (2017)",
	}, nil
}

// FlipSignature is the message with one bit of the first signer's signature changed, and the offset of it.
func (m *Message) FlipSignature() (der []byte, at int64, err error) {
	for _, r := range m.Covered {
		if r.Name == "signature of signer 1" && r.Size > 0 {
			at = r.Offset + r.Size - 1
			der = bytes.Clone(m.der)
			der[at] ^= 1
			return der, at, nil
		}
	}
	return nil, 0, format.Wrap(format.ErrNotApplicable, "nobody signed")
}
