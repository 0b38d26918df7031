package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"assay/firmware/format"
)

// A SignerRule says whose signatures count.
type SignerRule int

// The rules. The zero value is the strictest.
const (
	OneSigner  SignerRule = iota // exactly one signer, and it verifies (RAUC)
	AllSigners                   // every one verifies (OpenSSL's cms_verify)
	AnySigner                    // one verifies, the others are noted (SWUpdate's CMS_SKIP_UNKNOWN_SIGNERS)
)

// Policy is what a format asks of a message beside format.Trust. The zero value is the strict one.
type Policy struct {
	Signers           SignerRule
	Purposes          []string // any one of them will do; Trust.Purpose wins; empty: format.PurposeEmail
	RequireAttributes bool     // refuse every signature without signed attributes, not only those that could be stripped ones
	AllowWeak         bool     // take weak digests and keys, which are findings in any case
	RequireCRLs       bool     // as if Trust.RequireCRLs were set (OpenSSL's crl_check_all)
	WholeChain        bool     // only a self-signed root ends a chain, other roots are helpers (OpenSSL without partial_chain)
	CommonName        bool     // Trust.Signer may be the subject's common name (SWUpdate's forced signer name)
}

// A Result is how far a verification came.
type Result struct {
	Signature string              // the algorithm that was checked: ecdsa-p256-sha256
	Digest    string              // of the content: "sha256:" and hex
	Key       *format.Key         // the signer's; From names the root above it
	Chain     []*x509.Certificate // signer first, root last
	Links     []format.Link       // root first, content last, for Report.Chain
	Findings  []format.Finding    // weak digests and keys
	Notes     []string
}

// VerifyAttached verifies the content that the message carries. A message without content
// is refused: what a detached signature covers is not in it.
func (m *Message) VerifyAttached(trust format.Trust, policy Policy) (Result, error) {
	var r Result
	if m.Detached {
		return r, format.Wrap(format.ErrNotBound, "verify CMS: the message carries no content, it is detached from something else")
	}
	return m.verify(&memory{m.Content}, trust, policy)
}

// VerifyDetached verifies content that lies beside the message and reads it once, to its
// end. A message with content of its own is refused, whatever that content is.
func (m *Message) VerifyDetached(content io.Reader, trust format.Trust, policy Policy) (Result, error) {
	var r Result
	if !m.Detached {
		return r, format.Wrap(format.ErrNotBound, "verify CMS: the message carries %d bytes of content of its own", len(m.Content))
	}
	return m.verify(&stream{r: content, wanted: m.signerDigests()}, trust, policy)
}

// signerDigests are the digests that the signers need of the content, each once.
func (m *Message) signerDigests() []digest {
	var all []digest
	for _, s := range m.Signers {
		if !slices.ContainsFunc(all, func(d digest) bool { return d.name == s.digest.name }) {
			all = append(all, s.digest)
		}
	}
	return all
}

func (m *Message) verify(content source, trust format.Trust, policy Policy) (Result, error) {
	var result Result
	err := m.verifySigners(content, trust, policy, &result)
	if err != nil {
		return result, fmt.Errorf("verify CMS: %w", err)
	}
	return result, nil
}

func (m *Message) verifySigners(content source, trust format.Trust, policy Policy, result *Result) error {
	if len(m.Signers) == 0 {
		return format.Wrap(format.ErrUnsigned, "nobody signed: the message holds %d certificates only", len(m.Certificates))
	}
	if policy.Signers == OneSigner && len(m.Signers) != 1 {
		return format.Wrap(format.ErrNotVerified, "%d signers, exactly one is allowed", len(m.Signers))
	}
	if len(trust.Roots) == 0 {
		return format.Wrap(format.ErrNoTrustedKey, "no root certificate was given")
	}
	var last error
	good := false
	for i := range m.Signers {
		one := Result{}
		err := m.verifySigner(&m.Signers[i], content, trust, policy, &one)
		if !good { // the first good one is told; until then the latest
			notes := append(result.Notes, one.Notes...)
			*result, result.Notes = one, nil
			result.Notes = notes
		}
		if err == nil {
			good = true
			continue
		}
		if policy.Signers != AnySigner {
			return fmt.Errorf("signer %d: %w", i+1, err)
		}
		last = fmt.Errorf("signer %d: %w", i+1, err)
		result.Notes = append(result.Notes, fmt.Sprintf("Signer %d does not verify: %v.", i+1, err))
	}
	if !good {
		return last
	}
	return nil
}

