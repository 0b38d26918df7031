// Package cms reads, verifies and writes CMS SignedData (RFC 5652; PKCS#7 is its
// older name), as firmware formats use it: strict DER, content attached or detached and
// never mixed up, signed attributes that cannot be stripped, certificate chains under
// given roots with purpose and revocation. It never takes trust from the message: the
// certificates in it are helpers, the time in it is a claim, the CRLs in it are left alone.
//
// Verifying:
//
//	m, err := cms.Parse(der)
//	result, err := m.VerifyDetached(file, trust, cms.Policy{})  // content beside it, streamed
//	result, err := m.VerifyAttached(trust, cms.Policy{})        // content is m.Content
//
// The zero Policy is the strict one: exactly one signer, signed attributes or content that
// cannot be mistaken for them, no weak digest or key, purpose of format.Trust.Purpose
// (e-mail protection where that is empty, as openssl cms asks for by default).
//
// Signing, also with chains that a good device refuses:
//
//	der, err := cms.Sign(content, cms.SignOptions{Signers: []cms.Identity{id}})
//	pki, err := cms.NewPKI(cms.PKIOptions{})              // root -> signer, fresh
//	bad, err := pki.Issue(cms.Leaf{NotAfter: yesterday})  // under the same root
//	fake, err := cms.Lookalike(chain)                     // same names, fresh keys
package cms

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"assay/firmware/format"
)

// ContentIndirectData is the type of Authenticode's content (SpcIndirectDataContent). It is
// no octet string but a sequence, of which the value counts: Content and the digest are of that.
const ContentIndirectData = "1.3.6.1.4.1.311.2.1.4"

// A Message is one parsed SignedData. Nothing of it is verified.
type Message struct {
	Detached     bool                // it carries no content: what it signs lies elsewhere
	Content      []byte              // what it carries; nil when Detached, perhaps empty when not
	ContentType  string              // dotted, 1.2.840.113549.1.7.1 for plain data, ContentIndirectData for Authenticode
	Certificates []*x509.Certificate // all that could be read, in the order of the message
	Signers      []Signer            // perhaps none: a message of certificates only signs nothing
	CRLs         int                 // revocation lists in the message; they are not used
	Notes        []string            // what a reader should know, one sentence each

	// Where the parts lie within the DER that was parsed. What nobody signs is in
	// Uncovered: certificates beside those of the signers, unsigned attributes, CRLs, the list of digests.
	Covered   []format.Region
	Uncovered []format.Region

	contentType asn1.ObjectIdentifier
	digests     []digest
	der         []byte
}

// A Signer is one SignerInfo.
type Signer struct {
	Issuer      string    // name of the issuer of its certificate; empty when named by KeyID
	Serial      *big.Int  // serial number of its certificate; nil when named by KeyID
	KeyID       []byte    // subject key identifier
	Digest      string    // sha256
	Signature   string    // claimed kind: rsa, rsa-pss, ecdsa, ed25519
	Attributes  bool      // it has signed attributes; without them the signature is over the content itself
	SigningTime time.Time // what the signer says; zero where it says nothing. Never used to decide
	Unsigned    int       // number of unsigned attributes

	raw       []byte // the whole SignerInfo
	issuer    []byte // DER
	digest    digest
	scheme    scheme
	signed    []byte // DER SET of the signed attributes, nil without
	message   []byte // value of the message-digest attribute
	signature []byte
}

// Signature names the claimed algorithm of the first signer as far as the message alone
// tells it: "ecdsa-sha256", "rsa-pss-sha512", empty without a signer.
func (m *Message) Signature() string {
	if len(m.Signers) == 0 {
		return ""
	}
	s := m.Signers[0]
	if c, err := m.certificate(&s, format.Trust{}); err == nil {
		return s.algorithm(c)
	}
	if s.Signature == "ed25519" {
		return s.Signature
	}
	return s.Signature + "-" + s.Digest
}

// KeyHint names the certificate of the first signer as the message does.
func (m *Message) KeyHint() string {
	if len(m.Signers) == 0 {
		return ""
	}
	return m.Signers[0].String()
}

// String names the signer's certificate.
func (s *Signer) String() string {
	if s.KeyID != nil {
		return fmt.Sprintf("key id %x", s.KeyID)
	}
	return fmt.Sprintf("serial %x of %s", s.Serial, s.Issuer)
}
