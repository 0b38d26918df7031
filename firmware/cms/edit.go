package cms

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assay/firmware/format"
)

// The attacks on a finished message that need no key. What they return parses, and no
// good verifier takes it.

// parts takes the message apart again.
func (m *Message) parts() parts {
	p := parts{contentType: m.contentType, detached: m.Detached, content: m.Content, digests: m.digests}
	for _, c := range m.Certificates {
		p.certificates = append(p.certificates, c.Raw)
	}
	for _, s := range m.Signers {
		p.signers = append(p.signers, s.raw)
		p.keyID = p.keyID || s.KeyID != nil
	}
	return p
}

// WithContent is the message with content put in place of its own, or attached to a detached one.
func (m *Message) WithContent(content []byte) ([]byte, error) {
	p := m.parts()
	p.detached, p.content = false, content
	return p.bytes()
}

// WithoutContent is the message made detached.
func (m *Message) WithoutContent() ([]byte, error) {
	p := m.parts()
	p.detached, p.content = true, nil
	return p.bytes()
}

// WithoutSigners is the message with its certificates only.
func (m *Message) WithoutSigners() ([]byte, error) {
	p := m.parts()
	p.signers = nil
	return p.bytes()
}

// Before is the message with the signers and certificates of other put before its own, for
// devices that look at one signer and believe another.
func (m *Message) Before(other *Message) ([]byte, error) {
	p, o := m.parts(), other.parts()
	for _, d := range o.digests {
		if !slices.ContainsFunc(p.digests, func(x digest) bool { return x.name == d.name }) {
			p.digests = append(p.digests, d)
		}
	}
	p.signers = slices.Concat(o.signers, p.signers)
	p.keyID = p.keyID || o.keyID
	for _, c := range o.certificates {
		if !slices.ContainsFunc(p.certificates, func(x []byte) bool { return bytes.Equal(x, c) }) {
			p.certificates = append(p.certificates, c)
		}
	}
	return p.bytes()
}

// StripAttributes is the attack that MTG AG published in October 2024: without its signed
// attributes, the genuine signature is one over other content, namely over those attributes.
// It returns the detached message and that content.
func (m *Message) StripAttributes() (message, content []byte, err error) {
	if len(m.Signers) != 1 || !m.Signers[0].Attributes {
		return nil, nil, fmt.Errorf("strip attributes: %d signers, want one with signed attributes", len(m.Signers))
	}
	s := m.Signers[0]
	in := cryptobyte.String(s.raw)
	var si, attrs cryptobyte.String
	if !in.ReadASN1(&si, casn1.SEQUENCE) {
		return nil, nil, format.Malformed("signer is not DER")
	}
	head := si
	for range 3 { // version, name, digest
		if one := peek(si); !si.Skip(len(one)) {
			return nil, nil, format.Malformed("signer is not DER")
		}
	}
	head = head[:len(head)-len(si)]
	if !si.ReadASN1Element(&attrs, context(0)) {
		return nil, nil, format.Malformed("signer is not DER")
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(head)
		b.AddBytes(si)
	})
	p := m.parts()
	p.detached, p.content = true, nil
	if p.signers[0], err = b.Bytes(); err != nil {
		return nil, nil, err
	}
	message, err = p.bytes()
	return message, bytes.Clone(s.signed), err
}

// WithDigest is the message with its signers' digest named as another, everything else kept:
// for devices that take the algorithm from the message.
func (m *Message) WithDigest(name string) ([]byte, error) {
	d, ok := findDigest(func(d digest) bool { return d.name == name })
	if !ok {
		return nil, fmt.Errorf("rename digest: %q is not known", name)
	}
	p := m.parts()
	p.digests = []digest{d}
	for i, raw := range p.signers {
		in := cryptobyte.String(raw)
		var si cryptobyte.String
		if !in.ReadASN1(&si, casn1.SEQUENCE) {
			return nil, format.Malformed("signer is not DER")
		}
		head := si
		for range 2 { // version, name
			si = si[len(peek(si)):]
		}
		head = head[:len(head)-len(si)]
		rest := si[len(peek(si)):]
		b := cryptobyte.NewBuilder(nil)
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(head)
			addAlgorithm(b, d.oid, nil)
			b.AddBytes(withoutDigest(rest, d))
		})
		var err error
		if p.signers[i], err = b.Bytes(); err != nil {
			return nil, err
		}
	}
	return p.bytes()
}

// withoutDigest is what follows the digest algorithm in a SignerInfo, with a signature
// algorithm that names a digest itself turned into the one that goes with d.
func withoutDigest(rest cryptobyte.String, d digest) []byte {
	attrs := cryptobyte.String(nil)
	if rest.PeekASN1Tag(context(0)) {
		attrs = peek(rest)
	}
	tail := rest[len(attrs):]
	alg := peek(tail)
	in := alg
	s, err := readScheme(&in)
	if err != nil || s.kind != "ecdsa" || d.withEC == nil {
		return rest
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddBytes(attrs)
	addAlgorithm(b, d.withEC, nil)
	b.AddBytes(tail[len(alg):])
	return b.BytesOrPanic()
}

// Resigned signs what m signs, in the same form, by somebody else. Content of a detached
// message must be given.
func (m *Message) Resigned(content io.Reader, by Identity, o SignOptions) ([]byte, error) {
	o.Signers, o.Detached = []Identity{by}, m.Detached
	if o.Digest == "" && len(m.Signers) > 0 {
		s := m.Signers[0]
		o.PSS = s.scheme.kind == "rsa-pss"
		o.NoAttributes = !s.Attributes
		if _, isEd := by.Key.(ed25519.PrivateKey); !isEd && !s.digest.tooShort {
			o.Digest = s.digest.name
		}
	}
	return Sign(content, o)
}

// Forged is m with the signature of a fresh key of the signer's kind: it still names, and
// carries, the signer's certificate. Content of a detached message must be given.
func (m *Message) Forged(content io.Reader) ([]byte, error) {
	if len(m.Signers) == 0 {
		return nil, errors.New("forge signature: nobody signed")
	}
	c, err := m.certificate(&m.Signers[0], format.Trust{})
	if err != nil {
		return nil, err
	}
	key, err := likeKey(c)
	if err != nil {
		return nil, err
	}
	var others []*x509.Certificate
	for _, o := range m.Certificates {
		if !o.Equal(c) {
			others = append(others, o)
		}
	}
	return m.Resigned(content, Identity{Key: key, Certificate: c}, SignOptions{Certificates: others})
}

// SignerCertificate is the certificate of the first signer, where the message carries it.
// Nothing about it is verified.
func (m *Message) SignerCertificate() (*x509.Certificate, error) {
	if len(m.Signers) == 0 {
		return nil, format.Wrap(format.ErrUnsigned, "nobody signed")
	}
	return m.certificate(&m.Signers[0], format.Trust{})
}
