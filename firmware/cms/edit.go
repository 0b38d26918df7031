package cms

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
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
		return nil, nil, malformed("signer is not DER")
	}
	head := si
	for range 3 { // version, name, digest
		if one := peek(si); !si.Skip(len(one)) {
			return nil, nil, malformed("signer is not DER")
		}
	}
	head = head[:len(head)-len(si)]
	if !si.ReadASN1Element(&attrs, context(0)) {
		return nil, nil, malformed("signer is not DER")
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
