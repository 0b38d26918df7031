package format

import (
	"crypto/x509"
	"time"
)

// Trust is what the verifier brings: who may vouch for an image, and at what time. The
// zero value trusts nobody, so nothing verifies with it.
type Trust struct {
	Keys          Keys                // bare public keys, also those of the roots
	Roots         []Root              // certificate authorities
	Intermediates []*x509.Certificate // help to build a chain, vouch for nothing
	CRLs          []Anchor            // DER; where there is one, every certificate of a chain must be on none
	RequireCRLs   bool                // every issuer in a chain must have one there, and not out of date
	Secrets       []Anchor            // symmetric keys, raw
	Recipients    []Anchor            // keys that an encrypted image is opened with, private or symmetric; they vouch for nothing
	Own           map[string][]Anchor // anchors that only the format of that name reads
	Purpose       string              // extended key usage asked of a signing certificate: see Purposes; empty: the format's own default
	Signer        string              // identity asked of it: a subject alternative name; empty: any under the roots
	Issuer        string              // Sigstore: the OIDC issuer that must have vouched for Signer
	At            time.Time           // when certificates must be valid; zero: at no time
	NoLog         bool                // Sigstore: a managed key's signature counts without a transparency log
	Configuration string              // U-Boot FIT: the configuration that the device boots; empty: the image's default
	Installed     bool                // SUIT: the device has installed it and only starts it, so what the installation alone needs may be gone
}

// Purposes of a signing certificate.
const (
	PurposeCodeSigning = "code-signing"
	PurposeEmail       = "email-protection"
	PurposeAny         = "any"
)

// A Root is a certificate authority that the caller trusts.
type Root struct {
	*x509.Certificate
	From string // the file it came from
}

// An Anchor is one file of trust in its own encoding.
type Anchor struct {
	From  string // the file it came from
	Bytes []byte
}

// Now is the time at which certificates must be valid. Where the caller gave none it is
// 1970, when no certificate was: nothing here reads a clock, and none may be read by
// crypto/x509, which would for a zero time.
func (t Trust) Now() time.Time {
	if t.At.IsZero() {
		return time.Unix(0, 0)
	}
	return t.At
}
