package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	_ "crypto/md5" // for crypto.Hash: told as weak, not unknown
	"crypto/rsa"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assay/firmware/format"
)

// Object identifiers of RFC 5652, 5754 (digests), 4056 (PSS), 8419 (Ed25519).
var (
	oidSignedData     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidData           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidIndirectData   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4} // Authenticode
	oidContentType    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCertV2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidTimeStampToken = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}
	oidSigningTime    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	oidRSA            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidMGF1           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidPSS            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidEd25519        = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// A digest is one hash algorithm under its name and its identifiers.
type digest struct {
	name     string
	hash     crypto.Hash
	oid      asn1.ObjectIdentifier
	withRSA  asn1.ObjectIdentifier
	withEC   asn1.ObjectIdentifier
	rsaX509  x509.SignatureAlgorithm
	ecX509   x509.SignatureAlgorithm
	pssX509  x509.SignatureAlgorithm
	tooShort bool // no signature should rest on it
}

var digests = []digest{
	{name: "sha256", hash: crypto.SHA256, oid: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1},
		withRSA: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, withEC: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2},
		rsaX509: x509.SHA256WithRSA, ecX509: x509.ECDSAWithSHA256, pssX509: x509.SHA256WithRSAPSS},
	{name: "sha384", hash: crypto.SHA384, oid: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2},
		withRSA: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, withEC: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3},
		rsaX509: x509.SHA384WithRSA, ecX509: x509.ECDSAWithSHA384, pssX509: x509.SHA384WithRSAPSS},
	{name: "sha512", hash: crypto.SHA512, oid: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3},
		withRSA: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, withEC: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4},
		rsaX509: x509.SHA512WithRSA, ecX509: x509.ECDSAWithSHA512, pssX509: x509.SHA512WithRSAPSS},
	{name: "sha224", hash: crypto.SHA224, oid: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4},
		withRSA: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 14}, withEC: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 1}},
	{name: "sha1", hash: crypto.SHA1, oid: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, tooShort: true,
		withRSA: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, withEC: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1},
		rsaX509: x509.SHA1WithRSA, ecX509: x509.ECDSAWithSHA1},
	{name: "md5", hash: crypto.MD5, oid: asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}, tooShort: true,
		withRSA: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}},
}

func findDigest(fits func(digest) bool) (digest, bool) {
	for _, d := range digests {
		if fits(d) {
			return d, true
		}
	}
	return digest{}, false
}

// A scheme is how a signature is made.
type scheme struct {
	kind string // rsa, rsa-pss, ecdsa, ed25519
	hash digest // that the identifier itself names; zero for rsa, whose digest is the signer's, and ed25519
	salt int    // bytes, of rsa-pss
	mask digest // of rsa-pss: mostly hash again, but Java's own default stays SHA-1
}

// readAlgorithm reads an AlgorithmIdentifier. Parameters are returned as they are, with their header.
func readAlgorithm(in *cryptobyte.String) (asn1.ObjectIdentifier, cryptobyte.String, error) {
	var alg cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&alg, casn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) {
		return nil, nil, format.Malformed("algorithm identifier is not DER")
	}
	if alg.Empty() {
		return oid, nil, nil
	}
	var params cryptobyte.String
	var tag casn1.Tag
	if !alg.ReadAnyASN1Element(&params, &tag) || !alg.Empty() {
		return nil, nil, format.Malformed("parameters of algorithm %v are not DER", oid)
	}
	return oid, params, nil
}

// isNull tells absent or NULL parameters, which digests and PKCS #1 v1.5 have.
func isNull(params cryptobyte.String) bool {
	return len(params) == 0 || len(params) == 2 && params[0] == 0x05 && params[1] == 0x00
}

func readDigest(in *cryptobyte.String) (digest, error) {
	oid, params, err := readAlgorithm(in)
	if err != nil {
		return digest{}, err
	}
	d, ok := findDigest(func(d digest) bool { return d.oid.Equal(oid) })
	if !ok {
		return digest{}, format.Wrap(format.ErrAlgorithm, "digest algorithm %v is not known", oid)
	}
	if !isNull(params) {
		return digest{}, format.Malformed("digest algorithm %s with parameters", d.name)
	}
	return d, nil
}

