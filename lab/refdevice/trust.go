package refdevice

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// leastRSA is the shortest RSA key that the device believes (NIST SP 800-131A); the library asks for less.
const leastRSA = 2048

// clientTLS is for calls to the maker's services, verified against the maker's root and the device's clock.
func (l *life) clientTLS(host string) *tls.Config {
	c := &tls.Config{
		RootCAs:      l.id.roots,
		ServerName:   host,
		Certificates: []tls.Certificate{l.id.certificate},
		MinVersion:   tls.VersionTLS12,
		Time:         l.clock.now,
	}
	if l.flaws.has(AcceptsOldTLS) {
		c.MinVersion = tls.VersionTLS10
	}
	if l.flaws.has(SkipsTLSVerification) {
		c.InsecureSkipVerify = true
		return c
	}
	// The library's own verification is switched off and done here, where each part of it can be left out.
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error { return l.verifyCloud(host, s.PeerCertificates) }
	return c
}

// verifyCloud holds a chain against the maker's root: RFC 5280 for the path, RFC 9525 for the name.
func (l *life) verifyCloud(host string, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("verify the cloud: no certificate")
	}
	if !l.flaws.has(AcceptsWeakKeys) {
		for _, c := range chain {
			if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < leastRSA {
				return fmt.Errorf("verify the cloud: an RSA key of %d bits", k.N.BitLen())
			}
		}
	}
	if l.flaws.has(IgnoresPurpose) {
		return l.verifySignatures(host, chain)
	}
	o := x509.VerifyOptions{
		Roots: l.id.roots, Intermediates: x509.NewCertPool(), DNSName: host,
		CurrentTime: l.clock.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if l.flaws.has(IgnoresHostName) {
		o.DNSName = ""
	}
	if l.flaws.has(IgnoresExpiry) {
		o.CurrentTime = within(chain[0])
	}
	if _, err := chain[0].Verify(o); err != nil {
		return fmt.Errorf("verify the cloud: %w", err)
	}
	return nil
}

// within is a moment at which a certificate is valid.
func within(c *x509.Certificate) time.Time { return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2) }

// verifySignatures follows the signatures up to the maker's root, and compares name and dates, as a device does
// that forgot what a certificate may be used for.
func (l *life) verifySignatures(host string, chain []*x509.Certificate) error {
	if err := chain[0].VerifyHostname(host); err != nil {
		return fmt.Errorf("verify the cloud: %w", err)
	}
	root, err := x509.ParseCertificate(l.id.CA)
	if err != nil {
		return fmt.Errorf("verify the cloud: %w", err)
	}
	now := l.clock.now()
	for i, c := range chain {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return errors.New("verify the cloud: not valid now")
		}
		if root.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil {
			return nil
		}
		if i+1 == len(chain) || chain[i+1].CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
			break
		}
	}
	return errors.New("verify the cloud: the signatures do not lead to the maker's root")
}
