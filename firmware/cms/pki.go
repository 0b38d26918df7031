package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// FreshKey makes a key: ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519, rsa-1024, rsa-2048,
// rsa-3072, rsa-4096, as format.Key names them.
func FreshKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "ecdsa-p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa-p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ecdsa-p521":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	bits, ok := map[string]int{"rsa-1024": 1024, "rsa-2048": 2048, "rsa-3072": 3072, "rsa-4096": 4096}[kind]
	if !ok {
		return nil, fmt.Errorf("make key: kind %q is not known", kind)
	}
	return rsa.GenerateKey(rand.Reader, bits)
}

// likeKey makes a key of the kind of public; what is no usual kind becomes ecdsa-p256.
func likeKey(c *x509.Certificate) (crypto.Signer, error) {
	if key, err := FreshKey(KeyKind(c)); err == nil {
		return key, nil
	}
	return FreshKey("ecdsa-p256")
}

// A PKI is a throw-away authority for tests and for variants: never for trust.
type PKI struct {
	Root         Identity
	Intermediate *Identity // nil where the root itself issues
	Signer       Identity  // for code signing and e-mail protection
	At           time.Time // the middle of its validity
}

// PKIOptions says what NewPKI makes. The zero value is ecdsa-p256 under a root, valid for
// two years around 2026-07-01.
type PKIOptions struct {
	Kind         string    // of all keys, as FreshKey names them
	Name         string    // of the organisation
	Intermediate bool      // the signer is issued by an intermediate authority
	At           time.Time // the middle of the validity
}

// NewPKI makes one.
func NewPKI(o PKIOptions) (*PKI, error) {
	o.Kind, o.Name = orWords(o.Kind, "ecdsa-p256"), orWords(o.Name, "Throw-away")
	if o.At.IsZero() {
		o.At = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	}
	p := &PKI{At: o.At}
	authority := func(cn string) *x509.Certificate {
		return &x509.Certificate{
			Subject: pkix.Name{Organization: []string{o.Name}, CommonName: cn}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage:  x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
			NotBefore: o.At.AddDate(-1, 0, 0), NotAfter: o.At.AddDate(1, 0, 0),
		}
	}
	var err error
	if p.Root, err = issue(nil, authority("Root"), o.Kind); err != nil {
		return nil, err
	}
	if o.Intermediate {
		id, err := issue(&p.Root, authority("Intermediate"), o.Kind)
		if err != nil {
			return nil, err
		}
		p.Intermediate = &id
	}
	p.Signer, err = p.Issue(Leaf{Name: "Signer", Kind: o.Kind, Organisation: o.Name})
	return p, err
}

// A Leaf is a signer to be issued. What is empty is as the PKI's own signer has it.
type Leaf struct {
	Name         string // common name
	Organisation string
	Kind         string // of the key
	NotBefore    time.Time
	NotAfter     time.Time
	Usages       []x509.ExtKeyUsage
	NoUsages     bool // no extended key usage at all
	IsCA         bool
	Serial       *big.Int
}

// Issuer is the authority that issues signers.
func (p *PKI) Issuer() Identity {
	if p.Intermediate != nil {
		return *p.Intermediate
	}
	return p.Root
}

// Chain is the signer's certificate and those above it, the root last.
func (p *PKI) Chain() []*x509.Certificate {
	chain := []*x509.Certificate{p.Signer.Certificate}
	if p.Intermediate != nil {
		chain = append(chain, p.Intermediate.Certificate)
	}
	return append(chain, p.Root.Certificate)
}

// Issue makes another signer under the same authority: expired, for another purpose ...
func (p *PKI) Issue(l Leaf) (Identity, error) {
	c := &x509.Certificate{
		Subject:  pkix.Name{CommonName: orWords(l.Name, "Signer")},
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, IsCA: l.IsCA,
		NotBefore: l.NotBefore, NotAfter: l.NotAfter, ExtKeyUsage: l.Usages, SerialNumber: l.Serial,
	}
	if l.Organisation != "" {
		c.Subject.Organization = []string{l.Organisation}
	}
	if l.Usages == nil && !l.NoUsages {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning, x509.ExtKeyUsageEmailProtection}
	}
	if c.NotBefore.IsZero() {
		c.NotBefore = p.At.AddDate(-1, 0, 0)
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = p.At.AddDate(1, 0, 0)
	}
	issuer := p.Issuer()
	return issue(&issuer, c, orWords(l.Kind, KeyKind(issuer.Certificate)))
}

