package cms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"assay/firmware/format"
)

// followChain builds chains from cert to the roots and takes the first that fits purpose,
// revocation and name.
func followChain(m *Message, cert *x509.Certificate, trust format.Trust, policy Policy, r *Result) error {
	if trust.At.IsZero() { // the time that stands for none is one at which some certificates begin
		return format.Wrap(format.ErrValidity, "no time was given at which certificates must be valid")
	}
	roots, helpers := x509.NewCertPool(), x509.NewCertPool()
	for _, root := range trust.Roots {
		if policy.WholeChain && !bytes.Equal(root.RawIssuer, root.RawSubject) {
			helpers.AddCert(root.Certificate)
			continue
		}
		roots.AddCert(root.Certificate)
	}
	for _, c := range slices.Concat(trust.Intermediates, m.Certificates) {
		helpers.AddCert(c)
	}
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: helpers, CurrentTime: trust.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return mapX509(err)
	}
	var first error
	for _, chain := range chains {
		notes, err := acceptable(chain, trust, policy)
		if err == nil {
			r.Chain, r.Notes = chain, append(r.Notes, notes...)
			return r.describeChain(m, trust)
		}
		first = orElse(first, err)
	}
	return first
}

func acceptable(chain []*x509.Certificate, trust format.Trust, policy Policy) ([]string, error) {
	if err := checkPurpose(chain, trust, policy); err != nil {
		return nil, err
	}
	notes, err := checkRevocation(chain, trust, policy)
	if err != nil {
		return nil, err
	}
	return notes, checkName(chain[0], trust.Signer, policy.CommonName)
}

// usages are the purposes with their extended key usage.
var usages = map[string]x509.ExtKeyUsage{
	format.PurposeCodeSigning: x509.ExtKeyUsageCodeSigning,
	format.PurposeEmail:       x509.ExtKeyUsageEmailProtection,
}

// checkPurpose asks of every certificate that has extended key usages that the purpose be
// among them, of the signer also its key usage. crypto/x509 asks less: it takes
// anyExtendedKeyUsage and looks at no key usage. Code signing must be said expressly, as
// OpenSSL and RAUC have it; other purposes may be left open.
func checkPurpose(chain []*x509.Certificate, trust format.Trust, policy Policy) error {
	wanted := policy.Purposes
	if trust.Purpose != "" {
		wanted = []string{trust.Purpose}
	}
	if len(wanted) == 0 {
		wanted = []string{format.PurposeEmail}
	}
	var first error
	for _, purpose := range wanted {
		err := serves(chain, purpose)
		if err == nil {
			return nil
		}
		first = orElse(first, err)
	}
	return first
}

