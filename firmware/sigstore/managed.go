package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"

	"assay/firmware/eddsa"
	"assay/firmware/format"
)

// hashesOf are the hashes that a key signs with: its own size, and SHA-256, which Sigstore's
// older clients used for every curve. The key decides; what a bundle says of its digest is a hint.
func hashesOf(public crypto.PublicKey) []crypto.Hash {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		switch p.Curve.Params().BitSize {
		case 256:
			return []crypto.Hash{crypto.SHA256}
		case 384:
			return []crypto.Hash{crypto.SHA384, crypto.SHA256}
		case 521:
			return []crypto.Hash{crypto.SHA512, crypto.SHA256}
		}
	case *rsa.PublicKey:
		return []crypto.Hash{crypto.SHA256}
	case ed25519.PublicKey:
		return []crypto.Hash{crypto.SHA512}
	}
	return nil
}

// plainHashes are the hashes of the artifact that a signature over it may be of, beside the one claimed.
func (img *Image) plainHashes(trust format.Trust) []crypto.Hash {
	var all []crypto.Hash
	for _, k := range img.candidates(trust) {
		all = append(all, hashesOf(k)...)
	}
	return all
}

func (img *Image) candidates(trust format.Trust) []crypto.PublicKey {
	if img.leaf != nil {
		return []crypto.PublicKey{img.leaf.PublicKey}
	}
	var all []crypto.PublicKey
	for _, k := range trust.Keys.All() {
		all = append(all, k.Public)
	}
	return all
}

// verifyManaged looks for the key that made the signature. A hint is no way to find it: it is
// whatever the signer, or somebody after it, wrote there.
func (img *Image) verifyManaged(trust format.Trust, sums map[crypto.Hash][]byte, report *format.Report) error {
	if trust.Keys.Len() == 0 {
		return wrap(format.ErrNoTrustedKey, "signed by a managed key (hint %.60q), and no key was given", img.hint)
	}
	tried := 0
	for _, k := range trust.Keys.All() {
		s, ok, err := img.signedBy(k.Public, sums)
		if err != nil {
			return err
		}
		if s.name == "" {
			continue
		}
		tried++
		if !ok {
			continue
		}
		report.Key, report.Signature, report.Findings = &k, s.name, format.WeakKey(k.Public)
		report.Chain = append(report.Chain,
			format.Link{Kind: "key", Name: k.Fingerprint, Algorithm: k.Algorithm, Strength: format.Strength(k.Public), From: k.From},
			format.Link{Kind: "signature", Name: "of " + img.signedWhat(), Algorithm: s.name, From: "image"},
			format.Link{Kind: "hash", Name: report.Digest, Algorithm: hashName(s.hash), From: "signature above"})
		img.noteHints(trust, s, report)
		return img.verifyManagedLog(trust, k, s, report)
	}
	switch {
	case tried == 0:
		return wrap(format.ErrAlgorithm, "none of the %d keys given is of a kind that Sigstore signs with", trust.Keys.Len())
	case img.hintsAtStranger(trust):
		return wrap(format.ErrNoTrustedKey, "the signature is of none of the %d keys given, the hint says %.60q", trust.Keys.Len(), img.hint)
	}
	return wrap(format.ErrBadSignature, "it is of none of the %d keys given", trust.Keys.Len())
}

func (img *Image) signedWhat() string {
	if img.envelope != nil {
		return "the statement " + img.envelope.statement.PredicateType
	}
	return "the artifact"
}

// hintOf is what cosign writes: the base64 of the SHA-256 of the SubjectPublicKeyInfo.
func hintOf(k format.Key) string {
	sum, err := hex.DecodeString(k.Fingerprint)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(sum)
}

func (img *Image) hintsAtStranger(trust format.Trust) bool {
	sum, err := base64.StdEncoding.DecodeString(img.hint)
	return err == nil && len(sum) == 32 &&
		!slices.ContainsFunc(trust.Keys.All(), func(k format.Key) bool { return hintOf(k) == img.hint })
}

func (img *Image) noteHints(trust format.Trust, s scheme, report *format.Report) {
	if img.bundle != nil && img.envelope == nil && s.hash != img.hash && !s.pure {
		report.Image.Notes = append(report.Image.Notes, fmt.Sprintf("the bundle gives the artifact's %s, the signature is of its %s", hashName(img.hash), hashName(s.hash)))
	}
	if img.hintsAtStranger(trust) {
		report.Image.Notes = append(report.Image.Notes, fmt.Sprintf(
			"the bundle's hint names a key that was not given (%s); the signature is of a key that was: a device that finds its key by the hint refuses it", img.hint))
	}
}

// A scheme is one way to sign.
type scheme struct {
	name string
	hash crypto.Hash
	pure bool // Ed25519 over the message itself
}

// signedBy tells whether public made the signature, and how. Without a name there is no scheme of that key.
func (img *Image) signedBy(public crypto.PublicKey, sums map[crypto.Hash][]byte) (scheme, bool, error) {
	if ed, ok := public.(ed25519.PublicKey); ok {
		return img.signedByEd25519(ed, sums)
	}
	var tried scheme
	for _, h := range hashesOf(public) {
		sum := sums[h]
		if img.envelope != nil {
			sum = img.envelope.sum(h)
		}
		tried = scheme{name: schemeName(public, h), hash: h}
		if fits(public, h, sum, img.sig) {
			return tried, true, nil
		}
	}
	return tried, false, nil
}

// signedByEd25519 tries what Sigstore asks for first: the pre-hashed form for artifacts, which
// are too large, the pure one for envelopes. cosign signs artifacts by the pure one as well.
func (img *Image) signedByEd25519(public ed25519.PublicKey, sums map[crypto.Hash][]byte) (scheme, bool, error) {
	pure := scheme{name: "ed25519", hash: crypto.SHA512, pure: true}
	if img.envelope != nil {
		return pure, ed25519.Verify(public, img.envelope.message(), img.sig), nil
	}
	if ed25519.VerifyWithOptions(public, sums[crypto.SHA512], img.sig, &ed25519.Options{Hash: crypto.SHA512}) == nil {
		return scheme{name: "ed25519ph", hash: crypto.SHA512}, true, nil
	}
	ok, err := eddsa.Verify(public, img.artifact.Section(0, img.artifact.Size()), img.sig)
	return pure, ok, err
}

func schemeName(public crypto.PublicKey, h crypto.Hash) string {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ecdsa-p%d-%s", p.Curve.Params().BitSize, hashName(h))
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa-%d-pkcs1-%s", p.N.BitLen(), hashName(h))
	}
	return ""
}

func fits(public crypto.PublicKey, h crypto.Hash, sum, sig []byte) bool {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(p, sum, sig)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(p, h, sum, sig) == nil
	}
	return false
}

// message is what a DSSE signature is of: PAE(type, body) of the DSSE protocol.
func (e *envelope) message() []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(e.payloadType), e.payloadType, len(e.payload), e.payload)
}

func (e *envelope) sum(h crypto.Hash) []byte {
	w := h.New()
	w.Write(e.message())
	return w.Sum(nil)
}
