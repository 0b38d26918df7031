package evidence

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Extensions of Fulcio's certificates: who vouched for the identity, as DER and, in older ones, as bare bytes.
var (
	oidIssuer    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}
	oidIssuerOld = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}
)

// A KeylessSigner is a key of this process that a Fulcio has certified to be somebody for some minutes.
type KeylessSigner struct {
	signature.Signer
	Certificate *x509.Certificate
	Certified   *Certified
}

// Certified is whom the certificate in a seal names.
type Certified struct {
	Identity string    `json:"identity"`    // its only subject alternative name
	Issuer   string    `json:"oidc_issuer"` // who vouched for it
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Checked  bool      `json:"checked"` // it leads to the Fulcio, and names the signer and the issuer, that the verifier gave
}

// Keyless is what a verifier brings along for seals under a certificate. All of it is asked, and the time-stamp, too.
type Keyless struct {
	Roots    *x509.CertPool
	Identity string
	Issuer   string
}

// certifiedBy reads a certificate of a Fulcio strictly; whose it is is not asked here.
func certifiedBy(c *x509.Certificate) (*Certified, error) {
	names := cryptoutils.GetSubjectAlternateNames(c)
	if len(names) != 1 || names[0] == "" {
		return nil, fmt.Errorf("its certificate has %d names, want exactly 1", len(names))
	}
	if c.IsCA || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageCodeSigning || len(c.UnknownExtKeyUsage) > 0 {
		return nil, errors.New("its certificate is not for code signing alone (extended key usage)")
	}
	if c.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, errors.New("its certificate is not for digital signatures (key usage)")
	}
	issuer := ""
	for _, x := range c.Extensions {
		var said string
		switch {
		case x.Id.Equal(oidIssuer):
			if err := unmarshal(x.Value, &said, "utf8"); err != nil {
				return nil, errors.New("its certificate's issuer extension cannot be read")
			}
		case x.Id.Equal(oidIssuerOld):
			said = string(x.Value)
		default:
			continue
		}
		if said == "" || issuer != "" && issuer != said {
			return nil, errors.New("its certificate's two issuer extensions contradict each other, or are empty")
		}
		issuer = said
	}
	if issuer == "" {
		return nil, errors.New("its certificate does not say who vouched for the identity (extension 1.3.6.1.4.1.57264.1.8)")
	}
	return &Certified{Identity: names[0], Issuer: issuer, From: c.NotBefore.UTC(), To: c.NotAfter.UTC()}, nil
}

// verifyCertified checks the certificate of a seal: first when it was used, then who stands above it, then whom it names.
func (c *container) verifyCertified(cert *x509.Certificate, who *Certified, sig []byte, t Trust) error {
	if t.Authorities == nil {
		return broken(layerStamp, stampName, "the certificate of the seal was good from %s to %s only: without the root of a time-stamp authority nobody can tell that the seal was made then",
			who.From.Format(time.RFC3339), who.To.Format(time.RFC3339))
	}
	b, _, err := c.optional(stampName, maxStamp)
	if err != nil {
		return err
	}
	if b == nil {
		return broken(layerStamp, stampName, "is missing: the certificate of the seal was good from %s to %s only, and nobody says that the seal was made then",
			who.From.Format(time.RFC3339), who.To.Format(time.RFC3339))
	}
	token, err := parseToken(b, sig)
	if err == nil {
		err = token.check(t.Authorities, time.Time{}, t.Now)
	}
	if err != nil {
		return broken(layerStamp, stampName, "%v", err)
	}
	if err := token.within(who); err != nil {
		return broken(layerStamp, stampName, "%v", err)
	}
	if _, err := readable(cert).Verify(x509.VerifyOptions{
		Roots: t.Keyless.Roots, Intermediates: x509.NewCertPool(), CurrentTime: token.info.Time, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}); err != nil {
		return broken(layerSeal, sealName, "its certificate leads to no Fulcio that was given: %v", err)
	}
	switch {
	case who.Identity != t.Keyless.Identity:
		return broken(layerSeal, sealName, "signed by %s, want %s", printable(who.Identity), printable(t.Keyless.Identity))
	case who.Issuer != t.Keyless.Issuer:
		return broken(layerSeal, sealName, "%s vouched for the signer, want %s", printable(who.Issuer), printable(t.Keyless.Issuer))
	}
	who.Checked = true
	return nil
}