func serves(chain []*x509.Certificate, purpose string) error {
	leaf := chain[0]
	signing := x509.KeyUsageDigitalSignature
	if purpose != format.PurposeCodeSigning {
		signing |= x509.KeyUsageContentCommitment
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&signing == 0 {
		return format.Wrap(format.ErrPurpose, "the key of %s is not for signatures", leaf.Subject)
	}
	if purpose == format.PurposeAny {
		return nil
	}
	usage, ok := usages[purpose]
	if !ok {
		return format.Wrap(format.ErrPurpose, "purpose %q is not known", purpose)
	}
	for i, c := range chain {
		open := len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0
		if open && (i > 0 || purpose != format.PurposeCodeSigning) || slices.Contains(c.ExtKeyUsage, usage) {
			continue
		}
		return format.Wrap(format.ErrPurpose, "%s is for %s, not for %s", c.Subject, orWords(purposeOf(c), "nothing in particular"), purpose)
	}
	return nil
}

func checkName(leaf *x509.Certificate, want string, commonName bool) error {
	if want == "" {
		return nil
	}
	names := slices.Concat(leaf.DNSNames, leaf.EmailAddresses)
	for _, u := range leaf.URIs {
		names = append(names, u.String())
	}
	if commonName {
		names = append(names, leaf.Subject.CommonName)
	}
	if slices.Contains(names, want) {
		return nil
	}
	return format.Wrap(format.ErrNoTrustedKey, "the signer is %s, asked for is %q", orWords(strings.Join(names, ", "), leaf.Subject.String()), want)
}

func orWords(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// purposeOf names what a certificate is for.
func purposeOf(c *x509.Certificate) string {
	var words []string
	for _, u := range c.ExtKeyUsage {
		name, ok := map[x509.ExtKeyUsage]string{
			x509.ExtKeyUsageAny: format.PurposeAny, x509.ExtKeyUsageCodeSigning: format.PurposeCodeSigning,
			x509.ExtKeyUsageEmailProtection: format.PurposeEmail, x509.ExtKeyUsageServerAuth: "server-auth",
			x509.ExtKeyUsageClientAuth: "client-auth", x509.ExtKeyUsageTimeStamping: "time-stamping", x509.ExtKeyUsageOCSPSigning: "ocsp-signing",
		}[u]
		if !ok {
			name = fmt.Sprintf("extended key usage %d", u)
		}
		words = append(words, name)
	}
	for _, oid := range c.UnknownExtKeyUsage {
		words = append(words, oid.String())
	}
	if c.IsCA {
		words = append(words, "certificate authority")
	}
	return strings.Join(words, ", ")
}

// describeChain tells the certificates from the root down, and the signer's key.
func (r *Result) describeChain(m *Message, trust format.Trust) error {
	for i, c := range slices.Backward(r.Chain) {
		l := format.Link{
			Kind: "certificate", Name: c.Subject.String(), Algorithm: KeyKind(c), Strength: format.Strength(c.PublicKey), Purpose: purposeOf(c),
			NotBefore: c.NotBefore.UTC().Format(time.RFC3339), NotAfter: c.NotAfter.UTC().Format(time.RFC3339), From: "trust",
		}
		if slices.ContainsFunc(m.Certificates, c.Equal) {
			l.From = "image"
		}
		if i == len(r.Chain)-1 {
			l.From = anchor(c, trust)
		}
		r.Links = append(r.Links, l)
	}
	keys, err := format.NewKeys(r.Chain[0].PublicKey)
	if err == nil {
		k := keys.All()[0]
		k.From = "certificate under " + anchor(r.Chain[len(r.Chain)-1], trust)
		r.Key = &k
	}
	return nil // a key that the contract does not take is a finding, told elsewhere
}

func anchor(c *x509.Certificate, trust format.Trust) string {
	for _, root := range trust.Roots {
		if root.Equal(c) {
			return orWords(root.From, "trust")
		}
	}
	return "trust"
}

// links tells the steps from the signer's certificate to the content.
func (r *Result) links(s *Signer) {
	what := "content"
	if s.Attributes {
		what = "signed attributes"
	}
	r.Links = append(r.Links, format.Link{Kind: "signature", Name: what, Algorithm: r.Signature, Strength: format.Strength(r.Chain[0].PublicKey), From: "image"})
	if s.Attributes {
		r.Links = append(r.Links, format.Link{Kind: "hash", Name: "content", Algorithm: s.digest.name, Strength: s.digest.hash.Size() * 4, From: "signed attributes"})
	}
}

// KeyKind names the key of a certificate as format.Key and FreshKey do: ecdsa-p256, rsa-2048.
func KeyKind(c *x509.Certificate) string {
	switch p := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa-%d", p.N.BitLen())
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ecdsa-p%d", p.Curve.Params().BitSize)
	case ed25519.PublicKey:
		return "ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

// findings tells weak digests and keys: of the signature, and of every certificate but the
// root, whose own signature nobody relies on.
func findings(s *Signer, chain []*x509.Certificate) []format.Finding {
	all := format.WeakDigest(s.digest.name)
	for i, c := range chain {
		weak := format.WeakKey(c.PublicKey)
		if i < len(chain)-1 {
			weak = format.WeakCertificate(c)
		}
		for _, f := range weak {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}
