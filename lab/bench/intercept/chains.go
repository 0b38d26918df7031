package intercept

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"

	"assay/probes"
)

const (
	// WrongName is the host of the certificate that is for somebody else (RFC 2606: nobody has it).
	WrongName = "another-cloud.example.net"
	weakBits  = 1024
	soundBits = 2048
	day       = 24 * time.Hour
	year      = 365 * day
	// A device's clock may be wrong by days; an expired certificate is meant to be older than that.
	longAgo   = 30 * day
	backdated = 5 * year
)

// A Cloud is with what the bench stands in for a product's cloud.
type Cloud struct {
	Genuine *tls.Certificate // chain and key that devices trust; nil: there is none
	Issuer  *tls.Certificate // the CA that issued it, with its key, and the CAs above; nil: the bench has not got it
	Hosts   []string         // names that devices call
}

// An impostor is a leaf in the making: everything about it is right until a scenario changes one thing.
type impostor struct {
	leaf   x509.Certificate
	key    crypto.Signer
	parent *x509.Certificate
	signer crypto.Signer
	above  [][]byte // what is sent behind the leaf
}

// Chain makes what a scenario presents. Everything but the one thing that it is named after is as in the
// genuine chain: names, kind of key, dates, purpose.
func (c Cloud) Chain(s probes.Scenario, now time.Time) (*tls.Certificate, error) {
	switch s {
	case probes.Genuine, probes.PassThrough, probes.OldVersion:
		return c.Genuine, nil
	}
	p, err := c.impostor(s, now)
	if err != nil {
		return nil, err
	}
	switch s {
	case probes.WrongHost:
		p.leaf.DNSNames, p.leaf.IPAddresses, p.leaf.Subject.CommonName = []string{WrongName}, nil, WrongName
	case probes.Expired:
		p.leaf.NotBefore, p.leaf.NotAfter, _ = expired(c.issuer(), now)
	case probes.NotYetValid:
		p.leaf.NotBefore, p.leaf.NotAfter, _ = notYet(c.issuer(), now)
	case probes.WrongEKU:
		p.leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case probes.WeakKey:
		if p.key, err = rsa.GenerateKey(rand.Reader, weakBits); err != nil {
			return nil, fmt.Errorf("make a key of %d bits: %w", weakBits, err)
		}
	case probes.NonCAIssuer, probes.NoBasicConstraints:
		err = p.descend(c.name("sub"), s == probes.NonCAIssuer, now)
	}
	if err != nil {
		return nil, err
	}
	return p.sign()
}

// impostor begins a leaf below who signs it.
func (c Cloud) impostor(s probes.Scenario, now time.Time) (*impostor, error) {
	genuine := c.Genuine.Leaf
	key, err := keyLike(genuine.PublicKey)
	if err != nil {
		return nil, err
	}
	p := &impostor{key: key, leaf: x509.Certificate{
		Subject: genuine.Subject, NotBefore: now.Add(-day), NotAfter: now.Add(year),
		DNSNames: slices.Clone(genuine.DNSNames), IPAddresses: slices.Clone(genuine.IPAddresses),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}}
	if _, isRSA := key.(*rsa.PrivateKey); isRSA {
		p.leaf.KeyUsage |= x509.KeyUsageKeyEncipherment // some clients have only the key exchange that wants it
	}
	for _, h := range c.Hosts {
		if ip := net.ParseIP(h); ip == nil && !slices.Contains(p.leaf.DNSNames, h) {
			p.leaf.DNSNames = append(p.leaf.DNSNames, h)
		}
	}
	switch s {
	case probes.SelfSigned:
		p.parent, p.signer = &p.leaf, key
		return p, nil
	case probes.UnknownCA:
		return p, p.stranger(c.name("root"), now)
	}
	issuer := c.issuer()
	p.parent, p.above = issuer, c.Issuer.Certificate
	p.leaf.NotBefore, p.leaf.NotAfter = later(p.leaf.NotBefore, issuer.NotBefore), earlier(p.leaf.NotAfter, issuer.NotAfter)
	signer, ok := c.Issuer.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the issuer's key cannot sign")
	}
	p.signer = signer
	return p, nil
}

// stranger makes a CA that nobody trusts, as old as a real one.
func (p *impostor) stranger(name pkix.Name, now time.Time) error {
	key, err := keyLike(p.key.Public())
	if err != nil {
		return err
	}
	root := &x509.Certificate{
		Subject: name, NotBefore: now.Add(-backdated), NotAfter: now.Add(backdated),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	made, err := issue(root, root, key.Public(), key)
	if err != nil {
		return err
	}
	p.parent, p.signer, p.above = made, key, [][]byte{made.Raw}
	return nil
}

// descend puts a certificate between issuer and leaf that must not issue. It has neither key usage nor
// extended key usage, so that basicConstraints alone say that it is no CA.
func (p *impostor) descend(name pkix.Name, says bool, now time.Time) error {
	key, err := keyLike(p.key.Public())
	if err != nil {
		return err
	}
	between := &x509.Certificate{
		Subject: name, NotBefore: later(now.Add(-longAgo), p.parent.NotBefore), NotAfter: p.leaf.NotAfter,
		BasicConstraintsValid: says,
	}
	made, err := issue(between, p.parent, key.Public(), p.signer)
	if err != nil {
		return err
	}
	p.parent, p.signer = made, key
	p.above = append([][]byte{made.Raw}, p.above...)
	return nil
}

// sign makes the chain.
func (p *impostor) sign() (*tls.Certificate, error) {
	made, err := issue(&p.leaf, p.parent, p.key.Public(), p.signer)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: append([][]byte{made.Raw}, p.above...), PrivateKey: p.key, Leaf: made}, nil
}

func issue(c, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	c.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", c.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// name is a CA's that looks like the product's own.
func (c Cloud) name(what string) pkix.Name {
	return pkix.Name{Organization: c.Genuine.Leaf.Subject.Organization, CommonName: "cloud " + what}
}

func (c Cloud) issuer() *x509.Certificate { return c.Issuer.Leaf }

// keyLike makes a key of the kind that the genuine chain has, so that no device refuses an impostor
// because it does not know the kind.
func keyLike(public any) (crypto.Signer, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return rsa.GenerateKey(rand.Reader, max(soundBits, min(k.N.BitLen(), 4096)))
	case *ecdsa.PublicKey:
		return ecdsa.GenerateKey(k.Curve, rand.Reader)
	default:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
}

// expired is a time that is over and lies in the issuer's: a device without a clock must not be saved by a CA
// that was not valid then.
func expired(issuer *x509.Certificate, now time.Time) (from, to time.Time, ok bool) {
	from = later(issuer.NotBefore, now.Add(-2*year))
	age := now.Sub(from)
	if age < 4*day {
		return from, from, false
	}
	return from, now.Add(-min(longAgo, age/2)), true
}

// notYet is a time to come that lies in the issuer's.
func notYet(issuer *x509.Certificate, now time.Time) (from, to time.Time, ok bool) {
	to = earlier(issuer.NotAfter, now.Add(2*year))
	ahead := to.Sub(now)
	if ahead < 4*day {
		return to, to, false
	}
	return now.Add(min(longAgo, ahead/2)), to, true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