func readScheme(in *cryptobyte.String) (scheme, error) {
	oid, params, err := readAlgorithm(in)
	if err != nil {
		return scheme{}, err
	}
	var s scheme
	switch {
	case oid.Equal(oidPSS):
		return readPSS(params)
	case oid.Equal(oidRSA):
		s = scheme{kind: "rsa"}
	case oid.Equal(oidEd25519):
		if len(params) != 0 { // RFC 8410 section 3: absent
			return scheme{}, format.Malformed("ed25519 with parameters")
		}
		s = scheme{kind: "ed25519"}
	default:
		if d, ok := findDigest(func(d digest) bool { return d.withRSA.Equal(oid) }); ok {
			s = scheme{kind: "rsa", hash: d}
		} else if d, ok := findDigest(func(d digest) bool { return d.withEC.Equal(oid) && len(d.withEC) > 0 }); ok {
			s = scheme{kind: "ecdsa", hash: d}
		} else {
			return scheme{}, format.Wrap(format.ErrAlgorithm, "signature algorithm %v is not known", oid)
		}
	}
	if !isNull(params) {
		return scheme{}, format.Malformed("signature algorithm %s with parameters", s.kind)
	}
	return s, nil
}

// readPSS reads RSASSA-PSS-params (RFC 4055 section 3.1); its defaults are SHA-1.
func readPSS(params cryptobyte.String) (scheme, error) {
	sha1, _ := findDigest(func(d digest) bool { return d.name == "sha1" })
	s := scheme{kind: "rsa-pss", hash: sha1, salt: 20, mask: sha1}
	var seq, part cryptobyte.String
	var present bool
	bad := format.Malformed("parameters of RSASSA-PSS are not DER")
	if !params.ReadASN1(&seq, casn1.SEQUENCE) || !params.Empty() {
		return s, bad
	}
	tag := func(n uint8) casn1.Tag { return casn1.Tag(n).ContextSpecific().Constructed() }
	if !seq.ReadOptionalASN1(&part, &present, tag(0)) {
		return s, bad
	}
	if present {
		d, err := readDigest(&part)
		if err != nil || !part.Empty() {
			return s, orElse(err, bad)
		}
		s.hash = d
	}
	if !seq.ReadOptionalASN1(&part, &present, tag(1)) {
		return s, bad
	}
	if present {
		oid, inner, err := readAlgorithm(&part)
		if err != nil || !part.Empty() || !oid.Equal(oidMGF1) {
			return s, orElse(err, format.Wrap(format.ErrAlgorithm, "RSASSA-PSS with another mask than MGF1"))
		}
		if s.mask, err = readDigest(&inner); err != nil || !inner.Empty() {
			return s, orElse(err, bad)
		}
	}
	trailer := 1
	if !seq.ReadOptionalASN1Integer(&s.salt, tag(2), 20) || !seq.ReadOptionalASN1Integer(&trailer, tag(3), 1) ||
		!seq.Empty() || s.salt < 0 || s.salt > 1<<12 || trailer != 1 {
		return s, bad
	}
	return s, nil
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// algorithm names what the signer's signature is, with the key that is to check it.
func (s *Signer) algorithm(c *x509.Certificate) string {
	switch p := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ecdsa-p%d-%s", p.Curve.Params().BitSize, s.digest.name)
	case *rsa.PublicKey:
		if s.scheme.kind == "rsa-pss" {
			return fmt.Sprintf("rsa-%d-pss-%s", p.N.BitLen(), s.digest.name)
		}
		return fmt.Sprintf("rsa-%d-%s", p.N.BitLen(), s.digest.name)
	case ed25519.PublicKey:
		return "ed25519"
	}
	return s.scheme.kind + "-" + s.digest.name
}
