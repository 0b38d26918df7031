package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assay/firmware/format"
)

// Limits of one message; no maker of firmware comes near them.
const (
	maxCertificates = 64
	maxSigners      = 16
	maxAttributes   = 64
)

// Looks tells whether b begins like DER SignedData; it looks at no more than 24 bytes.
func Looks(b []byte) bool { return looksLike(b, oidSignedData) }

func looksLike(b []byte, want asn1.ObjectIdentifier) bool {
	in := cryptobyte.String(b)
	if len(b) < 2 || b[0] != 0x30 {
		return false
	}
	head := 2
	if b[1] >= 0x80 {
		head += int(b[1] & 0x7f)
	}
	var oid asn1.ObjectIdentifier
	return in.Skip(head) && in.ReadASN1ObjectIdentifier(&oid) && oid.Equal(want)
}

// Parse reads one DER ContentInfo with SignedData and nothing behind it. It keeps parts of
// der, which must not change afterwards. Everything is checked that does not need trust: DER,
// versions, no attribute twice, a content type and a message digest among the signed attributes.
func Parse(der []byte) (*Message, error) {
	m, err := parse(der[:len(der):len(der)])
	if err != nil {
		return nil, fmt.Errorf("parse CMS: %w", err)
	}
	return m, nil
}

// A parser knows the whole, so that parts can be told by their offset.
type parser struct {
	der []byte
	m   *Message
}

// offset is where part begins: both slice the same array to its end.
func (p *parser) offset(part []byte) int64 { return int64(cap(p.der) - cap(part)) }

func (p *parser) covered(name string, part []byte) {
	p.m.Covered = append(p.m.Covered, format.Region{Name: name, Offset: p.offset(part), Size: int64(len(part))})
}

func (p *parser) uncovered(name string, part []byte) {
	p.m.Uncovered = append(p.m.Uncovered, format.Region{Name: name, Offset: p.offset(part), Size: int64(len(part))})
}

// peek is the next element whatever it is; empty where there is none.
func peek(in cryptobyte.String) cryptobyte.String {
	var one cryptobyte.String
	var tag casn1.Tag
	if !in.ReadAnyASN1Element(&one, &tag) {
		return in[:0]
	}
	return one
}

func context(n uint8) casn1.Tag { return casn1.Tag(n).ContextSpecific().Constructed() }

func parse(der []byte) (*Message, error) {
	p := &parser{der: der, m: &Message{der: der}}
	in := cryptobyte.String(der)
	var info, wrapped, sd cryptobyte.String
	var oid asn1.ObjectIdentifier
	if len(der) > 1 && der[0] == 0x30 && der[1] == 0x80 {
		return nil, format.Malformed("BER with indefinite lengths: not DER")
	}
	if !in.ReadASN1(&info, casn1.SEQUENCE) {
		return nil, format.Malformed("not DER, or cut short")
	}
	if !in.Empty() {
		return nil, format.Wrap(format.ErrTrailing, "%d bytes behind the message", len(in))
	}
	if !info.ReadASN1ObjectIdentifier(&oid) {
		return nil, format.Malformed("no content type")
	}
	if !oid.Equal(oidSignedData) {
		return nil, format.Malformed("content type %v is not SignedData", oid)
	}
	if !info.ReadASN1(&wrapped, context(0)) || !info.Empty() || !wrapped.ReadASN1(&sd, casn1.SEQUENCE) || !wrapped.Empty() {
		return nil, format.Malformed("SignedData is not DER")
	}
	if err := p.signedData(sd); err != nil {
		return nil, err
	}
	p.m.order()
	return p.m, nil
}

func (p *parser) signedData(in cryptobyte.String) error {
	var version int
	p.uncovered("version", peek(in))
	if !in.ReadASN1Integer(&version) {
		return format.Malformed("no version")
	}
	if err := p.digestSet(&in); err != nil {
		return err
	}
	if err := p.content(&in); err != nil {
		return err
	}
	if err := p.certificates(&in); err != nil {
		return err
	}
	var crls, signers, one cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&crls, &present, context(1)) {
		return format.Malformed("revocation lists are not DER")
	}
	if present {
		p.uncovered("revocation lists in the message", crls)
		for ; !crls.Empty(); p.m.CRLs++ {
			if !crls.ReadASN1Element(&one, casn1.SEQUENCE) {
				return format.Malformed("revocation list %d is not DER", p.m.CRLs+1)
			}
		}
		p.m.Notes = append(p.m.Notes, "The message brings revocation lists along; they are not used.")
	}
	if !in.ReadASN1(&signers, casn1.SET) || !in.Empty() {
		return format.Malformed("signers are not DER")
	}
	for !signers.Empty() {
		if len(p.m.Signers) == maxSigners {
			return format.Malformed("more than %d signers", maxSigners)
		}
		if err := p.signer(&signers); err != nil {
			return fmt.Errorf("signer %d: %w", len(p.m.Signers)+1, err)
		}
	}
	// RFC 5652 section 5.1; PKCS #7 knows 1 only.
	want := 1
	if p.m.ContentType != oidData.String() || slices.ContainsFunc(p.m.Signers, func(s Signer) bool { return s.KeyID != nil }) {
		want = 3
	}
	if version != want && version != 1 {
		return format.Malformed("version %d, want %d", version, want)
	}
	return nil
}

