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

// A crl is a CertificateList (RFC 5280 section 5.1). Own reader: x509.ParseRevocationList
// refuses version 1, which openssl ca still writes without a crl_extensions section.
type crl struct {
	issuer     []byte
	tbs        []byte
	algorithm  x509.SignatureAlgorithm
	signature  []byte
	this, next time.Time // next is zero where the list names none
	serials    []*big.Int
	critical   bool // a critical extension: it may be partial or indirect, so it clears nobody
}

// readTime reads either kind of time.
func readTime(in *cryptobyte.String, out *time.Time) bool {
	if in.PeekASN1Tag(casn1.UTCTime) {
		return in.ReadASN1UTCTime(out)
	}
	return in.ReadASN1GeneralizedTime(out)
}

func timeNext(in cryptobyte.String) bool {
	return in.PeekASN1Tag(casn1.UTCTime) || in.PeekASN1Tag(casn1.GeneralizedTime)
}

func parseCRL(der []byte) (*crl, error) {
	bad := format.Malformed("not a DER revocation list")
	in := cryptobyte.String(der)
	var list, tbs, issuer, inner, alg cryptobyte.String
	var sig asn1.BitString
	if !in.ReadASN1(&list, casn1.SEQUENCE) || !in.Empty() || !list.ReadASN1Element(&tbs, casn1.SEQUENCE) {
		return nil, bad
	}
	c := &crl{tbs: tbs}
	alg = peek(list)
	var err error
	if c.algorithm, err = readX509Algorithm(&list); err != nil {
		return nil, err
	}
	if !list.ReadASN1BitString(&sig) || !list.Empty() || sig.BitLength%8 != 0 {
		return nil, bad
	}
	c.signature = sig.Bytes
	if !tbs.ReadASN1(&inner, casn1.SEQUENCE) {
		return nil, bad
	}
	version := 0
	if inner.PeekASN1Tag(casn1.INTEGER) && (!inner.ReadASN1Integer(&version) || version != 1) {
		return nil, format.Malformed("revocation list of version %d", version+1)
	}
	if !bytes.Equal(peek(inner), alg) {
		return nil, format.Malformed("revocation list names two algorithms")
	}
	if _, _, err := readAlgorithm(&inner); err != nil {
		return nil, err
	}
	if !inner.ReadASN1Element(&issuer, casn1.SEQUENCE) || !readTime(&inner, &c.this) ||
		timeNext(inner) && !readTime(&inner, &c.next) {
		return nil, bad
	}
	c.issuer = issuer
	return c, c.readEntries(inner, version)
}

func (c *crl) readEntries(in cryptobyte.String, version int) error {
	bad := format.Malformed("entries of the revocation list are not DER")
	var entries, entry cryptobyte.String
	var when time.Time
	if in.PeekASN1Tag(casn1.SEQUENCE) && !in.ReadASN1(&entries, casn1.SEQUENCE) {
		return bad
	}
	for !entries.Empty() {
		serial := new(big.Int)
		if !entries.ReadASN1(&entry, casn1.SEQUENCE) || !entry.ReadASN1Integer(serial) || !readTime(&entry, &when) {
			return bad
		}
		if !entry.Empty() {
			critical, err := readExtensions(&entry)
			if err != nil || !entry.Empty() || version == 0 {
				return bad
			}
			c.critical = c.critical || critical
		}
		c.serials = append(c.serials, serial)
	}
	var wrapped cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&wrapped, &present, context(0)) || !in.Empty() || present && version == 0 {
		return bad
	}
	if present {
		critical, err := readExtensions(&wrapped)
		if err != nil || !wrapped.Empty() {
			return bad
		}
		c.critical = c.critical || critical
	}
	return nil
}

// readExtensions tells whether one is critical.
func readExtensions(in *cryptobyte.String) (bool, error) {
	var list, ext, value cryptobyte.String
	any := false
	if !in.ReadASN1(&list, casn1.SEQUENCE) {
		return false, format.Malformed("extensions are not DER")
	}
	for !list.Empty() {
		var oid asn1.ObjectIdentifier
		critical := false
		if !list.ReadASN1(&ext, casn1.SEQUENCE) || !ext.ReadASN1ObjectIdentifier(&oid) ||
			ext.PeekASN1Tag(casn1.BOOLEAN) && !ext.ReadASN1Boolean(&critical) ||
			!ext.ReadASN1(&value, casn1.OCTET_STRING) || !ext.Empty() {
			return false, format.Malformed("extension is not DER")
		}
		any = any || critical
	}
	return any, nil
}

func readX509Algorithm(in *cryptobyte.String) (x509.SignatureAlgorithm, error) {
	s, err := readScheme(in)
	if err != nil {
		return 0, err
	}
	switch s.kind {
	case "ed25519":
		return x509.PureEd25519, nil
	case "rsa":
		return s.hash.rsaX509, nil
	case "rsa-pss":
		if s.mask.name != s.hash.name || s.salt != s.hash.hash.Size() {
			return 0, format.Wrap(format.ErrAlgorithm, "RSASSA-PSS with a mask by %s and a salt of %d bytes", s.mask.name, s.salt)
		}
		return s.hash.pssX509, nil
	}
	return s.hash.ecX509, nil
}

// by tells whether issuer made the list.
func (c *crl) by(issuer *x509.Certificate) bool {
	return bytes.Equal(c.issuer, issuer.RawSubject) &&
		(issuer.KeyUsage == 0 || issuer.KeyUsage&x509.KeyUsageCRLSign != 0) &&
		issuer.CheckSignature(c.algorithm, c.tbs, c.signature) == nil
}

// checkRevocation looks every certificate of the chain up in the lists of its issuer. A
// list that is out of date still revokes, but clears nobody.
func checkRevocation(chain []*x509.Certificate, trust format.Trust, policy Policy) ([]string, error) {
	required := policy.RequireCRLs || trust.RequireCRLs
	if len(trust.CRLs) == 0 && !required {
		return nil, nil
	}
	var lists []*crl
	for _, a := range trust.CRLs {
		c, err := parseCRL(a.Bytes)
		if err != nil {
			return nil, format.Wrap(format.ErrNotVerified, "revocation list %s: %v", a.From, err)
		}
		lists = append(lists, c)
	}
	var notes []string
	now := trust.Now()
	for i, c := range chain {
		issuer := chain[min(i+1, len(chain)-1)]
		cleared := false
		for _, l := range lists {
			if !bytes.Equal(l.issuer, c.RawIssuer) || !l.by(issuer) {
				continue
			}
			if slices.ContainsFunc(l.serials, func(n *big.Int) bool { return n.Cmp(c.SerialNumber) == 0 }) {
				return nil, format.Wrap(format.ErrRevoked, "certificate %s, serial %x, is on the revocation list of %s", c.Subject, c.SerialNumber, issuer.Subject)
			}
			cleared = cleared || !l.critical && !now.Before(l.this) && (l.next.IsZero() || !now.After(l.next))
		}
		if cleared || i == len(chain)-1 {
			continue
		}
		if required {
			return nil, format.Wrap(format.ErrStale, "no current revocation list of %s for %s", issuer.Subject, c.Subject)
		}
		notes = append(notes, fmt.Sprintf("No current revocation list speaks about %s.", c.Subject))
	}
	return notes, nil
}