// within tells whether a stamp's time, with all the doubt that it admits, is in the life of a certificate.
func (t *token) within(who *Certified) error {
	a := t.info.Accuracy
	doubt := time.Duration(a.Seconds)*time.Second + time.Duration(a.Millis)*time.Millisecond + time.Duration(a.Micros)*time.Microsecond
	at := t.info.Time
	if doubt < 0 || doubt > time.Hour || at.Before(who.From) || at.Add(doubt).After(who.To) {
		return fmt.Errorf("its time %s is outside the life of the seal's certificate, %s to %s",
			at.UTC().Format(time.RFC3339), who.From.Format(time.RFC3339), who.To.Format(time.RFC3339))
	}
	return nil
}

// readable is a certificate whose only name is of the kind that Fulcio has of its own, and crypto/x509 does not know.
func readable(c *x509.Certificate) *x509.Certificate {
	own, err := cryptoutils.UnmarshalOtherNameSAN(c.Extensions)
	if err != nil || own == "" {
		return c
	}
	known := *c
	known.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(c.UnhandledCriticalExtensions), cryptoutils.SANOID.Equal)
	return &known
}

// verifySigner checks whose seal it is, and the signature, before a word of what was signed is believed.
// A certificate is asked only where the verifier brings what it is asked by: a key that the verifier gave is enough.
func (c *container) verifySigner(e *Evidence, env *envelope, t Trust) error {
	cert, who, err := env.signer()
	if err != nil {
		return broken(layerSeal, sealName, "%v", err)
	}
	e.Signer = who
	if e.Hint, err = env.hint(); err != nil {
		return broken(layerSeal, sealName, "%v", err)
	}
	if cert == nil || t.Keyless == nil {
		return env.verifySignature(t, e.Hint)
	}
	if err := c.verifyCertified(cert, who, env.DSSE.Signatures[0].Sig, t); err != nil {
		return err
	}
	key, err := signature.LoadVerifier(cert.PublicKey, hashOfSeals)
	if err != nil {
		return broken(layerSeal, sealName, "its certificate's key: %v", err)
	}
	return env.verifyUnder(key)
}

// signer reads the seal's certificate; nil where it is under a key.
func (env *envelope) signer() (*x509.Certificate, *Certified, error) {
	v := env.Verification.Certificate
	if v == nil {
		return nil, nil, nil
	}
	c, err := x509.ParseCertificate(v.Raw)
	if err != nil {
		return nil, nil, fmt.Errorf("its certificate: %w", err)
	}
	who, err := certifiedBy(c)
	return c, who, err
}

// SealStamped is Seal under a certificate that lives some minutes: the bundle has its name only when an
// authority's time-stamp in it says that it was signed in these. Whatever ends this before leaves none.
func SealStamped(ctx context.Context, dir, out string, signer *KeylessSigner, authority string) (*Stamp, error) {
	switch _, err := os.Lstat(out); {
	case err == nil:
		return nil, fmt.Errorf("seal %s: %s: %w", dir, out, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("seal %s: %w", dir, err)
	}
	part := filepath.Join(filepath.Dir(out), ".assay-unstamped-"+filepath.Base(out))
	_ = os.Remove(part) // of a seal that was interrupted
	defer os.Remove(part)
	if err := Seal(ctx, dir, part, signer); err != nil {
		return nil, err
	}
	s, err := AddStamp(ctx, part, authority)
	if err == nil {
		err = s.token.within(signer.Certified)
	}
	if err != nil {
		return nil, fmt.Errorf("seal %s: a seal under a certificate of minutes is nothing without a time-stamp: %w", dir, err)
	}
	if err := os.Rename(part, out); err != nil {
		return nil, fmt.Errorf("seal %s: %w", dir, err)
	}
	return s, syncDir(filepath.Dir(out))
}

// verifyUnder checks the signature under one key.
func (env *envelope) verifyUnder(key signature.Verifier) error {
	message := pae(env.DSSE.PayloadType, env.DSSE.Payload)
	if err := key.VerifySignature(bytes.NewReader(env.DSSE.Signatures[0].Sig), bytes.NewReader(message)); err != nil {
		return broken(layerSeal, sealName, "signature: %v", err)
	}
	return nil
}