// issue signs the template by issuer, or by itself where issuer is nil.
func issue(issuer *Identity, template *x509.Certificate, kind string) (Identity, error) {
	key, err := FreshKey(kind)
	if err != nil {
		return Identity{}, err
	}
	if issuer == nil {
		issuer = &Identity{Key: key, Certificate: template}
	}
	return certify(*issuer, template, key)
}

func certify(issuer Identity, template *x509.Certificate, key crypto.Signer) (Identity, error) {
	if template.SerialNumber == nil {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
		if err != nil {
			return Identity{}, err
		}
		template.SerialNumber = n.Add(n, big.NewInt(1))
	}
	if template.SubjectKeyId == nil {
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return Identity{}, err
		}
		sum := sha256.Sum256(spki)
		template.SubjectKeyId = sum[:20]
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Certificate, key.Public(), issuer.Key)
	if err != nil {
		return Identity{}, fmt.Errorf("issue certificate for %s: %w", template.Subject, err)
	}
	c, err := x509.ParseCertificate(der)
	return Identity{Key: key, Certificate: c}, err
}

// Lookalike copies a chain (signer first) with fresh keys: same names, serial numbers,
// validity and purposes, under a root of its own. Where the root is not in chain, one of its
// name is made. It returns the signer and the certificates above it, the root last.
func Lookalike(chain []*x509.Certificate) (Identity, []*x509.Certificate, error) {
	if len(chain) == 0 {
		return Identity{}, nil, errors.New("copy chain: it is empty")
	}
	top := chain[len(chain)-1]
	var above Identity
	var copied []*x509.Certificate
	if string(top.RawIssuer) != string(top.RawSubject) {
		var err error
		root := &x509.Certificate{
			RawSubject: top.RawIssuer, SubjectKeyId: top.AuthorityKeyId, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: top.NotBefore, NotAfter: top.NotAfter,
		}
		key, err := likeKey(top)
		if err != nil {
			return Identity{}, nil, err
		}
		if above, err = certify(Identity{Key: key, Certificate: root}, root, key); err != nil {
			return Identity{}, nil, err
		}
		copied = append(copied, above.Certificate)
	}
	for i := len(chain) - 1; i >= 0; i-- {
		key, err := likeKey(chain[i])
		if err != nil {
			return Identity{}, nil, err
		}
		template := like(chain[i])
		if above.Key == nil {
			above = Identity{Key: key, Certificate: template}
		}
		if above, err = certify(above, template, key); err != nil {
			return Identity{}, nil, err
		}
		copied = append([]*x509.Certificate{above.Certificate}, copied...)
	}
	return above, copied[1:], nil
}

// like is a template with everything of c but its key and signature.
func like(c *x509.Certificate) *x509.Certificate {
	return &x509.Certificate{
		RawSubject: c.RawSubject, Subject: c.Subject, SerialNumber: c.SerialNumber, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		KeyUsage: c.KeyUsage, ExtKeyUsage: c.ExtKeyUsage, UnknownExtKeyUsage: c.UnknownExtKeyUsage,
		BasicConstraintsValid: c.BasicConstraintsValid, IsCA: c.IsCA, MaxPathLen: c.MaxPathLen, MaxPathLenZero: c.MaxPathLenZero,
		SubjectKeyId: c.SubjectKeyId, DNSNames: c.DNSNames, EmailAddresses: c.EmailAddresses, URIs: c.URIs,
	}
}

// IssueLike makes a certificate like c with a fresh key under the authority whose key is
// issuer, after change has spoilt it: expired, for another purpose. Only the authority's name
// is needed, and c has it.
func IssueLike(c *x509.Certificate, issuer crypto.Signer, change func(*x509.Certificate)) (Identity, error) {
	key, err := likeKey(c)
	if err != nil {
		return Identity{}, err
	}
	template := like(c)
	template.SerialNumber, template.SubjectKeyId = nil, nil
	change(template)
	authority := &x509.Certificate{RawSubject: c.RawIssuer, SubjectKeyId: c.AuthorityKeyId, PublicKey: issuer.Public()}
	return certify(Identity{Key: issuer, Certificate: authority}, template, key)
}

// Expire and ForServers are the usual changes for IssueLike.
func Expire(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = c.NotBefore.AddDate(-3, 0, 0), c.NotBefore.AddDate(-1, 0, 0)
}

// ForServers makes it a certificate for TLS servers only.
func ForServers(c *x509.Certificate) {
	c.ExtKeyUsage, c.UnknownExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, nil
}
