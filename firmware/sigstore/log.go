package sigstore

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"assay/firmware/format"
)

// material reads the trusted roots of the caller.
func material(trust format.Trust) (root.TrustedMaterialCollection, error) {
	var all root.TrustedMaterialCollection
	for _, a := range trust.Own[Name] {
		r, err := root.NewTrustedRootFromJSON(a.Bytes)
		if err != nil {
			return nil, wrap(format.ErrNoTrustedKey, "trusted root %s cannot be used: %v", a.From, err)
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, wrap(format.ErrNoTrustedKey, "no trusted_root.json was given")
	}
	return all, nil
}

// verifyManagedLog asks for an entry of a trusted log about this artifact, signature and key.
func (img *Image) verifyManagedLog(trust format.Trust, k format.Key, s scheme, report *format.Report) error {
	if trust.NoLog {
		note := "accepted without a transparency log, as asked"
		if n := len(img.entries()); n > 0 {
			note = fmt.Sprintf("accepted without a transparency log, as asked: its %d log entries were not looked at", n)
		}
		report.Image.Notes = append(report.Image.Notes, note)
		return nil
	}
	if len(img.entries()) == 0 {
		return wrap(format.ErrNotLogged, "no log entry, and the policy asks for one")
	}
	roots, err := material(trust)
	if err != nil {
		return err
	}
	if s.pure && img.envelope == nil {
		return wrap(format.ErrAlgorithm, "a log entry is about a hash, %s signs the artifact itself", s.name)
	}
	verifier, err := loadVerifier(k.Public, s)
	if err != nil {
		return wrap(format.ErrAlgorithm, "%v", err)
	}
	all := append(roots, root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(verifier, time.Time{}, time.Time{}), nil
	}))
	if err := img.checkLog(all, report); err != nil {
		return err
	}
	return img.lastWord(all, report, verify.WithKey(), verify.WithTransparencyLog(1), verify.WithNoObserverTimestamps())
}

func loadVerifier(public crypto.PublicKey, s scheme) (signature.Verifier, error) {
	if ed, ok := public.(ed25519.PublicKey); ok && !s.pure {
		return signature.LoadED25519phVerifier(ed)
	}
	return signature.LoadVerifier(public, s.hash)
}

// verifyKeyless follows a certificate of some minutes: who is in it, who issued it, whether it
// was valid when a log or an authority saw the signature. The steps here tell what is wrong in
// the order in which a reader understands it; the whole is then judged once more by sigstore-go.
func (img *Image) verifyKeyless(trust format.Trust, sums map[crypto.Hash][]byte, report *format.Report) error {
	if trust.Signer == "" || trust.Issuer == "" {
		return wrap(format.ErrNoTrustedKey, "keyless: without an expected signer and its issuer anybody with an account would do")
	}
	roots, err := material(trust)
	if err != nil {
		return err
	}
	leaf := *img.leaf
	if err := checkIdentity(&leaf, trust, report); err != nil {
		return err
	}
	if !issuedUnder(roots, &leaf) {
		return wrap(format.ErrChain, "the certificate is issued by %q, which no trusted root knows", leaf.Issuer)
	}
	s, ok, err := img.signedBy(leaf.PublicKey, sums)
	switch {
	case err != nil:
		return err
	case s.name == "":
		return wrap(format.ErrAlgorithm, "the certificate's key is of no kind that Sigstore signs with")
	case !ok:
		return wrap(format.ErrBadSignature, "it is not one of the certificate's key")
	}
	report.Signature, report.Findings = s.name, format.WeakCertificate(&leaf)
	for _, e := range img.entries() {
		if at := time.Unix(e.GetIntegratedTime(), 0); e.GetIntegratedTime() != 0 && outside(&leaf, at) {
			return whyNot(&leaf, at)
		}
	}
	if err := img.checkLog(roots, report); err != nil {
		return err
	}
	if err := img.checkTimes(roots, &leaf, report); err != nil {
		return err
	}
	identity, err := verify.NewShortCertificateIdentity(trust.Issuer, "", trust.Signer, "")
	if err != nil {
		return wrap(format.ErrNoTrustedKey, "%v", err)
	}
	if err := img.lastWord(roots, report, verify.WithCertificateIdentity(identity), verify.WithTransparencyLog(1),
		verify.WithObserverTimestamps(1), verify.WithSignedCertificateTimestamps(1)); err != nil {
		return err
	}
	report.Chain = append(report.Chain,
		format.Link{Kind: "signature", Name: "of " + img.signedWhat(), Algorithm: s.name, From: "image"},
		format.Link{Kind: "hash", Name: report.Digest, Algorithm: hashName(s.hash), From: "signature above"})
	return nil
}

func checkIdentity(leaf *x509.Certificate, trust format.Trust, report *format.Report) error {
	who, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return malformed("certificate: %v", err)
	}
	// sigstore-go takes the names out of an extension that the standard library does not know.
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(leaf.UnhandledCriticalExtensions), subjectAltName.Equal)
	report.Image.KeyHint = who.SubjectAlternativeName
	if who.SubjectAlternativeName != trust.Signer {
		return wrap(format.ErrNoTrustedKey, "signed by %.200q, want %q", who.SubjectAlternativeName, trust.Signer)
	}
	if who.Issuer != trust.Issuer {
		return wrap(format.ErrNoTrustedKey, "%.200q vouches for the signer, want %q", who.Issuer, trust.Issuer)
	}
	return nil
}

