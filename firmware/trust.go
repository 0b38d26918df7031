package firmware

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"assay/firmware/format"
)

// ParseTrust reads trust anchors, each file by its content: PEM with public keys,
// certificates and revocation lists, a DER certificate, or what one format alone reads. A
// certificate vouches as an authority, and by its own key in formats that know bare keys.
// A private key is refused.
func ParseTrust(files ...Anchor) (Trust, error) {
	var t Trust
	for _, f := range files {
		if err := addAnchor(&t, f); err != nil {
			return Trust{}, fmt.Errorf("read trust anchor %s: %w", f.From, err)
		}
	}
	return t, nil
}

func addAnchor(t *Trust, f Anchor) error {
	if len(bytes.TrimSpace(f.Bytes)) == 0 {
		return errors.New("the file is empty")
	}
	taken := false
	for _, known := range formats() {
		if known.Anchor != nil && known.Anchor(f.Bytes) {
			if t.Own == nil {
				t.Own = map[string][]Anchor{}
			}
			// 32 bytes are a key to one format and the digest of one to another: each takes its own.
			t.Own[known.Name] = append(t.Own[known.Name], f)
			taken = true
		}
	}
	if taken {
		return nil
	}
	if bytes.Contains(f.Bytes, []byte("-----BEGIN ")) {
		return addPEM(t, f)
	}
	if c, err := x509.ParseCertificate(f.Bytes); err == nil {
		return addCertificate(t, c, f.From)
	}
	if key, err := x509.ParsePKIXPublicKey(f.Bytes); err == nil {
		return t.Keys.Add(key, f.From)
	}
	return errors.New("neither PEM nor DER keys and certificates, nor an anchor of any known format")
}

func addPEM(t *Trust, f Anchor) error {
	rest, n := f.Bytes, 0
	for {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		n, rest = n+1, after
		if err := addBlock(t, block, f.From); err != nil {
			return fmt.Errorf("PEM block %d: %w", n, err)
		}
	}
	if n == 0 || bytes.Contains(rest, []byte("-----BEGIN ")) {
		return fmt.Errorf("PEM block %d cannot be read", n+1)
	}
	return nil
}

func addBlock(t *Trust, block *pem.Block, from string) error {
	switch block.Type {
	case "CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		return addCertificate(t, c, from)
	case "X509 CRL":
		t.CRLs = append(t.CRLs, Anchor{From: from, Bytes: block.Bytes})
		return nil
	}
	key, err := format.ParsePublic(block)
	if err != nil {
		return err
	}
	return t.Keys.Add(key, from)
}

// addCertificate takes the certificate; its key counts too, unless it is too weak to count alone.
func addCertificate(t *Trust, c *x509.Certificate, from string) error {
	t.Roots = append(t.Roots, format.Root{Certificate: c, From: from})
	if err := t.Keys.Add(c.PublicKey, from); err != nil && len(format.WeakKey(c.PublicKey)) == 0 {
		return err
	}
	return nil
}

// ParseSigner reads one private key from PEM (PKCS#8, SEC 1 or PKCS#1), to sign variants with.
func ParseSigner(text []byte) (crypto.Signer, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("no private key in PEM")
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PARAMETERS":
			continue
		default:
			return nil, fmt.Errorf("unexpected PEM block %.40q, want a private key", block.Type)
		}
		if err != nil {
			return nil, err
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("a key of type %T does not sign", key)
		}
		return signer, nil
	}
}