func (p *parser) digestSet(in *cryptobyte.String) error {
	var set cryptobyte.String
	if !in.ReadASN1(&set, casn1.SET) {
		return format.Malformed("digest algorithms are not DER")
	}
	whole := set
	for !set.Empty() {
		d, err := readDigest(&set)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(p.m.digests, func(o digest) bool { return o.name == d.name }) {
			return format.Malformed("digest algorithm %s twice", d.name)
		}
		p.m.digests = append(p.m.digests, d)
	}
	p.uncovered("list of digest algorithms", whole)
	return nil
}

func (p *parser) content(in *cryptobyte.String) error {
	var encap, wrapped, octets cryptobyte.String
	var oid asn1.ObjectIdentifier
	var present bool
	if !in.ReadASN1(&encap, casn1.SEQUENCE) || !encap.ReadASN1ObjectIdentifier(&oid) ||
		!encap.ReadOptionalASN1(&wrapped, &present, context(0)) || !encap.Empty() {
		return format.Malformed("content is not DER")
	}
	p.m.contentType, p.m.ContentType, p.m.Detached = oid, oid.String(), !present
	if !present {
		return nil
	}
	tag := casn1.OCTET_STRING
	if oid.Equal(oidIndirectData) {
		tag = casn1.SEQUENCE
	}
	if !wrapped.ReadASN1(&octets, tag) || !wrapped.Empty() {
		return format.Malformed("content is not one DER octet string, or sequence where its type has that")
	}
	p.m.Content = octets[:len(octets):len(octets)]
	p.covered("content", octets)
	return nil
}

// certificates keeps what can be read: a helper that cannot be read helps nobody, but it
// is no reason to refuse a message that does without it.
func (p *parser) certificates(in *cryptobyte.String) error {
	var set, one cryptobyte.String
	var tag casn1.Tag
	var present bool
	if !in.ReadOptionalASN1(&set, &present, context(0)) {
		return format.Malformed("certificates are not DER")
	}
	for n := 1; !set.Empty(); n++ {
		if n > maxCertificates {
			return format.Malformed("more than %d certificates", maxCertificates)
		}
		if !set.ReadAnyASN1Element(&one, &tag) {
			return format.Malformed("certificate %d is not DER", n)
		}
		c, err := x509.ParseCertificate(one)
		if err != nil {
			p.m.Notes = append(p.m.Notes, fmt.Sprintf("Certificate %d of the message cannot be read and is not used: %v.", n, err))
			p.uncovered(fmt.Sprintf("certificate %d, unreadable", n), one)
			continue
		}
		p.uncovered(fmt.Sprintf("certificate %d, %s", n, c.Subject), one)
		if !slices.ContainsFunc(p.m.Certificates, c.Equal) {
			p.m.Certificates = append(p.m.Certificates, c)
		}
	}
	return nil
}

func (p *parser) signer(in *cryptobyte.String) error {
	var si, attrs, sig, unsigned cryptobyte.String
	var present bool
	var version int
	s := Signer{raw: peek(*in)}
	if !in.ReadASN1(&si, casn1.SEQUENCE) || !si.ReadASN1Integer(&version) {
		return format.Malformed("not DER")
	}
	if err := s.readID(&si, version); err != nil {
		return err
	}
	var err error
	p.uncovered(fmt.Sprintf("digest algorithm of signer %d", len(p.m.Signers)+1), peek(si))
	if s.digest, err = readDigest(&si); err != nil {
		return err
	}
	if !slices.ContainsFunc(p.m.digests, func(d digest) bool { return d.name == s.digest.name }) {
		return format.Malformed("digest %s is not in the message's list", s.digest.name)
	}
	if si.PeekASN1Tag(context(0)) {
		if !si.ReadASN1Element(&attrs, context(0)) {
			return format.Malformed("signed attributes are not DER")
		}
		p.covered(fmt.Sprintf("signed attributes of signer %d", len(p.m.Signers)+1), attrs)
		if err := s.readAttributes(attrs, p.m.ContentType); err != nil {
			return err
		}
	} else if p.m.ContentType != oidData.String() {
		return format.Malformed("content type %s needs signed attributes (RFC 5652 section 5.3)", p.m.ContentType)
	}
	p.uncovered(fmt.Sprintf("signature algorithm of signer %d", len(p.m.Signers)+1), peek(si))
	if s.scheme, err = readScheme(&si); err != nil {
		return err
	}
	if !si.ReadASN1(&sig, casn1.OCTET_STRING) || !si.ReadOptionalASN1(&unsigned, &present, context(1)) || !si.Empty() {
		return format.Malformed("signature is not DER")
	}
	p.covered(fmt.Sprintf("signature of signer %d", len(p.m.Signers)+1), sig)
	s.signature, s.Digest, s.Signature, s.Attributes = sig, s.digest.name, s.scheme.kind, s.signed != nil
	if present {
		p.uncovered(fmt.Sprintf("unsigned attributes of signer %d", len(p.m.Signers)+1), unsigned)
		if s.Unsigned, err = eachAttribute(unsigned, nil); err != nil {
			return fmt.Errorf("unsigned attributes: %w", err)
		}
	}
	if s.scheme.hash.name != "" && s.scheme.hash.name != s.digest.name {
		return format.Wrap(format.ErrAlgorithm, "signature is by %s, digest by %s", s.scheme.hash.name, s.digest.name)
	}
	p.m.Signers = append(p.m.Signers, s)
	return nil
}