// issuedUnder asks for the issuer's signature alone; validity is another question.
func issuedUnder(roots root.TrustedMaterial, leaf *x509.Certificate) bool {
	for _, ca := range roots.FulcioCertificateAuthorities() {
		f, ok := ca.(*root.FulcioCertificateAuthority)
		if !ok {
			continue
		}
		for _, c := range append(slices.Clone(f.Intermediates), f.Root) {
			if leaf.CheckSignatureFrom(c) == nil {
				return true
			}
		}
	}
	return false
}

// checkLog verifies inclusion, checkpoint and promise, and that the entry is about this very
// artifact, signature and key (CVE-2026-22703).
func (img *Image) checkLog(roots root.TrustedMaterial, report *format.Report) error {
	if len(img.entries()) == 0 {
		return wrap(format.ErrNotLogged, "no log entry")
	}
	if _, err := guard(func() ([]root.Timestamp, error) { return verify.VerifyTlogEntry(img.bundle, roots, 1, true) }); err != nil {
		return wrap(format.ErrNotLogged, "%v", err)
	}
	for _, e := range img.entries() {
		name := fmt.Sprintf("%s %s, index %d", e.GetKindVersion().GetKind(), e.GetKindVersion().GetVersion(), e.GetLogIndex())
		from := "a log that is not trusted"
		if l, ok := roots.RekorLogs()[fmt.Sprintf("%x", e.GetLogId().GetKeyId())]; ok {
			from = l.BaseURL
		}
		report.Chain = append(report.Chain, format.Link{Kind: "log", Name: name, From: from})
		if e.GetInclusionProof() == nil {
			report.Image.Notes = append(report.Image.Notes, "the log promised to take the entry in; no proof that it did")
		}
	}
	return nil
}

// checkTimes asks for a verified time at which the certificate and all above it were valid.
func (img *Image) checkTimes(roots root.TrustedMaterial, leaf *x509.Certificate, report *format.Report) error {
	logged, err := verify.VerifyTlogEntry(img.bundle, roots, 1, true)
	if err != nil {
		return wrap(format.ErrNotLogged, "%v", err)
	}
	stamped, problems, err := verify.VerifySignedTimestamp(img.bundle, roots)
	if err != nil {
		return wrap(format.ErrValidity, "%v", err)
	}
	times := logged
	for _, s := range stamped {
		times = append(times, *s)
	}
	if len(times) == 0 {
		return wrap(format.ErrValidity, "no trusted time of the signature (%d time-stamps): %v", len(problems), errors.Join(problems...))
	}
	for _, at := range times {
		chains, err := verify.VerifyLeafCertificate(at.Time, leaf, roots)
		if err != nil {
			return whyNot(leaf, at.Time)
		}
		if err := verify.VerifySignedCertificateTimestamp(chains, 1, roots); err != nil {
			return wrap(format.ErrNotLogged, "the certificate is in no trusted certificate log: %v", err)
		}
		if len(report.Chain) == 0 || report.Chain[0].Kind != "certificate" {
			report.Chain = append(certificateLinks(chains[0]), report.Chain...)
		}
		report.Chain = append(report.Chain, format.Link{Kind: "timestamp", Name: at.Time.UTC().Format(time.RFC3339), From: at.URI})
	}
	return nil
}

func outside(leaf *x509.Certificate, at time.Time) bool {
	return at.Before(leaf.NotBefore) || at.After(leaf.NotAfter)
}

func whyNot(leaf *x509.Certificate, at time.Time) error {
	when := at.UTC().Format(time.RFC3339)
	if outside(leaf, at) {
		return wrap(format.ErrValidity, "signed at %s, the certificate is valid from %s to %s", when,
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return wrap(format.ErrChain, "no trusted authority stood above the certificate at %s", when)
}

// lastWord is sigstore-go's own verdict over the whole. The artifact itself was hashed before,
// in one pass, and compared with what the signature is of.
func (img *Image) lastWord(roots root.TrustedMaterial, report *format.Report, policy verify.PolicyOption, options ...verify.VerifierOption) error {
	v, err := verify.NewVerifier(roots, append(options, verify.WithoutStatementPredicate())...)
	if err != nil {
		return wrap(format.ErrNotVerified, "%v", err)
	}
	artifact := verify.WithoutArtifactUnsafe() // of an envelope: checkDigest found the artifact among its subjects
	if img.envelope == nil {
		artifact = verify.WithArtifactDigest(hashName(img.hash), img.digest) // equal to the artifact's own by checkDigest
	}
	_, err = guard(func() (*verify.VerificationResult, error) {
		return v.Verify(img.bundle, verify.NewPolicy(artifact, policy))
	})
	if err != nil {
		return wrap(format.ErrNotVerified, "%v", err)
	}
	return nil
}

// guard turns a panic of the libraries that read log entries into a refusal.
func guard[T any](f func() (T, error)) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = malformed("its reader gave up: %v", p)
		}
	}()
	return f()
}