// verifySigner goes from the certificate to the content, so that a stranger's message of
// some hundred megabytes is refused before they are read.
func (m *Message) verifySigner(s *Signer, content source, trust format.Trust, policy Policy, r *Result) error {
	cert, err := m.certificate(s, trust)
	if err != nil {
		return err
	}
	r.Signature = s.algorithm(cert)
	r.Findings = findings(s, []*x509.Certificate{cert, cert})
	if err := followChain(m, cert, trust, policy, r); err != nil {
		return err
	}
	r.Findings = findings(s, r.Chain)
	if !s.Attributes {
		if policy.RequireAttributes {
			return format.Wrap(format.ErrNotBound, "the signature has no signed attributes")
		}
		r.Notes = append(r.Notes, "The signature has no signed attributes: legal, but where a device takes both forms, signed attributes can be passed off as content.")
	} else if err := fits(s, cert.PublicKey, s.signed); err != nil {
		return err
	}
	sum, err := content.sum(s.digest)
	if err != nil {
		return fmt.Errorf("read content: %w", err)
	}
	r.Digest = s.digest.name + ":" + hex.EncodeToString(sum)
	if s.Attributes && subtle.ConstantTimeCompare(sum, s.message) != 1 {
		return format.Wrap(format.ErrBadHash, "the signer vouches for content of %s %x, this content has %x", s.digest.name, s.message, sum)
	}
	if !s.Attributes {
		if content.likeAttributes() {
			return format.Wrap(format.ErrNotBound, "the content is itself a set of signed attributes: their signature, stripped of its real content")
		}
		if err := fitsBare(s, cert.PublicKey, sum, content); err != nil {
			return err
		}
	}
	r.links(s)
	for _, f := range r.Findings {
		if f.Level == format.Disallowed && !policy.AllowWeak {
			return format.Wrap(format.ErrWeak, "%s: %s", f.What, f.Says)
		}
	}
	return nil
}

// certificate finds the signer's certificate: in the message, else among those that the caller brought.
func (m *Message) certificate(s *Signer, trust format.Trust) (*x509.Certificate, error) {
	var found *x509.Certificate
	for _, c := range m.Certificates {
		if !s.names(c) {
			continue
		}
		if found != nil {
			return nil, format.Malformed("two certificates of the message answer to %s", s)
		}
		found = c
	}
	for _, c := range trust.Intermediates {
		if found == nil && s.names(c) {
			found = c
		}
	}
	for _, c := range trust.Roots {
		if found == nil && s.names(c.Certificate) {
			found = c.Certificate
		}
	}
	if found == nil {
		return nil, format.Wrap(format.ErrChain, "the certificate of the signer (%s) is not there", s)
	}
	return found, nil
}

func (s *Signer) names(c *x509.Certificate) bool {
	if s.KeyID != nil {
		return slices.Equal(s.KeyID, c.SubjectKeyId)
	}
	return slices.Equal(s.issuer, c.RawIssuer) && s.Serial.Cmp(c.SerialNumber) == 0
}

// fits checks the signature over message, which is in memory.
func fits(s *Signer, public crypto.PublicKey, message []byte) error {
	h := s.digest.hash.New()
	h.Write(message)
	return fitsSum(s, public, h.Sum(nil), message)
}

// fitsBare checks a signature over the content itself.
func fitsBare(s *Signer, public crypto.PublicKey, sum []byte, content source) error {
	message, ok := content.whole()
	if s.scheme.kind == "ed25519" && !ok {
		return format.Wrap(format.ErrAlgorithm, "an ed25519 signature without signed attributes over more than %d bytes", keepLimit)
	}
	return fitsSum(s, public, sum, message)
}

// fitsSum checks the signature over a digest, of ed25519 over the message itself. The key
// decides about the algorithm: a signature of another kind is refused before any arithmetic.
func fitsSum(s *Signer, public crypto.PublicKey, sum, message []byte) error {
	ok := false
	switch p := public.(type) {
	case *rsa.PublicKey:
		switch s.scheme.kind {
		case "rsa":
			ok = rsa.VerifyPKCS1v15(p, s.digest.hash, sum, s.signature) == nil
		case "rsa-pss":
			ok = format.FitsPSS(p, s.digest.hash, s.scheme.mask.hash, s.scheme.salt, sum, s.signature)
		default:
			return format.Wrap(format.ErrAlgorithm, "signature is %s, the key rsa", s.scheme.kind)
		}
	case *ecdsa.PublicKey:
		if s.scheme.kind != "ecdsa" {
			return format.Wrap(format.ErrAlgorithm, "signature is %s, the key ecdsa", s.scheme.kind)
		}
		ok = ecdsa.VerifyASN1(p, sum, s.signature)
	case ed25519.PublicKey:
		if s.scheme.kind != "ed25519" {
			return format.Wrap(format.ErrAlgorithm, "signature is %s, the key ed25519", s.scheme.kind)
		}
		if s.digest.name != "sha512" {
			return format.Wrap(format.ErrAlgorithm, "ed25519 goes with sha512 (RFC 8419), the digest is %s", s.digest.name)
		}
		if _, err := format.NewKeys(p); err != nil { // of small order
			return err
		}
		ok = ed25519.Verify(p, message, s.signature)
	default:
		return format.Wrap(format.ErrAlgorithm, "the certificate holds a %T, which signs nothing here", public)
	}
	if !ok {
		return format.Wrap(format.ErrBadSignature, "the %s signature is not one of the signer's certificate", s.scheme.kind)
	}
	return nil
}

// mapX509 says with a sentinel of the contract why crypto/x509 built no chain. What is wrong
// above the signer's certificate it tells as a hint in the text only.
func mapX509(err error) error {
	var invalid x509.CertificateInvalidError
	var weak x509.InsecureAlgorithmError
	sentinel, text := format.ErrChain, err.Error()
	switch {
	case errors.As(err, &weak) || strings.Contains(text, "insecure algorithm"):
		sentinel = format.ErrWeak
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired || strings.Contains(text, "has expired or is not yet valid"):
		sentinel = format.ErrValidity
	}
	return format.Wrap(sentinel, "%s", text)
}