// readID reads the signer's name. Version and choice go together (RFC 5652 section 5.3).
func (s *Signer) readID(in *cryptobyte.String, version int) error {
	var id, name cryptobyte.String
	switch {
	case version == 1 && in.ReadASN1(&id, casn1.SEQUENCE):
		s.Serial = new(big.Int)
		if !id.ReadASN1Element(&name, casn1.SEQUENCE) || !id.ReadASN1Integer(s.Serial) || !id.Empty() {
			return format.Malformed("issuer and serial number are not DER")
		}
		s.issuer, s.Issuer = name, nameOf(name)
		return nil
	case version == 3 && in.ReadASN1(&id, casn1.Tag(0).ContextSpecific()) && len(id) > 0:
		s.KeyID = id
		return nil
	}
	return format.Malformed("version %d does not go with the way the signer is named", version)
}

// readAttributes keeps the attributes as the DER SET that is signed.
func (s *Signer) readAttributes(element cryptobyte.String, contentType string) error {
	var attrs cryptobyte.String
	s.signed = bytes.Clone(element)
	s.signed[0] = 0x31 // RFC 5652 section 5.4: signed as EXPLICIT SET OF, not as IMPLICIT [0]
	if !element.ReadASN1(&attrs, context(0)) {
		return format.Malformed("signed attributes are not DER")
	}
	var contentTypeSeen bool
	_, err := eachAttribute(attrs, func(oid asn1.ObjectIdentifier, value cryptobyte.String) error {
		switch {
		case oid.Equal(oidContentType):
			var said asn1.ObjectIdentifier
			if !value.ReadASN1ObjectIdentifier(&said) || !value.Empty() {
				return format.Malformed("content-type attribute is not one identifier")
			}
			if said.String() != contentType {
				return format.Wrap(format.ErrBadHash, "content-type attribute says %v, the content is %s", said, contentType)
			}
			contentTypeSeen = true
		case oid.Equal(oidMessageDigest):
			var sum cryptobyte.String
			if !value.ReadASN1(&sum, casn1.OCTET_STRING) || !value.Empty() {
				return format.Malformed("message-digest attribute is not one octet string")
			}
			s.message = sum
		case oid.Equal(oidSigningTime):
			return s.readTime(value)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("signed attributes: %w", err)
	}
	if !contentTypeSeen || s.message == nil {
		return format.Malformed("signed attributes without content type and message digest")
	}
	return nil
}

func (s *Signer) readTime(value cryptobyte.String) error {
	var t time.Time
	ok := value.PeekASN1Tag(casn1.UTCTime) && value.ReadASN1UTCTime(&t) || value.ReadASN1GeneralizedTime(&t)
	if !ok || !value.Empty() {
		return format.Malformed("signing-time attribute is not one time")
	}
	s.SigningTime = t
	return nil
}

// eachAttribute visits the attributes of a set: none twice, none empty. The value is what lies in its SET.
func eachAttribute(in cryptobyte.String, visit func(asn1.ObjectIdentifier, cryptobyte.String) error) (int, error) {
	var seen []string
	for !in.Empty() {
		var attr, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !in.ReadASN1(&attr, casn1.SEQUENCE) || !attr.ReadASN1ObjectIdentifier(&oid) ||
			!attr.ReadASN1(&value, casn1.SET) || !attr.Empty() || value.Empty() {
			return 0, format.Malformed("attribute %d is not DER", len(seen)+1)
		}
		if slices.Contains(seen, oid.String()) {
			return 0, format.Malformed("attribute %v twice", oid)
		}
		if seen = append(seen, oid.String()); len(seen) > maxAttributes {
			return 0, format.Malformed("more than %d attributes", maxAttributes)
		}
		if visit != nil {
			if err := visit(oid, value); err != nil {
				return 0, err
			}
		}
	}
	if len(seen) == 0 {
		return 0, format.Malformed("an empty set of attributes")
	}
	return len(seen), nil
}
