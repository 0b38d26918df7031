package refdevice

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	certificatesLast = 10 * 365 * 24 * time.Hour
	certificatesFrom = -24 * time.Hour // clocks differ
	rootFrom         = -5 * 365 * 24 * time.Hour
)

// An authority is the maker's root for devices and cloud.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	now         time.Time
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return key, nil
}

func newAuthority(now time.Time) (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, now: now}
	root := a.template(pkix.Name{Organization: []string{Manufacturer}, CommonName: Manufacturer + " root"})
	// As old as a maker's root is: what it issued may have expired meanwhile. And without a pathLenConstraint,
	// which would betray an issuer that is no CA even to a device that looks at nothing else.
	root.NotBefore = now.Add(rootFrom)
	root.IsCA, root.BasicConstraintsValid = true, true
	root.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	if a.certificate, err = a.sign(root, root, &key.PublicKey); err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	return a, nil
}

func (a *authority) template(name pkix.Name) *x509.Certificate {
	return &x509.Certificate{
		Subject:   name,
		NotBefore: a.now.Add(certificatesFrom),
		NotAfter:  a.now.Add(certificatesLast),
	}
}

func (a *authority) sign(c, parent *x509.Certificate, public any) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	c.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// issue makes a certificate for a server that may also be a client.
func (a *authority) issue(commonName string, names []string, addresses ...net.IP) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	leaf := a.template(pkix.Name{Organization: []string{Manufacturer}, CommonName: commonName})
	leaf.DNSNames, leaf.IPAddresses = names, addresses
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	cert, err := a.sign(leaf, a.certificate, &key.PublicKey)
	if err != nil {
		return nil, nil, fmt.Errorf("issue certificate for %s: %w", commonName, err)
	}
	return cert, key, nil
}

func certificatePEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func privatePEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func publicPEM(key *ecdsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
